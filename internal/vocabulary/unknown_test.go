package vocabulary_test

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/vocabulary"
	"github.com/quorate/quorate/values"
)

var words = vocabulary.Words{
	{"A", true, 1}, {"GET", false, 1}, {"REST", true, vocabulary.Any}, {"TXN", true, vocabulary.Any},
}

func call(name string, arguments int) quorate.Call {
	return quorate.Call{Name: name, Args: make([][]byte, arguments)}
}

func mustTxn(t testing.TB, txn quorate.Txn) quorate.Call {
	t.Helper()
	made, err := quorate.NewCall(txn)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestSentencesNameWhatIsMissing(t *testing.T) {
	for _, tt := range []struct {
		other vocabulary.Words
		want  string
	}{
		{nil, ""},
		{vocabulary.Words{{"A", true, 0}}, ""},
		{words, ""},
		{vocabulary.Words{{"A", true, 1}, {"NEW", true, 1}}, "operation NEW"},
		{vocabulary.Words{{"A", true, 3}}, "argument 2 of operation A"},
		{vocabulary.Words{{"A", true, vocabulary.Any}}, "argument 2 of operation A"},
		{vocabulary.Words{{"A", false, 1}}, "operation A as a query"},
		{vocabulary.Words{{"GET", true, 1}}, "operation GET as a command"},
	} {
		if got := words.Missing(tt.other); got != tt.want {
			t.Errorf("of %+v it misses %q, want %q", tt.other, got, tt.want)
		}
	}
}

func TestWhatACallUsesIsNamed(t *testing.T) {
	equals := func(c quorate.Call) []quorate.Condition { return []quorate.Condition{{Call: c}} }
	for _, tt := range []struct {
		name string
		call quorate.Call
		want string
	}{
		{"a known one", call("A", 1), ""},
		{"with fewer arguments", call("A", 0), ""},
		{"with more", call("A", 2), "argument 2 of operation A"},
		{"as many as it likes", call("REST", 2000), ""},
		{"not known", call("NEW", 0), "operation NEW"},
		{"in a transaction", mustTxn(t, quorate.Txn{Then: []quorate.Call{call("A", 1), call("REST", 5)}}), ""},
		{"without calls", mustTxn(t, quorate.Txn{}), ""},
		{"a new one in Then", mustTxn(t, quorate.Txn{Then: []quorate.Call{call("A", 1), call("NEW", 2)}}), "operation NEW"},
		{"a new one in Else", mustTxn(t, quorate.Txn{Then: []quorate.Call{call("A", 1)}, Else: []quorate.Call{call("NEW", 0)}}), "operation NEW"},
		{"an argument in Else", mustTxn(t, quorate.Txn{Else: []quorate.Call{call("A", 2)}}), "argument 2 of operation A"},
		{"known conditions", mustTxn(t, quorate.Txn{If: append(equals(call("GET", 1)), equals(call("REST", 3))...), Then: []quorate.Call{call("A", 1)}}), ""},
		{"a new condition", mustTxn(t, quorate.Txn{If: append(equals(call("GET", 1)), equals(call("SEEN", 1))...)}), "operation SEEN"},
		{"an argument of a condition", mustTxn(t, quorate.Txn{If: equals(call("GET", 2))}), "argument 2 of operation GET"},
		{"behind a condition", mustTxn(t, quorate.Txn{If: equals(call("GET", 1)), Then: []quorate.Call{call("NEW", 1)}}), "operation NEW"},
		{"no transaction", call("TXN", 2), "this form of operation TXN"},
		{"half a transaction", quorate.Call{Name: "TXN", Args: [][]byte{{'a'}, {'0'}, {'1'}, []byte("A"), {'2'}, nil}}, "this form of operation TXN"},
		{"a count that is none", quorate.Call{Name: "TXN", Args: [][]byte{{'a'}, {'x'}, {'1'}}}, "this form of operation TXN"},
	} {
		if got := words.Unknown(&tt.call); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestCallsInsideOfATransactionAreThoseThatItMakes holds that what is read here
// is what the language writes: of random transactions, each call is found.
func TestCallsInsideOfATransactionAreThoseThatItMakes(t *testing.T) {
	random := rapid.Custom(func(t *rapid.T) quorate.Call {
		c := call(rapid.SampledFrom([]string{"A", "B", "C"}).Draw(t, "name"), rapid.IntRange(0, 3).Draw(t, "arguments"))
		for i := range c.Args {
			c.Args[i] = []byte(rapid.SampledFrom([]string{"", "1", "A", "=1", "7"}).Draw(t, "argument"))
		}
		return c
	})
	rapid.Check(t, func(t *rapid.T) {
		txn := quorate.Txn{
			Then: rapid.SliceOfN(random, 0, 4).Draw(t, "then"), Else: rapid.SliceOfN(random, 0, 4).Draw(t, "else"),
			Each: rapid.Bool().Draw(t, "each"),
		}
		all := make(map[string]bool)
		for _, c := range rapid.SliceOfN(random, 0, 3).Draw(t, "if") {
			condition := quorate.Condition{Call: c, Equals: values.Int(1)}
			if rapid.Bool().Draw(t, "fails") {
				condition = quorate.Condition{Call: c, Fails: quorate.NotFound}
			}
			txn.If = append(txn.If, condition)
			all[c.Name] = true
		}
		for _, c := range txn.Then {
			all[c.Name] = true
		}
		for _, c := range txn.Else {
			all[c.Name] = true
		}
		made, err := quorate.NewCall(txn)
		if err != nil {
			t.Fatal(err)
		}
		known := vocabulary.Words{{"A", true, 3}, {"B", true, 3}, {"C", true, 3}, {"TXN", true, vocabulary.Any}}
		found := make(map[string]bool)
		for i, word := range known[:3] {
			without := append(append(vocabulary.Words{}, known[:i]...), known[i+1:]...)
			if without.Unknown(&made) != "" {
				found[word.Name] = true
			}
		}
		if what := known.Unknown(&made); what != "" || !reflect.DeepEqual(found, all) {
			t.Fatalf("it finds %v of %v, and does not know %q", found, all, what)
		}
	})
}

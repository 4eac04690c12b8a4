package vocabulary_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/vocabulary"
	"github.com/quorate/quorate/kv"
)

// mustReadHex reads a file of bytes in hex. What stands behind a # is a
// comment, and a bar is there for the eye.
func mustReadHex(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.NewReplacer(" ", "", "|", "", "\n", "", "\r", "").Replace(line))
	}
	data, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return data
}

// golden is what each golden file holds.
var golden = map[string]vocabulary.Words{
	"example.hex": {{"TAKE", true, 2}, {"TXN", true, vocabulary.Any}},
	"queries.hex": {{"A", false, 0}, {"BB", false, vocabulary.Any}, {"C", true, 1023}},
}

func TestWordsHaveTheBytesOfTheGoldenFiles(t *testing.T) {
	for name, want := range golden {
		data := mustReadHex(t, name)
		if got := want.Append(nil); !bytes.Equal(got, data) {
			t.Errorf("%s: encoded\n%x, golden is\n%x", name, got, data)
		}
		got, err := vocabulary.Read(data)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: decoded %+v, %v, want %+v", name, got, err, want)
		}
	}
}

func TestWhatIsCutOrOutOfOrderIsRefused(t *testing.T) {
	for name := range golden {
		data := mustReadHex(t, name)
		for n := range len(data) {
			if words, err := vocabulary.Read(data[:n:n]); err == nil {
				t.Errorf("%s: %d bytes of %d decode to %+v", name, n, len(data), words)
			}
		}
		if _, err := vocabulary.Read(append(bytes.Clone(data), 0)); err == nil {
			t.Errorf("%s: a byte behind the last word is taken", name)
		}
	}
	for name, data := range map[string]string{
		"a newer version":       "02 00",
		"names out of order":    "01 02 01 42 00 00 01 41 00 00",
		"a name that is twice":  "01 02 01 41 00 00 01 41 00 00",
		"a kind that is none":   "01 01 01 41 02 00",
		"too many arguments":    "01 01 01 41 00 81 08",
		"no name":               "01 01 00 00 00 00",
		"more words than bytes": "01 ff ff ff ff 0f 01 41 00 00",
	} {
		raw, err := hex.DecodeString(strings.ReplaceAll(data, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if words, err := vocabulary.Read(raw); err == nil {
			t.Errorf("%s: %+v", name, words)
		}
	}
}

// FuzzRead decodes arbitrary bytes. What decodes has these bytes.
func FuzzRead(f *testing.F) {
	for name := range golden {
		f.Add(mustReadHex(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		words, err := vocabulary.Read(data)
		if err != nil {
			return
		}
		again, err := vocabulary.Read(words.Append(nil))
		if err != nil || !reflect.DeepEqual(again, words) {
			t.Fatalf("%x decodes to %+v, which decodes to %+v, %v", data, words, again, err)
		}
	})
}

// Operations of a service, each of another form.
type (
	none     struct{}
	one      struct{ Key string }
	optional struct {
		Key  string
		Note *string
		By   int64 `default:"1"`
	}
	rest struct {
		Key  string
		Many []string
	}
	ask struct{ Key string }
)

func (none) Apply(*quorate.Tx) (int64, error)     { return 0, nil }
func (one) Apply(*quorate.Tx) (int64, error)      { return 0, nil }
func (optional) Apply(*quorate.Tx) (int64, error) { return 0, nil }
func (rest) Apply(*quorate.Tx) (int64, error)     { return 0, nil }
func (ask) Read(*quorate.View) (int64, error)     { return 0, nil }

func mustWords(t testing.TB, service *quorate.Service) vocabulary.Words {
	t.Helper()
	words, err := vocabulary.Of(service)
	if err != nil {
		t.Fatal(err)
	}
	return words
}

func TestWordsOfAServiceAreItsOperations(t *testing.T) {
	got := mustWords(t, quorate.Define("forms",
		quorate.Write[rest]("REST"), quorate.Read[ask]("ASK"), quorate.Write[none]("NONE"),
		quorate.Write[one]("ONE"), quorate.Write[optional]("OPTIONAL")))
	want := vocabulary.Words{
		{"ASK", false, 1}, {"NONE", true, 0}, {"ONE", true, 1}, {"OPTIONAL", true, 3}, {"REST", true, vocabulary.Any},
		{"TXN", true, vocabulary.Any},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestWordsOfTheBuiltInServiceFitTheFirstFrameBetweenNodes(t *testing.T) {
	if size := len(mustWords(t, kv.Service).Append(nil)); size > 4<<10 {
		t.Errorf("they are %d bytes", size)
	}
}

// arbitraryWords are words of few names, so that two of them have some in
// common.
func arbitraryWords() *rapid.Generator[vocabulary.Words] {
	return rapid.Custom(func(t *rapid.T) vocabulary.Words {
		var words vocabulary.Words
		for _, name := range []string{"A", "B", "CAS", "D.1", "TXN"} {
			if rapid.Bool().Draw(t, name) {
				words = append(words, vocabulary.Word{
					Name: name, Writes: rapid.Bool().Draw(t, "writes"),
					Arguments: rapid.SampledFrom([]int{0, 1, 2, vocabulary.Any}).Draw(t, "arguments"),
				})
			}
		}
		return words
	})
}

func TestWhatIsCommonIsKnownToBothAndNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, third := arbitraryWords().Draw(t, "a"), arbitraryWords().Draw(t, "b"), arbitraryWords().Draw(t, "third")
		common := a.Common(b)
		if what := a.Missing(common) + b.Missing(common); what != "" {
			t.Fatalf("%s is common to %v and %v", what, a, b)
		}
		if a.Missing(third) == "" && b.Missing(third) == "" && common.Missing(third) != "" {
			t.Fatalf("%v and %v know %v, and have %v in common", a, b, third, common)
		}
		if !reflect.DeepEqual(common, b.Common(a)) {
			t.Fatalf("%v is common to one and %v to the other", common, b.Common(a))
		}
		if _, err := vocabulary.Read(common.Append(nil)); err != nil {
			t.Fatalf("%v does not decode: %v", common, err)
		}
	})
}

func TestBothTogetherKnowWhatOneKnows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := arbitraryWords().Draw(t, "a"), arbitraryWords().Draw(t, "b")
		both := a.With(b)
		if what := both.Missing(a); what != "" {
			t.Fatalf("%s is missing in %v of %v and %v", what, both, a, b)
		}
		agree := true
		for _, word := range b {
			for _, other := range a {
				agree = agree && (word.Name != other.Name || word.Writes == other.Writes)
			}
		}
		if what := both.Missing(b); agree && what != "" {
			t.Fatalf("%s is missing in %v of %v and %v", what, both, a, b)
		}
		if _, err := vocabulary.Read(both.Append(nil)); err != nil {
			t.Fatalf("%v does not decode: %v", both, err)
		}
	})
}

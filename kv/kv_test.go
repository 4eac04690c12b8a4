package kv_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/values"
)

var (
	rewrite = flag.Bool("rewrite", false, "write the golden files anew")
	seed    = flag.Uint64("seed", 0, "seed of the random operations; 0 draws one")
)

// mustCall is the reply to an operation with a JSON body.
func mustCall(t testing.TB, on quorate.Executor, name, body string) quorate.Reply {
	t.Helper()
	op, ok := quorate.Engine().Lookup(kv.Service, quorate.Call{Name: name})
	if !ok {
		t.Fatalf("there is no operation %s", name)
	}
	args, err := quorate.Engine().ArgsFromJSON(op, []byte(body))
	if err != nil {
		return quorate.Reply{Err: err}
	}
	return on.Execute(t.Context(), []quorate.Call{{Name: name, Args: args}})[0]
}

// show is a reply in one line.
func show(reply quorate.Reply) string {
	if reply.Err != nil {
		return fmt.Sprintf("%s: %v", quorate.CodeOf(reply.Err), reply.Err)
	}
	return fmt.Sprintf("%s %s", reply.Value.Kind(), reply.Value)
}

func TestOperations(t *testing.T) {
	steps := []struct{ name, body, want string }{
		{"PUT", `{"key":1,"value":2}`, "integer 2"},
		{"GET", `{"key":1}`, "integer 2"},
		{"GET", `{"key":"1"}`, "integer 2"},
		{"PUT", `{"key":"s","value":"7"}`, "string 7"},
		{"GET", `{"key":"s"}`, "string 7"},
		{"PUT", `{"key":"e","value":""}`, "string "},
		{"GET", `{"key":"e"}`, "string "},
		{"PUT", `{"key":"z","value":"\u0000\u00007"}`, "string \x00\x007"},
		{"GET", `{"key":"z"}`, "string \x00\x007"},
		{"PUT", `{"key":{"base64":"/w=="},"value":{"base64":"/wA="}}`, "string \xff\x00"},
		{"GET", `{"key":{"base64":"/w=="}}`, "string \xff\x00"},
		{"PUT", `{"key":"m","value":-9223372036854775808}`, "integer -9223372036854775808"},
		{"GET", `{"key":"m"}`, "integer -9223372036854775808"},
		{"GET", `{"key":"nowhere"}`, `not_found: there is nothing under key "nowhere"`},

		{"INC", `{"key":1,"value":5}`, "integer 7"},
		{"INC", `{"key":"new"}`, "integer 1"},
		{"INC", `{"key":"new","value":-3}`, "integer -2"},
		{"INC", `{"key":"new","value":0}`, "integer -2"},
		{"INC", `{"key":"s"}`, `wrong_type: key "s" holds a string, not an integer`},
		{"GET", `{"key":"s"}`, "string 7"},
		{"INC", `{"key":"m","value":-1}`, "overflow: -9223372036854775808 and -1 together do not fit an integer of 64 bits"},
		{"GET", `{"key":"m"}`, "integer -9223372036854775808"},
		{"INC", `{"key":"m","value":9223372036854775807}`, "integer -1"},
		{"INC", `{"key":"m","value":-9223372036854775808}`, "overflow: -1 and -9223372036854775808 together do not fit an integer of 64 bits"},
		{"INC", `{"key":"top","value":9223372036854775807}`, "integer 9223372036854775807"},
		{"INC", `{"key":"top"}`, "overflow: 9223372036854775807 and 1 together do not fit an integer of 64 bits"},
		{"GET", `{"key":"top"}`, "integer 9223372036854775807"},

		{"DELETE", `{"key":1}`, "bool true"},
		{"DELETE", `{"key":1}`, "bool false"},
		{"GET", `{"key":1}`, `not_found: there is nothing under key "1"`},

		{"CAS", `{"key":1,"value":5,"expect":4}`, `conflict: what is under key "1" is not what was expected`},
		{"CAS", `{"key":1,"value":5}`, "integer 5"},
		{"CAS", `{"key":1,"value":6}`, `conflict: what is under key "1" is not what was expected`},
		{"CAS", `{"key":1,"value":6,"expect":null}`, `conflict: what is under key "1" is not what was expected`},
		{"CAS", `{"key":1,"value":6,"expect":"5"}`, `conflict: what is under key "1" is not what was expected`},
		{"CAS", `{"key":1,"value":"x","expect":5}`, "string x"},
		{"CAS", `{"key":1,"value":0,"expect":"x"}`, "integer 0"},
	}
	on := memory.New(kv.Service)
	for _, s := range steps {
		if got := show(mustCall(t, on, s.name, s.body)); got != s.want {
			t.Fatalf("%s %s\n got %s\nwant %s", s.name, s.body, got, s.want)
		}
	}
}

func TestConflictCarriesWhatIsThere(t *testing.T) {
	on := memory.New(kv.Service)
	for _, c := range []struct {
		body string
		want quorate.Value
	}{
		{`{"key":"k","value":1,"expect":0}`, quorate.Value{}},
		{`{"key":"k","value":1}`, values.Int(1)},
		{`{"key":"k","value":2}`, values.Int(1)},
	} {
		reply := mustCall(t, on, "CAS", c.body)
		got := reply.Value
		if failure, ok := errors.AsType[*quorate.Error](reply.Err); ok {
			got = failure.Value
		}
		if !got.Equal(c.want) {
			t.Errorf("CAS %s: got %v (%v), want %v", c.body, got, reply.Err, c.want)
		}
	}
}

func TestKeyIsTheSameAsIntegerAndAsString(t *testing.T) {
	for raw, want := range map[string]kv.Key{
		`7`: "7", `"7"`: "7", `-7`: "-7", `"007"`: "007", `-0`: "0", `0`: "0",
		`9223372036854775808`: "9223372036854775808", `18446744073709551615`: "18446744073709551615",
		`-9223372036854775808`: "-9223372036854775808",
		`"a\u0000b"`:           "a\x00b", `{"base64":"AP8="}`: "\x00\xff",
	} {
		var got kv.Key
		if err := got.UnmarshalJSON([]byte(raw)); err != nil || got != want {
			t.Errorf("key %s is %q (%v), want %q", raw, got, err, want)
		}
	}
}

func TestKeyOfAnotherKindIsRefusedByName(t *testing.T) {
	for raw, want := range map[string]string{
		`1.0`:                  "is the number 1.0, not an integer or a string",
		`1e3`:                  "is the number 1e3, not an integer or a string",
		`true`:                 "is a bool, not an integer or a string",
		`[1]`:                  "is a list, not an integer or a string",
		`{}`:                   "is an object, not an integer or a string",
		`null`:                 "is null, not an integer or a string",
		`18446744073709551616`: "is the number 18446744073709551616, which does not fit an integer of 64 bits",
		`-9223372036854775809`: "is the number -9223372036854775809, which does not fit an integer of 64 bits",
	} {
		var key kv.Key
		if err := key.UnmarshalJSON([]byte(raw)); err == nil || err.Error() != want {
			t.Errorf("key %s: %v, want %q", raw, err, want)
		}
	}
}

func TestCheckRefusesWhatCannotBeStored(t *testing.T) {
	long := kv.Key(strings.Repeat("k", kv.KeyBytesMax))
	for _, c := range []struct {
		name string
		op   quorate.Checker
		want quorate.Code
	}{
		{"longest key", kv.Put{Key: long, Value: values.Int(1)}, ""},
		{"key over the limit", kv.Put{Key: long + "k", Value: values.Int(1)}, quorate.TooLarge},
		{"put without key", kv.Put{Value: values.Int(1)}, quorate.Invalid},
		{"get without key", kv.Get{}, quorate.Invalid},
		{"delete without key", kv.Delete{}, quorate.Invalid},
		{"inc without key", kv.Inc{By: 1}, quorate.Invalid},
		{"cas without key", kv.Cas{Value: values.Int(1)}, quorate.Invalid},
		{"put of nothing", kv.Put{Key: "k"}, quorate.Invalid},
		{"put of a bool", kv.Put{Key: "k", Value: values.Bool(true)}, quorate.Invalid},
		{"put of a float", kv.Put{Key: "k", Value: values.Float(1)}, quorate.Invalid},
		{"cas of a list", kv.Cas{Key: "k", Value: values.List()}, quorate.Invalid},
		{"cas that expects nothing", kv.Cas{Key: "k", Value: values.Int(1), Expect: new(quorate.Value)}, quorate.Invalid},
	} {
		if got := quorate.CodeOf(c.op.Check()); got != c.want {
			t.Errorf("%s: code %q, want %q", c.name, got, c.want)
		}
	}
}

func TestGoCallersCannotStoreAnotherKind(t *testing.T) {
	on := memory.New(kv.Service)
	for _, v := range []quorate.Value{{}, values.Bool(true), values.Uint(7), values.Float(1)} {
		_, err := quorate.Do(t.Context(), on, kv.Put{Key: "k", Value: v})
		if quorate.CodeOf(err) != quorate.Invalid || quorate.OutcomeUnknown(err) {
			t.Errorf("put of kind %s: %v", v.Kind(), err)
		}
	}
	if on.Index != 0 {
		t.Errorf("%d calls reached the state", on.Index)
	}
}

func TestLongestKeyAndValueFitTheState(t *testing.T) {
	on := memory.New(kv.Service)
	key := kv.Key(strings.Repeat("k", kv.KeyBytesMax))
	value := values.Bytes(strings.Repeat("v", quorate.ArgsBytesMax-kv.KeyBytesMax))
	if _, err := quorate.Do(t.Context(), on, kv.Put{Key: key, Value: value}); err != nil {
		t.Fatal(err)
	}
	if got, err := quorate.Ask(t.Context(), on, kv.Get{Key: key}); err != nil || !got.Equal(value) {
		t.Fatalf("got %d bytes, %v", len(got.Text()), err)
	}
}

// model is the service as one would explain it: a map.
type model map[kv.Key]quorate.Value

// run does what a call should do, and returns the answer and the code of the
// error.
func (m model) run(operation any) (quorate.Value, quorate.Code) {
	switch op := operation.(type) {
	case kv.Put:
		m[op.Key] = op.Value
		return op.Value, ""
	case kv.Get:
		if v, ok := m[op.Key]; ok {
			return v, ""
		}
		return quorate.Value{}, quorate.NotFound
	case kv.Delete:
		_, ok := m[op.Key]
		delete(m, op.Key)
		return values.Bool(ok), ""
	case kv.Inc:
		return m.inc(op)
	case kv.Cas:
		v, ok := m[op.Key]
		if ok != (op.Expect != nil) || ok && !v.Equal(*op.Expect) {
			return quorate.Value{}, quorate.Conflict
		}
		m[op.Key] = op.Value
		return op.Value, ""
	}
	panic("no such operation")
}

func (m model) inc(op kv.Inc) (quorate.Value, quorate.Code) {
	v, ok := m[op.Key]
	if ok && v.Kind() != values.KindInt {
		return quorate.Value{}, quorate.WrongType
	}
	sum := v.Int() + op.By // wraps around
	if (sum > v.Int()) != (op.By > 0) && op.By != 0 {
		return quorate.Value{}, quorate.Overflow
	}
	m[op.Key] = values.Int(sum)
	return values.Int(sum), ""
}

func randomValue(r *rand.Rand) quorate.Value {
	return []quorate.Value{
		values.Int(int64(r.IntN(3))),
		values.Int(math.MaxInt64 - int64(r.IntN(2))),
		values.Int(math.MinInt64 + int64(r.IntN(2))),
		values.Bytes([]string{"", "0", "1", "x", "\x00", "\x001", "\xff"}[r.IntN(7)]),
	}[r.IntN(4)]
}

func randomOperation(r *rand.Rand) any {
	key := kv.Key([]string{"0", "1", "a", "\x00", "\xff\xff"}[r.IntN(5)])
	switch r.IntN(6) {
	case 0:
		return kv.Put{Key: key, Value: randomValue(r)}
	case 1:
		return kv.Get{Key: key}
	case 2:
		return kv.Delete{Key: key}
	case 3:
		return kv.Cas{Key: key, Value: randomValue(r)}
	case 4:
		expect := randomValue(r)
		return kv.Cas{Key: key, Value: randomValue(r), Expect: &expect}
	}
	return kv.Inc{Key: key, By: []int64{1, -1, 0, math.MaxInt64, math.MinInt64, 5}[r.IntN(6)]}
}

func TestRandomOperationsDoWhatAMapWouldDo(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("replay with -seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 0))
	on, want := memory.New(kv.Service), make(model)
	codes := make(map[quorate.Code]int)
	for i := range 20_000 {
		operation := randomOperation(r)
		call, err := quorate.NewCall(operation)
		if err != nil {
			t.Fatal(err)
		}
		reply := on.Execute(t.Context(), []quorate.Call{call})[0]
		value, code := want.run(operation)
		if !reply.Value.Equal(value) || quorate.CodeOf(reply.Err) != code {
			t.Fatalf("operation %d, %#v: got %s, want %v %s", i, operation, show(reply), value, code)
		}
		codes[code]++
	}
	for _, code := range []quorate.Code{"", quorate.NotFound, quorate.WrongType, quorate.Overflow, quorate.Conflict} {
		if codes[code] == 0 {
			t.Errorf("the random operations never came to %q", code)
		}
	}
	keys := slices.Sorted(maps.Keys(want))
	if len(on.Data) != len(keys) {
		t.Errorf("%d records for %d keys", len(on.Data), len(keys))
	}
}

package quorate_test

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/values"
)

// Script does to a Tx what a test wants. It stands for a command whose fields
// do not matter.
type Script struct{ Name string }

func (s Script) Apply(tx *quorate.Tx) (quorate.Value, error) { return scripts[s.Name](tx) }

// Inquiry reads what a test wants.
type Inquiry struct{ Name string }

func (i Inquiry) Read(view *quorate.View) (quorate.Value, error) { return inquiries[i.Name](view) }

var scripted = quorate.Define("scripted", quorate.Write[Script]("SCRIPT"), quorate.Read[Inquiry]("INQUIRY"))

var errForeign = errors.New("no such file")

// sizes writes keys and values of given sizes and then returns err.
func sizes(key, value, times int, err error) func(*quorate.Tx) (quorate.Value, error) {
	return func(tx *quorate.Tx) (quorate.Value, error) {
		for i := range times {
			name := fmt.Appendf(nil, "%0*d", key, i)
			tx.Set(name[:key], make([]byte, value))
		}
		return values.Int(int64(times)), err
	}
}

var scripts = map[string]func(*quorate.Tx) (quorate.Value, error){
	"fails": sizes(1, 1, 1, errForeign),
	"fails with a code": sizes(1, 1, 1, &quorate.Error{
		Code: "sold_out", Message: "none left", Outcome: quorate.Unknown, Value: values.Int(3)}),
	"fails without a code":       sizes(1, 1, 1, &quorate.Error{Message: "just so"}),
	"panics":                     func(tx *quorate.Tx) (quorate.Value, error) { tx.Set([]byte("k"), nil); panic("a secret") },
	"divides":                    func(*quorate.Tx) (quorate.Value, error) { var zero int64; return values.Int(1 / zero), nil },
	"largest key and value":      sizes(quorate.KeyBytesMax, quorate.ValueBytesMax, 1, nil),
	"empty key":                  sizes(0, 1, 1, nil),
	"key too large":              sizes(quorate.KeyBytesMax+1, 1, 1, nil),
	"value too large":            sizes(1, quorate.ValueBytesMax+1, 1, nil),
	"all that a command may":     sizes(1024, quorate.TxBytesMax/16-1024, 16, nil),
	"more than a command may":    sizes(1024, quorate.TxBytesMax/16-1023, 16, nil),
	"too large and then failing": sizes(0, 1, 1, quorate.Errorf("sold_out", "none left")),
	"deletes an empty key":       func(tx *quorate.Tx) (quorate.Value, error) { tx.Delete(nil); return quorate.Value{}, nil },
	"everything at once": func(tx *quorate.Tx) (quorate.Value, error) {
		tx.Set(nil, nil)
		collect(tx.Scan(nil, nil))
		return values.Uint(tx.Rand().Uint64()), nil
	},
	"writes and draws": func(tx *quorate.Tx) (quorate.Value, error) {
		tx.Set([]byte("b"), []byte("2"))
		return values.Uint(tx.Rand().Uint64()), nil
	},
	"goes on after a limit": func(tx *quorate.Tx) (quorate.Value, error) {
		tx.Set(nil, nil)
		tx.Set([]byte("k"), nil)
		tx.Delete([]byte("there"))
		return quorate.Value{}, nil
	},
}

var inquiries = map[string]func(*quorate.View) (quorate.Value, error){
	"fails":  func(*quorate.View) (quorate.Value, error) { return values.Int(1), errForeign },
	"panics": func(*quorate.View) (quorate.Value, error) { panic("a secret") },
}

func TestCommandThatFailsIsAnAnswer(t *testing.T) {
	for _, c := range []struct {
		name string
		code quorate.Code
		want string
	}{
		{"largest key and value", "", ""},
		{"all that a command may", "", ""},
		{"fails", quorate.Failed, "no such file"},
		{"fails with a code", "sold_out", "none left"},
		{"fails without a code", quorate.Failed, "just so"},
		{"panics", quorate.Panicked, "operation SCRIPT panicked"},
		{"divides", quorate.Panicked, "operation SCRIPT panicked"},
		{"empty key", quorate.Invalid, "a key must not be empty"},
		{"deletes an empty key", quorate.Invalid, "a key must not be empty"},
		{"key too large", quorate.TooLarge, "a key of 4097 bytes is over the limit of 4096"},
		{"value too large", quorate.TooLarge, "a value of 1049601 bytes is over the limit of 1049600"},
		{"more than a command may", quorate.TooLarge, "one command writes more than 16777216 bytes"},
		{"too large and then failing", quorate.Invalid, "a key must not be empty"},
		{"goes on after a limit", quorate.Invalid, "a key must not be empty"},
	} {
		on := memory.New(scripted)
		on.Data["there"] = memory.Item{Value: "x"}
		_, err := quorate.Do(t.Context(), on, Script{c.name})
		if quorate.CodeOf(err) != c.code || err != nil && err.Error() != c.want || quorate.OutcomeUnknown(err) {
			t.Errorf("%s: %q %v, want %q %s", c.name, quorate.CodeOf(err), err, c.code, c.want)
		}
		if trace := len(on.Data) != 1 || on.Data["there"].Value != "x"; trace != (err == nil) {
			t.Errorf("%s: left a trace: %v", c.name, trace)
		}
	}
}

func TestErrorOfACommandKeepsItsValue(t *testing.T) {
	_, err := quorate.Do(t.Context(), memory.New(scripted), Script{"fails with a code"})
	if e, ok := errors.AsType[*quorate.Error](err); !ok || e.Value.Int() != 3 || e.Outcome != quorate.NotApplied {
		t.Errorf("got %#v", err)
	}
}

func TestQueryThatFailsIsAnAnswer(t *testing.T) {
	for name, want := range map[string]quorate.Code{"fails": quorate.Failed, "panics": quorate.Panicked} {
		n, err := quorate.Ask(t.Context(), memory.New(scripted), Inquiry{name})
		if quorate.CodeOf(err) != want || n.Kind() != values.KindNone {
			t.Errorf("%s: %v %v", name, n, err)
		}
	}
}

// What a panic says may differ from node to node; the answer must not.
func TestPanicIsKeptOnTheNode(t *testing.T) {
	_, err := quorate.Do(t.Context(), memory.New(scripted), Script{"panics"})
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the answer says %v", err)
	}
	cause := errors.Unwrap(err)
	if cause == nil || !strings.Contains(cause.Error(), "a secret") || !strings.Contains(cause.Error(), "tx_test.go") {
		t.Errorf("the cause says %v", cause)
	}
}

func TestRandIsTheSameForTheSameMoment(t *testing.T) {
	draw := func(at engine.Moment) (numbers [4]uint64) {
		tx := quorate.Engine().NewTx(memory.State{}, at)
		for i := range numbers {
			numbers[i] = tx.Rand().Uint64()
		}
		return numbers
	}
	first := draw(engine.Moment{Index: 5, Seed: 7})
	// The numbers are pinned: nodes of different versions must draw the same.
	want := [4]uint64{0xfca7bac57f93ee6c, 0x89f358f78949f1d0, 0x3bb85f483623731e, 0x1ee80bce486b990}
	if first != want || draw(engine.Moment{Index: 5, Seed: 7}) != want {
		t.Errorf("drew %#v, want %#v", first, want)
	}
	if draw(engine.Moment{Index: 6, Seed: 7}) == first || draw(engine.Moment{Index: 5, Seed: 8}) == first {
		t.Error("another moment draws the same numbers")
	}
}

func TestTxAndViewShowTheirMoment(t *testing.T) {
	at := engine.Moment{Index: 9, Time: time.Unix(5, 0)}
	state := memory.State{"a": {Value: "1"}, "b": {Value: "2"}, "c": {Value: "3"}}
	tx, view := quorate.Engine().NewTx(state, at), quorate.Engine().NewView(state, at)
	if tx.Index() != 9 || view.Index() != 9 || !tx.Now().Equal(at.Time) || !view.Now().Equal(at.Time) {
		t.Errorf("index %d and %d, time %v and %v", tx.Index(), view.Index(), tx.Now(), view.Now())
	}
	tx.Set([]byte("d"), []byte("4"))
	tx.Delete([]byte("b"))
	if got := collect(view.Scan([]byte("b"), nil)); !maps.Equal(got, map[string]string{"c": "3", "d": "4"}) {
		t.Errorf("from b on there is %v", got)
	}
	if got := slices.Sorted(maps.Keys(collect(tx.Scan(nil, []byte("d"))))); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("before d there is %v", got)
	}
	if value, found := view.Get([]byte("d")); !found || string(value) != "4" {
		t.Errorf("d is %q, %v", value, found)
	}
}

func collect(pairs iter.Seq2[[]byte, []byte]) map[string]string {
	got := make(map[string]string)
	for key, value := range pairs {
		got[string(key)] = string(value)
	}
	return got
}

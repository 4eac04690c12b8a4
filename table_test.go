package quorate_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/memory"
)

// mustOverflow adds to a counter what does not fit.
func mustOverflow(t *testing.T, tx *quorate.Tx, counters quorate.Counters, by int64, want string) {
	t.Helper()
	if n, err := counters.Add(tx, "k", by); n != 0 || quorate.CodeOf(err) != quorate.Overflow || fmt.Sprint(err) != want {
		t.Errorf("adding %d: %d, %v, want %s", by, n, err, want)
	}
}

func TestCountersCount(t *testing.T) {
	counters := quorate.NewCounters("hits")
	state := memory.State{}
	tx := onState(state)
	for _, c := range []struct{ by, want int64 }{{1, 1}, {0, 1}, {-4, -3}, {math.MaxInt64, math.MaxInt64 - 3}, {3, math.MaxInt64}} {
		if n, err := counters.Add(tx, "k", c.by); n != c.want || err != nil || counters.Value(tx, "k") != c.want {
			t.Errorf("adding %d: %d, %v, and then %d, want %d", c.by, n, err, counters.Value(tx, "k"), c.want)
		}
	}
	before := maps.Clone(state)
	mustOverflow(t, tx, counters, 1, `"k" of counters hits is 9223372036854775807: adding 1 does not fit 64 bits`)
	mustOverflow(t, tx, counters, math.MaxInt64, `"k" of counters hits is 9223372036854775807: adding 9223372036854775807 does not fit 64 bits`)
	if !maps.Equal(state, before) {
		t.Errorf("a sum that does not fit changed the state to %v", state)
	}
	counters.Delete(tx, "k")
	if n := counters.Value(tx, "k"); n != 0 || len(state) != 0 {
		t.Errorf("deleted, the counter is %d in %v", n, state)
	}
	_, _ = counters.Add(tx, "k", math.MinInt64)
	mustOverflow(t, tx, counters, -1, `"k" of counters hits is -9223372036854775808: adding -1 does not fit 64 bits`)
	mustOverflow(t, tx, counters, math.MinInt64, `"k" of counters hits is -9223372036854775808: adding -9223372036854775808 does not fit 64 bits`)
}

func TestCountersAreInOrderOfTheirKeys(t *testing.T) {
	counters := quorate.NewCounters("hits")
	tx := onState(memory.State{})
	for i, key := range []string{"b", "", "a/2", "a/1", "c"} {
		_, _ = counters.Add(tx, key, int64(i))
	}
	for want, bounds := range map[string][]quorate.Bound[string]{
		`="1" a/1="3" a/2="2" b="0" c="4" `: nil,
		`a/1="3" a/2="2" `:                  {quorate.Prefix("a/")},
		`a/2="2" `:                          {quorate.Prefix("a/"), quorate.After("a/1")},
		`a/2="2" b="0" `:                    {quorate.From("a/2"), quorate.Below("c"), {}},
	} {
		var got strings.Builder
		for key, n := range counters.Range(tx, bounds...) {
			fmt.Fprintf(&got, "%s=\"%d\" ", key, n)
		}
		if got.String() != want {
			t.Errorf("%v: %s, want %s", bounds, got.String(), want)
		}
	}
}

func TestDamagedCounterIsRefused(t *testing.T) {
	counters := quorate.NewCounters("hits")
	for _, value := range []string{"", "\x01", "\x02\x02", "\x01\x02\x00", "\x01\xff", "\x01" + strings.Repeat("\xff", 10) + "\x01"} {
		tx := onState(memory.State{"\xfehits\x00k": {Value: value}})
		const want = `quorate: counter "k" of hits cannot be read: it is damaged, or a newer program wrote it`
		for name, run := range map[string]func() int64{
			"value": func() int64 { return counters.Value(tx, "k") },
			"add":   func() int64 { n, _ := counters.Add(tx, "k", 1); return n },
			"range": func() (sum int64) {
				for _, n := range counters.Range(tx) {
					sum += n
				}
				return sum
			},
		} {
			if _, refusal := panicking(run); refusal != want {
				t.Errorf("%s of %x: %s, want %s", name, value, refusal, want)
			}
		}
	}
}

func TestTableHoldsWhatWasPut(t *testing.T) {
	table := quorate.NewTable[keyPlace, rowPart]("parts")
	state := memory.State{}
	tx := onState(state)
	here, there := keyPlace{"a", 1}, keyPlace{"a", 2}
	table.Put(tx, here, rowPart{"bolt", 7})
	table.Put(tx, there, rowPart{})
	table.Put(tx, here, rowPart{"nut", 8})
	for key, want := range map[keyPlace]rowPart{here: {"nut", 8}, there: {}} {
		if row, found := table.Get(tx, key); row != want || !found {
			t.Errorf("%v is %v, %v, want %v", key, row, found, want)
		}
	}
	table.Delete(tx, here)
	if row, found := table.Get(tx, here); row != (rowPart{}) || found || len(state) != 1 {
		t.Errorf("deleted, it is %v, %v in %v", row, found, state)
	}
}

func TestRowEndsWhenItWasToldTo(t *testing.T) {
	table := quorate.NewTable[string, int]("leases")
	state := memory.State{}
	tx := onState(state)
	table.PutUntil(tx, "past", 1, tx.Now())
	table.PutUntil(tx, "soon", 2, tx.Now().Add(second))
	table.PutUntil(tx, "kept", 3, tx.Now().Add(second))
	table.Put(tx, "kept", 4)
	end := tx.Now().Add(second)
	for _, c := range []struct {
		at   time.Time
		want []string
	}{{end.Add(-1), []string{"kept", "soon"}}, {end, []string{"kept"}}} {
		view := quorate.Engine().NewView(state, engine.Moment{Time: c.at, Due: end})
		if got := keysOf(table, view); !slices.Equal(got, c.want) {
			t.Errorf("at %v: %v, want %v", c.at, got, c.want)
		}
		if _, found := table.Get(view, "soon"); found != slices.Contains(c.want, "soon") {
			t.Errorf("at %v: soon is there: %v", c.at, found)
		}
	}
}

// Tables of any names, counters of the same, the keys of kv and keys that are
// text never meet.
func TestTablesNeverMeet(t *testing.T) {
	name := rapid.Custom(func(t *rapid.T) string {
		return string(rapid.SliceOfN(rapid.SampledFrom([]byte{1, 'k', 'v', 0xfe, 0xff}), 1, 3).Draw(t, "name"))
	})
	rapid.Check(t, func(t *rapid.T) {
		state := memory.State{"kv\x00k": {Value: "v"}, "kv": {Value: "v"}, "é": {Value: "v"}}
		tx := onState(state)
		type content = map[string]int64
		tables, counters := make(map[string]content), make(map[string]content)
		for range rapid.IntRange(1, 20).Draw(t, "writes") {
			space, name, key, n := tables, name.Draw(t, "table"), drawText(t), rapid.Int64Range(1, 9).Draw(t, "n")
			if rapid.Bool().Draw(t, "counter") {
				space = counters
				quorate.NewCounters(name).Delete(tx, key)
				_, _ = quorate.NewCounters(name).Add(tx, key, n)
			} else {
				quorate.NewTable[string, int64](name).Put(tx, key, n)
			}
			if space[name] == nil {
				space[name] = content{}
			}
			space[name][key] = n
		}
		for name, want := range tables {
			if got := maps.Collect(quorate.NewTable[string, int64](name).Range(tx)); !maps.Equal(got, want) {
				t.Fatalf("table %q holds %#v, want %#v", name, got, want)
			}
		}
		for name, want := range counters {
			if got := maps.Collect(quorate.NewCounters(name).Range(tx)); !maps.Equal(got, want) {
				t.Fatalf("counters: %q holds %#v, want %#v", name, got, want)
			}
		}
		if got := collect(tx.Scan([]byte("kv"), []byte("kw"))); len(got) != 2 || state["é"].Value != "v" {
			t.Fatalf("beside the tables there is %#v in %#v", got, state)
		}
	})
}

func TestNameOfATableIsNoPartOfItsKeys(t *testing.T) {
	state := memory.State{}
	tx := onState(state)
	for _, name := range []string{"a", "ab", "abc", "a\xff", "a\x01"} {
		table, counters := quorate.NewTable[string, int](name), quorate.NewCounters(name)
		clear(state)
		for _, key := range []string{"", "b", "bc", "c", "\xff", "\x01", "\x00"} {
			table.Put(tx, key, 1)
			_, _ = counters.Add(tx, key, 1)
		}
		for _, other := range []string{"a", "ab", "abc", "a\xff", "a\x01"} {
			rows := len(keysOf(quorate.NewTable[string, int](other), &tx.View))
			counted := len(maps.Collect(quorate.NewCounters(other).Range(tx)))
			if want := map[bool]int{true: 7}[other == name]; rows != want || counted != want {
				t.Errorf("of what was put under %q, %q holds %d rows and %d counters, want %d", name, other, rows, counted, want)
			}
		}
	}
}

// Loan is a command that writes what a test wants.
type Loan struct{ What string }

var loans = quorate.NewTable[string, string]("loans")

func (l Loan) Apply(tx *quorate.Tx) (int64, error) {
	switch l.What {
	case "largest key":
		loans.Put(tx, strings.Repeat("k", quorate.KeyBytesMax-len("\xffloans\x00")), "")
	case "key too large":
		loans.Put(tx, strings.Repeat("k", quorate.KeyBytesMax-len("\xffloans\x00")+1), "")
	case "largest row":
		loans.Put(tx, "k", strings.Repeat("v", quorate.ValueBytesMax-4))
	case "row too large":
		loans.Put(tx, "k", strings.Repeat("v", quorate.ValueBytesMax-3))
	case "damaged":
		loans.Put(tx, "k", "")
		_, _ = loans.Get(tx, "damaged")
	case "leading":
		loans.Put(tx, "k", "")
		loans.Range(tx, quorate.Leading("k", 1))
	}
	return 0, nil
}

func TestTableThatCannotGoOnMakesTheCommandFail(t *testing.T) {
	service := quorate.Define("loans", quorate.Write[Loan]("LOAN"))
	for _, c := range []struct {
		what  string
		code  quorate.Code
		cause string
	}{
		{"largest key", "", ""},
		{"key too large", quorate.TooLarge, ""},
		{"largest row", "", ""},
		{"row too large", quorate.TooLarge, ""},
		{"damaged", quorate.Panicked, `quorate: row "damaged" of table loans is not a string: its form is 2; it is damaged, or a newer program wrote it`},
		{"leading", quorate.Panicked, `quorate: the leading 1 fields of a key of 1 are not a part of it`},
	} {
		on := memory.New(service)
		on.Data["\xffloans\x00damaged"] = memory.Item{Value: "\x02"}
		_, err := quorate.Do(t.Context(), on, Loan{c.what})
		if quorate.CodeOf(err) != c.code || quorate.OutcomeUnknown(err) || (len(on.Data) > 1) != (err == nil) {
			t.Errorf("%s: %v, and then there are %d keys", c.what, err, len(on.Data))
		}
		if c.cause != "" && !strings.HasPrefix(fmt.Sprint(errors.Unwrap(err)), c.cause) {
			t.Errorf("%s: the cause is %v, want %s", c.what, errors.Unwrap(err), c.cause)
		}
	}
}

func TestTableThatWasNotMadeIsRefused(t *testing.T) {
	var (
		counters quorate.Counters
		table    quorate.Table[string, int]
	)
	tx := onState(memory.State{})
	for _, c := range []struct {
		want string
		run  func()
	}{
		{"quorate: counters that NewCounters did not make", func() { counters.Value(tx, "k") }},
		{"quorate: counters that NewCounters did not make", func() { _, _ = counters.Add(tx, "k", 1) }},
		{"quorate: counters that NewCounters did not make", func() { counters.Delete(tx, "k") }},
		{"quorate: counters that NewCounters did not make", func() { counters.Range(tx) }},
		{"quorate: a table that NewTable did not make", func() { table.Get(tx, "k") }},
		{"quorate: a table that NewTable did not make", func() { table.Put(tx, "k", 1) }},
		{"quorate: a table that NewTable did not make", func() { table.PutUntil(tx, "k", 1, tx.Now().Add(second)) }},
		{"quorate: a table that NewTable did not make", func() { table.Delete(tx, "k") }},
		{"quorate: a table that NewTable did not make", func() { table.Range(tx) }},
	} {
		if _, refusal := panicking(func() bool { c.run(); return true }); refusal != c.want {
			t.Errorf("got %q, want %q", refusal, c.want)
		}
	}
}

// What a row was made of, and what it comes back as, belong to the caller.
func TestRowsShareNothing(t *testing.T) {
	table := quorate.NewTable[string, fullRow]("rows")
	state := memory.State{}
	tx := onState(state)
	row := fullRow{Raw: []byte("raw"), Shades: []shade{1}, ByName: map[string]rowPart{"a": {"b", 1}}}
	table.Put(tx, "k", row)
	row.Raw[0], row.Shades[0], row.ByName["c"] = 'X', 9, rowPart{}
	first, _ := table.Get(tx, "k")
	first.Raw[0], first.Shades[0], first.ByName["c"] = 'Y', 8, rowPart{}
	want := fullRow{Raw: []byte("raw"), Shades: []shade{1}, ByName: map[string]rowPart{"a": {"b", 1}}}
	if second, _ := table.Get(tx, "k"); !reflect.DeepEqual(second, want) {
		t.Errorf("got %+v, want %+v", second, want)
	}
}

// A table is used by the commands of one node and the queries of many callers.
func TestTableIsReadByManyAtOnce(t *testing.T) {
	table := quorate.NewTable[keyPlace, fullRow]("rows")
	state := memory.State{}
	for i := range 10 {
		table.Put(onState(state), keyPlace{fmt.Sprint(i), uint32(i)}, fullRow{Text: fmt.Sprint(i), Lists: [][]int32{{int32(i)}}})
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			view := quorate.Engine().NewView(state, engine.Moment{})
			for range 20 {
				for key, row := range table.Range(view) {
					again, _ := table.Get(view, key)
					if row.Text != key.Shelf || row.Lists[0][0] != int32(key.Row) || !reflect.DeepEqual(again, row) {
						t.Errorf("%v: %v and %v", key, row, again)
					}
				}
			}
		})
	}
	all.Wait()
}

package quorate_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/memory"
)

// bounded is a bound and what it says of a key.
type bounded[K any] struct {
	bound quorate.Bound[K]
	holds func(K) bool
	text  string
}

// drawBounds draws up to three bounds of the kinds that all keys have.
func drawBounds[K any](t *rapid.T, draw func(*rapid.T) K, compare func(a, b K) int) (list []bounded[K]) {
	for range rapid.IntRange(0, 3).Draw(t, "bounds") {
		key := draw(t)
		list = append(list, rapid.SampledFrom([]bounded[K]{
			{quorate.From(key), func(k K) bool { return compare(k, key) >= 0 }, fmt.Sprintf("from %+v", key)},
			{quorate.After(key), func(k K) bool { return compare(k, key) > 0 }, fmt.Sprintf("after %+v", key)},
			{quorate.Below(key), func(k K) bool { return compare(k, key) < 0 }, fmt.Sprintf("below %+v", key)},
			{quorate.Bound[K]{}, func(K) bool { return true }, "unbounded"},
		}).Draw(t, "bound"))
	}
	return list
}

// mustHold compares a range with the keys, given in order, that all bounds hold.
func mustHold[K comparable](t *rapid.T, got, keys []K, bounds []bounded[K]) {
	t.Helper()
	want, texts := slices.Clone(keys), ""
	for _, b := range bounds {
		want = slices.DeleteFunc(want, func(key K) bool { return !b.holds(key) })
		texts += b.text + "; "
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%s%+v, want %+v", texts, got, want)
	}
}

func boundsOf[K any](list []bounded[K]) (bounds []quorate.Bound[K]) {
	for _, b := range list {
		bounds = append(bounds, b.bound)
	}
	return bounds
}

func TestRangeHoldsWhatAllBoundsHold(t *testing.T) {
	table, counters := quorate.NewTable[string, bool]("t"), quorate.NewCounters("t")
	rapid.Check(t, func(t *rapid.T) {
		tx := onState(memory.State{"\xffs\x00a": {}, "\xfft\x01a": {}, "\xfet\x01a": {}, "\xfes\x00a": {}})
		var keys []string
		for range rapid.IntRange(0, 12).Draw(t, "rows") {
			key := drawText(t)
			table.Put(tx, key, true)
			_, _ = counters.Add(tx, key, 1)
			keys = append(keys, key)
		}
		slices.Sort(keys)
		keys = slices.Compact(keys)
		bounds := drawBounds(t, drawText, strings.Compare)
		if prefix := drawText(t); rapid.Bool().Draw(t, "prefix") {
			bounds = append(bounds, bounded[string]{
				quorate.Prefix(prefix), func(key string) bool { return strings.HasPrefix(key, prefix) }, fmt.Sprintf("prefix %q", prefix)})
		}
		mustHold(t, keysOf(table, &tx.View, boundsOf(bounds)...), keys, bounds)
		var counted []string
		for key := range counters.Range(tx, boundsOf(bounds)...) {
			counted = append(counted, key)
		}
		mustHold(t, counted, keys, bounds)
	})
}

// Each type of text has prefixes of its own type.
func TestPrefixOfANamedTypeAndOfBytes(t *testing.T) {
	tx := onState(memory.State{})
	names, raws := quorate.NewTable[keyName, bool]("names"), quorate.NewTable[[]byte, bool]("raws")
	for _, key := range []string{"a", "ab", "b", "\xff", "\xff\xff\x00"} {
		names.Put(tx, keyName(key), true)
		raws.Put(tx, []byte(key), true)
	}
	if got := keysOf(names, &tx.View, quorate.Prefix(keyName("a"))); !slices.Equal(got, []keyName{"a", "ab"}) {
		t.Errorf("got %q", got)
	}
	if got := keysOf(raws, &tx.View, quorate.Prefix([]byte("\xff"))); len(got) != 2 || string(got[1]) != "\xff\xff\x00" {
		t.Errorf("got %q", got)
	}
}

// ledgerKey has fields of which each may be the last that counts.
type ledgerKey struct {
	Account string
	Place   keyPlace
	Number  int8
	Note    keyName
}

func compareLedger(a, b ledgerKey) int {
	return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Place.Shelf, b.Place.Shelf),
		cmp.Compare(a.Place.Row, b.Place.Row), cmp.Compare(a.Number, b.Number), cmp.Compare(a.Note, b.Note))
}

func drawLedger(t *rapid.T) ledgerKey {
	text := rapid.SampledFrom([]string{"", "\x00", "a", "a\x00", "ab", "\xff"})
	return ledgerKey{text.Draw(t, "account"), keyPlace{text.Draw(t, "shelf"), rapid.Uint32Range(0, 1).Draw(t, "row")},
		int8(rapid.IntRange(-1, 1).Draw(t, "number")), keyName(text.Draw(t, "note"))}
}

func TestLeadingHoldsTheKeysWithTheSameFirstFields(t *testing.T) {
	table := quorate.NewTable[ledgerKey, bool]("t")
	rapid.Check(t, func(t *rapid.T) {
		tx := onState(memory.State{})
		var keys []ledgerKey
		for range rapid.IntRange(0, 30).Draw(t, "rows") {
			keys = append(keys, drawLedger(t))
			table.Put(tx, keys[len(keys)-1], true)
		}
		slices.SortFunc(keys, compareLedger)
		keys = slices.Compact(keys)
		bounds := drawBounds(t, drawLedger, compareLedger)
		like := drawLedger(t)
		fields := rapid.IntRange(1, 3).Draw(t, "fields")
		holds := func(key ledgerKey) bool {
			return key.Account == like.Account && (fields < 2 || key.Place == like.Place) && (fields < 3 || key.Number == like.Number)
		}
		bounds = append(bounds, bounded[ledgerKey]{quorate.Leading(like, fields), holds, fmt.Sprintf("leading %d of %+v", fields, like)})
		mustHold(t, keysOf(table, &tx.View, boundsOf(bounds)...), keys, bounds)
	})
}

func TestLeadingFieldsAreSomeOfTheKey(t *testing.T) {
	ledger, names := quorate.NewTable[ledgerKey, bool]("t"), quorate.NewTable[string, bool]("t")
	var view quorate.View
	for want, run := range map[string]func(){
		"quorate: the leading 0 fields of a key of 4 are not a part of it":  func() { ledger.Range(&view, quorate.Leading(ledgerKey{}, 0)) },
		"quorate: the leading 4 fields of a key of 4 are not a part of it":  func() { ledger.Range(&view, quorate.Leading(ledgerKey{}, 4)) },
		"quorate: the leading -1 fields of a key of 4 are not a part of it": func() { ledger.Range(&view, quorate.Leading(ledgerKey{}, -1)) },
		"quorate: the leading 1 fields of a key of 1 are not a part of it":  func() { names.Range(&view, quorate.Leading("a", 1)) },
		"quorate: the leading 2 fields of a key of 1 are not a part of it": func() {
			quorate.NewCounters("t").Range(&view, quorate.Leading("a", 2))
		},
	} {
		if _, refusal := panicking(func() bool { run(); return true }); refusal != want {
			t.Errorf("got %q, want %q", refusal, want)
		}
	}
}

// Page after page shows every key once, whatever the size of the pages.
func TestPagesShowEveryKeyOnce(t *testing.T) {
	table := quorate.NewTable[string, int]("t")
	tx := onState(memory.State{})
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprintf("a/%02d", i))
		table.Put(tx, want[i], i)
	}
	table.Put(tx, "a", 0)
	table.Put(tx, "b", 0)
	for size := 1; size < 25; size++ {
		var (
			got   []string
			after quorate.Bound[string]
		)
		for len(got) <= len(want) {
			page := 0
			for key := range table.Range(tx, quorate.Prefix("a/"), after) {
				got, after = append(got, key), quorate.After(key)
				if page++; page == size {
					break
				}
			}
			if page < size {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("in pages of %d: %v, want %v", size, got, want)
		}
	}
}

// A range reads as it goes: what is not asked for is not read, and may be
// anything.
func TestRangeReadsNoFurtherThanItIsAsked(t *testing.T) {
	table := quorate.NewTable[string, int]("t")
	visits := 2
	state := memory.State{"\xfft\x00c": {Value: "damaged"}}
	table.Put(onState(state), "a", 1)
	table.Put(onState(state), "b", 2)
	view := quorate.Engine().NewView(state, engine.Moment{Visits: &visits})
	sum := 0
	for _, n := range table.Range(view) {
		if sum += n; sum == 3 {
			break
		}
	}
	if sum != 3 || visits != 0 {
		t.Errorf("the sum is %d, %d visits are left", sum, visits)
	}
}

// A command may change a table while it goes through it, also that of an outer
// loop.
func TestTableChangesWhileItIsRead(t *testing.T) {
	table := quorate.NewTable[string, int]("t")
	tx := onState(memory.State{})
	for i, key := range []string{"a", "b", "c"} {
		table.Put(tx, key, i+1)
	}
	var got []string
	for key, n := range table.Range(tx) {
		for inner, m := range table.Range(tx, quorate.After(key)) {
			got = append(got, fmt.Sprintf("%s%d%s%d", key, n, inner, m))
			table.Put(tx, inner, 10*m)
		}
		table.Delete(tx, key)
	}
	if want := []string{"a1b2", "a1c3", "b20c30"}; !slices.Equal(got, want) || len(keysOf(table, &tx.View)) != 0 {
		t.Errorf("saw %v, want %v; left are %v", got, want, keysOf(table, &tx.View))
	}
}

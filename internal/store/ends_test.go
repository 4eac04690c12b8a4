package store_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/store"
)

// lasting is what a model knows of a key.
type lasting struct {
	value string
	end   int64 // 0 for good
}

// ended is a batch and a map that is told the same.
type ended struct {
	t     *testing.T
	rng   *rand.Rand
	store *store.Store
	batch *store.Batch
	keys  map[string]lasting
	kept  map[string]lasting
	clock int64
	index uint64
}

func (e *ended) key() string { return fmt.Sprintf("key%02d", e.rng.IntN(20)) }

func (e *ended) write() {
	data, key := store.DataOf{Batch: e.batch}, e.key()
	switch e.rng.IntN(5) {
	case 0:
		data.Delete([]byte(key))
		delete(e.keys, key)
	case 1:
		data.Set([]byte(key), []byte("good"))
		e.keys[key] = lasting{value: "good"}
	default:
		at := e.clock + 1 + e.rng.Int64N(50)
		if e.rng.IntN(6) == 0 {
			at = 0
		}
		value := fmt.Sprint(at)
		if known, there := e.keys[key]; there && e.rng.IntN(2) == 0 {
			value = known.value
		} else {
			data.Set([]byte(key), []byte(value))
		}
		data.SetEnd([]byte(key), store.Time(at))
		e.keys[key] = lasting{value, at}
	}
}

// check compares everything with the model.
func (e *ended) check() {
	e.t.Helper()
	var expiring, first uint64
	for i := range 20 {
		key := fmt.Sprintf("key%02d", i)
		want, there := e.keys[key]
		got, found := e.batch.Get(store.Data, []byte(key))
		if found != there || string(got) != want.value || e.batch.End([]byte(key)) != want.end {
			e.t.Fatalf("%s is %q (%v) until %d, want %q (%v) until %d", key, got, found, e.batch.End([]byte(key)), want.value, there, want.end)
		}
		if want.end != 0 {
			expiring++
			if first == 0 || uint64(want.end) < first {
				first = uint64(want.end)
			}
		}
	}
	if got := e.batch.Endings(); got.Expiring != expiring || uint64(got.Due) > first || (got.Due == 0) != (expiring == 0) {
		e.t.Fatalf("%+v, want %d keys and no end before %d", got, expiring, first)
	}
}

// expire removes some of what has ended, the earliest first.
func (e *ended) expire() {
	e.clock += e.rng.Int64N(20)
	count := e.rng.IntN(6)
	e.batch.Expire(e.clock, count)
	var over []string
	for key, known := range e.keys {
		if known.end != 0 && known.end <= e.clock {
			over = append(over, fmt.Sprintf("%020d%s", known.end, key))
		}
	}
	slices.Sort(over)
	for _, key := range over[:min(count, len(over))] {
		delete(e.keys, key[20:])
	}
	if due := e.batch.Endings().Due; count > len(over) && due != 0 && due <= e.clock {
		e.t.Fatalf("at %d nothing is over any more, but something is due at %d", e.clock, due)
	}
}

func (e *ended) commit() {
	e.batch.Keep()
	e.index++
	must(e.t, e.batch.Commit(store.Meta{Index: e.index, Endings: e.batch.Endings()}))
	e.batch = e.store.Begin()
	e.kept = maps.Clone(e.keys)

	view := e.store.View()
	defer mustClose(e.t, view)
	var first int64
	for key, known := range e.keys {
		if got := view.End([]byte(key)); !got.Equal(store.Time(known.end)) {
			e.t.Fatalf("in a view %s ends at %v, want %d", key, got, known.end)
		}
		if known.end != 0 && (first == 0 || known.end < first) {
			first = known.end
		}
	}
	if got := view.NextEnd(); got != first {
		e.t.Fatalf("the next end is %d, want %d", got, first)
	}
}

func TestEndsAgainstAPlainMap(t *testing.T) {
	rng := random(t)
	s := mustOpenMem(t)
	e := &ended{t: t, rng: rng, store: s, batch: s.Begin(), keys: make(map[string]lasting), clock: 1}
	for range 2_000 {
		switch pick := rng.IntN(100); {
		case pick < 60:
			e.write()
		case pick < 75:
			e.expire()
		case pick < 85:
			before, restore := maps.Clone(e.keys), e.batch.Save()
			e.write()
			e.write()
			if rng.IntN(2) == 0 {
				restore()
				e.keys = before
			}
		case pick < 90:
			e.batch.Undo()
			e.keys = maps.Clone(e.kept)
			if e.keys == nil {
				e.keys = make(map[string]lasting)
			}
		case pick < 95:
			e.batch.Keep()
			e.kept = maps.Clone(e.keys)
		default:
			e.commit()
		}
		e.check()
	}
	e.commit()
	mustBeCopied(t, s)
}

func TestAnEndIsNeverLostInItsForm(t *testing.T) {
	s := mustOpenMem(t)
	data := store.DataOf{Batch: s.Begin()}
	for _, c := range []struct{ end, want time.Time }{
		{time.Time{}, time.Time{}},
		{time.Unix(0, 1), time.Unix(0, 1)},
		{time.Unix(-5, 0), time.Unix(0, 1)},
		{time.Unix(0, 0), time.Unix(0, 1)},
		{time.Unix(1<<60, 0), time.Unix(0, 1<<63-1)},
		{time.Date(2262, 1, 1, 0, 0, 0, 7, time.UTC), time.Date(2262, 1, 1, 0, 0, 0, 7, time.UTC)},
	} {
		data.Set([]byte("k"), nil)
		data.SetEnd([]byte("k"), c.end)
		if got := data.End([]byte("k")); !got.Equal(c.want) {
			t.Errorf("an end at %v became %v, want %v", c.end, got, c.want)
		}
	}
}

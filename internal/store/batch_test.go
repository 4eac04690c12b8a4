package store_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate/internal/store"
)

// modeled is a batch and a map that is told the same.
type modeled struct {
	t     *testing.T
	rng   *rand.Rand
	store *store.Store
	batch *store.Batch
	now   model // with all writes
	kept  model // as of the last Keep
	index uint64
	// keptBytes is what Bytes was at the last Keep.
	keptBytes int
}

func (m *modeled) write() {
	sp, key := space[m.rng.IntN(len(space))], shortKey(m.rng)
	if m.rng.IntN(3) == 0 {
		m.batch.Delete(sp, key)
		delete(m.now, m.now.key(sp, key))
		return
	}
	value := value(m.rng, m.rng.IntN(20))
	m.batch.Set(sp, key, value)
	m.now[m.now.key(sp, key)] = string(value)
}

func (m *modeled) get() {
	sp, key := space[m.rng.IntN(len(space))], shortKey(m.rng)
	got, found := m.batch.Get(sp, key)
	want, there := m.now[m.now.key(sp, key)]
	if found != there || string(got) != want {
		m.t.Fatalf("Get(%c, %s) = %q, %v; want %q, %v", sp, key, got, found, want, there)
	}
}

func (m *modeled) scan() {
	sp := space[m.rng.IntN(len(space))]
	start, end := bounds(m.rng)
	if got, want := scanned(m.batch.Scan(sp, start, end)), m.now.scan(sp, start, end); !slices.Equal(got, want) {
		m.t.Fatalf("Scan(%c, %q, %q) = %q, want %q", sp, start, end, got, want)
	}
}

// scanWriting writes while a scan runs, and at times scans inside of it. The
// rule: a key that was there when the scan began and has been ever since is
// shown with its newest value, and no other.
func (m *modeled) scanWriting() {
	start, end := bounds(m.rng)
	shown := make(model) // what was there all along
	for key := range m.now {
		shown[key] = ""
	}
	var got, want []string
	last := ""
	for key, value := range m.batch.Scan(store.Data, start, end) {
		got = append(got, string(key), string(value))
		want = append(want, m.expected(shown, start, end, last)...)
		if last = string(key); !slices.Equal(got, want) {
			break
		}
		for range m.rng.IntN(4) {
			m.write()
			maps.DeleteFunc(shown, func(key, _ string) bool { _, there := m.now[key]; return !there })
		}
		if m.rng.IntN(4) == 0 {
			m.scan()
		}
	}
	want = append(want, m.expected(shown, start, end, last)...)
	if !slices.Equal(got, want) {
		m.t.Fatalf("a scan of %q to %q with writes shows %q, want %q", start, end, got, want)
	}
}

// expected is the next key behind last, and its value.
func (m *modeled) expected(shown model, start, end []byte, last string) []string {
	all := m.now.scan(store.Data, start, end)
	for i := 0; i < len(all); i += 2 {
		if _, ok := shown[m.now.key(store.Data, []byte(all[i]))]; ok && all[i] > last {
			return all[i : i+2]
		}
	}
	return nil
}

func (m *modeled) keep() {
	m.batch.Keep()
	m.kept = maps.Clone(m.now)
	m.keptBytes = m.batch.Bytes()
}

func (m *modeled) undo() {
	m.batch.Undo()
	m.now = maps.Clone(m.kept)
	if m.batch.Bytes() != m.keptBytes {
		m.t.Fatalf("%d bytes after Undo, %d were kept", m.batch.Bytes(), m.keptBytes)
	}
}

// part writes and takes that back, and within it a part of it.
func (m *modeled) part() {
	before, bytes := maps.Clone(m.now), m.batch.Bytes()
	restore := m.batch.Save()
	for range m.rng.IntN(6) {
		m.write()
		m.get()
	}
	if m.rng.IntN(3) == 0 {
		m.part()
	}
	if m.rng.IntN(3) == 0 {
		return
	}
	restore()
	m.now = before
	if m.batch.Bytes() != bytes {
		m.t.Fatalf("%d bytes after a part was taken back, %d before it", m.batch.Bytes(), bytes)
	}
}

func (m *modeled) commit() {
	m.keep()
	m.index++
	if err := m.batch.Commit(store.Meta{Index: m.index}); err != nil {
		m.t.Fatal(err)
	}
	m.batch = m.store.Begin()
	m.keptBytes = 0
}

func TestBatchAgainstAPlainMap(t *testing.T) {
	rng := random(t)
	for _, layerBytes := range layerSizes {
		batchAgainstAPlainMap(t, rng, layerBytes)
	}
}

func batchAgainstAPlainMap(t *testing.T, rng *rand.Rand, layerBytes int) {
	s, err := store.Open(layered(vfs.NewMem(), layerBytes))
	must(t, err)
	defer mustClose(t, s)
	m := &modeled{t: t, rng: rng, store: s, batch: s.Begin(), now: make(model), kept: make(model)}
	steps := []struct {
		weight int
		do     func()
	}{{36, m.write}, {4, m.part}, {20, m.get}, {10, m.scan}, {10, m.scanWriting}, {10, m.keep}, {6, m.undo}, {4, m.commit}}
	for range 4_000 {
		pick := rng.IntN(100)
		for _, step := range steps {
			if pick -= step.weight; pick < 0 {
				step.do()
				break
			}
		}
	}
	m.commit()
	mustEqual(t, s, m.now)
}

// TestAScanDoesNotShowWhetherADeleteIsCommitted holds the reason for the rule
// of scans: a key that was deleted before a scan and is added while it runs is
// not shown, wherever the delete stands.
func TestAScanDoesNotShowWhetherADeleteIsCommitted(t *testing.T) {
	for _, together := range []bool{true, false} {
		s := mustOpenMem(t)
		mustPut(t, s, 1, "a", "1", "b", "1", "c", "1")
		b := s.Begin()
		b.Delete(store.Data, []byte("b"))
		b.Keep()
		if !together {
			must(t, b.Commit(store.Meta{Index: 2}))
			b = s.Begin()
		}
		var keys []string
		for key := range b.Scan(store.Data, nil, nil) {
			keys = append(keys, string(key))
			b.Set(store.Data, []byte("b"), []byte("2"))
		}
		if !slices.Equal(keys, []string{"a", "c"}) {
			t.Errorf("delete in the same batch: %v; the scan shows %v", together, keys)
		}
	}
}

func TestAScanThatPanicsLeavesNothingOpen(t *testing.T) {
	s := mustOpenMem(t) // closing it fails where an iterator is open
	mustPut(t, s, 1, "a", "1")
	panicking := func(scan func(func([]byte, []byte) bool)) {
		defer func() { _ = recover() }()
		for range scan {
			panic("in the middle of a scan")
		}
	}
	panicking(s.Begin().Scan(store.Data, nil, nil))
	v := s.View()
	panicking(v.Scan(nil, nil))
	mustClose(t, v)
}

func TestARangeThatEndsBeforeItStartsIsEmpty(t *testing.T) {
	s := mustOpenMem(t)
	mustPut(t, s, 1, "a", "1", "b", "1")
	b := s.Begin()
	b.Set(store.Data, []byte("c"), nil)
	for _, r := range [][2][]byte{{[]byte("b"), []byte("a")}, {nil, {}}, {[]byte("b"), []byte("b")}} {
		if got := scanned(b.Scan(store.Data, r[0], r[1])); got != nil {
			t.Errorf("%q: %q", r, got)
		}
		v := s.View()
		if got := scanned(v.Scan(r[0], r[1])); got != nil {
			t.Errorf("view of %q: %q", r, got)
		}
		mustClose(t, v)
	}
	b.Undo()
}

// TestTheHashDoesNotDependOnGrouping applies the same entries in batches of
// different sizes.
func TestTheHashDoesNotDependOnGrouping(t *testing.T) {
	rng := random(t)
	entries := randomEntries(rng, 1, 200, 50)
	one := mustOpenMem(t)
	must(t, apply(one, entries))
	for range 3 {
		s := mustOpenMem(t)
		for rest := entries; len(rest) > 0; {
			n := 1 + rng.IntN(min(len(rest), 20))
			must(t, apply(s, rest[:n]))
			rest = rest[n:]
		}
		if s.Meta() != one.Meta() {
			t.Fatalf("in groups %+v, at once %+v", s.Meta(), one.Meta())
		}
		if got, want := mustHash(t, s), mustHash(t, one); got != want {
			t.Fatalf("content hash in groups %x, at once %x", got, want)
		}
	}
}

func TestTheHashTellsHistoriesApart(t *testing.T) {
	seen := make(map[uint64]string)
	for name, write := range map[string]func(*store.Batch){
		"nothing":      func(*store.Batch) {},
		"set":          func(b *store.Batch) { b.Set(store.Data, []byte("a"), []byte("1")) },
		"set empty":    func(b *store.Batch) { b.Set(store.Data, []byte("a"), nil) },
		"delete":       func(b *store.Batch) { b.Delete(store.Data, []byte("a")) },
		"other space":  func(b *store.Batch) { b.Set(store.Ages, []byte("a"), []byte("1")) },
		"moved border": func(b *store.Batch) { b.Set(store.Data, []byte("a1"), nil) },
		"twice": func(b *store.Batch) {
			b.Set(store.Data, []byte("a"), []byte("1"))
			b.Set(store.Data, []byte("a"), []byte("1"))
		},
	} {
		b := mustOpenMem(t).Begin()
		b.BeginEntry(0, 1)
		write(b)
		b.Keep()
		if other, twice := seen[b.EntryHash()]; twice {
			t.Errorf("%q and %q have the same hash", name, other)
		}
		seen[b.EntryHash()] = name
	}
}

func TestWhatIsUndoneLeavesNoTraceInTheHash(t *testing.T) {
	s := mustOpenMem(t)
	hash := func(undone bool) uint64 {
		b := s.Begin()
		b.BeginEntry(1, 2)
		b.Set(store.Data, []byte("a"), []byte("1"))
		b.Keep()
		if undone {
			b.Set(store.Data, []byte("a"), []byte("2"))
			b.Delete(store.Data, []byte("b"))
			b.Undo()
		}
		b.Set(store.Data, []byte("c"), []byte("3"))
		b.Keep()
		return b.EntryHash()
	}
	if a, b := hash(false), hash(true); a != b {
		t.Errorf("%x and %x", a, b)
	}
}

// TestScansAndWritesInTurnsStayFast is what a queue does in one entry. Sorting
// all writes anew for each scan would take a minute.
func TestScansAndWritesInTurnsStayFast(t *testing.T) {
	b := mustOpenMem(t).Begin()
	const count = 10_000
	for i := range count {
		b.Set(store.Data, fmt.Appendf(nil, "%08d", (i*7919)%count), nil)
		for key := range b.Scan(store.Data, nil, nil) {
			if i == count-1 && string(key) != "00000000" {
				t.Errorf("the first key is %s", key)
			}
			break
		}
		b.Keep()
	}
	if got := len(scanned(b.Scan(store.Data, nil, nil))); got != 2*count {
		t.Errorf("%d keys and values of %d", got, 2*count)
	}
}

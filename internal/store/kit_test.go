package store_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate/internal/store"
)

const dir = "data/state-1"

func options(fs vfs.FS) store.Options {
	return store.Options{FS: fs, Dir: dir, Log: slog.New(slog.DiscardHandler)}
}

func mustOpen(t testing.TB, fs vfs.FS) *store.Store {
	t.Helper()
	s, err := store.Open(options(fs))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mustOpenMem opens a store in memory, which is closed with the test.
func mustOpenMem(t testing.TB) *store.Store {
	t.Helper()
	s := mustOpen(t, vfs.NewMem())
	t.Cleanup(func() { mustClose(t, s) })
	return s
}

func mustClose(t testing.TB, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mustPut commits keys and values of the Data space in turns.
func mustPut(t testing.TB, s *store.Store, index uint64, pairs ...string) {
	t.Helper()
	b := s.Begin()
	b.BeginEntry(s.Meta().Hash, index)
	for i := 0; i < len(pairs); i += 2 {
		b.Set(store.Data, []byte(pairs[i]), []byte(pairs[i+1]))
	}
	b.Keep()
	must(t, b.Commit(store.Meta{Index: index, Term: 1, Time: int64(index), Hash: b.EntryHash()}))
}

func mustHash(t testing.TB, s *store.Store) uint64 {
	t.Helper()
	v := s.View()
	defer mustClose(t, v)
	hash, err := v.ContentHash()
	must(t, err)
	return hash
}

// random makes a generator whose seed a failure shows. A seed that was given is
// taken.
func random(t testing.TB) *rand.Rand {
	t.Helper()
	seed := *seedFirst
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("again: go test ./internal/store -run ^%s$ -seed=%d", t.Name(), seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// model is a state as a plain map of keys with their space in front.
type model map[string]string

func (m model) key(space store.Space, key []byte) string { return string(byte(space)) + string(key) }

// scan is keys and values of a range of a space, in order, in turns.
func (m model) scan(space store.Space, start, end []byte) []string {
	var found []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if key[0] != byte(space) || key[1:] < string(start) || end != nil && key[1:] >= string(end) {
			continue
		}
		found = append(found, key[1:], m[key])
	}
	return found
}

// scanned is what a scan yields, keys and values in turns.
func scanned(scan func(func([]byte, []byte) bool)) []string {
	var found []string
	for key, value := range scan {
		found = append(found, string(key), string(value))
	}
	return found
}

// mustEqual compares the whole Data space of a store with a model.
func mustEqual(t testing.TB, s *store.Store, m model) {
	t.Helper()
	v := s.View()
	defer mustClose(t, v)
	if got, want := scanned(v.Scan(nil, nil)), m.scan(store.Data, nil, nil); !slices.Equal(got, want) {
		t.Fatalf("the state is %q, want %q", got, want)
	}
	must(t, v.Err())
}

// bounds draws a range; one in four has no end.
func bounds(rng *rand.Rand) (start, end []byte) {
	start = shortKey(rng)
	if rng.IntN(4) > 0 {
		end = shortKey(rng)
	}
	return start, end
}

// shortKey is one of few keys, so that the same is often met again.
func shortKey(rng *rand.Rand) []byte { return fmt.Appendf(nil, "%02d", rng.IntN(30)) }

var space = []store.Space{store.Data, store.Data, store.Remembered, store.Ages}

// entry is the writes of one log entry. A write without a value deletes.
type entry struct {
	index  uint64
	writes [][2]string
}

// randomEntries makes entries first..last, with gaps in between.
func randomEntries(rng *rand.Rand, first uint64, count, size int) []entry {
	entries := make([]entry, count)
	index := first
	for i := range entries {
		entries[i].index = index
		index += 1 + rng.Uint64N(2)
		for range rng.IntN(5) {
			write := [2]string{string(shortKey(rng))}
			if rng.IntN(3) > 0 {
				write[1] = string(value(rng, 1+rng.IntN(size)))
			}
			entries[i].writes = append(entries[i].writes, write)
		}
	}
	return entries
}

func value(rng *rand.Rand, size int) []byte {
	v := make([]byte, 0, size+8)
	for len(v) < size {
		v = binary.LittleEndian.AppendUint64(v, rng.Uint64())
	}
	return v[:size]
}

// apply applies entries to a store in one batch.
func apply(s *store.Store, entries []entry) error {
	b, m := s.Begin(), s.Meta()
	for _, e := range entries {
		b.BeginEntry(m.Hash, e.index)
		for _, w := range e.writes {
			if w[1] == "" {
				b.Delete(store.Data, []byte(w[0]))
			} else {
				b.Set(store.Data, []byte(w[0]), []byte(w[1]))
			}
			b.Keep()
		}
		m = store.Meta{Index: e.index, Term: 1 + e.index/100, Time: int64(e.index) * 1000, Hash: b.EntryHash()}
	}
	return b.Commit(m)
}

// play is the model after some entries.
func play(m model, entries []entry) model {
	m = maps.Clone(m)
	for _, e := range entries {
		for _, w := range e.writes {
			key := m.key(store.Data, []byte(w[0]))
			if m[key] = w[1]; w[1] == "" {
				delete(m, key)
			}
		}
	}
	return m
}

// mustStream is the bytes of the stream of a store.
func mustStream(t testing.TB, s *store.Store, group uint64) []byte {
	t.Helper()
	stream, err := s.View().Stream(group)
	must(t, err)
	defer mustClose(t, stream)
	data, err := io.ReadAll(stream)
	must(t, err)
	return data
}

// receive makes a store in memory from a stream. The store is closed with the
// test.
func receive(t testing.TB, group uint64, data []byte) (*store.Store, error) {
	t.Helper()
	s, n, err := store.Receive(options(vfs.NewMem()), group, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { mustClose(t, s) })
	if n > int64(len(data)) {
		t.Fatalf("%d bytes were read of %d", n, len(data))
	}
	return s, nil
}

// trailerHash is the hash in the trailer of a stream.
func trailerHash(data []byte) uint64 { return binary.LittleEndian.Uint64(data[len(data)-12:]) }

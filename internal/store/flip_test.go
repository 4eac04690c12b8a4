package store_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate/internal/store"
)

var allBits = flag.Bool("all-bits", false, "flip each bit in turn, and not a sample of them")

// files are those of a directory as plain bytes.
func files(t testing.TB, fs vfs.FS) map[string][]byte {
	t.Helper()
	names, err := fs.List(dir)
	must(t, err)
	all := make(map[string][]byte)
	for _, name := range names {
		f, err := fs.Open(fs.PathJoin(dir, name))
		must(t, err)
		all[name], err = io.ReadAll(f)
		must(t, errors.Join(err, f.Close()))
	}
	return all
}

// diskOf is a new disk with the files.
func diskOf(t testing.TB, files map[string][]byte) vfs.FS {
	t.Helper()
	fs := vfs.NewMem()
	must(t, fs.MkdirAll(dir, 0o755))
	for name, data := range files {
		f, err := fs.Create(fs.PathJoin(dir, name), vfs.WriteCategoryUnspecified)
		must(t, err)
		_, err = f.Write(bytes.Clone(data))
		must(t, errors.Join(err, f.Close()))
	}
	return fs
}

// outcome is what a flipped bit leads to.
type outcome string

const (
	harmless outcome = "harmless" // the state is read as it was written
	detected outcome = "detected" // an error
	older    outcome = "older"    // an earlier state, which says that it is one
	wrong    outcome = "wrong"
)

// witness knows the states of a life.
type witness struct {
	metas  map[uint64]store.Meta
	hashes map[uint64]uint64
	last   uint64
}

func (w *witness) see(t testing.TB, s *store.Store) {
	t.Helper()
	w.last = s.Meta().Index
	w.metas[w.last], w.hashes[w.last] = s.Meta(), mustHash(t, s)
}

// judge opens and reads a state.
func (w *witness) judge(fs vfs.FS) (outcome, error) {
	s, err := store.Open(options(fs))
	if err != nil {
		return detected, err
	}
	v := s.View()
	hash, err := v.ContentHash()
	err = errors.Join(err, v.Close(), s.Err(), s.Close())
	m := s.Meta()
	switch {
	case err != nil:
		return detected, err
	case m != w.metas[m.Index] || hash != w.hashes[m.Index]:
		return wrong, fmt.Errorf("%+v with hash %x", m, hash)
	case m.Index != w.last:
		return older, fmt.Errorf("the state is at %d", m.Index)
	}
	return harmless, nil
}

// TestAFlippedBitIsNoticedOrHarmless flips bits of every file of a small state.
// An older state is no lie, for it says that it is one; the room above refuses
// it when the log that would bring the rest is gone.
func TestAFlippedBitIsNoticedOrHarmless(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	t.Cleanup(func() {
		for until := time.Now().Add(patience); runtime.NumGoroutine() > goroutines+10; runtime.Gosched() {
			if time.Now().After(until) {
				t.Fatalf("%d goroutines are left of %d", runtime.NumGoroutine(), goroutines)
			}
		}
	})
	mem := vfs.NewMem()
	w := &witness{metas: map[uint64]store.Meta{0: {}}, hashes: make(map[uint64]uint64)}
	rng := rand.New(rand.NewPCG(1, 1))
	var all map[string][]byte
	for range 2 {
		s := mustOpen(t, mem)
		w.see(t, s) // the first time nothing: what was written last may be lost as a whole
		for range 3 {
			must(t, apply(s, randomEntries(rng, s.Meta().Index+1, 4, 60)))
			must(t, s.Flush())
			w.see(t, s)
		}
		all = files(t, mem) // as a kill leaves them
		mustClose(t, s)
	}
	for name, data := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			counts := make(map[outcome]int)
			pick := rand.New(rand.NewPCG(*seedFirst, uint64(len(data))))
			for bit := range 8 * len(data) {
				if !*allBits && pick.IntN(100) > 0 {
					continue
				}
				changed := bytes.Clone(data)
				changed[bit/8] ^= 1 << (bit % 8)
				mine := map[string][]byte{}
				for other := range all {
					mine[other] = all[other]
				}
				mine[name] = changed
				got, err := w.judge(diskOf(t, mine))
				if got == wrong || got == older {
					t.Logf("byte %d bit %d: %s: %v", bit/8, bit%8, got, err)
				}
				if got == wrong {
					t.Fail()
				}
				counts[got]++
			}
			t.Logf("%d bytes: %v", len(data), counts)
		})
	}
}

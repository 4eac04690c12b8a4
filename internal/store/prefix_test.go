package store_test

import (
	"bytes"
	"flag"
	"fmt"
	"iter"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/wal/memdisk"
)

var (
	seedFirst = flag.Uint64("seed", 0, "first seed of the random tests of crashes")
	seedTimes = flag.Uint64("times", 1, "multiplies the number of seeds of the random tests of crashes")
)

// seeds are n seeds, or more of them if the flags ask.
func seeds(n uint64) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for i := range n * *seedTimes {
			if !yield(*seedFirst + i) {
				return
			}
		}
	}
}

// life is a life of a store on a disk that remembers it.
type life struct {
	disk *memdisk.Disk
	// states are by index, at the borders of batches.
	states map[uint64]model
	// floors say from which operation on the state must be at an index, at
	// least.
	floors []floor
}

type floor struct {
	operations int
	index      uint64
}

// floor is what the state must be at after the first n operations.
func (f *life) floor(n int) uint64 {
	index := uint64(0)
	for _, o := range f.floors {
		if o.operations <= n {
			index = o.index
		}
	}
	return index
}

// live applies entries in batches, with flushes and closes in between.
func live(t *testing.T, rng *rand.Rand, batches, layerBytes int) *life {
	t.Helper()
	f := &life{disk: memdisk.New(), states: map[uint64]model{0: {}}}
	open := func() *store.Store {
		s, err := store.Open(layered(f.disk, layerBytes))
		must(t, err)
		return s
	}
	s, now, next := open(), model{}, uint64(1)
	for range batches {
		entries := randomEntries(rng, next, 1+rng.IntN(5), 2000)
		must(t, apply(s, entries))
		now = play(now, entries)
		next = s.Meta().Index + 1
		f.states[s.Meta().Index] = now
		switch rng.IntN(4) {
		case 0:
			must(t, s.Flush())
			f.floors = append(f.floors, floor{f.disk.Len(), s.Meta().Index})
		case 1:
			mustClose(t, s)
			s = open()
			// Without a flush it went back; the log would bring it again.
			now = f.states[s.Meta().Index]
			next = s.Meta().Index + 1
		}
	}
	mustClose(t, s)
	return f
}

// losses are some losses of power after an operation.
func losses(seed uint64, n, random int) []memdisk.Loss {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	all := []memdisk.Loss{memdisk.Worst(), memdisk.None()}
	for range random {
		all = append(all, memdisk.Sectors(rng), memdisk.Files(rng))
	}
	return all
}

// TestAfterAnyOperationTheStateIsAPrefix ends a life after each of its
// operations in turn, with power lost in several ways.
func TestAfterAnyOperationTheStateIsAPrefix(t *testing.T) {
	for seed := range seeds(2) {
		// One with layers that go to Pebble with each commit, one without.
		f, images := live(t, rand.New(rand.NewPCG(seed, 1)), 8, int(1-seed%2)), 0
		for n := range f.disk.Len() + 1 {
			for i, loss := range losses(seed, n, 1) {
				fs, err := f.disk.After(n, loss)
				must(t, err)
				where := fmt.Sprintf("seed %d, %d operations, loss %d", seed, n, i)
				mustBePrefixAndGoOn(t, fs, f.states, f.floor(n), where)
				images++
			}
		}
		t.Logf("seed %d: %d operations, %d images", seed, f.disk.Len(), images)
	}
}

func mustBePrefixAndGoOn(t *testing.T, fs vfs.FS, states map[uint64]model, floor uint64, where string) {
	t.Helper()
	s, err := store.Open(options(fs))
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	index := s.Meta().Index
	want, border := states[index]
	if !border || index < floor {
		t.Fatalf("%s: the state is at %d, which is the end of a batch: %v; flushed was %d", where, index, border, floor)
	}
	mustEqual(t, s, want)
	more := []entry{{index: index + 1, writes: [][2]string{{"more", where}}}}
	must(t, apply(s, more))
	must(t, s.Flush())
	mustClose(t, s)
	s = mustOpen(t, fs)
	defer mustClose(t, s)
	mustEqual(t, s, play(want, more))
}

// TestAStateIsReceivedAsAWholeOrNotAtAll ends a Receive after each of its
// operations in turn. What is left opens as nothing, as the whole, or not.
func TestAStateIsReceivedAsAWholeOrNotAtAll(t *testing.T) {
	for seed := range seeds(1) {
		rng := rand.New(rand.NewPCG(seed, 2))
		from := mustOpenMem(t)
		for i := range uint64(3) {
			mustPut(t, from, i+1, fmt.Sprint("key ", i), string(value(rng, 300<<10)))
		}
		data, want := mustStream(t, from, 1), mustHash(t, from)
		disk := memdisk.New()
		s, _, err := store.Receive(options(disk), 1, bytes.NewReader(data))
		must(t, err)
		received := disk.Len()
		mustClose(t, s)
		images := 0
		for n := range disk.Len() + 1 {
			for i, loss := range losses(seed, n, 1) {
				fs, err := disk.After(n, loss)
				must(t, err)
				images++
				s, err := store.Open(options(fs))
				if err != nil {
					if n >= received {
						t.Fatalf("seed %d, %d operations, loss %d: %v", seed, n, i, err)
					}
					continue
				}
				whole := s.Meta() == from.Meta() && mustHash(t, s) == want
				empty := s.Meta() == store.Meta{} && len(scanned(s.Begin().Scan(store.Data, nil, nil))) == 0
				if !whole && (!empty || n >= received) {
					t.Fatalf("seed %d, %d operations, loss %d: it is at %+v", seed, n, i, s.Meta())
				}
				mustClose(t, s)
			}
		}
		t.Logf("seed %d: %d operations, %d images", seed, disk.Len(), images)
	}
}

package wal_test

import (
	"flag"
	"iter"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/quorate/quorate/internal/wal"
)

var (
	seedFirst = flag.Uint64("seed", 0, "first seed of the random tests")
	seedTimes = flag.Uint64("times", 1, "multiplies the number of seeds of the random tests")
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

func TestLogDoesWhatAPlainSliceDoes(t *testing.T) {
	for seed := range seeds(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		fs := vfs.NewMem()
		// Nothing may be removed while it is open.
		fs.UseWindowsSemantics(true)
		o := small(fs)
		o.CacheBytes = []int64{1, 2 << 10, 1 << 20}[rng.IntN(3)]
		l := mustOpen(t, o)
		var model state
		for i := range 250 {
			s := randomStep(rng, model)
			if err := s.call(l); err != nil {
				t.Fatalf("seed %d, step %d, %s: %v", seed, i, s.name, err)
			}
			model = s.outcomes[len(s.outcomes)-1]
			if rng.IntN(15) == 0 {
				mustClose(t, l)
				o.SegmentBytes = 4 << 10 << rng.IntN(2)
				l = mustOpen(t, o)
			}
			if rng.IntN(5) != 0 {
				continue
			}
			if d := mustRead(t, l).difference(model); d != "" {
				t.Fatalf("seed %d, step %d, after %s: the log and the model: %s", seed, i, s.name, d)
			}
		}
		mustClose(t, l)
	}
}

// crasher ends a life just before a certain I/O.
type crasher struct {
	mu  sync.Mutex
	mem *vfs.MemFS
	cfg vfs.CrashCloneCfg
	// kill ends the process alone: what it wrote is there for the next one,
	// synced or not. Otherwise the machine ends, and cfg says what is left of
	// that which was not synced.
	kill bool
	// countdown is the number of I/Os until the crash.
	countdown int
	// allowed is what the log may hold now.
	allowed []state
	// next is the file system after the crash, nil before it.
	next *vfs.MemFS
}

func (c *crasher) String() string { return "crasher" }

func (c *crasher) MaybeError(errorfs.Op) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.countdown--; c.countdown == 0 {
		c.next = c.mem
		if !c.kill {
			c.next = c.mem.CrashClone(c.cfg)
		}
	}
	if c.next != nil {
		return errorfs.ErrInjected
	}
	return nil
}

// allow says what the log may hold, unless the crash has been.
func (c *crasher) allow(outcomes ...state) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == nil {
		c.allowed = outcomes
	}
}

// TestCrashLosesNothingAcknowledged crashes inside calls, at a random I/O, and
// goes on from what the crash left: what is dead must stay dead over many
// lives, and Open must never take a crash for damage.
func TestCrashLosesNothingAcknowledged(t *testing.T) {
	for seed := range seeds(200) {
		rng := rand.New(rand.NewPCG(seed, 2))
		mem := vfs.NewCrashableMem()
		o := small(nil)
		// A disk loses whole pages: a batch is torn only where it has several.
		o.SegmentBytes = []int64{4 << 10, 16 << 10, 32 << 10}[rng.IntN(3)]
		allowed := []state{{}}
		for life := range 8 {
			c := &crasher{
				mem: mem, kill: rng.IntN(3) == 0, countdown: 1 + rng.IntN([]int{20, 120}[rng.IntN(2)]), allowed: allowed,
				cfg: vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 20, 50, 80, 100}[rng.IntN(5)], RNG: rng},
			}
			// The crasher draws from rng inside calls, the steps between them.
			o.FS = errorfs.Wrap(mem, c)
			live(t, c, o, rand.New(rand.NewPCG(seed, uint64(life))), what(seed, life))
			mem, allowed = c.next, c.allowed
			// What the next life will find is looked at on a copy, to leave
			// the disk as the crash did.
			all := vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng}
			o.FS = mem.CrashClone(all)
			l, err := wal.Open(o)
			if err != nil {
				t.Fatalf("%s: Open after a crash: %v", what(seed, life), err)
			}
			among(t, mustRead(t, l), allowed, what(seed, life))
			mustClose(t, l)
		}
	}
}

// live makes random steps until the crash. What a crash left in doubt is
// settled when an Open has returned.
func live(t *testing.T, c *crasher, o wal.Options, rng *rand.Rand, what string) {
	t.Helper()
	for {
		l, err := wal.Open(o)
		if err != nil {
			mustBeInjected(t, err)
			return
		}
		model, err := read(l)
		if err != nil {
			mustBeInjected(t, err)
			mustBeInjected(t, l.Close())
			return
		}
		model = among(t, model, c.allowed, what)
		c.allow(model)
		for range 1 + rng.IntN(25) {
			s := randomStep(rng, model)
			c.allow(s.outcomes...)
			if err := s.call(l); err != nil {
				mustBeInjected(t, err)
				mustBeInjected(t, l.Close())
				return
			}
			model = s.outcomes[len(s.outcomes)-1]
			c.allow(model)
		}
		if err := l.Close(); err != nil {
			mustBeInjected(t, err)
			return
		}
	}
}

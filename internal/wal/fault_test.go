package wal_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/quorate/quorate/internal/wal"
)

func what(seed uint64, life int) string { return fmt.Sprintf("seed %d, life %d", seed, life) }

// fault lets the n-th I/O fail, and only that one: whoever tried again would
// get away with it, but for again, which notes that.
type fault struct {
	countdown atomic.Int64
	op        atomic.Pointer[errorfs.Op]
	again     atomic.Bool
}

func (f *fault) String() string { return "fault" }

func (f *fault) MaybeError(op errorfs.Op) error {
	if failed := f.op.Load(); failed != nil && failed.Kind == op.Kind && failed.Path == op.Path {
		f.again.Store(true)
	}
	if f.countdown.Add(-1) != 0 {
		return nil
	}
	f.op.Store(&op)
	return errorfs.ErrInjected
}

// TestEveryFailedOperationStopsTheLog fails the first, the second, ... I/O of
// the same life. From the failure on nothing may be acknowledged, and the disk
// must hold what was.
func TestEveryFailedOperationStopsTheLog(t *testing.T) {
	for n := int64(1); ; n++ {
		f := &fault{}
		f.countdown.Store(n)
		mem := vfs.NewCrashableMem()
		outcomes, noticed := liveUntilFault(t, mem, f, rand.New(rand.NewPCG(7, 7)))
		if f.again.Load() {
			t.Fatalf("fault %d (%+v): it was tried again", n, f.op.Load())
		}
		if f.op.Load() != nil && !noticed {
			t.Fatalf("fault %d (%+v): nobody noticed", n, f.op.Load())
		}
		for _, percent := range []int{0, 50, 100} {
			cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(n), 3))}
			l, err := wal.Open(small(mem.CrashClone(cfg)))
			if err != nil {
				t.Fatalf("fault %d (%+v): Open afterwards: %v", n, f.op.Load(), err)
			}
			among(t, mustRead(t, l), outcomes, fmt.Sprintf("fault %d (%+v)", n, f.op.Load()))
			mustClose(t, l)
		}
		if f.op.Load() == nil {
			if n < 200 {
				t.Fatalf("only %d I/Os in the whole life: too few to mean much", n)
			}
			return
		}
	}
}

// liveUntilFault makes steps until the fault stops the log or they run out. It
// returns what may be on disk, and whether anything failed.
func liveUntilFault(t *testing.T, mem *vfs.MemFS, f *fault, rng *rand.Rand) (outcomes []state, noticed bool) {
	t.Helper()
	o := small(errorfs.Wrap(mem, f))
	var model state
	for range 6 {
		l, err := wal.Open(o)
		if err != nil {
			mustBeInjected(t, err)
			return []state{model}, true
		}
		for range 12 {
			s := randomStep(rng, model)
			err := s.call(l)
			if err == nil {
				model = s.outcomes[len(s.outcomes)-1]
				_, err = read(l)
				s.outcomes = []state{model}
			}
			if err != nil {
				mustBeInjected(t, err)
				mustRefuse(t, l, model)
				return s.outcomes, true
			}
		}
		if err := l.Close(); err != nil {
			mustBeInjected(t, err)
			<-l.Failed()
			return []state{model}, true
		}
	}
	return []state{model}, false
}

func mustBeInjected(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, errorfs.ErrInjected) {
		t.Fatalf("%v is not the injected error", err)
	}
}

// mustRefuse checks that the log has stopped and takes nothing any more.
func mustRefuse(t *testing.T, l *wal.Log, model state) {
	t.Helper()
	<-l.Failed()
	mustBeInjected(t, l.Err())
	mustBeInjected(t, l.Append([]wal.Entry{{Index: l.LastIndex() + 1}}))
	mustBeInjected(t, l.TruncateBack(0))
	mustBeInjected(t, l.TruncateFront(l.LastIndex()+1))
	mustBeInjected(t, l.SaveVote(wal.Vote{Term: model.vote.Term + 9}))
	mustBeInjected(t, l.Close())
}

// build makes a small directory with everything in it: cuts at both ends, a
// gap, several sessions, several segments, a spare and a vote. It returns the
// state before and after the last batch, and the files at the end, before and
// after Close.
func build(t *testing.T) (before, after state, open, closed image) {
	t.Helper()
	fs := vfs.NewCrashableMem()
	l := mustOpen(t, small(fs))
	mustAppend(t, l, entries(1, 9, 1, 700)...)
	must(t, l.SaveVote(wal.Vote{Term: 2, VotedTerm: 1, Candidate: []byte("n1")}))
	must(t, l.TruncateFront(8))
	mustAppend(t, l, entries(40, 44, 2, 100)...)
	must(t, l.TruncateBack(42))
	mustClose(t, l)
	l = mustOpen(t, small(fs))
	mustAppend(t, l, entries(43, 50, 3, 300)...)
	must(t, l.TruncateFront(41))
	must(t, l.SaveVote(wal.Vote{Term: 3, VotedTerm: 3, Candidate: []byte("n2")}))
	before = mustRead(t, l)
	mustAppend(t, l, entries(51, 53, 3, 50)...)
	after = mustRead(t, l)
	open = pictureOf(t, fs)
	mustClose(t, l)
	closed = imageOf(t, fs)
	if len(closed.names(".wal")) < 2 {
		t.Fatalf("too few files to mean much: %v", closed.names(""))
	}
	return before, after, open, closed
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

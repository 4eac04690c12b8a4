package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/wal/memdisk"
)

// fault lets the n-th I/O fail, and only that one: whoever tried again would
// get away with it.
type fault struct {
	countdown atomic.Int64
	op        atomic.Pointer[errorfs.Op]
}

// String implements errorfs.Injector.
func (f *fault) String() string { return "fault" }

// MaybeError implements errorfs.Injector.
func (f *fault) MaybeError(op errorfs.Op) error {
	if f.countdown.Add(-1) != 0 {
		return nil
	}
	f.op.Store(&op)
	return errDisk
}

// fatal says that the operation is one after whose failure nothing may be
// promised any more: a write or a sync of bytes.
func (f *fault) fatal() bool {
	switch f.op.Load().Kind {
	case errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		return true
	}
	return false
}

// TestEveryFailedOperationStopsTheStore fails the first, the second, ... I/O of
// the same life. What was flushed must be there afterwards, and nothing else
// than a prefix.
func TestEveryFailedOperationStopsTheStore(t *testing.T) {
	for n := int64(1); ; n++ {
		f := &fault{}
		f.countdown.Store(n)
		disk := memdisk.New()
		life := &life{disk: disk, states: map[uint64]model{0: {}}}
		var err error
		soon(t, fmt.Sprintf("the life with fault %d", n), func() { err = life.untilFault(errorfs.Wrap(disk, f)) })
		// What failed may still be at work behind.
		operations := disk.Len()
		if f.op.Load() == nil {
			must(t, err)
			if n < 60 {
				t.Fatalf("only %d I/Os in the whole life: too few to mean much", n)
			}
			return
		}
		where := fmt.Sprintf("fault %d (%v %s)", n, f.op.Load().Kind, f.op.Load().Path)
		if err == nil && f.fatal() {
			t.Errorf("%s: nobody noticed", where)
		}
		for i, loss := range losses(uint64(n), 0, 1) {
			fs, err := disk.After(operations, loss)
			must(t, err)
			mustBePrefixAndGoOn(t, fs, life.states, life.floor(operations), fmt.Sprintf("%s, loss %d", where, i))
		}
	}
}

// untilFault lives until something fails.
func (f *life) untilFault(fs vfs.FS) error {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 2 {
		s, err := store.Open(options(fs))
		if err != nil {
			return err
		}
		now := f.states[s.Meta().Index]
		for range 2 {
			entries := randomEntries(rng, s.Meta().Index+1, 4, 500)
			now = play(now, entries)
			f.states[entries[3].index] = now
			if err := errors.Join(apply(s, entries), s.Flush()); err != nil {
				return errors.Join(err, s.Close())
			}
			f.floors = append(f.floors, floor{f.disk.Len(), s.Meta().Index})
		}
		if err := errors.Join(s.Err(), s.Close()); err != nil {
			return err
		}
	}
	return nil
}

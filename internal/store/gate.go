package store

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// gate is a scheduler of compactions that starts none while pebble.Open runs.
// An Open that flushes, then compacts, and then fails takes the caches from
// under the compaction, which panics on a goroutine of its own: a disk that
// breaks there would end the process.
//
// The scheduler below it is the usual one without its goroutine, which an Open
// that fails would leave behind. That looks now and then whether more
// compactions may run at a time; here the number never changes.
type gate struct {
	pebble.CompactionScheduler
	opened atomic.Bool
}

func newGate() *gate {
	return &gate{CompactionScheduler: pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()}
}

// TrySchedule implements pebble.CompactionScheduler.
func (g *gate) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	if !g.opened.Load() {
		return false, nil
	}
	return g.CompactionScheduler.TrySchedule()
}

// open lets compactions run, once pebble.Open has succeeded.
func (g *gate) open() {
	g.opened.Store(true)
	// One that was refused waits for another to end, so one ends.
	if ok, handle := g.TrySchedule(); ok {
		handle.Done()
	}
}

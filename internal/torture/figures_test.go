package torture

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// figures is what a run did.
type figures struct {
	began  time.Time
	rounds int
	// faults is for the goroutine of the test.
	faults map[faultKind]int
	// recovery is the longest time from the end of all faults until every node
	// had a write acknowledged.
	recovery time.Duration
	// repeats is answers under an id that were compared with the first one.
	repeats atomic.Int64

	// mu guards what follows.
	mu       sync.Mutex
	outcomes [unknown + 1]int
	reads    int // that were answered, and therefore checked
}

func newFigures() *figures { return &figures{began: time.Now(), faults: make(map[faultKind]int)} }

// note counts an operation.
func (f *figures) note(o *operation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outcomes[o.Outcome]++
	if !o.writes() && o.Outcome.answered() {
		f.reads++
	}
}

// String is the line at the end of a run.
func (f *figures) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var faults []string
	total := 0
	for _, kind := range faultKinds {
		total += f.faults[kind]
		faults = append(faults, fmt.Sprintf("%d %s", f.faults[kind], kind))
	}
	operations := 0
	for _, n := range f.outcomes {
		operations += n
	}
	return fmt.Sprintf("%v, %d rounds, %d faults (%s), %d operations: %d acknowledged, %d refused by the state, %d unknown, %d not applied; "+
		"%d reads checked, %d repeated answers compared, longest recovery %v",
		time.Since(f.began).Round(time.Second), f.rounds, total, strings.Join(faults, ", "), operations,
		f.outcomes[acknowledged], f.outcomes[refused], f.outcomes[unknown], f.outcomes[notApplied],
		f.reads, f.repeats.Load(), f.recovery.Round(time.Millisecond))
}

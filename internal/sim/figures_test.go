package sim_test

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// tally counts what happened in one run, or in many.
type tally struct {
	mu       sync.Mutex
	runs     int
	virtual  time.Duration
	real     time.Duration // of all runs together, side by side or not
	faults   map[kind]int
	calls    int
	answered int
	unknown  int
	denied   int
	checked  int // by porcupine
	looks    int // at nodes
	slowest  time.Duration
	aged     int           // reads that tolerated age and were answered
	oldest   time.Duration // of their ages
	ended    int           // leases that were seen to be gone
	upgrades int           // of nodes to the newer version
}

func newTally() *tally { return &tally{faults: make(map[kind]int)} }

func (t *tally) fault(k kind) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults[k]++
}

func (t *tally) look() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.looks++
}

// recovered notes how long a cluster took to serve again.
func (t *tally) recovered(after time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slowest = max(t.slowest, after)
}

// stale notes a read that tolerated age.
func (t *tally) stale(age time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.aged++
	t.oldest = max(t.oldest, age)
}

// leaseEnded notes a lease that was seen to be gone.
func (t *tally) leaseEnded() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended++
}

// upgrade notes that a node got the newer version.
func (t *tally) upgrade() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.upgrades++
}

// count counts the operations of a history.
func (t *tally) count(all []*operation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls += len(all)
	for _, o := range all {
		switch o.Outcome {
		case answered:
			t.answered++
		case unknown:
			t.unknown++
		default:
			t.denied++
		}
	}
}

// add adds the tally of one run.
func (t *tally) add(one *tally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.runs++
	t.virtual += one.virtual
	t.real += one.real
	for k, n := range one.faults {
		t.faults[k] += n
	}
	t.calls += one.calls
	t.answered += one.answered
	t.unknown += one.unknown
	t.denied += one.denied
	t.checked += one.checked
	t.looks += one.looks
	t.slowest = max(t.slowest, one.slowest)
	t.aged += one.aged
	t.oldest = max(t.oldest, one.oldest)
	t.ended += one.ended
	t.upgrades += one.upgrades
}

// figures is everything in one line. took is the real time of all runs.
func (t *tally) figures(took time.Duration) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	total := 0
	var faults strings.Builder
	for _, k := range kinds {
		total += t.faults[k]
		fmt.Fprintf(&faults, " %s %d", k, t.faults[k])
	}
	return fmt.Sprintf("figures: %d seeds, %.2f virtual hours, %d faults (%s), %d operations checked of %d (%d answered, %d unknown, %d not applied), %d stale reads up to %v old, %d leases that ended, %d upgrades, %d looks at a node, slowest recovery %v, %.0f virtual seconds per real second (%v)",
		t.runs, t.virtual.Hours(), total, strings.TrimSpace(faults.String()), t.checked, t.calls, t.answered, t.unknown, t.denied,
		t.aged, t.oldest.Round(time.Millisecond), t.ended, t.upgrades, t.looks, t.slowest, t.virtual.Seconds()/took.Seconds(), took.Round(100*time.Millisecond))
}

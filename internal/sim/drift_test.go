package sim_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/machine"
)

// drift is a change of the state of one node that its log knows nothing of, as
// a command makes it that is not deterministic, or a bit of memory that flips.
type drift struct {
	// mu guards what follows.
	mu    sync.Mutex
	armed bool
	// by is the command with which it came, index where. Nothing has come while
	// by is empty.
	by    string
	index uint64
}

// arm lets the next command that writes do more than it should.
func (d *drift) arm() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.armed = true
}

// strike says once that the command which has just run is the one.
func (d *drift) strike(op *quorate.Operation, at engine.Moment) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.armed || d.by != "" {
		return false
	}
	d.by, d.index = op.Name(), at.Index
	return true
}

func (d *drift) did() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.by != ""
}

// drifting runs the commands of the node of a place; nil runs them as always.
func (w *world) drifting(p *place) machine.Apply {
	if w.plan.Drift == nil {
		return nil
	}
	return func(op *quorate.Operation, _ engine.State, at engine.Moment, tx *quorate.Tx, args [][]byte) (quorate.Value, error) {
		value, err := quorate.Engine().Apply(op, tx, args)
		if err == nil && p.drift.strike(op, at) {
			tx.Set([]byte("drift"), []byte("what no other node has"))
		}
		return value, err
	}
}

// diverged is called when a node says that its state is not that of the others.
// It must be the one, and name the entry.
func (p *place) diverged(l *life) {
	err := l.node.Err()
	p.world.note("n%d stopped: %v", p.index, err)
	if !p.drift.did() {
		p.world.fail("state", "n%d stopped, and its state did not change beside the log: %v", p.index, err)
	} else if where := fmt.Sprintf("at index %d, where ", p.drift.index); !strings.Contains(err.Error(), where) {
		p.world.fail("drift", "the state of n%d changed at %d with %s, and it says %v", p.index, p.drift.index, p.drift.by, err)
	}
	p.take(func() { p.crash(l, 50) })
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = "its state was not that of the others"
}

// disarm lets no state change any more.
func (w *world) disarm() {
	for _, p := range w.places {
		p.drift.mu.Lock()
		p.drift.armed = false
		p.drift.mu.Unlock()
	}
}

// checkDrift checks, when all is calm and entries have been written since, that
// the node whose state changed stops.
func (w *world) checkDrift() {
	began := w.now()
	for _, p := range w.places {
		for w.ctx.Err() == nil && p.drift.did() && !p.lost() {
			if w.now()-began > recoverMax {
				w.fail("drift", "the state of n%d changed at %d with %s, and it runs on", p.index, p.drift.index, p.drift.by)
			}
			w.sleep(20 * time.Millisecond)
		}
	}
}

// lost says that no node can run here any more.
func (p *place) lost() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out != ""
}

// harmless is the faults beside which nobody who has the right state ever stops:
// every node is up and heard of.
var harmless = []kind{reset, slowLink, handOver, jump}

// driftPlan is a plan with nothing but harmless faults and one drift.
func driftPlan(seed uint64) plan {
	r := source(seed, "drift")
	p := newPlan(seed)
	p.Nodes = pick(r, 3, 3, 5)
	p.Clocks = newClocks(source(seed, "clocks"), p.Nodes)
	// A snapshot would carry what is wrong to others, or take it away.
	p.SnapshotEntries = 1 << 30
	p.Upgrades = nil
	p.Load.Reads = min(p.Load.Reads, 40)
	p.Kinds = slices.DeleteFunc(slices.Clone(harmless), func(kind) bool { return r.IntN(2) == 0 })
	p.Faults = newFaults(source(seed, "faults"), p)
	p.Drift = &fault{At: p.Safety/4 + time.Duration(r.Int64N(int64(p.Safety/2))), Target: r.IntN(p.Nodes), Aim: pick(r, "", "leader")}
	return p
}

// strikeDrift lets the drift of the plan come.
func (w *world) strikeDrift() {
	if w.plan.Drift == nil {
		return
	}
	f := *w.plan.Drift
	w.jobs.Go(func() {
		rest(w.ctx, f.At-w.now())
		target := f.Target
		if leader := w.leader(); f.Aim == "leader" && leader >= 0 {
			target = leader
		}
		w.note("drift of n%d", target)
		w.places[target].drift.arm()
	})
}

// driftSeeds is how many seeds TestDrift runs.
const driftSeeds = max(2, seedsDefault/6)

// TestDrift lets the state of one node change beside its log, that of a leader or
// of a follower, while clients call: this node stops and says where, nobody else
// does, and all other promises are kept.
func TestDrift(t *testing.T) {
	first, count := *seedFlag, *seedsFlag
	if count == 0 {
		count = driftSeeds
	}
	came := 0
	for seed := first; seed < first+uint64(count); seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			r := runPlan(t, driftPlan(seed))
			for _, p := range r.world.places {
				if p.drift.did() {
					came++
				}
			}
			if len(r.world.verdicts) > 0 {
				t.Error(strings.Replace(r.report(*failuresFlag), "^TestSeeds$", "^TestDrift$", 1))
			}
		})
	}
	if came == 0 && *seedsFlag == 0 && *seedFlag == 1 && !t.Failed() {
		t.Error("no state has changed beside its log")
	}
}

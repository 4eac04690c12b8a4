package quoratetest

import (
	"sync"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/machine"
	"github.com/quorate/quorate/internal/repeat"
)

// twice is how often each command runs in Local and Cluster.
const twice = 2

// guard runs each command several times on the same state, and reports the first
// difference between the runs of each operation.
type guard struct {
	times  int
	report func(error)

	// mu guards told.
	mu sync.Mutex
	// told is the operations that were reported.
	told map[string]bool
}

func newGuard(times int, report func(error)) *guard {
	return &guard{times: times, report: report, told: make(map[string]bool)}
}

// apply is a machine.Apply.
func (g *guard) apply(op *quorate.Operation, state engine.State, at engine.Moment, _ *quorate.Tx, args [][]byte) (quorate.Value, error) {
	result, err := repeat.Command(op, state, at, args, g.times)
	g.tell(op, err)
	return result.Value, result.Err
}

// tell reports an error of an operation, unless it was told one before.
func (g *guard) tell(op *quorate.Operation, err error) {
	if err == nil {
		return
	}
	g.mu.Lock()
	told := g.told[op.Name()]
	g.told[op.Name()] = true
	g.mu.Unlock()
	if !told {
		g.report(err)
	}
}

// watched is a machine.Apply that writes into a ledger too what commands come to
// on a node.
func (g *guard) watched(l *ledger, on string, alive func() bool) machine.Apply {
	return func(op *quorate.Operation, state engine.State, at engine.Moment, _ *quorate.Tx, args [][]byte) (quorate.Value, error) {
		result, err := repeat.Command(op, state, at, args, g.times)
		if alive() {
			if err == nil {
				err = l.ran(on, op, at, args, result)
			}
			g.tell(op, err)
		}
		return result.Value, result.Err
	}
}

// Package repeat runs a command again on the same state, and says where its
// runs differ.
//
// A command knows its arguments and its Tx, and nothing else of the world: each
// run of it on the same state makes the same writes in the same order and
// returns the same. One that reads the clock, goes through a map, draws random
// numbers of its own or keeps a variable does not, and nodes on which it runs
// come to different states.
//
// The rule it keeps: every run finds the state as the first one found it, and
// what stays there is what one run wrote, the last.
//
// What it cannot see is a difference that the runs do not show: a clock that is
// read in seconds, a map of two keys, of which two runs see the same order half
// of the time, or a variable that changes later.
package repeat

import (
	"errors"
	"fmt"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
)

// Command runs a command times over, at least once, and leaves in the state what
// the last run wrote; of a command that fails too, as Operation.Apply does. The
// error says where a run differs from the first, or what it did that none may
// do. It is the last then.
func Command(op *quorate.Operation, state engine.State, at engine.Moment, args [][]byte, times int) (Result, error) {
	visits := visitsOf(at)
	var first Result
	for run := 1; ; run++ {
		visits.reset()
		restore := state.Save()
		recorded := &recorder{State: state}
		value, err := quorate.Engine().Apply(op, quorate.Engine().NewTx(recorded, at), args)
		result := recorded.result(value, err)
		if run == 1 {
			first = result
		}
		if err := errors.Join(recorded.misuse(op), Compare(op, args, first, result, inFirst, inRun(run))); err != nil || run >= times {
			return result, err
		}
		restore()
	}
}

// Query runs a query times over, at least once. The error says where a run
// differs from the first.
func Query(op *quorate.Operation, state engine.ReadState, at engine.Moment, args [][]byte, times int) (Result, error) {
	visits := visitsOf(at)
	var first Result
	for run := 1; ; run++ {
		visits.reset()
		value, err := quorate.Engine().Read(op, quorate.Engine().NewView(state, at), args)
		result := Result{Value: value, Err: err}
		if run == 1 {
			first = result
		}
		if err := Compare(op, args, first, result, inFirst, inRun(run)); err != nil || run >= times {
			return result, err
		}
	}
}

const inFirst = "in the first run"

func inRun(run int) string { return fmt.Sprintf("in run %d", run) }

// visits is how many keys the scans of a run may show, which runs share with the
// calls around them: each begins with as many as the first.
type visits struct {
	left  *int // nil if that is not bounded
	began int
}

func visitsOf(at engine.Moment) visits {
	if at.Visits == nil {
		return visits{}
	}
	return visits{at.Visits, *at.Visits}
}

func (v visits) reset() {
	if v.left != nil {
		*v.left = v.began
	}
}

// Compare says where two runs of a command or query differ which should have come
// to the same, or nil. One and other say where or when each ran.
func Compare(op *quorate.Operation, args [][]byte, a, b Result, one, other string) error {
	what := difference(a, b, one, other)
	if what == "" {
		return nil
	}
	kind := "query"
	if op.Writes() {
		kind = "command"
	}
	return fmt.Errorf("%s %s is not deterministic: on the same state it %s. %s", kind, Describe(op.Name(), args), what, rule)
}

// rule is what a command or query broke whose runs differ.
const rule = "It may go by nothing but its arguments and what it is given of the state: by no clock but Now, no order of a map, no random numbers but Rand, and no variable outside of it"

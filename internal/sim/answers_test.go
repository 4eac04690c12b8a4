package sim_test

import (
	"errors"
	"time"

	"github.com/quorate/quorate"
)

// hear notes the reply to one attempt.
func (o *operation) hear(w *world, node int, reply quorate.Reply, floor uint64) {
	code := quorate.CodeOf(reply.Err)
	switch {
	case quorate.OutcomeUnknown(reply.Err):
		o.lost(w, node)
		return
	case reply.Err != nil && (reply.Index == 0 || code == quorate.IDReused || code == quorate.Overloaded || code == quorate.TooLarge):
		o.refused(w, node, string(code))
		return
	case reply.Index == 0:
		w.fail("answers", "operation %d was answered without an index", o.Number)
		return
	}
	got := answer{Value: contentOf(reply.Value), Code: code, Index: reply.Index}
	if failure, ok := errors.AsType[*quorate.Error](reply.Err); ok {
		got.There = contentOf(failure.Value)
	}
	if o.Stale > 0 {
		o.settleStale(w, node, got, reply.Age)
		return
	}
	o.settle(w, node, got, floor)
}

// settle notes an answer of the state machine. The first one counts; all
// others must be the same.
func (o *operation) settle(w *world, node int, got answer, floor uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.Tries = append(o.Tries, try{w.now().String(), node, string(got.Value) + string(got.Code), got.Index})
	if o.Outcome == answered {
		if o.writes() && got != o.Answer {
			w.fail("answers", "operation %d under id %q was answered %+v and later %+v", o.Number, o.ID, o.Answer, got)
		}
		return
	}
	o.Outcome, o.Answer, o.Returned = answered, got, w.history.tick.Add(1)
	switch {
	case o.writes() && got.Index <= o.floor:
		w.fail("order", "operation %d took effect at %d, before what was answered when it was called, at %d", o.Number, got.Index, o.floor)
	case !o.writes() && got.Index < floor:
		w.fail("order", "operation %d, a read through n%d, saw the state at %d; an answer from %d was heard before it was called",
			o.Number, node, got.Index, floor)
	}
	w.heard(got.Index)
	if o.writes() {
		w.durable(got.Index, o)
	}
}

// settleStale notes the answer to a read that tolerated age: it must reflect
// what was answered longer ago than the age that it tells.
func (o *operation) settleStale(w *world, node int, got answer, age time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.Tries = append(o.Tries, try{w.now().String(), node, string(got.Value) + string(got.Code), got.Index})
	o.Outcome, o.Answer, o.Returned = answered, got, w.history.tick.Add(1)
	w.tally.stale(age)
	if age > o.Stale {
		w.fail("age", "operation %d, a read through n%d, tolerated %v and got an answer of age %v", o.Number, node, o.Stale, age)
	}
	if floor := w.heardBefore(w.now() - age); got.Index < floor {
		w.fail("age", "operation %d, a read through n%d, saw the state at %d and says that it is %v old; by then an answer from %d was heard",
			o.Number, node, got.Index, age, floor)
	}
}

// lost notes that the outcome of an attempt is unknown.
func (o *operation) lost(w *world, node int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.Tries = append(o.Tries, try{At: w.now().String(), Node: node, Said: "unknown"})
	if o.Outcome == notApplied {
		o.Outcome = unknown
	}
}

// refused notes that an attempt had no effect. The operation had none if all
// its attempts had none.
func (o *operation) refused(w *world, node int, said string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.Outcome == unknown && len(o.Tries) == 0 {
		o.Outcome = notApplied
	}
	o.Tries = append(o.Tries, try{At: w.now().String(), Node: node, Said: said})
}

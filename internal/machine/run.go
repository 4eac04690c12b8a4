package machine

import (
	"cmp"
	"errors"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/vocabulary"
)

// standing is where a state stands.
type standing struct {
	meta   store.Meta
	oldest []byte // as in Machine
	// agreed is what all members know. What it points to does not change.
	agreed *vocabulary.Words
}

// run is one entry being applied.
type run struct {
	standing
	*room
	machine *Machine
	batch   *store.Batch
	entry   Entry
	begun   int // bytes of the batch when the first call began
	// answered is the bytes of the replies so far.
	answered int
	replies  []quorate.Reply
	// step is what comes of it, and last the operation that it is to name.
	step step
	last *quorate.Operation
}

// room is memory that one run after the other uses, so that a call allocates
// little. What a run leaves there means nothing to the next, except for
// operation, which depends on nothing but its name.
type room struct {
	calls entry.Calls
	// operation is that of the newest call, and mostly that of the next.
	operation *quorate.Operation
	// at is where in the log the newest call runs. Its Due is that of due, in
	// unix nanoseconds.
	at  engine.Moment
	due int64
	// visits is how many keys scans of the entry may yet show.
	visits int
	tx     quorate.Tx
	view   quorate.View
	// key and record are where what a batch copies is put together.
	key, record []byte
}

// letGo lets go of the batch, which may be large.
func (r *room) letGo() {
	quorate.Engine().ResetTx(&r.tx, nil, engine.Moment{})
	quorate.Engine().ResetView(&r.view, nil, engine.Moment{})
}

func (r *run) apply() error {
	header, words, err := r.open()
	if err != nil {
		return err
	}
	if err := r.compare(header.Check); err != nil {
		return err
	}
	count := r.calls.Left()
	r.batch.BeginEntry(r.meta.Hash, r.entry.Index)
	r.meta.Index, r.meta.Term = r.entry.Index, r.entry.Term
	r.meta.Time = max(r.meta.Time, header.Time.UnixNano())
	r.batch.Expire(r.meta.Time, expireMin+2*count)
	r.batch.Keep()
	r.forget(forgetMin + 2*count)
	r.begun, r.visits = r.batch.Bytes(), visitsMax
	r.at = engine.Moment{Index: r.meta.Index, Time: time.Unix(0, r.meta.Time), Visits: &r.visits}
	r.due = 0
	r.replies = make([]quorate.Reply, count)
	for i := range r.replies {
		r.at.Position, r.at.Seed = i, header.Seed+uint64(i)
		before := r.batch.Bytes()
		if r.replies[i], err = r.call(r.calls.Next()); err != nil {
			return err
		}
		r.noteStep(before)
		r.answered += replyBytes(&r.replies[i])
	}
	if words != nil {
		if err := r.agree(words); err != nil {
			return err
		}
	}
	r.meta.Hash, r.meta.Endings = r.batch.EntryHash(), r.batch.Endings()
	r.step.index, r.step.hash = r.meta.Index, r.meta.Hash
	r.machine.trail.add(r.step, r.last)
	return r.batch.Err()
}

// call answers one call. The error, other than that of the reply, stops the
// node.
func (r *run) call(call *quorate.Call) (quorate.Reply, error) {
	op, ok := r.lookup(call)
	if !ok || quorate.Engine().Newer(op, call.Args) {
		what := cmp.Or(r.machine.language.own.Unknown(call), "this form of operation "+call.Name)
		return quorate.Reply{}, newer(what, r.machine.service)
	}
	switch {
	case call.ID != "":
		return r.once(op, call)
	}
	if err := r.full(op); err != nil {
		return r.refuse(err), nil
	}
	reply := r.perform(op, call)
	r.batch.Keep()
	return reply, nil
}

func (r *run) lookup(call *quorate.Call) (*quorate.Operation, bool) {
	if r.operation != nil && r.operation.Name() == call.Name {
		return r.operation, true
	}
	op, ok := quorate.Engine().Lookup(r.machine.service, *call)
	r.operation = op
	return op, ok
}

// perform runs one call. An error leaves no trace of it in the batch.
func (r *run) perform(op *quorate.Operation, call *quorate.Call) quorate.Reply {
	if op.Writes() {
		return r.command(op, call)
	}
	quorate.Engine().ResetView(&r.view, store.DataOf{Batch: r.batch}, r.moment())
	return r.machine.query(op, call, &r.view)
}

// command runs one command. An error leaves no trace of it in the batch.
func (r *run) command(op *quorate.Operation, call *quorate.Call) quorate.Reply {
	quorate.Engine().ResetTx(&r.tx, store.DataOf{Batch: r.batch}, r.moment())
	value, err := r.operate(op, call.Args)
	reply := r.machine.answer(op, r.meta.Index, value, err)
	if reply.Err != nil {
		r.batch.Undo()
	}
	return reply
}

func (r *run) operate(op *quorate.Operation, args [][]byte) (quorate.Value, error) {
	if apply := r.machine.apply; apply != nil {
		return apply(op, store.DataOf{Batch: r.batch}, r.at, &r.tx, args)
	}
	return quorate.Engine().Apply(op, &r.tx, args)
}

// moment is where in the log the call runs. Each call has a seed of its own.
func (r *run) moment() engine.Moment {
	if due := r.batch.Endings().Due; due != r.due {
		r.due, r.at.Due = due, store.Time(due)
	}
	return r.at
}

// refuse answers a call that was not run.
func (r *run) refuse(err error) quorate.Reply { return quorate.Reply{Index: r.meta.Index, Err: err} }

// full says why a call is not run any more in this entry, or nil. It goes by
// nothing but the entry and the state before it: it is the same on every node.
func (r *run) full(op *quorate.Operation) error {
	switch {
	case op.Writes() && r.batch.Bytes()-r.begun >= entryBytesMax:
		return quorate.Errorf(quorate.Overloaded, "the calls before this one write more than %d bytes; send it again", entryBytesMax)
	case r.answered >= answersBytesMax:
		return quorate.Errorf(quorate.Overloaded, "the answers of the calls before this one take more than %d bytes; send it again", answersBytesMax)
	case r.visits == 0:
		return quorate.Errorf(quorate.Overloaded, "the calls before this one look at more than %d keys; send it again", visitsMax)
	}
	return nil
}

// replyBytes is about how many bytes a reply takes in memory.
func replyBytes(reply *quorate.Reply) int {
	const replyBytes = 96
	size := replyBytes + reply.Value.Size()
	if reply.Err == nil {
		return size
	}
	if e, ok := errors.AsType[*quorate.Error](reply.Err); ok {
		size += len(e.Message) + e.Value.Size()
	}
	return size
}

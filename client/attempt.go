package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/resp"
)

// attempt is one frame on one connection: calls of one caller, who waits.
type attempt struct {
	// calls is how many there are in body, which is entry.AppendCalls.
	calls int
	body  []byte
	// share is how long the caller waits, from begun on.
	share time.Duration
	begun time.Time
	// answered gets what came of it, once.
	answered chan answer

	// What follows is guarded by mu of the connection.

	// sent says that the writer has taken the frame: it may reach the node.
	sent time.Time
	// dropped says that the caller does not wait any more. A frame that was not
	// sent never will be.
	dropped bool
}

// answer is what came of a frame.
type answer struct {
	value resp.Value
	// err says that there is no value. It wraps errUnsent if the frame surely
	// never left.
	err error
}

var (
	// errUnsent is wrapped by the errors of frames that never left.
	errUnsent = errors.New("not sent")
	// errSilent ends an attempt at a node that says nothing.
	errSilent = errors.New("it does not answer")
	// errTime ends an attempt when the time of the caller is over.
	errTime = errors.New("the time is over")
)

// unsent wraps the error of a frame that never left.
func unsent(err error) error { return unsentError{err} }

type unsentError struct{ error }

// Unwrap makes the error both what it is and errUnsent.
func (e unsentError) Unwrap() []error { return []error{e.error, errUnsent} }

// try answers calls by one attempt at one node.
func (c *Client) try(ctx context.Context, calls []quorate.Call, h *history) []quorate.Reply {
	cn, err := c.connection(ctx, h.from)
	h.attempts++
	if err != nil {
		h.from, h.hopeless = nil, errors.Is(err, errHopeless)
		return refuse(len(calls), h.failure(unsent(err)))
	}
	h.from = cn.node
	deadline, _ := ctx.Deadline()
	now := time.Now()
	a := &attempt{
		calls: len(calls), body: entry.AppendCalls(nil, calls),
		begun: now, share: share(deadline.Sub(now), h.attempts-1),
		answered: make(chan answer, 1),
	}
	replies, err := cn.run(ctx, a)
	if errors.Is(err, errTime) {
		h.from = nil // the caller had too little of it, which is not the fault of the node
	}
	if err != nil {
		return refuse(len(calls), h.failure(fmt.Errorf("%s: %w", cn.node.addr, err)))
	}
	return replies
}

// failure is the error of calls whose attempt came to nothing.
func (h *history) failure(err error) error {
	failure := &quorate.Error{Code: quorate.Unavailable, Outcome: quorate.Unknown}
	if errors.Is(err, errUnsent) {
		failure.Outcome = quorate.NotApplied
	}
	if errors.Is(err, errFull) {
		failure.Code = quorate.Overloaded
	}
	failure.Message = err.Error()
	switch {
	case !errors.Is(err, errTime):
		h.said = err
	case h.said != nil:
		failure.Message += "; an attempt before: " + h.said.Error()
	}
	if failure.Outcome == quorate.Unknown {
		failure.Message = "it is not known whether the call was applied: " + failure.Message
	}
	return failure
}

// run sends a frame and waits for its answer, as long as the attempt may take.
func (cn *conn) run(ctx context.Context, a *attempt) ([]quorate.Reply, error) {
	if err := cn.queue(a); err != nil {
		return nil, unsent(err)
	}
	got := cn.wait(ctx, a)
	if got.err != nil {
		return nil, got.err
	}
	replies, err := a.understand(got.value)
	if err != nil && !errors.Is(err, errUnsent) {
		cn.end(err) // whatever else it says cannot be trusted
	}
	return replies, err
}

// wait waits for the answer until ctx ends or the share of the attempt is over.
// If the connection has brought other answers meanwhile the attempt gets as much
// time again: the answers come in the order of the frames, and to send a frame
// again to a node that has too much to do would give it more.
func (cn *conn) wait(ctx context.Context, a *attempt) answer {
	timer := time.NewTimer(a.share)
	defer timer.Stop()
	for prolonged := false; ; prolonged = true {
		select {
		case got := <-a.answered:
			return got
		case <-ctx.Done():
			return cn.leave(a, ended(ctx))
		case <-timer.C:
			more := a.share - time.Since(cn.lastHeard())
			if prolonged || more <= 0 {
				return cn.leave(a, errSilent)
			}
			timer.Reset(more)
		}
	}
}

// leave gives an attempt up, unless the answer has come in the same moment.
func (cn *conn) leave(a *attempt, cause error) answer {
	sent := cn.drop(a)
	select {
	case got := <-a.answered:
		return got
	default:
	}
	if !sent {
		cause = unsent(cause)
	}
	return answer{err: cause}
}

// ended says why a context has.
func ended(ctx context.Context) error {
	if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", errTime, err)
	}
	return errTime
}

// understand is the replies in an answer. An error wraps errUnsent if the node
// has refused the frame, and so run nothing of it.
func (a *attempt) understand(v resp.Value) ([]quorate.Reply, error) {
	switch {
	case v.IsError():
		return nil, unsent(fmt.Errorf("it refuses the calls: %.200s", v.Text()))
	case v.Kind() != resp.Bulk:
		return nil, fmt.Errorf("it answers with a value of kind %s", v.Kind())
	}
	replies, err := entry.ReadReplies([]byte(v.Text()))
	if err != nil {
		return nil, fmt.Errorf("it answers what nobody can read: %w", err)
	}
	if len(replies) != a.calls {
		return nil, fmt.Errorf("it gives %d answers to %d calls", len(replies), a.calls)
	}
	return replies, nil
}

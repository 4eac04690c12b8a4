package cli

import (
	"cmp"
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/quorate/quorate"
)

const (
	// pauseMin and pauseMax bound the pause before a message is sent again. It
	// is drawn at random up to a bound that doubles from the one to the other,
	// so that many clients that lost the same node do not come back at once.
	pauseMin = 10 * time.Millisecond
	pauseMax = 500 * time.Millisecond

	// attemptMin is the least time in which a further attempt is worth it. A
	// write that is cut by the end of the time leaves its outcome open, where
	// the attempts before may have been refused for sure.
	attemptMin = 100 * time.Millisecond
)

// send gives a message to one node after the other until one serves it or
// refuses it for good, or the time is over, and returns the answer, a JSON
// object. A write goes out under one and the same id each time, so that it
// takes effect once however often it arrives.
func (r *remote) send(ctx context.Context, m message) ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if m.writes {
		m.id = cmp.Or(r.id, cryptorand.Text()) // 130 random bits
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	var h history
	for attempt := 0; ; attempt++ {
		i := attempt % len(r.addrs)
		answer, f := r.try(ctx, r.addrs[i], r.share(ctx, i), m)
		if f == nil {
			return answer, nil
		}
		h.add(f)
		if !again(m, f) || !pause(ctx, attempt) {
			return nil, r.outcome(ctx, m, h)
		}
	}
}

// share is the time that address i may take, so that all that follow have as
// much.
func (r *remote) share(ctx context.Context, i int) time.Duration {
	end, _ := ctx.Deadline()
	return max(time.Until(end)/time.Duration(len(r.addrs)-i), time.Millisecond)
}

// again says that a message which failed may be served if it is sent once
// more, here or elsewhere. Anything else is an answer.
func again(m message, f *failure) bool {
	if busy(f) {
		return true
	}
	return m.writes && f.unknown() || !m.writes && f.Code == quorate.Internal
}

// busy says that a node could not serve a call, and another or a later one may.
func busy(f *failure) bool {
	return f.Code == quorate.Unavailable || f.Code == quorate.Overloaded || f.Code == quorate.TooOld
}

// pause waits before the attempt that follows. It returns false if there is
// no time for one.
func pause(ctx context.Context, attempt int) bool {
	length := pauseAfter(attempt, rand.Int64N)
	if end, _ := ctx.Deadline(); time.Until(end) < length+attemptMin {
		return false
	}
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// pauseAfter is how long to pause after an attempt, the first being 0. The
// function draws a number from 0 up to below its argument.
func pauseAfter(attempt int, draw func(int64) int64) time.Duration {
	doublings := min(attempt, 10) // 10 ms x 2^10 is over pauseMax
	return time.Duration(draw(int64(min(pauseMin<<doublings, pauseMax)) + 1))
}

// history is what came of the attempts to get one message served.
type history struct {
	// last is the newest failure.
	last *failure
	// telling is the newest failure of those that tell most: what a node
	// says tells more than that none is there.
	telling *failure
	// unknown says that one of the attempts may have had its effect.
	unknown bool
}

func (h *history) add(f *failure) {
	h.last = f
	if h.telling == nil || !f.silent || h.telling.silent {
		h.telling = f
	}
	h.unknown = h.unknown || f.unknown()
}

// outcome is what is known for sure after the last attempt.
func (r *remote) outcome(ctx context.Context, m message, h history) *failure {
	interrupted := errors.Is(ctx.Err(), context.Canceled)
	switch {
	case m.writes && h.unknown && !h.last.settles():
		return mayHaveBeenApplied(m, h.telling)
	case interrupted && busy(h.last):
		return failed("interrupted")
	case !busy(h.last):
		return h.last
	case h.telling.silent:
		h.telling.Message = fmt.Sprintf("nothing answers at %s: start a node with: %s dev", strings.Join(r.addrs, ", "), r.program)
	}
	return h.telling
}

// mayHaveBeenApplied is the failure of a write of unknown outcome. It names
// the id, which is all that is needed to ask again.
func mayHaveBeenApplied(m message, f *failure) *failure {
	unknown := unavailable(quorate.Unknown, "%s; it may have been applied: repeat the command with --id %s, under which it takes effect once",
		f.Message, m.id)
	unknown.ID = m.id
	unknown.Leader = f.Leader
	if f.unknown() {
		unknown.Code = f.Code
	}
	return unknown
}

// settles says that a failure tells what became of a write also where an
// attempt before it may have had its effect: the nodes remember the id, and
// the command itself said no. A node that refuses a call without running it
// tells nothing of another that may have run it.
func (f *failure) settles() bool {
	if f.Outcome != quorate.NotApplied.String() {
		return false
	}
	switch f.Code {
	case quorate.Unavailable, quorate.Overloaded, quorate.Invalid, quorate.TooLarge, quorate.UnknownOperation:
		return false
	}
	return true
}

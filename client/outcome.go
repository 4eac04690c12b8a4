package client

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/quorate/quorate"
)

const (
	// pauseMin and pauseMax bound the pause before calls are tried again. It is
	// drawn at random up to a bound that doubles from the one to the other, so
	// that many callers that lost the same node do not come back at once.
	pauseMin = 10 * time.Millisecond
	pauseMax = 500 * time.Millisecond
	// attemptMin is the least time in which a further attempt is worth it. One
	// that is cut by the end of the time leaves the outcome open, where those
	// before may have been refused for sure.
	attemptMin = 50 * time.Millisecond
	// shareMax bounds the first attempt; each further one may take twice as
	// long, up to 32 s, so that what needs longer gets it in the end. A node that
	// has no leader says so within its share.
	shareMax       = 2 * time.Second
	shareDoublings = 4
	// frameTimeMax is the longest time that a node takes with a frame.
	frameTimeMax = time.Minute
	// shareMin is the least that an attempt gets where there is time left: a
	// disk that is busy must not look like a node that is gone.
	shareMin = 100 * time.Millisecond
)

// history is what came of the attempts at some calls.
type history struct {
	attempts int
	// nodes is how many there are.
	nodes int
	// from is the node that the last attempt went to; nil if it went nowhere.
	from *node
	// said is why an attempt came to nothing. It tells more than that the time
	// was over in the end.
	said error
	// hopeless says that to try again is useless.
	hopeless bool
}

// past is what is known of the attempts at one call.
type past struct {
	// doubted says that one of them may yet take effect.
	doubted bool
	// index is that of the last answer; 0 if it had none.
	index uint64
}

// suspect takes down which attempts may yet take effect, and corrects answers to
// calls of which an earlier one may: that the last attempt was surely not
// applied says nothing of the one before.
func suspect(replies []quorate.Reply, pasts []past) {
	for i, r := range replies {
		switch {
		case quorate.OutcomeUnknown(r.Err):
			pasts[i].doubted = true
		case pasts[i].doubted && !remembered(r):
			replies[i].Err = &quorate.Error{Code: quorate.CodeOf(r.Err), Outcome: quorate.Unknown,
				Message: "it is not known whether an earlier attempt was applied; the last was not: " + r.Err.Error()}
		}
	}
}

// remembered says that a reply is what all attempts at a call come to: its
// first answer, or that it has none because its id belongs to another call.
// Without an index it did not get as far as the log; and the log refuses a call
// for lack of room too, which it does not remember.
func remembered(r quorate.Reply) bool {
	code := quorate.CodeOf(r.Err)
	return r.Err == nil || r.Index > 0 && code != quorate.Overloaded && code != quorate.TooLarge
}

// settle is how many of the first replies stay. Those behind it are the last
// ones, and all of calls that another attempt may serve: each has an id, so
// that to run it again is to run it once. To try a call again that stands
// before one which took effect would be to change their order.
func (h *history) settle(replies []quorate.Reply, pasts []past) int {
	stay := len(replies)
	for stay > 0 && h.again(replies[stay-1], pasts[stay-1]) {
		stay--
		pasts[stay].index = replies[stay].Index
	}
	return stay
}

// again says that another attempt may serve a call. A command may answer with
// the same codes, but its answer has an index. The log refuses a call for lack of
// room too, with an index that is another one each time, where the answer of a
// command is remembered with its own.
func (h *history) again(r quorate.Reply, before past) bool {
	if r.Index > 0 {
		return quorate.CodeOf(r.Err) == quorate.Overloaded && r.Index != before.index
	}
	switch quorate.CodeOf(r.Err) {
	case quorate.Unavailable, quorate.Overloaded:
		return true
	case quorate.Internal:
		return quorate.OutcomeUnknown(r.Err)
	case quorate.TooOld:
		return h.attempts < h.nodes // another one may have a newer copy
	}
	return false
}

// share is how long an attempt may take of the time that is left, the first
// being 0.
func share(left time.Duration, attempt int) time.Duration {
	share := min(max(left/3, shareMin), shareMax<<min(attempt, shareDoublings))
	if left-share < attemptMin {
		return left
	}
	return share
}

// pause waits before calls are tried again. It is false when there is no time
// for that.
func (c *Client) pause(ctx context.Context, attempts int) bool {
	length := pauseAfter(attempts)
	if deadline, _ := ctx.Deadline(); time.Until(deadline) < length+attemptMin {
		return false
	}
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-c.ctx.Done():
	}
	return ctx.Err() == nil && c.ctx.Err() == nil
}

// pauseAfter draws the pause after so many attempts, or dials, that came to
// nothing.
func pauseAfter(attempts int) time.Duration {
	doublings := min(max(attempts-1, 0), 10) // 10 ms x 2^10 is over pauseMax
	return time.Duration(rand.Int64N(int64(min(pauseMin<<doublings, pauseMax)) + 1))
}

// draw is a random number from 0 up to below n.
func draw(n int) int { return rand.IntN(n) }

// An attempt, and what is left when that would be too little for another, fit
// the time of a frame.
const _ = uint(frameTimeMax - shareMax<<shareDoublings - attemptMin)

package respapi

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	// shareMax says for how much of its time the context of a call is that of
	// further calls too: a 64th. Of 5 s it is 78 ms, by which a deadline comes
	// early at the most. A server with 40,000 calls a second makes a few dozen
	// contexts and timers in that time instead of as many as calls.
	shareMax = 64
	// sharesMax is how many contexts the connections of a server share at a
	// time. All who wait for one meet in its lock.
	sharesMax = 8
)

// share is a context that calls run under which begin close to each other.
type share struct {
	ctx context.Context
	// until is when ctx is too old for a call to begin.
	until time.Time
}

// shares are the contexts under which calls begin now. A context of its own,
// with a timer, would be a good part of what the door does for a call.
type shares [sharesMax]atomic.Pointer[share]

// begin is a context for a call of a connection that begins now. It ends when
// base does, or when timeout or nearly timeout is over; not when the call has
// returned.
func (s *shares) begin(base context.Context, id uint64, timeout time.Duration) context.Context {
	place := &s[id%sharesMax]
	now := time.Now()
	if current := place.Load(); current != nil && now.Before(current.until) {
		return current.ctx
	}
	ctx, cancel := context.WithDeadline(base, now.Add(timeout))
	context.AfterFunc(ctx, cancel) // nobody knows before when the last call is over
	place.Store(&share{ctx: ctx, until: now.Add(timeout / shareMax)})
	return ctx
}

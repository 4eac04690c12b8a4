// Package deadline gives calls a time by which they end, without a timer for
// each of them.
//
// A context of its own, with a timer and a place among the children of the one
// it comes from, would be a good part of what a short call costs; and all callers
// that run under one context would meet in its lock. So calls share one that
// begin close to each other under contexts that end together.
//
// It keeps one rule: a deadline comes early by a small part of the time, and
// never late. It does not hand values on: those of a context that is shared are
// of whichever call came first.
package deadline

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

const (
	// earlyMax says for how much of its time the context of a call is that of
	// further calls too: a 64th. Of 5 s it is 78 ms, by which a deadline comes
	// early at the most. A server with 40,000 calls a second makes a few dozen
	// contexts and timers in that time instead of as many as calls.
	earlyMax = 64
	// sharesMax is how many contexts are shared at a time. All who wait for one
	// meet in its lock.
	sharesMax = 8
)

// Shared is the contexts that calls share which begin now. The zero Shared is
// ready, and any number of goroutines may use it.
type Shared struct {
	places [sharesMax]atomic.Pointer[share]
}

// share is a context that calls run under which begin close to each other.
type share struct {
	ctx context.Context
	// parent is the Done of all the contexts that ctx stands for.
	parent <-chan struct{}
	// until is when ctx is too old for a call to begin.
	until time.Time
}

// Within is a context for a call that begins now. It ends when ctx does, or when
// timeout or nearly timeout is over. Whoever asks calls the function once the
// call has returned; a context that is shared goes on all the same.
func (s *Shared) Within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	place := &s.places[rand.Uint64()%sharesMax]
	now := time.Now()
	current := place.Load()
	switch {
	case current == nil || !now.Before(current.until):
		shared, cancel := context.WithDeadline(ctx, now.Add(timeout))
		context.AfterFunc(shared, cancel) // nobody knows before when the last call is over
		place.Store(&share{ctx: shared, parent: ctx.Done(), until: now.Add(timeout / earlyMax)})
		return shared, goesOn
	case current.parent == ctx.Done():
		return current.ctx, goesOn
	}
	// Another one's stands here for a moment longer. To replace it would make one
	// for each call where callers take turns.
	return context.WithDeadline(ctx, now.Add(timeout))
}

func goesOn() {}

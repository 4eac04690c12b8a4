package client

import (
	"context"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/invariant"
)

const (
	// forgottenMax is how many answers the nodes forget with one call at most.
	forgottenMax = 1 << 10
	// farewellTime bounds how long it is tried to tell the nodes that sessions are
	// finished: longer than a cluster is without a leader, which is when calls are
	// slow and sessions are finished. In the worst case nodes refuse it at once,
	// and get a frame for each pause, four in a second.
	farewellTime = 30 * time.Second
)

// release takes back what the ledger gave. The caller waits for nothing.
func (c *Client) release(p pass) {
	if !c.ledger.release(p) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.running.Go(c.tellFinished)
	}
}

// tellFinished tells the nodes of sessions that are finished, so that they
// forget the answers now and not by their age. That it comes to nothing is
// harmless, and nobody is told.
func (c *Client) tellFinished() {
	for {
		finished := c.ledger.takeFinished()
		if len(finished) == 0 {
			return
		}
		ctx, cancel := context.WithTimeout(c.ctx, farewellTime)
		for _, s := range finished {
			c.bidFarewell(ctx, s)
		}
		cancel()
	}
}

// bidFarewell makes the nodes forget the answers of a session: a part with each
// call, one by one, so that the calls of others need not wait for all of it.
func (c *Client) bidFarewell(ctx context.Context, s *session) {
	call := s.farewell()
	for range s.farewells() {
		if replies := c.persist(ctx, []quorate.Call{call}); replies[0].Err != nil {
			return
		}
	}
}

// farewell is the last call of a session, and says that all others are settled.
// It is a transaction without conditions and without calls: every service has
// that, and it changes nothing.
func (s *session) farewell() quorate.Call {
	call, err := quorate.NewCall(quorate.Txn{})
	invariant.Must(err == nil, "an empty transaction is a call")
	call.ID, call.Settled = quorate.CallID(engine.SessionID(s.name, s.next)), s.next
	return call
}

// farewells is how often the last call must run until all answers that the nodes
// do not know to be settled are forgotten.
func (s *session) farewells() int { return int((s.next-s.told)/forgottenMax) + 1 }

package respapi

import (
	"context"
	"fmt"
	"time"
)

// drainGrace is how long a server that shuts down waits for clients who owe it
// the rest of a call. One that is well sends it in one go.
const drainGrace = time.Second

// turn says who is to act next on a connection.
type turn = int32

const (
	// waiting: the client. Whoever changes it to cut may close the connection.
	waiting turn = iota
	// running: the server, which owes an answer.
	running
	// cut: nobody.
	cut
)

// Shutdown stops accepting, closes the connections that owe nothing, waits
// until what is under way is answered, and ends what remains when ctx does. For
// the rest of a call that has begun to arrive it waits a second.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopListening()
	for _, c := range s.clients() {
		if !c.arrival.partial.Load() {
			c.cutIfWaiting()
		}
	}
	defer time.AfterFunc(drainGrace, func() {
		for _, c := range s.clients() {
			c.cutIfWaiting()
		}
	}).Stop()
	defer context.AfterFunc(ctx, s.end)()
	s.serving.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("wait for Redis calls under way: %w", context.Cause(ctx))
	}
	s.cancel()
	return nil
}

// stopListening closes the listeners. From then on a connection that has
// answered ends.
func (s *Server) stopListening() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining.Store(true)
	for listener := range s.listeners {
		_ = listener.Close() // Serve closes it too
	}
}

// end stops the calls that run, and closes all connections.
func (s *Server) end() {
	s.cancel()
	for _, c := range s.clients() {
		_ = c.net.Close() // it ends whoever reads or writes
	}
}

// cutIfWaiting closes the connection unless an answer is owed.
func (c *conn) cutIfWaiting() {
	if c.turn.CompareAndSwap(waiting, cut) {
		_ = c.net.Close() // the client learns of it the same way
	}
}

package node

import (
	"context"
	"sync"
)

// counter counts what is under way, so that a node that closes can wait for
// it. The zero value counts nothing.
type counter struct {
	mu     sync.Mutex
	count  int
	closed bool
	idle   chan struct{} // nil until somebody waits; closed when count gets to 0
}

// add counts one more, unless wait was called before.
func (c *counter) add() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.count++
	return true
}

// remove counts one less.
func (c *counter) remove() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count--
	if c.idle != nil && c.count == 0 {
		close(c.idle)
	}
}

// wait refuses further ones and waits until none is left or ctx ends.
func (c *counter) wait(ctx context.Context) {
	c.mu.Lock()
	c.closed = true
	if c.count == 0 {
		c.mu.Unlock()
		return
	}
	if c.idle == nil {
		c.idle = make(chan struct{})
	}
	idle := c.idle
	c.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

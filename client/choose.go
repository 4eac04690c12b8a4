package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// stagger is how long one dial is waited for before the next node is dialled
	// too, and before a node is taken that was avoided.
	stagger = 150 * time.Millisecond
	// framesPerConn is how many frames without an answer a connection has before
	// another one is opened beside it.
	framesPerConn = 16
	// troublesMax bounds the nodes that an error names.
	troublesMax = 3
)

// errHopeless says that no node will have this client.
var errHopeless = errors.New("no node lets this client in")

// connection is one to send a frame over: to the node that new calls go to, or,
// once that did not serve a call, to another one if there is one.
func (c *Client) connection(ctx context.Context, avoid *node) (*conn, error) {
	if ctx.Err() != nil {
		return nil, ended(ctx)
	}
	cn, wait, changed, err := c.choose(avoid, false)
	if cn != nil || err != nil {
		return cn, err
	}
	late := time.NewTimer(stagger)
	defer late.Stop()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	anything := false
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w, and no node was reached%s", ended(ctx), c.troubles())
		case <-c.ctx.Done():
			return nil, errClosed
		case <-late.C:
			anything = true
		case <-changed:
		case <-timer.C:
		}
		if cn, wait, changed, err = c.choose(avoid, anything); cn != nil || err != nil {
			return cn, err
		}
		timer.Reset(wait)
	}
}

// choose is a connection, or how long to wait before it is asked again, unless
// something changes before. It begins to dial where that may help. With anything
// set, a node to avoid is better than none.
func (c *Client) choose(avoid *node, anything bool) (cn *conn, wait time.Duration, changed <-chan struct{}, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.closed {
		return nil, 0, nil, errClosed
	}
	if n := c.good(avoid, now); n != nil {
		return c.lease(n, now), 0, nil, nil
	}
	dialling, wait := c.search(avoid, now)
	if n := c.best(avoid); n != nil && (anything || !dialling) {
		return c.lease(n, now), 0, nil, nil
	}
	return nil, wait, c.changed, c.hopeless()
}

// good is a node that is up and that nobody blames, the one that new calls go
// to before others.
func (c *Client) good(avoid *node, now time.Time) *node {
	for i := range c.nodes {
		at := (c.at + i) % len(c.nodes)
		n := c.nodes[at]
		if n == avoid || len(n.conns) == 0 || now.Before(n.blamedUntil) {
			continue
		}
		if avoid == nil {
			c.at = at
		}
		return n
	}
	return nil
}

// best is the node that is up and was blamed first, avoid only if it is alone.
func (c *Client) best(avoid *node) (best *node) {
	for _, n := range c.nodes {
		if len(n.conns) == 0 || n == avoid {
			continue
		}
		if best == nil || n.blamedUntil.Before(best.blamedUntil) {
			best = n
		}
	}
	if best == nil && avoid != nil && len(avoid.conns) > 0 {
		best = avoid
	}
	return best
}

// search begins to dial a node that is not up, unless one is dialled that may
// still come up soon. It says whether there is anything to wait for, and how
// long.
func (c *Client) search(avoid *node, now time.Time) (dialling bool, wait time.Duration) {
	next := c.dialled.Add(stagger)
	wait = stagger
	for _, n := range c.nodes {
		dialling = dialling || n.dialling > 0 && len(n.conns) == 0
	}
	if dialling && now.Before(next) {
		return true, next.Sub(now)
	}
	if n := c.candidate(avoid, now); n != nil {
		c.dialled = now
		c.dial(n)
		return true, stagger
	}
	for _, n := range c.nodes {
		if soon := n.dialAt.Sub(now); soon > 0 && len(n.conns)+n.dialling == 0 {
			wait = min(wait, soon)
		}
	}
	return dialling, wait
}

// candidate is the node to dial next: one that is not up and may be dialled,
// with the fewest failures, avoid only if it is alone.
func (c *Client) candidate(avoid *node, now time.Time) (candidate *node) {
	for i := range c.nodes {
		n := c.nodes[(c.at+i)%len(c.nodes)]
		if len(n.conns)+n.dialling > 0 || now.Before(n.dialAt) {
			continue
		}
		if candidate == nil || candidate == avoid || n != avoid && n.failures < candidate.failures {
			candidate = n
		}
	}
	return candidate
}

// lease is the connection of a node that has the least to do. Where all have
// much to do, another one is opened for those who come later.
func (c *Client) lease(n *node, now time.Time) *conn {
	least := n.conns[0]
	for _, cn := range n.conns[1:] {
		if cn.load.Load() < least.load.Load() {
			least = cn
		}
	}
	if least.load.Load() >= framesPerConn && n.dialling == 0 && len(n.conns) < c.config.ConnsPerNode && !now.Before(n.dialAt) {
		c.dial(n)
	}
	return least
}

// hopeless is the error of calls that no node will have, or nil.
func (c *Client) hopeless() error {
	for _, n := range c.nodes {
		if !n.refuses || n.dialling > 0 || len(n.conns) > 0 {
			return nil
		}
	}
	return fmt.Errorf("%w%s", errHopeless, c.why())
}

// troubles is why no node was reached.
func (c *Client) troubles() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why()
}

func (c *Client) why() string {
	var troubles []string
	for _, n := range c.nodes {
		if n.trouble != nil && len(troubles) < troublesMax {
			troubles = append(troubles, fmt.Sprintf("%s: %v", n.addr, n.trouble))
		}
	}
	if len(troubles) == 0 {
		return ""
	}
	return " (" + strings.Join(troubles, "; ") + ")"
}

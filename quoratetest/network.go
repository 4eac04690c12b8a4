package quoratetest

import (
	"context"
	"time"
)

// links is what keeps nodes from each other. Pairs of nodes stand there with the
// lower one first.
type links struct {
	cut    map[[2]int]bool
	paused map[int]bool
}

func newLinks() links { return links{cut: make(map[[2]int]bool), paused: make(map[int]bool)} }

// open says that two nodes reach each other.
func (l links) open(a, b int) bool {
	return a == b || !l.cut[[2]int{min(a, b), max(a, b)}] && !l.paused[a] && !l.paused[b]
}

// reaches says that two nodes run, and that messages pass between them.
func (c *Nodes) reaches(a, b *Node) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.links.paused[a.index] && c.links.open(a.index, b.index) && a.running() != nil && b.running() != nil
}

// relink changes what keeps nodes from each other.
func (c *Nodes) relink(change func(l *links)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.links)
	for _, a := range c.all {
		for _, b := range c.all[:a.index] {
			if c.links.open(a.index, b.index) {
				c.net.Heal(a.Name(), b.Name())
			} else {
				c.net.Cut(a.Name(), b.Name())
			}
		}
	}
}

// Cut cuts the given nodes off from all others; among themselves they still see
// each other. Connections stay open: what is sent waits, and arrives after Heal.
// Cuts add up until Heal.
func (c *Nodes) Cut(nodes ...*Node) {
	inside := make(map[*Node]bool)
	for _, n := range nodes {
		inside[n] = true
	}
	c.relink(func(l *links) {
		for _, a := range c.all {
			for _, b := range c.all[:a.index] {
				if inside[a] != inside[b] {
					l.cut[[2]int{b.index, a.index}] = true
				}
			}
		}
	})
}

// Heal undoes all cuts. A node that is paused stays so.
func (c *Nodes) Heal() { c.relink(func(l *links) { clear(l.cut) }) }

// Pause holds a node still, as far as its surroundings can tell: no message
// reaches it or leaves it, and neither do calls and answers. They wait, and go on
// after Resume. What it does alone it goes on doing, unlike a process that is
// frozen: its timers run, so a leader that is paused for longer than an election
// timeout knows by itself that it no longer leads.
func (c *Nodes) Pause(n *Node) {
	c.relink(func(l *links) { l.paused[n.index] = true })
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.resumed == nil {
		n.resumed = make(chan struct{})
	}
}

// Resume lets a paused node go on.
func (c *Nodes) Resume(n *Node) {
	c.relink(func(l *links) { delete(l.paused, n.index) })
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.resumed != nil {
		close(n.resumed)
		n.resumed = nil
	}
}

// awake waits until the node is not paused, or ctx ends.
func (n *Node) awake(ctx context.Context) error {
	n.mu.Lock()
	resumed := n.resumed
	n.mu.Unlock()
	if resumed == nil {
		return nil
	}
	select {
	case <-resumed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// delay gives each way between two nodes how long messages take there.
func (c *Nodes) delay(of func(from, to *Node) func() time.Duration) {
	for _, a := range c.all {
		for _, b := range c.all {
			if a != b {
				c.net.Delay(a.Name(), b.Name(), of(a, b))
			}
		}
	}
}

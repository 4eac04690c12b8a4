package quoratetest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/node"
)

// converge waits until all nodes that run stand at the same place of the log,
// and checks that they hold the same.
func (c *Nodes) converge() error {
	var why string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(look) {
		var same bool
		if same, why = c.level(); !same {
			continue
		}
		held, err := c.contents()
		if err != nil {
			return err
		}
		if held {
			return nil
		}
	}
	return fmt.Errorf("after %v the nodes have not come to the same: %s", patience, why)
}

// level says that all nodes that run stand at the same place, and that it is not
// before what callers were told of. If not it says where they stand.
func (c *Nodes) level() (same bool, where string) {
	var lines []string
	var first *node.Status
	same = true
	for _, n := range c.all {
		l := n.running()
		if l == nil {
			lines = append(lines, n.Name()+" does not run")
			continue
		}
		s := l.status()
		lines = append(lines, fmt.Sprintf("%s is %s in term %d, has applied %d, knows %d to be committed and has %d in its log",
			n.Name(), s.Role, s.Term, s.AppliedIndex, s.CommitIndex, s.LastIndex))
		if first == nil {
			first = &s
		}
		same = same && s.Leader != "" && s.AppliedIndex == first.AppliedIndex && s.CommitIndex == first.CommitIndex &&
			s.LastIndex == first.LastIndex && s.AppliedIndex >= c.ledger.top()
	}
	if first == nil {
		return false, "no node runs"
	}
	return same, strings.Join(lines, "; ")
}

// contents compares all that the nodes hold which run. It is false if the log went
// on meanwhile.
func (c *Nodes) contents() (held bool, err error) {
	var first *Node
	var content string
	var at uint64
	for _, n := range c.all {
		l := n.running()
		if l == nil {
			continue
		}
		hash, index, err := l.node.ContentHash(context.Background())
		if err != nil {
			return false, fmt.Errorf("read the state of %s: %w", n.Name(), err)
		}
		history := l.status()
		if history.AppliedIndex != index {
			return false, nil
		}
		mine := fmt.Sprintf("content %s, after a history of writes %s", hash, history.StateHash)
		switch {
		case first == nil:
			first, content, at = n, mine, index
		case index != at:
			return false, nil
		case mine != content:
			return false, fmt.Errorf("at index %d of the log the states differ: %s has %s, and %s has %s", at, first.Name(), content, n.Name(), mine)
		}
	}
	return true, nil
}

// end checks what must hold when a test ends, and stops all nodes.
func (c *Nodes) end() {
	c.t.Helper()
	var images []image
	if !c.t.Failed() {
		images = c.settle()
	}
	for _, n := range c.all {
		c.Resume(n)
		n.take(func() {
			if err := n.stop(ended()); err != nil && !c.t.Failed() {
				c.t.Error(err)
			}
		})
	}
	c.lives.Wait()
	if err := lost(c.ledger.told(), images); err != nil {
		c.t.Error(err)
	}
	if left := c.leftBehind(); len(left) > 0 {
		c.t.Errorf("%d goroutines are left of a cluster that was stopped:\n%s", len(left), strings.Join(left, "\n\n"))
	}
}

// settle undoes what a test did to the nodes, waits until they agree, and returns
// what would be on their disks if they all lost their power then.
func (c *Nodes) settle() (images []image) {
	c.t.Helper()
	c.Heal()
	for _, n := range c.all {
		c.Resume(n)
		var err error
		n.take(func() { err = n.start() })
		if err != nil {
			c.t.Error(err)
			return nil
		}
	}
	if err := c.converge(); err != nil {
		c.t.Error(err)
		return nil
	}
	for _, n := range c.all {
		if l := n.running(); l != nil {
			images = append(images, l.image(n.Name()))
		}
	}
	return images
}

package consensus_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
)

// proposal is one entry and what was said of it.
type proposal struct {
	data []byte
	err  error
}

// propose proposes an Add of one that no other has the bytes of.
func (c *cluster) propose(i int) proposal {
	c.t.Helper()
	call, err := quorate.NewCall(Add{By: 1})
	if err != nil {
		c.t.Fatal(err)
	}
	c.seed++
	p := proposal{data: entry.Append(nil, entry.Header{Time: time.Now(), Seed: c.seed}, []quorate.Call{call})}
	_, p.err = c.nodes[i].group.Propose(p.data)
	return p
}

// holders is the nodes whose log holds an entry.
func (c *cluster) holders(p proposal) (nodes []int) {
	c.t.Helper()
	for i, n := range c.nodes {
		for index := n.log.FirstIndex(); n.log.LastIndex() > 0 && index <= n.log.LastIndex(); index++ {
			if e, err := n.log.Entry(index); err != nil {
				c.t.Fatalf("node %d: %v", i, err)
			} else if bytes.Equal(e.Data, p.data) {
				nodes = append(nodes, i)
			}
		}
	}
	return nodes
}

// mustBeNowhere checks that a refused entry was surely not applied: it is in no
// log, and never was in one that others could have taken it from.
func (c *cluster) mustBeNowhere(p proposal, reason string) {
	c.t.Helper()
	mustBe(c.t, p.err, quorate.NotApplied)
	mustSay(c.t, p.err, reason)
	if nodes := c.holders(p); len(nodes) > 0 {
		c.t.Errorf("an entry that is surely not applied is in the logs of %v", nodes)
	}
}

// mustSay checks what people are told.
func mustSay(t *testing.T, err error, reason string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), reason) {
		t.Errorf("people are told %q, nothing of %q", err, reason)
	}
}

func TestEntryRefusedByAFollowerIsInNoLog(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		lead := c.leader()
		for i := range c.nodes {
			if i != lead {
				c.mustBeNowhere(c.propose(i), "this node is not the leader")
			}
		}
		c.mustAdd(lead, 3)
		c.converge(3)
	})
}

func TestEntryRefusedDuringATransferIsInNoLog(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		lead := c.leader()
		c.mustAdd(lead, 3)
		c.cut(lead) // nobody is there to take over
		var handing sync.WaitGroup
		handing.Go(func() { c.nodes[lead].group.HandOver(t.Context()) })
		synctest.Wait()
		c.mustBeNowhere(c.propose(lead), "handing leadership over")
		handing.Wait()
		c.heal(lead)
		c.mustAdd(c.leader(), 1)
		c.converge(4)
	})
}

// TestEntryOfADeposedLeaderMayBeAppliedLater shows both ends of an unknown
// outcome: what reached a follower is applied under the next leader, and what
// did not is not. The old leader cannot tell one from the other.
func TestEntryOfADeposedLeaderMayBeAppliedLater(t *testing.T) {
	for _, arrives := range []bool{true, false} {
		t.Run(map[bool]string{true: "it arrived", false: "it did not"}[arrives], func(t *testing.T) {
			inCluster(t, 3, func(t *testing.T, c *cluster) {
				old := c.leader()
				c.mustAdd(old, 3)
				c.converge(3)
				// The answers are lost either way.
				for i := range c.nodes {
					if i == old {
						continue
					}
					c.net.CutOneWay(host(i), host(old))
					if !arrives {
						c.net.CutOneWay(host(old), host(i))
					}
				}
				p := c.propose(old)
				mustBe(t, p.err, quorate.Unknown)
				mustSay(t, p.err, "stopped being the leader")
				if got := len(c.holders(p)); arrives && got != 3 || !arrives && got != 1 {
					t.Errorf("%d logs hold the entry", got)
				}
				// Nothing that waits in the network is to change that.
				c.cut(old)
				c.leader(old)
				c.each(old, c.net.Break)
				c.heal(old)
				want := int64(3)
				if arrives {
					want = 4
				}
				c.converge(want)
				c.sameLogs()
			})
		})
	}
}

// TestEntryOfANodeThatClosesMayBeAppliedLater is the same for a node that is
// closed while the entry is on its way.
func TestEntryOfANodeThatClosesMayBeAppliedLater(t *testing.T) {
	for _, arrives := range []bool{true, false} {
		t.Run(map[bool]string{true: "it arrived", false: "it did not"}[arrives], func(t *testing.T) {
			inClusterOf(t, 3, patient(0), func(t *testing.T, c *cluster) {
				c.lead(0)
				c.mustAdd(0, 3)
				c.converge(3)
				for _, i := range []int{1, 2} {
					c.net.CutOneWay(host(i), host(0))
					if !arrives {
						c.net.CutOneWay(host(0), host(i))
					}
				}
				var p proposal
				var proposing sync.WaitGroup
				proposing.Go(func() { p = c.propose(0) })
				synctest.Wait()
				if got := len(c.holders(proposal{data: c.last(0)})); arrives && got != 3 || !arrives && got != 1 {
					t.Errorf("%d logs hold the entry", got)
				}
				c.stop(0)
				proposing.Wait()
				mustBe(t, p.err, quorate.Unknown)
				c.each(0, c.net.Break)
				c.heal(0)
				want := int64(3)
				if arrives {
					want = 4
				}
				c.leader()
				c.converge(want)
			})
		})
	}
}

// last is the data of the last entry in the log of a node.
func (c *cluster) last(i int) []byte {
	c.t.Helper()
	e, err := c.nodes[i].log.Entry(c.nodes[i].log.LastIndex())
	if err != nil {
		c.t.Fatal(err)
	}
	return e.Data
}

// TestEntryWaitsForASlowDisk: raft is given no time in which it has to take an
// entry, so one that waits for the disk of the leader is not refused. Those who
// wait for it give up by themselves.
func TestEntryWaitsForASlowDisk(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		lead := c.leader()
		slow := &slowAppends{takes: 20 * time.Second}
		c.stop(lead)
		c.nodes[lead].fault = slow.maybe
		c.start(lead)
		c.lead(lead)
		slow.armed.Store(true)
		var first, second proposal
		var proposing sync.WaitGroup
		began := time.Now()
		proposing.Go(func() { first = c.propose(lead) })
		synctest.Wait()
		slow.armed.Store(false)
		proposing.Go(func() { second = c.propose(lead) })
		proposing.Wait()
		if first.err != nil || second.err != nil || time.Since(began) < slow.takes {
			t.Errorf("after %v: %v, %v", time.Since(began), first.err, second.err)
		}
		c.converge(2)
	})
}

func TestEntryProposedBehindTheEndIsInNoLog(t *testing.T) {
	inCluster(t, 1, func(t *testing.T, c *cluster) {
		group := c.nodes[0].group
		c.mustAdd(0, 3)
		c.stop(0)
		_, err := c.addOn(group, 1)
		mustBe(t, err, quorate.NotApplied)
		mustSay(t, err, "takes no part in the cluster")
		c.start(0)
		c.leader()
		c.converge(3)
	})
}

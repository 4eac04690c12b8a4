package consensus_test

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/consensus"
	"github.com/quorate/quorate/internal/wal"
)

// TestCloseUnderLoadAnswersEveryProposal is H9 (issue 498): raft does not answer
// what stands in its queues when it shuts down, and whoever waits for an answer
// waits for ever. Here every wait ends with the raft instance. A goroutine that
// is left would fail the bubble.
func TestCloseUnderLoadAnswersEveryProposal(t *testing.T) {
	for seed := range uint64(10) {
		inCluster(t, 3, func(t *testing.T, c *cluster) {
			rng := rand.New(rand.NewPCG(seed, 4))
			closing := c.leader()
			group := c.nodes[closing].group
			var p proposals
			var done atomic.Bool
			for range 50 {
				p.sent.Go(func() {
					for !done.Load() {
						p.count(c.addOn(group, 1))
						time.Sleep(time.Duration(100) * time.Microsecond)
					}
				})
			}
			time.Sleep(time.Duration(rng.IntN(3000)) * time.Microsecond)
			c.stop(closing)
			done.Store(true)
			p.sent.Wait()
			lead := c.leader()
			c.mustAdd(lead, 1)
			c.converge(-1)
			got := total(t, c.nodes[lead].machine) - 1
			if got < p.applied.Load() || got > p.applied.Load()+p.unknown.Load() {
				t.Errorf("seed %d: the sum is %d: %v", seed, got, &p)
			}
		})
	}
}

// TestCloseOfASingleNodeUnderLoadAnswersEveryProposal is H9 where entries are
// committed as soon as they are written, so that they wait to be applied.
func TestCloseOfASingleNodeUnderLoadAnswersEveryProposal(t *testing.T) {
	for seed := range uint64(20) {
		inCluster(t, 1, func(t *testing.T, c *cluster) {
			rng := rand.New(rand.NewPCG(seed, 5))
			group := c.nodes[0].group
			var p proposals
			for range 40 {
				p.sent.Go(func() {
					for range 50 {
						p.count(c.addOn(group, 1))
					}
				})
			}
			for range rng.IntN(200) {
				p.count(c.addOn(group, 1))
			}
			c.stop(0)
			p.sent.Wait()
			c.start(0)
			c.leader()
			c.converge(-1)
			if got := total(t, c.nodes[0].machine); got < p.applied.Load() || got > p.applied.Load()+p.unknown.Load() {
				t.Errorf("seed %d: the sum is %d: %v", seed, got, &p)
			}
		})
	}
}

// TestRaftThatRemembersAnOlderSnapshotServesOn is the rest of H11: what raft
// remembers of its newest snapshot has gone back while a newer one was installed.
// The log is empty behind the newer one, and raft believes that it ends at the
// older.
//
// Until the next append the node believes that it has less than it has, and is
// the more willing to vote. No harm comes of that: it got a snapshot because its
// log did not hold the last entry of it, so that a majority without this node
// does. And the log knows the term of the newest snapshot by itself: the next
// append fits, and as a leader the node mends others.
func TestRaftThatRemembersAnOlderSnapshotServesOn(t *testing.T) {
	inClusterOf(t, 3, func(_ int, config *consensus.Config, _ *wal.Options) {
		config.SnapshotEntries, config.TrailingEntries = 1, 0
	}, func(t *testing.T, c *cluster) {
		lead := c.leader()
		behind, third := (lead+1)%3, (lead+2)%3
		c.mustAdd(lead, 10)
		c.converge(10)
		older := c.nodes[behind].group.Status().SnapshotIndex
		c.stop(behind)
		c.mustAdd(lead, 50)
		empty := func(i int) bool { return c.nodes[i].log.LastIndex() == 0 }
		c.until("the log is empty", func() bool { return empty(lead) })
		c.start(behind)
		c.until("the snapshot is installed", func() bool { return empty(behind) && total(t, c.nodes[behind].machine) == 60 })
		c.stop(third)
		synctest.Wait()
		c.nodes[behind].group.Remember(older, 1)

		c.mustAdd(lead, 5)
		c.handTo(behind)
		c.mustAdd(behind, 5)
		c.start(third)
		c.converge(70)
		c.stop(lead)
		c.mustAdd(c.leader(), 1)
		c.start(lead)
		c.converge(71)
		c.sameLogs()
	})
}

// TestFollowerCommitsOnlyWhatItsLeaderHasShown is H12: raft commits up to the
// commit index of an append or to the end of its own log, whatever stands there.
// The paper says up to the last entry of the append. An append without entries,
// or one of an older connection that comes again, would commit a tail that the
// leader is about to overwrite. Here no append tells of a commit index beyond
// what it holds; and lanes between nodes neither reorder nor repeat: see
// TestFramesOfTheOldConnectionNeverFollowThoseOfTheNew in internal/peer.
func TestFollowerCommitsOnlyWhatItsLeaderHasShown(t *testing.T) {
	const old = 0
	inClusterOf(t, 3, patient(old), func(t *testing.T, c *cluster) {
		c.lead(old)
		c.mustAdd(old, 10)
		c.converge(10)
		common, err := c.nodes[old].log.Entry(c.nodes[old].log.LastIndex())
		if err != nil {
			t.Fatal(err)
		}
		c.cut(old)
		var tail proposals
		tail.send(c, old, 20)
		lead := c.leader(old)
		c.mustAdd(lead, 5)
		c.until("the tail is there", func() bool { return c.nodes[old].log.LastIndex() == common.Index+20 })

		// The new leader says where it stands, with no entry.
		s := c.nodes[lead].group.Status()
		c.stop(lead)
		ghost := c.ghost(lead)
		c.net.Heal(host(old), host(lead))
		took, err := consensus.Append(t.Context(), ghost, member(old), &raft.AppendEntriesRequest{
			Term: s.Term, PrevLogEntry: common.Index, PrevLogTerm: common.Term, LeaderCommitIndex: s.CommitIndex,
		})
		if !took || err != nil {
			t.Errorf("the append was taken: %v (%v)", took, err)
		}
		if err := ghost.Close(); err != nil {
			t.Error(err)
		}
		tail.sent.Wait()
		c.start(lead)
		c.heal(old)
		c.converge(-1)
		c.converge(15)
		c.sameLogs()
		if tail.applied.Load() > 0 {
			t.Errorf("of the tail %v", &tail)
		}
	})
}

package consensus_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/consensus"
	"github.com/quorate/quorate/internal/wal"
)

// TestTailThatConflictsWithASnapshotIsDropped is H5 (issue 697): a leader that
// is cut off writes more entries than the others acknowledge in its place, and
// these cut their log behind a snapshot in the middle of its tail.
//
// The Raft paper has the follower drop its whole log then. Raft keeps it, and
// remembers the index of its last entry, so the follower refuses what comes
// behind the snapshot and is sent the same snapshot again, for ever. Here the
// log is dropped when the snapshot is taken over, and raft starts anew inside the
// node: it reads the last index again.
func TestTailThatConflictsWithASnapshotIsDropped(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		old := c.leader()
		c.change = func(_ int, config *consensus.Config, _ *wal.Options) {
			config.SnapshotEntries, config.TrailingEntries = 60, 5
		}
		for i := range c.nodes {
			if i != old { // its own snapshots would cut its log
				c.stop(i)
				c.start(i)
				c.converge(-1)
			}
		}
		if c.leader() != old {
			t.Fatal("another leads")
		}
		c.mustAdd(old, 10)
		c.converge(10)
		c.cut(old)
		var p proposals
		p.send(c, old, 200)
		p.sent.Wait()
		tail := c.nodes[old].log.LastIndex()
		lead := c.leader(old)
		c.mustAdd(lead, 100)
		c.until("the log is cut", func() bool { return c.nodes[lead].log.FirstIndex() > 70 })
		c.until("the snapshot stands in the tail", func() bool {
			s := c.nodes[lead].group.Status().SnapshotIndex
			return s > 70 && s < tail
		})
		// What waits in the connections would mend the log entry by entry.
		c.each(old, c.net.Break)
		time.Sleep(time.Minute)
		c.heal(old)
		c.converge(110) // the leader has nothing to send but the snapshot
		c.mustAdd(c.leader(), 5)
		c.converge(115)
		if got := c.nodes[old].said.count("raft starts anew"); got != 1 {
			t.Errorf("raft started anew %d times", got)
		}
		// The node is sound: it leads when it has to.
		c.stop(lead)
		c.mustAdd(c.leader(), 5)
		c.start(lead)
		c.converge(120)
	})
}

// TestTailRightBehindASnapshotIsMended: the tail of a leader that is cut off
// begins right behind its snapshot, so that the entry before it is known by its
// term alone.
func TestTailRightBehindASnapshotIsMended(t *testing.T) {
	inClusterOf(t, 3, func(_ int, config *consensus.Config, _ *wal.Options) {
		config.SnapshotEntries, config.TrailingEntries = 1, 0
	}, func(t *testing.T, c *cluster) {
		old := c.leader()
		c.mustAdd(old, 10)
		c.converge(10)
		c.until("the log is empty", func() bool { return c.nodes[old].log.LastIndex() == 0 })
		c.cut(old)
		var p proposals
		p.send(c, old, 20)
		p.sent.Wait()
		if first := c.nodes[old].log.FirstIndex(); first != c.nodes[old].group.Status().SnapshotIndex+1 {
			t.Errorf("the log begins at %d", first)
		}
		c.mustAdd(c.leader(old), 3)
		c.heal(old)
		c.converge(13)
		if got := c.nodes[old].said.count("raft starts anew"); got != 0 {
			t.Errorf("raft started anew %d times", got)
		}
	})
}

// slowAppends makes every sync of the entries of a log take a while, from the
// moment that it is armed. Votes are not slow.
type slowAppends struct {
	armed atomic.Bool
	takes time.Duration
}

func (s *slowAppends) maybe(op errorfs.Op) error {
	if s.armed.Load() && op.Kind == errorfs.OpFileSyncData && strings.Contains(op.Path, "wal") && !strings.HasSuffix(op.Path, "vote") {
		time.Sleep(s.takes)
	}
	return nil
}

// TestLeaderStuckInATransferTakesCallsAgain is H6 (issue 696).
//
// A transfer of leadership waits until the goroutine that replicates to the
// chosen follower has answered. If that is held up, the transfer ends without
// the answer and leaves its question behind; the next one waits for room to ask.
// If leadership is lost then, the goroutine is gone and nobody makes room. The
// mark that a transfer is in progress stays, also when the node is elected
// again, and it refuses every entry.
//
// HandOver does not begin a second transfer in a term; here raft is told to. And
// watch replaces a raft instance that has refused entries for too long.
func TestLeaderStuckInATransferTakesCallsAgain(t *testing.T) {
	transferTwice(t, func(t *testing.T, c *cluster, group *consensus.Group) {
		for range 2 {
			if err := group.Transfer(); err == nil {
				t.Error("leadership was handed over to a node that lags")
			}
			synctest.Wait() // raft takes back that it transfers, if it can
		}
	}, 1)
}

// TestLeadershipIsHandedOverOnceIfTimeRunsOut is the first of the two guards
// against H6: there is no second transfer that could be stuck.
func TestLeadershipIsHandedOverOnceIfTimeRunsOut(t *testing.T) {
	transferTwice(t, func(t *testing.T, c *cluster, group *consensus.Group) {
		began := time.Now()
		group.HandOver(t.Context())
		first := time.Since(began)
		synctest.Wait() // raft has ended it
		group.HandOver(t.Context())
		if second := time.Since(began) - first; first < electionTimeout || second > 0 {
			t.Errorf("the first attempt took %v, the second %v", first, second)
		}
	}, 0)
}

// transferTwice makes node 0 the leader of two others that are held up, lets it
// hand over leadership twice and lose it. It leads again then. So many times raft
// must start anew.
func transferTwice(t *testing.T, transfer func(*testing.T, *cluster, *consensus.Group), anew int) {
	const lead = 0
	inClusterOf(t, 3, patient(1, 2), func(t *testing.T, c *cluster) {
		slow := &slowAppends{takes: 8 * time.Second}
		for i := range c.nodes {
			if i != lead {
				c.stop(i)
				c.nodes[i].fault = slow.maybe
				c.start(i)
			}
		}
		c.lead(lead)
		c.mustAdd(lead, 10)
		c.converge(10)
		c.stop(lead)
		slow.armed.Store(true)
		c.start(lead)
		group := c.nodes[lead].group
		c.until("node 0 leads", group.Leads)
		slow.armed.Store(false) // what was begun takes its time
		synctest.Wait()
		take := group.Questions()
		defer take()
		transfer(t, c, group)
		c.cut(lead)
		c.until("node 0 leads no more", func() bool { return !group.Leads() })
		c.heal(lead)
		c.mustAdd(c.leader(), 5)
		c.converge(15)
		if got := c.nodes[lead].said.count("a transfer of leadership does not end"); got != anew {
			t.Errorf("raft started anew %d times because of a transfer, and not %d", got, anew)
		}
	})
}

// TestOnlyALeaderThatRefusesForLongStartsAnew: proposals that come while raft is
// replaced get their answer.
func TestOnlyALeaderThatRefusesForLongStartsAnew(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		lead := c.leader()
		c.mustAdd(lead, 10)
		for i, n := range c.nodes {
			n.group.RefusedSince(time.Now().Add(-2 * electionTimeout))
			if i != lead {
				n.group.RefusedSince(time.Now().Add(-time.Hour))
			}
		}
		anew := func(i int) int { return c.nodes[i].said.count("raft starts anew") }
		time.Sleep(electionTimeout / 2)
		if anew(lead) != 0 {
			t.Error("raft was replaced early")
		}
		c.until("raft starts anew", func() bool { return anew(lead) == 1 })
		var p proposals
		p.send(c, lead, 10)
		p.sent.Wait()
		for i := range c.nodes {
			if i != lead && anew(i) != 0 {
				t.Errorf("raft was replaced on node %d, which does not lead", i)
			}
		}
		c.leader()
		c.converge(-1)
		if got := total(t, c.nodes[0].machine); got < 10+p.applied.Load() || got > 10+p.applied.Load()+p.unknown.Load() {
			t.Errorf("the sum is %d: %v", got, &p)
		}
	})
}

// failingAppends fails every write of entries to a log, from the moment that it
// is armed. Votes can be written.
type failingAppends struct{ armed atomic.Bool }

func (f *failingAppends) maybe(op errorfs.Op) error {
	if f.armed.Load() && op.Kind == errorfs.OpFileWriteAt && strings.Contains(op.Path, "wal") && !strings.HasSuffix(op.Path, "vote") {
		return errorfs.ErrInjected
	}
	return nil
}

// TestLeaderWhoseLogFailedIsNotElectedAgain is H10 (issues 612 and 614).
//
// A leader that cannot write to its log steps down, and stands for election
// again: its log is as long as that of the others, and it may be the first to
// ask, for ever. A follower goes on with a memory that does not match its disk.
// Here the first failed write ends the log, and with it the node, so that the
// others elect one whose disk works.
func TestLeaderWhoseLogFailedIsNotElectedAgain(t *testing.T) {
	const broken = 0 // it asks before the others do
	inClusterOf(t, 3, patient(1, 2), func(t *testing.T, c *cluster) {
		f := &failingAppends{}
		c.stop(broken)
		c.nodes[broken].fault = f.maybe
		c.start(broken)
		c.lead(broken)
		sum := c.mustAdd(broken, 10)
		c.converge(10)
		f.armed.Store(true)
		_, err := c.add(broken, 1)
		mustBe(t, err, quorate.Unknown)
		if got := c.mustAdd(c.leader(broken), 5); got < sum+5 || got > sum+6 {
			t.Errorf("the sum is %d after %d and five more", got, sum)
		}
		if c.nodes[broken].group.Leads() {
			t.Error("the node with the broken disk leads")
		}
	})
}

func TestFailedWriteStopsTheNodeAndNotTheOthers(t *testing.T) {
	for _, leading := range []bool{true, false} {
		t.Run(map[bool]string{true: "leader", false: "follower"}[leading], func(t *testing.T) {
			inCluster(t, 3, func(t *testing.T, c *cluster) {
				lead := c.leader()
				sum := c.mustAdd(lead, 10)
				broken := lead
				if !leading {
					broken = (lead + 1) % 3
				}
				f := &failOn{kinds: writes}
				c.restartWith(broken, leading, f)
				f.armed.Store(true)
				if leading {
					_, err := c.add(broken, 1)
					mustBe(t, err, quorate.Unknown)
				} else {
					sum = c.mustAdd(c.leader(broken), 1)
				}
				if err := <-c.nodes[broken].failed; !errors.Is(err, errorfs.ErrInjected) {
					t.Errorf("the node failed with %v", err)
				}
				if err := c.nodes[broken].group.Err(); !errors.Is(err, errorfs.ErrInjected) {
					t.Errorf("Err is %v", err)
				}
				_, err := c.add(broken, 1)
				mustBe(t, err, quorate.NotApplied)
				if _, err := c.nodes[broken].group.Leading(); err == nil {
					t.Error("the node serves readers")
				}
				after := c.mustAdd(c.leader(broken), 5)
				if after < sum+5 || after > sum+6 {
					t.Errorf("the sum is %d after %d and five more", after, sum)
				}
				c.stop(broken)
				c.nodes[broken].fault = nil
				c.start(broken)
				c.converge(after)
			})
		})
	}
}

// TestFailedReadOfTheLogStopsTheLeader breaks the disk of a leader which reads
// old entries for a follower that lags. Raft must come to an end all the same.
func TestFailedReadOfTheLogStopsTheLeader(t *testing.T) {
	inClusterOf(t, 3, func(_ int, _ *consensus.Config, w *wal.Options) { w.CacheBytes = 1 }, func(t *testing.T, c *cluster) {
		f := &failOn{kinds: []errorfs.OpKind{errorfs.OpFileReadAt, errorfs.OpFileRead}}
		c.restartWith(0, true, f)
		c.mustAdd(0, 5)
		f.armed.Store(true)
		_, err := c.add(0, 1)
		if err := <-c.nodes[0].failed; !errors.Is(err, errorfs.ErrInjected) {
			t.Errorf("the node failed with %v (%v)", err, err)
		}
		if err != nil {
			mustBe(t, err, quorate.Unknown)
		}
		c.stop(0)
		c.mustAdd(c.leader(), 5)
	})
}

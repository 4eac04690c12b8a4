package consensus_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/quorate/quorate/internal/consensus"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/wal"
)

// Hashicorp/raft v1.8.0 has twelve known hazards, H1 to H12. Each of them has a
// test that shows what it would do to users, and is green because something here
// stands in its way. The files internal/planted/bugs/h*.txt take that away again,
// one by one, and the test must then fail.
//
//	H1   heartbeats handled beside the main goroutine    hazards_test.go
//	H2   a vote written in two steps                     hazards_test.go
//	H3   a leader verified by answers to old questions   hazards_reads_test.go
//	H4   a leader verified by those who have no vote     hazards_reads_test.go
//	H5   a snapshot over a tail that conflicts with it   hazards_supervisor_test.go
//	H6   a transfer of leadership that never ends        hazards_supervisor_test.go
//	H7   RestoreCommittedLogs                            hazards_internal_test.go
//	H8   logs of others that do not build with it        hazards_internal_test.go
//	H9   futures that are never answered                 hazards_last_test.go
//	H10  a log that could not be written and goes on     hazards_supervisor_test.go
//	H11  a snapshot that takes the place of a newer one  hazards_last_test.go, snapshots_internal_test.go
//	H12  commit up to the end of the own log             hazards_last_test.go

// patience is the election timeout of a leader that is to hold on to its
// leadership after it was cut off: raft lets it for half of that. Nothing may
// depend on it, for a leader that was paused holds on as long as the pause.
const patience = 20 * electionTimeout

// patient makes nodes so.
func patient(nodes ...int) func(int, *consensus.Config, *wal.Options) {
	return func(i int, config *consensus.Config, _ *wal.Options) {
		if slices.Contains(nodes, i) {
			config.ElectionTimeout = patience
		}
	}
}

// TestOldLeaderNeverStampsTheTermOfTheNewOne is H1 (hashicorp/raft issue 695).
//
// Raft handles a heartbeat on the goroutine of the connection, which sets state
// and term. The main goroutine of a leader does not look at them between the
// moment in which it begins to wait for an entry and the moment in which it
// stamps one: it would stamp it with the term of its successor, at the index of
// the successor's first entry. Then there are two entries with the same index
// and term, which raft takes for one and the same for ever.
//
// The second half of H1, a term that goes back behind a vote, would need the
// handler of a heartbeat to write a term. Where transport lets it run there is
// nothing to write; and if it did, TestTermNeverGoesBack shows that the store
// refuses.
func TestOldLeaderNeverStampsTheTermOfTheNewOne(t *testing.T) {
	const old = 0
	inClusterOf(t, 3, patient(old), func(t *testing.T, c *cluster) {
		c.lead(old)
		c.mustAdd(old, 10)
		c.converge(-1)
		// The others speak to the old leader on one connection, the one for
		// heartbeats: a new one cannot be dialled where one way is cut.
		c.forget()
		for i, n := range c.nodes {
			if i != old {
				if err := n.group.Confirm(t.Context(), string(member(old).ID), 1<<40); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i := range c.nodes {
			if i != old {
				c.net.CutOneWay(host(old), host(i))
			}
		}
		c.until("the new leader is heard", func() bool { return !c.nodes[old].group.Leads() })
		_, err := c.add(old, 1)
		applied := err == nil
		lead := c.leader(old)
		c.mustAdd(lead, 5)
		c.heal(old)
		c.mustAdd(c.leader(), 5)
		c.converge(-1)
		c.sameLogs()
		if got := total(t, c.nodes[lead].machine); got != 20 || applied {
			t.Errorf("the sum is %d, not 20; an entry of the old leader was acknowledged: %v", got, applied)
		}
	})
}

// TestCrashInAVoteNeverElectsALeaderWithoutCommittedEntries is H2 (issue 661).
//
// Raft writes a vote as a term and then a candidate. A node that crashes between
// the two comes back with the new term and the candidate of the vote before.
// Asked by that one, raft says that it has voted for it already, and does not
// look at its log again.
//
// Node 1 has voted for node 0 once. Node 2 led after that, committed entries
// with node 1, stopped and asked node 1 for its vote; node 1 crashes before each
// write of it. Then node 0, which has missed those entries, stands for election
// in the same term: node 2 had told it to do so while it was still up to date,
// and the word comes late.
func TestCrashInAVoteNeverElectsALeaderWithoutCommittedEntries(t *testing.T) {
	crashes := 0
	for more := true; more; crashes++ {
		// The two wait, and do not stand for election by themselves meanwhile.
		inClusterOf(t, 3, patient(0, 1), func(t *testing.T, c *cluster) {
			more = c.crashInAVote(crashes)
		})
		if t.Failed() {
			return
		}
	}
	if crashes < 5 {
		t.Errorf("there were only %d writes to crash before", crashes)
	}
}

// crashInAVote crashes node 1 before its write number before of a vote, and says
// whether there was one.
func (c *cluster) crashInAVote(before int) bool {
	const late, voter, third = 0, 1, 2
	c.t.Helper()
	d := &interruption{disk: c.nodes[voter].disk, before: before}
	c.stop(voter)
	c.nodes[voter].fault = d.maybe
	c.start(voter)
	// Two nodes alone cannot elect one without the vote of the other.
	c.stop(third)
	c.mustAdd(c.leader(), 1) // which they have and the third has not
	c.lead(voter)
	c.lead(late)
	c.start(third)
	if vote := c.nodes[voter].log.Vote(); string(vote.Candidate) != member(late).Addr {
		c.t.Fatalf("node %d has voted for %s", voter, vote.Candidate)
	}

	// The third node becomes the leader without the vote of the voter.
	c.cut(voter)
	c.mustAdd(late, 3)
	c.nodes[late].group.HandOver(c.t.Context())
	c.until("node 2 leads", func() bool { return c.leader() == third })
	c.mustAdd(third, 3)
	c.rejoin(voter)
	c.converge(7)

	// It commits with the voter alone, stops, and asks for a vote.
	c.cut(late)
	sum := c.mustAdd(third, 5)
	term, last := c.nodes[third].group.Status().Term, c.nodes[third].log.LastIndex()
	c.until("node 1 has it all", func() bool { return c.nodes[voter].log.LastIndex() == last })
	c.stop(third)
	ghost := c.ghost(third)
	d.armed = true
	granted, err := consensus.AskForVote(c.t.Context(), ghost, member(voter), term+1, last, term)
	if err != nil || !granted {
		c.t.Fatalf("the vote was granted: %v (%v)", granted, err)
	}
	d.armed = false
	more := d.image != nil
	if !more {
		d.image = c.nodes[voter].disk.CrashClone(vfs.CrashCloneCfg{})
	}
	c.stop(voter)
	c.nodes[voter].disk, c.nodes[voter].fault = d.image, nil
	c.start(voter)
	c.rejoin(late)
	if err := errors.Join(consensus.TimeOutNow(c.t.Context(), ghost, member(late)), ghost.Close()); err != nil {
		c.t.Fatal(err)
	}

	lead := c.leader()
	if got := total(c.t, c.nodes[lead].machine); got < sum {
		c.t.Errorf("crash %d: node %d leads term %d and counts %d, but %d were acknowledged",
			before, lead, c.nodes[lead].group.Status().Term, got, sum)
		return false
	}
	c.start(third)
	c.converge(sum)
	c.sameLogs()
	return more
}

// interruption takes an image of a disk right before one of the writes that
// come after it was armed.
type interruption struct {
	disk   *vfs.MemFS
	armed  bool
	before int
	image  *vfs.MemFS
}

func (i *interruption) maybe(op errorfs.Op) error {
	if i.armed && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
		if i.before == 0 {
			// All that was written before is there, synced or not.
			i.image = i.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
		}
		i.before--
	}
	return nil
}

// forget waits until all connections that nobody uses have ended.
func (c *cluster) forget() {
	c.t.Helper()
	time.Sleep(3 * time.Minute)
	c.leader()
}

// rejoin heals a node that was cut off, and lets it hear nothing of what the
// others said to it meanwhile.
func (c *cluster) rejoin(i int) {
	time.Sleep(5 * time.Second) // what was to be dialled is given up
	c.each(i, c.net.Break)
	c.heal(i)
}

// ghost says what a node that has stopped could have said before.
func (c *cluster) ghost(i int) *peer.Port {
	port := peer.New(peer.Config{
		Dial: c.net.Host(host(i)).Dial, Group: 1,
		Self: func() (peer.ClusterID, peer.Member) { return c.id, member(i) },
	})
	port.Start()
	return port
}

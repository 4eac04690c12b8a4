package consensus_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/consensus"
	"github.com/quorate/quorate/internal/readindex"
	"github.com/quorate/quorate/internal/wal"
)

func TestClusterElectsALeaderAndAppliesTheSameEverywhere(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		lead := c.leader()
		if got := c.mustAdd(lead, 50); got != 50 {
			t.Errorf("the sum is %d", got)
		}
		c.converge(50)
		for i, n := range c.nodes {
			if n.group.Leads() != (i == lead) || n.group.Leader() != member(lead) {
				t.Errorf("node %d says that %v leads", i, n.group.Leader())
			}
			if got := len(n.group.Members()); got != 3 {
				t.Errorf("node %d knows %d members", i, got)
			}
			if i == lead {
				continue
			}
			_, err := c.add(i, 1)
			mustBe(t, err, quorate.NotApplied)
			if e, ok := errors.AsType[*quorate.Error](err); !ok || e.Leader != member(lead).Addr {
				t.Errorf("node %d does not name the leader: %v", i, err)
			}
			if _, err := n.group.Leading(); err == nil {
				t.Errorf("node %d leads too", i)
			}
		}
	})
}

func TestSingleNodeLeadsItself(t *testing.T) {
	inCluster(t, 1, func(t *testing.T, c *cluster) {
		c.mustAdd(0, 10)
		c.converge(10)
		c.nodes[0].group.HandOver(t.Context()) // to nobody
		c.crash(0, rand.New(rand.NewPCG(1, 1)))
		c.start(0)
		c.leader()
		c.converge(10)
	})
}

// proposals sends count Adds at once and counts what becomes of them.
type proposals struct {
	sent                         sync.WaitGroup
	applied, notApplied, unknown atomic.Int64
}

func (p *proposals) send(c *cluster, i int, count int) {
	for range count {
		p.sent.Go(func() { p.count(c.add(i, 1)) })
	}
}

func (p *proposals) count(_ int64, err error) {
	switch {
	case err == nil:
		p.applied.Add(1)
	case quorate.OutcomeUnknown(err):
		p.unknown.Add(1)
	default:
		p.notApplied.Add(1)
	}
}

func (p *proposals) String() string {
	return fmt.Sprintf("%d applied, %d not applied, %d unknown", p.applied.Load(), p.notApplied.Load(), p.unknown.Load())
}

func TestLeaderThatIsCutOffAcknowledgesNothingAndItsEntriesAreOverwritten(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		old := c.leader()
		c.mustAdd(old, 10)
		c.converge(10)
		c.cut(old)
		var p proposals
		p.send(c, old, 20)
		lead := c.leader(old)
		if got := c.mustAdd(lead, 5); got != 15 {
			t.Errorf("the sum is %d under the new leader", got)
		}
		p.sent.Wait()
		if p.unknown.Load() != 20 {
			t.Errorf("of 20 entries in flight %v", &p)
		}
		c.until("the old leader steps down", func() bool { return !c.nodes[old].group.Leads() })
		_, err := c.add(old, 1)
		mustBe(t, err, quorate.NotApplied)
		c.heal(old)
		c.converge(15)
		// The entries stood in the log of the old leader, where others stand now.
		if got := c.nodes[old].log.LastIndex(); got != c.nodes[lead].log.LastIndex() {
			t.Errorf("the log of the old leader ends at %d, that of the new one at %d", got, c.nodes[lead].log.LastIndex())
		}
	})
}

func TestReadsOnALeaderThatIsCutOffAreNeverConfirmed(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		for range 5 {
			old := c.leader()
			c.mustAdd(old, 3)
			c.cut(old)
			reads := readindex.New(c.nodes[old].group)
			// Reads come while the node still believes that it leads, and go on
			// until the other side has acknowledged something.
			var committed atomic.Bool
			var readers sync.WaitGroup
			for range 8 {
				readers.Go(func() {
					for !committed.Load() {
						if err := reads.Confirm(t.Context()); err == nil {
							t.Error("a read was confirmed by a minority")
						}
						time.Sleep(time.Millisecond)
					}
				})
			}
			lead := c.leader(old)
			c.mustAdd(lead, 1)
			committed.Store(true)
			c.heal(old)
			readers.Wait()
			if c.nodes[old].group.Leads() {
				t.Error("the old leader leads")
			}
			reads.Close()
			c.converge(-1)
		}
	})
}

// TestConfirmationDoesNotTrustWhatTheLeaderBelieves asks the voters directly:
// an old leader that does not know of its successor gets no confirmation from
// anybody who does.
func TestConfirmationDoesNotTrustWhatTheLeaderBelieves(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		old := c.leader()
		group := c.nodes[old].group
		term, err := group.Leading()
		if err != nil {
			t.Fatal(err)
		}
		voters := group.Voters()
		if len(voters) != 2 {
			t.Fatalf("the other voters are %v", voters)
		}
		for _, voter := range voters {
			if err := group.Confirm(t.Context(), voter, term); err != nil {
				t.Errorf("%s: %v", voter, err)
			}
			if err := group.Confirm(t.Context(), voter, term-1); err == nil {
				t.Errorf("%s confirmed a term that is over", voter)
			}
		}
		if err := group.Confirm(t.Context(), "0000000000000099", term); err == nil {
			t.Error("a stranger confirmed")
		}
		c.cut(old)
		c.leader(old)
		c.heal(old)
		for _, voter := range voters {
			if err := group.Confirm(t.Context(), voter, term); err == nil {
				t.Errorf("%s confirmed the old term", voter)
			}
		}
		silent, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c.cut(old)
		if err := group.Confirm(silent, voters[0], term+99); err == nil {
			t.Error("a voter that cannot be reached confirmed")
		}
		c.heal(old)
	})
}

// slowSync makes every sync of a log take a while.
func slowSync(takes time.Duration) errorfs.InjectorFunc {
	return func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSyncData && strings.Contains(op.Path, "wal") {
			time.Sleep(takes)
		}
		return nil
	}
}

func TestNodeLeadsForReadersOnlyBehindItsOpeningEntry(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		sum := c.mustAdd(c.leader(), 100)
		for i := range c.nodes {
			c.stop(i)
		}
		for i, n := range c.nodes {
			n.fault = slowSync(100 * time.Millisecond)
			c.start(i)
		}
		early := 0
		c.until("a leader that is ready", func() bool {
			for _, n := range c.nodes {
				if !n.group.Leads() {
					continue
				}
				if _, err := n.group.Leading(); err != nil {
					mustBe(t, err, quorate.NotApplied)
					early++
					return false
				}
				if got := total(t, n.machine); got != sum {
					t.Errorf("a leader is ready at %d of %d", got, sum)
				}
				return true
			}
			return false
		})
		if early == 0 {
			t.Error("no leader was seen before it was ready")
		}
	})
}

func TestRestartAppliesNothingTwice(t *testing.T) {
	for seed := range uint64(5) {
		inClusterOf(t, 3, func(_ int, config *consensus.Config, _ *wal.Options) {
			config.SnapshotEntries, config.TrailingEntries = 40, 10
		}, func(t *testing.T, c *cluster) {
			rng := rand.New(rand.NewPCG(seed, 1))
			sum := int64(0)
			for range 6 {
				sum = c.mustAdd(c.leader(), rng.IntN(60))
				if sum == 0 {
					continue
				}
				// Some of the nodes, or all.
				down := rng.IntN(7) + 1
				for i := range c.nodes {
					if down&(1<<i) != 0 {
						c.crash(i, rng)
					}
				}
				for i := range c.nodes {
					if down&(1<<i) != 0 {
						c.start(i)
					}
				}
				c.converge(sum)
			}
		})
	}
}

func TestFollowerBehindTheCutLogGetsTheStateWhileWritesGoOn(t *testing.T) {
	inClusterOf(t, 3, func(_ int, config *consensus.Config, _ *wal.Options) {
		config.SnapshotEntries, config.TrailingEntries = 50, 10
	}, func(t *testing.T, c *cluster) {
		lead := c.leader()
		behind := (lead + 1) % 3
		c.mustAdd(lead, 20)
		c.stop(behind)
		last := c.nodes[lead].log.LastIndex()
		c.mustAdd(lead, 300)
		c.until("the log is cut", func() bool { return c.nodes[lead].log.FirstIndex() > last+1 })
		var stop atomic.Bool
		var writer sync.WaitGroup
		writer.Go(func() {
			for !stop.Load() {
				if _, err := c.add(lead, 1); err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
		c.start(behind)
		c.until("a snapshot is installed", func() bool { return c.nodes[behind].group.Status().SnapshotIndex > last })
		time.Sleep(time.Second)
		stop.Store(true)
		writer.Wait()
		c.converge(-1)
		if first := c.nodes[behind].log.FirstIndex(); first <= last+1 {
			t.Errorf("the log of the follower begins at %d: it was not left behind", first)
		}
		// What was installed is there after a crash.
		c.crash(behind, rand.New(rand.NewPCG(1, 2)))
		c.start(behind)
		c.converge(-1)
	})
}

// failOn lets operations on the log fail from the moment that it is armed.
type failOn struct {
	armed atomic.Bool
	kinds []errorfs.OpKind
}

func (f *failOn) maybe(op errorfs.Op) error {
	if !f.armed.Load() || !strings.Contains(op.Path, "wal") {
		return nil
	}
	for _, kind := range f.kinds {
		if op.Kind == kind {
			return errorfs.ErrInjected
		}
	}
	return nil
}

var writes = []errorfs.OpKind{errorfs.OpFileWriteAt, errorfs.OpFileSyncData, errorfs.OpFileSync, errorfs.OpFileWrite}

// restartWith starts a node again on a disk that f may break, and waits until
// it leads or follows.
func (c *cluster) restartWith(i int, leading bool, f *failOn) {
	c.t.Helper()
	c.stop(i)
	c.nodes[i].fault = f.maybe
	c.start(i)
	for leading && c.leader() != i {
		lead := c.leader()
		c.nodes[lead].group.HandOver(c.t.Context())
	}
	c.converge(-1)
}

func TestHandOverMovesLeadershipAndLosesNothing(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		applied := int64(0)
		unknown := int64(0)
		for range 5 {
			lead := c.leader()
			var p proposals
			var done atomic.Bool
			for range 5 {
				p.sent.Go(func() {
					for !done.Load() {
						p.count(c.add(lead, 1))
						time.Sleep(10 * time.Millisecond)
					}
				})
			}
			time.Sleep(time.Second)
			c.nodes[lead].group.HandOver(t.Context())
			done.Store(true)
			p.sent.Wait()
			applied += p.applied.Load()
			unknown += p.unknown.Load()
			c.until("another leads", func() bool { return c.leader() != lead })
			if got := c.nodes[lead].said.count("raft starts anew"); got != 0 {
				t.Fatalf("raft started anew %d times", got)
			}
		}
		c.converge(-1)
		if got := total(t, c.nodes[0].machine); got < applied || got > applied+unknown {
			t.Errorf("the sum is %d: %d were acknowledged and %d are unknown", got, applied, unknown)
		}
		if applied == 0 {
			t.Error("nothing was applied")
		}
	})
}

// TestStorm cuts, heals, crashes and starts nodes at random while all of them
// get proposals and cut their logs early. What was acknowledged is there once,
// and every state is the same.
func TestStorm(t *testing.T) {
	var applied int64
	for seed := range uint64(6) {
		inClusterOf(t, 3, func(_ int, config *consensus.Config, _ *wal.Options) {
			config.SnapshotEntries, config.TrailingEntries = 30, 5
		}, func(t *testing.T, c *cluster) {
			rng := rand.New(rand.NewPCG(seed, 6))
			var p proposals
			for range 25 {
				i := rng.IntN(3)
				switch rng.IntN(5) {
				case 0:
					c.cut(i)
				case 1:
					c.heal(i)
				case 2:
					if c.nodes[i].group == nil {
						c.start(i)
					} else {
						c.crash(i, rng)
					}
				case 3:
					if c.nodes[i].group != nil {
						c.nodes[i].group.HandOver(t.Context())
					}
				}
				var burst sync.WaitGroup
				for _, n := range c.nodes {
					if n.group == nil {
						continue
					}
					for range 20 {
						burst.Go(func() { p.count(c.addOn(n.group, 1)) })
					}
				}
				time.Sleep(time.Duration(rng.IntN(2000)) * time.Millisecond)
				burst.Wait()
			}
			for i := range c.nodes {
				c.heal(i)
				if c.nodes[i].group == nil {
					c.start(i)
				}
			}
			c.converge(-1)
			got := total(t, c.nodes[0].machine)
			if got < p.applied.Load() || got > p.applied.Load()+p.unknown.Load() {
				t.Errorf("seed %d: the sum is %d: %v", seed, got, &p)
			}
			applied += p.applied.Load()
			for i, n := range c.nodes {
				if err := n.group.Err(); err != nil {
					t.Errorf("seed %d: node %d failed: %v", seed, i, err)
				}
			}
		})
	}
	if applied < 200 {
		t.Errorf("only %d entries were applied: too few to mean much", applied)
	}
}

func TestChangesAreToldAndStatusIsTrue(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		lead := c.leader()
		c.mustAdd(lead, 10)
		c.converge(10)
		s := c.nodes[lead].group.Status()
		if s.Role != consensus.Leader || s.Leader != member(lead) || s.Term == 0 || s.Behind != 0 ||
			s.CommitIndex != s.LastIndex || s.FirstIndex != 1 || s.SnapshotIndex != 0 {
			t.Errorf("the leader stands at %+v", s)
		}
		other := (lead + 1) % 3
		changed := c.nodes[other].group.Changed()
		c.stop(lead)
		<-changed
		c.until("another leads", func() bool { return c.leader() != lead })
	})
}

// TestNodeThatCannotApplyDoesNotServe: an entry of a newer program stops every
// node, and none of them serves readers from then on.
func TestNodeThatCannotApplyDoesNotServe(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		lead := c.leader()
		c.mustAdd(lead, 3)
		c.converge(3)
		_, err := c.nodes[lead].group.Propose([]byte("no entry of this version"))
		mustBe(t, err, quorate.Unknown)
		for i, n := range c.nodes {
			<-n.failed
			if _, err := n.group.Leading(); err == nil {
				t.Errorf("node %d serves readers", i)
			}
			_, err := c.add(i, 1)
			mustBe(t, err, quorate.NotApplied)
			if got := total(t, n.machine); got != 3 {
				t.Errorf("node %d stands at %d", i, got)
			}
		}
	})
}

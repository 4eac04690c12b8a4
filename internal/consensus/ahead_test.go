package consensus_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/consensus"
	"github.com/quorate/quorate/internal/wal"
)

// brake holds up the syncs of a log.
type brake struct {
	mu   sync.Mutex
	held chan error // nil while nothing is held; what it sends is how a sync ends
}

func (b *brake) String() string { return "brake" }

// MaybeError implements errorfs.Injector.
func (b *brake) MaybeError(op errorfs.Op) error {
	b.mu.Lock()
	held := b.held
	b.mu.Unlock()
	if held == nil || op.Kind != errorfs.OpFileSyncData {
		return nil
	}
	return <-held
}

// hold holds up every sync from now on, until what it returns is called. That
// lets them go on, or fail with the error.
func (b *brake) hold() (release func(error)) {
	held := make(chan error, 1)
	b.mu.Lock()
	b.held = held
	b.mu.Unlock()
	return func(err error) {
		b.mu.Lock()
		b.held = nil
		b.mu.Unlock()
		if err != nil {
			held <- err
		}
		close(held)
	}
}

// inBrakedCluster is inCluster with nodes whose logs have brakes. The first one
// leads and has proposed one entry, which all have applied.
func inBrakedCluster(t *testing.T, f func(t *testing.T, c *cluster, brakes []*brake)) {
	brakes := []*brake{{}, {}, {}}
	inClusterOf(t, len(brakes), func(i int, _ *consensus.Config, w *wal.Options) {
		w.FS = errorfs.Wrap(w.FS, brakes[i])
	}, func(t *testing.T, c *cluster) {
		c.lead(0)
		c.mustAdd(0, 1)
		c.converge(1)
		f(t, c, brakes)
	})
}

// outcome is what a proposal came to.
type outcome struct {
	sum int64
	err error
}

func (c *cluster) addBeside(i int) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		sum, err := c.add(i, 1)
		done <- outcome{sum, err}
	}()
	return done
}

func TestALeaderSendsWhileItsDiskSyncsAndShowsNothing(t *testing.T) {
	inBrakedCluster(t, func(t *testing.T, c *cluster, brakes []*brake) {
		before := c.nodes[0].log.LastIndex()
		release := brakes[0].hold()
		done := c.addBeside(0)
		c.until("the entry is on the disks of the others", func() bool {
			return c.nodes[1].log.LastIndex() == before+1 && c.nodes[2].log.LastIndex() == before+1
		})
		time.Sleep(10 * electionTimeout)
		for i, n := range c.nodes {
			if n.group.Committed() != before || n.group.Status().CommitIndex != before || n.machine.Meta().Index != before {
				t.Errorf("node %d shows an entry that the leader has not made durable:\n%s", i, c.status())
			}
		}
		if commit, err := c.nodes[0].group.Commit(); err != nil || commit.Index != before {
			t.Errorf("the leader tells readers of a commit index of %v, %v; durable is %d", commit, err, before)
		}
		select {
		case got := <-done:
			release(nil)
			t.Fatalf("it was answered: %v", got)
		default:
		}
		release(nil)
		if got := <-done; got.err != nil || got.sum != 2 {
			t.Errorf("when it was durable the answer was %v", got)
		}
		c.converge(2)
	})
}

func TestALeaderWhoseDiskFailsAheadOfTheAnswerStops(t *testing.T) {
	inBrakedCluster(t, func(t *testing.T, c *cluster, brakes []*brake) {
		before := c.nodes[0].log.LastIndex()
		release := brakes[0].hold()
		done := c.addBeside(0)
		c.until("the entry is on the disk of another", func() bool { return c.nodes[1].log.LastIndex() == before+1 })
		broken := errors.New("broken")
		release(broken)
		got := <-done
		if e, ok := errors.AsType[*quorate.Error](got.err); !ok || e.Outcome != quorate.Unknown {
			t.Errorf("the answer is %v, and it may be in the log", got)
		}
		if err := <-c.nodes[0].failed; !errors.Is(err, broken) {
			t.Errorf("the node stops because of %v", err)
		}
		if at := c.nodes[0].machine.Meta().Index; at != before {
			t.Errorf("it applied %d, which it does not have", at)
		}
		c.stop(0)
		c.mustAdd(c.leader(), 1)
		c.converge(3) // the entry was on two disks
	})
}

func TestALeaderThatLosesWhatItHadSentAheadGetsItBack(t *testing.T) {
	inBrakedCluster(t, func(t *testing.T, c *cluster, brakes []*brake) {
		before := c.nodes[0].log.LastIndex()
		release := brakes[0].hold()
		done := c.addBeside(0)
		c.until("the entry is on the disks of the others", func() bool {
			return c.nodes[1].log.LastIndex() == before+1 && c.nodes[2].log.LastIndex() == before+1
		})
		time.AfterFunc(time.Millisecond, func() { release(nil) }) // crash waits for the disk
		c.crash(0, rand.New(rand.NewPCG(1, 1)))
		<-done
		c.start(0)
		c.converge(2)
	})
}

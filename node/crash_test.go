package node_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/peer/memnet"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/node"
)

// tally is what callers know of one counter.
type tally struct {
	mu                    sync.Mutex
	acknowledged, unknown int64
	answers               map[int64]bool
}

func (l *tally) note(t *testing.T, n int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		if l.answers[n] {
			t.Errorf("two increments were answered with %d", n)
		}
		l.answers[n] = true
		l.acknowledged++
	case quorate.OutcomeUnknown(err):
		l.unknown++
	}
}

// check compares the counter with what callers know of it.
func (l *tally) check(t *testing.T, got int64) {
	t.Helper()
	if got < l.acknowledged || got > l.acknowledged+l.unknown {
		t.Errorf("the counter is %d: %d increments were acknowledged and %d are unknown", got, l.acknowledged, l.unknown)
	}
}

// callers increment one counter through every node that runs until stop ends.
func (c *cluster) callers(l *tally, stop context.Context) *sync.WaitGroup {
	var calling sync.WaitGroup
	for _, n := range c.nodes {
		calling.Go(func() {
			for stop.Err() == nil {
				ctx, cancel := context.WithTimeout(stop, 2*time.Second)
				got, err := quorate.Do(ctx, n, kv.Inc{Key: "hits", By: 1})
				cancel()
				l.note(c.t, got, err)
				time.Sleep(40 * time.Millisecond)
			}
		})
	}
	return &calling
}

// crash cuts the power of the nodes: what was not synced is there or not, as
// chance has it. Their disks are the images that the crash left behind.
func (c *cluster) crash(random *rand.Rand, victims ...int) {
	// First the network, so that nothing is promised that the images lack.
	for _, i := range victims {
		c.isolate(i)
	}
	images := make(map[int]vfs.FS)
	for _, i := range victims {
		images[i] = c.disks[i].(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: random.IntN(101), RNG: random})
	}
	for _, i := range victims {
		c.stop(i)
		c.disks[i] = images[i]
	}
}

// oneCluster checks that all nodes are in the same cluster.
func (c *cluster) oneCluster() {
	c.t.Helper()
	for i := range c.nodes {
		first, other := c.nodes[0].Status(c.t.Context()), c.nodes[i].Status(c.t.Context())
		if first.Cluster == "" || other.Cluster != first.Cluster || len(other.Members) != len(c.nodes) {
			c.t.Errorf("node %d is in cluster %q of %d, node 0 in %q", i, other.Cluster, len(other.Members), first.Cluster)
		}
	}
}

func TestPowerFailureRightAfterTheFirstAnswerLosesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 1)
		disk := vfs.NewCrashableMem()
		c.disks[0] = disk
		c.change = func(_ int, config *node.Config) { config.Dir = "deep/down/data" }
		c.start(0)
		c.ready()
		c.inc(0, "hits")
		image := disk.CrashClone(vfs.CrashCloneCfg{})
		c.stop(0)
		c.disks[0] = image
		c.start(0)
		c.ready()
		defer c.close()
		if got := c.read(0, "hits"); got != 1 {
			t.Errorf("after the crash the counter is %d", got)
		}
	})
}

func TestPowerFailuresWhileNodesFormAndServe(t *testing.T) {
	for range 2 {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			inBubble(t, func(t *testing.T) { powerFailures(t, seed) })
		})
	}
}

// powerFailures crashes all nodes, or one, at random moments of the first
// seconds of their life, and then looks at what is left.
func powerFailures(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	c := newCluster(t, 3)
	for i := range c.disks {
		c.disks[i] = vfs.NewCrashableMem()
	}
	c.change = func(_ int, config *node.Config) {
		config.ElectionTimeout, config.SnapshotEntries, config.TrailingEntries = 300*time.Millisecond, 40, 10
	}
	l := &tally{answers: make(map[int64]bool)}
	for round := range 6 {
		for i := range c.nodes {
			if c.nodes[i] == nil {
				c.start(i)
				time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
			}
		}
		stop, end := context.WithCancel(t.Context())
		calling := c.callers(l, stop)
		// The first rounds end while the cluster forms.
		lives := 300 + 600*round
		time.Sleep(time.Duration(random.IntN(lives)) * time.Millisecond)
		if victim := random.IntN(6); victim < 3 {
			c.crash(random, victim)
			end()
			calling.Wait()
			c.heal()
			continue
		}
		c.crash(random, 0, 1, 2)
		end()
		calling.Wait()
		c.net = memnet.New()
	}
	for i := range c.nodes {
		if c.nodes[i] == nil {
			c.start(i)
		}
	}
	defer c.close()
	c.ready()
	c.oneCluster()
	for i := range c.nodes {
		l.check(t, c.read(i, "hits"))
	}
	c.converged()
	t.Logf("%d acknowledged, %d unknown", l.acknowledged, l.unknown)
}

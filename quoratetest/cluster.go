package quoratetest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/machine"
	"github.com/quorate/quorate/internal/peer/memnet"
	"github.com/quorate/quorate/node"
)

const (
	// electionTimeout is short, so that tests on real time need not wait long for
	// a leader, and many times what a busy machine needs to answer.
	electionTimeout = 200 * time.Millisecond
	// linkDelay is how long a message takes. It is what lets virtual time go on
	// from one node to the next.
	linkDelay = 100 * time.Microsecond
	// segmentBytes is small because a disk in memory copies whole files.
	segmentBytes = 128 << 10
	// dataDir is where a node lives on its disk, and logDir its log.
	dataDir = "data"
	logDir  = dataDir + "/wal"
	// nodesMax is how many voters a cluster may have.
	nodesMax = 9
)

// patience is how long the kit waits for a leader, for nodes to be ready and for
// them to agree: much longer than any of it takes.
const patience = 30 * time.Second

// Nodes is a cluster made by Cluster. It is an Executor: each call goes through
// the next node of those that run and are not cut off or paused. Its verbs may be
// called from several goroutines; Leader, Follower and WaitConverged, which can end
// the test, from that of the test.
type Nodes struct {
	t       testing.TB
	service *quorate.Service
	net     *memnet.Network
	all     []*Node
	log     *slog.Logger
	limits  limits
	ledger  *ledger
	guard   *guard
	// applied makes what runs the commands of a node. It is guard.watched but for
	// tests of the kit.
	applied func(n *Node, l *life) machine.Apply
	// lives is those who wait for the end of a node, or close one.
	lives sync.WaitGroup
	turns atomic.Uint64 // of Execute

	// mu guards links.
	mu sync.Mutex
	// links is what keeps nodes from each other.
	links links
}

// limits is after how many entries a node takes a snapshot, and how many it keeps
// behind it. Zero is the default of a node.
type limits struct{ snapshotEntries, trailingEntries uint64 }

// Cluster starts count real nodes of a service in this process, on a network and
// on disks in memory, and returns when all are ready. They are stopped when the
// test ends.
//
// It works on real time, and on virtual time in a bubble of testing/synctest,
// where a test that waits for leaders costs next to nothing. In a bubble, create
// it there.
//
// What it checks without being asked, and fails t for:
//
//   - Each command runs twice on the same state, and must write and return the
//     same, also on all nodes, and again on a node that was started again.
//   - No answer that is not stale is older than one that was heard before it was
//     asked for; a stale one is not older than it says.
//   - No node stops by itself.
//
// And when the test ends, after cuts and pauses were undone, all nodes that were
// stopped were started, and none of that if the test has failed already:
//
//   - All nodes come to the same state.
//   - Nothing that was acknowledged is lost: if all nodes lose their power at that
//     moment, and with it what they did not sync, then each command that was
//     answered without an error stands in the logs of a majority of the disks, at
//     the index of its answer, or was there before the log was cut behind a
//     snapshot.
//   - No goroutine of a node is left.
func Cluster(t testing.TB, service *quorate.Service, count int) *Nodes {
	t.Helper()
	c := newCluster(t, service, count, slog.New(slog.NewTextHandler(t.Output(), nil)), limits{})
	t.Cleanup(c.end)
	if err := c.open(); err != nil {
		t.Fatal(err)
	}
	return c
}

func newCluster(t testing.TB, service *quorate.Service, count int, log *slog.Logger, l limits) *Nodes {
	t.Helper()
	if count < 1 || count > nodesMax {
		t.Fatalf("a cluster has 1 to %d nodes, not %d", nodesMax, count)
	}
	c := &Nodes{t: t, service: service, net: memnet.New(), log: log, limits: l, ledger: newLedger(), links: newLinks()}
	c.guard = newGuard(twice, func(err error) { t.Errorf("%v", err) })
	c.applied = func(n *Node, l *life) machine.Apply {
		return c.guard.watched(c.ledger, n.Name(), func() bool { return !l.over.Load() })
	}
	for i := range count {
		c.all = append(c.all, &Node{cluster: c, index: i, turn: make(chan struct{}, 1), disk: vfs.NewCrashableMem()})
	}
	c.delay(func(*Node, *Node) func() time.Duration { return func() time.Duration { return linkDelay } })
	return c
}

// open starts all nodes and waits until they are ready.
func (c *Nodes) open() error {
	for _, n := range c.all {
		if err := n.start(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, n := range c.all {
		if err := n.running().node.Ready(ctx); err != nil {
			return fmt.Errorf("%s did not become ready: %w", n.Name(), err)
		}
	}
	return nil
}

// All is all nodes, also those that do not run.
func (c *Nodes) All() []*Node { return slices.Clone(c.all) }

// Execute implements quorate.Executor.
func (c *Nodes) Execute(ctx context.Context, calls []quorate.Call) []quorate.Reply {
	turn := int(c.turns.Add(1) % uint64(len(c.all)))
	for i := range c.all {
		if n := c.all[(turn+i)%len(c.all)]; c.serves(n) {
			return n.Execute(ctx, calls)
		}
	}
	return c.all[turn].Execute(ctx, calls)
}

// serves says that a node runs and reaches a majority.
func (c *Nodes) serves(n *Node) bool {
	if n.running() == nil {
		return false
	}
	reached := 0
	for _, other := range c.all {
		if c.reaches(n, other) {
			reached++
		}
	}
	return reached > len(c.all)/2
}

// heard checks answers that came through a node.
func (c *Nodes) heard(n *Node, calls []quorate.Call, replies []quorate.Reply, when asked) {
	if len(replies) != len(calls) {
		c.t.Errorf("%s gave %d replies to %d calls", n.Name(), len(replies), len(calls))
		return
	}
	stale := !anyWrites(c.service, calls) && !slices.ContainsFunc(calls, func(call quorate.Call) bool { return call.Read == 0 })
	for i, call := range calls {
		op, ok := quorate.Engine().Lookup(c.service, call)
		if !ok {
			continue
		}
		if err := c.ledger.heard(op, call, replies[i], when, stale); err != nil {
			c.t.Errorf("through %s: %v", n.Name(), err)
		}
	}
}

// doubt is the outcome of calls whose answers were lost.
func (c *Nodes) doubt(calls []quorate.Call) quorate.Outcome {
	if anyWrites(c.service, calls) {
		return quorate.Unknown
	}
	return quorate.NotApplied
}

// Leader waits for a node that leads, reaches a majority and is not paused, and
// returns it.
func (c *Nodes) Leader() *Node {
	c.t.Helper()
	leader := c.leader()
	if leader == nil {
		c.t.Fatalf("after %v no node leads", patience)
	}
	return leader
}

// Follower is a node that runs, reaches a majority and does not lead.
func (c *Nodes) Follower() *Node {
	c.t.Helper()
	leader := c.Leader()
	for _, n := range c.all {
		if n != leader && c.serves(n) {
			return n
		}
	}
	c.t.Fatal("no node that runs and reaches a majority follows")
	return nil
}

// look is how often the kit looks whether what it waits for is there.
const look = 5 * time.Millisecond

func (c *Nodes) leader() *Node {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(look) {
		var leader *Node
		var newest uint64
		for _, n := range c.all {
			l := n.running()
			if l == nil || !c.serves(n) {
				continue
			}
			if s := l.status(); s.Role == node.Leader && s.Term > newest {
				leader, newest = n, s.Term
			}
		}
		if leader != nil {
			return leader
		}
	}
	return nil
}

// status is how a node sees itself. No other is asked.
func (l *life) status() node.Status { return l.node.Status(ended()) }

// Start starts a node that was stopped or killed, on the disk that it left. It
// does not wait until the node is ready: it may be that it cannot be before
// others are started.
func (c *Nodes) Start(n *Node) {
	c.t.Helper()
	var err error
	n.take(func() { err = n.start() })
	if err != nil {
		c.t.Error(err)
	}
}

// Stop stops a node in good order: it answers the calls under way, gives
// leadership to another one and closes.
func (c *Nodes) Stop(n *Node) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stopMax)
	defer cancel()
	var err error
	n.take(func() { err = n.stop(ctx) })
	if err != nil {
		c.t.Error(err)
	}
}

// Kill cuts the power of a node: what it did not sync to its disk is lost, nobody
// hears from it any more, and of calls under way through it the outcome is
// unknown.
func (c *Nodes) Kill(n *Node) {
	c.t.Helper()
	n.take(func() { n.kill(0, nil) })
}

// WaitConverged waits until all nodes that run have applied the same, and fails
// the test if that is not the same state, or if they do not come to it. Nodes
// that are cut off or paused do not.
func (c *Nodes) WaitConverged() {
	c.t.Helper()
	if err := c.converge(); err != nil {
		c.t.Fatal(err)
	}
}

package quoratetest

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/peer/memnet"
	"github.com/quorate/quorate/node"
)

// Node is one node of a cluster made by Cluster. It is an Executor: calls go
// through this node, as from a program that runs beside it. It stays the same
// when the node is stopped and started again; while it does not run it refuses
// calls as surely not applied.
type Node struct {
	cluster *Nodes
	index   int
	// turn is held by who starts or stops the node. It is a channel because that
	// takes time, and who waits for a mutex would hold up virtual time.
	turn chan struct{}

	// mu guards what follows.
	mu sync.Mutex
	// life is the node that runs; nil if none does.
	life *life
	// disk is what it starts from.
	disk *vfs.MemFS
	// resumed is closed when the node goes on; nil if it is not paused.
	resumed chan struct{}
}

// life is one run of a node, from its start to its end.
type life struct {
	node *node.Node
	disk *vfs.MemFS
	host *memnet.Host
	// over says that it has ended: what it does from then on, such as closing
	// after its power was cut, counts for nothing.
	over atomic.Bool
	// closing says that it is being stopped in good order: its last answers
	// count.
	closing atomic.Bool
}

// Name is the name of the node: n1, n2 and so on.
func (n *Node) Name() string { return fmt.Sprintf("n%d", n.index+1) }

// addr is where the node listens for the others.
func (n *Node) addr() string { return n.Name() + ":7302" }

// Node is the node that runs, to mount doors on it or to ask it for its Status;
// nil if none does. Calls that are made on it are not checked by the kit.
func (n *Node) Node() *node.Node {
	if l := n.running(); l != nil {
		return l.node
	}
	return nil
}

func (n *Node) running() *life {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.life
}

// take does something to the node while nobody else does.
func (n *Node) take(do func()) {
	n.turn <- struct{}{}
	defer func() { <-n.turn }()
	do()
}

// Execute implements quorate.Executor.
func (n *Node) Execute(ctx context.Context, calls []quorate.Call) []quorate.Reply {
	c := n.cluster
	if err := n.awake(ctx); err != nil {
		return refused(calls, quorate.NotApplied, "%s is paused: %v", n.Name(), err)
	}
	l := n.running()
	if l == nil {
		return refused(calls, quorate.NotApplied, "%s does not run", n.Name())
	}
	when := c.ledger.ask()
	replies := l.node.Execute(ctx, calls)
	if err := n.awake(ctx); err != nil {
		return refused(calls, c.doubt(calls), "%s is paused: %v", n.Name(), err)
	}
	if l.over.Load() {
		return refused(calls, c.doubt(calls), "the power of %s was cut", n.Name())
	}
	c.heard(n, calls, replies, when)
	return replies
}

// refused answers every call with one error.
func refused(calls []quorate.Call, outcome quorate.Outcome, format string, args ...any) []quorate.Reply {
	replies := make([]quorate.Reply, len(calls))
	for i := range replies {
		replies[i].Err = &quorate.Error{Code: quorate.Unavailable, Outcome: outcome, Message: fmt.Sprintf(format, args...)}
	}
	return replies
}

// start starts the node on its disk. The caller holds the turn.
func (n *Node) start() error {
	c := n.cluster
	n.mu.Lock()
	l := &life{disk: n.disk, host: c.net.Host(n.Name())}
	runs := n.life != nil
	n.mu.Unlock()
	if runs {
		return nil
	}
	err := c.marked(func() (err error) {
		l.node, err = node.Start(c.service, c.config(n, l))
		return err
	})
	if err != nil {
		l.host.PowerOff()
		return fmt.Errorf("start %s: %w", n.Name(), err)
	}
	n.mu.Lock()
	n.life = l
	n.mu.Unlock()
	c.lives.Go(func() { n.watch(l) })
	return nil
}

// config is how a node runs.
func (c *Nodes) config(n *Node, l *life) node.Config {
	config := node.Config{
		Dir: dataDir, Peer: n.addr(), Log: slog.New(lifeLog{c.log.Handler(), l}).With("at", n.Name()),
		ElectionTimeout: electionTimeout,
		SnapshotEntries: c.limits.snapshotEntries, TrailingEntries: c.limits.trailingEntries,
		Host: node.Host{
			FS: l.disk, Listen: l.host.Listen, Dial: l.host.Dial, SegmentBytes: segmentBytes,
			Apply: c.applied(n, l),
		},
	}
	for _, other := range c.all {
		config.Join = append(config.Join, other.addr())
	}
	return config
}

// watch waits for the end of a node, which must have a reason.
func (n *Node) watch(l *life) {
	<-l.node.Done()
	if l.over.Load() || l.closing.Load() {
		return
	}
	n.cluster.t.Errorf("%s stopped by itself: %v", n.Name(), l.node.Err())
	n.leave(l)
}

// leave says that a life is no longer that of the node.
func (n *Node) leave(l *life) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	left := n.life == l
	if left {
		n.life = nil
	}
	return left
}

// stopMax is how long an orderly stop waits for calls under way and for another
// leader.
const stopMax = 5 * time.Second

// stop closes the node as an operator does. The caller holds the turn.
func (n *Node) stop(ctx context.Context) error {
	l := n.running()
	if l == nil {
		return nil
	}
	l.closing.Store(true)
	n.leave(l)
	err := l.node.Close(ctx)
	l.over.Store(true)
	l.host.PowerOff()
	n.mu.Lock()
	n.disk = l.disk
	n.mu.Unlock()
	if err != nil {
		return fmt.Errorf("stop %s: %w", n.Name(), err)
	}
	return nil
}

// kill cuts the power of the node: of what was not synced to its disk, each part
// survives with the chance of percent. The caller holds the turn.
func (n *Node) kill(percent int, random *rand.Rand) {
	l := n.running()
	if l == nil || !n.leave(l) {
		return
	}
	// From here on nothing that it says is heard, so that nothing is promised
	// that the image lacks. A goroutine cannot be killed: the node goes on, on a
	// disk that nobody looks at any more and without a network, and is closed.
	l.over.Store(true)
	l.host.PowerOff()
	image := l.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: random})
	n.mu.Lock()
	n.disk = image
	n.mu.Unlock()
	n.cluster.lives.Go(func() {
		// What it says of a disk that is gone is of no interest.
		_ = l.node.Close(ended())
	})
}

// ended is a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// Package node is one running copy of a service: it opens what the other rooms
// hold, wires them, routes calls between them, and unwinds it all.
//
// The rules it keeps: a call is checked before it goes anywhere; it is passed
// on by the node that got it from its caller and by no other; it is tried again
// only if it was surely not applied, or if doing it twice is doing it once, as
// for a query and a command with an id. What fails in the background stops the
// node, and Done and Err tell.
//
// It reads no flags, handles no signals, prints nothing and keeps nothing
// outside of a Node: any number of them run in one process.
//
// The goroutines of a node besides those of its rooms: one that forms the cluster
// and then doubts it (run), one that lets log time go on when something ends
// (expire), one that asks the other members what they know while they have not
// agreed on all that this node knows (widen), one for each call that another node
// passes on and for each follower that asks how far the log is, one beside each
// call that was passed on which looks out for another leader, one for each voter
// that is asked what its state came to and one that asks them all because another
// node did (diverge), and one that unwinds a node that failed.
package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/batch"
	"github.com/quorate/quorate/internal/consensus"
	"github.com/quorate/quorate/internal/deadline"
	"github.com/quorate/quorate/internal/logtime"
	"github.com/quorate/quorate/internal/machine"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/readindex"
	"github.com/quorate/quorate/internal/wal"
)

// group is the only raft group there is. It stands in every format, so that
// there can be more one day.
const group = 1

// Node is one running copy of a service.
type Node struct {
	service  *quorate.Service
	config   Config
	dir      *directory
	identity atomic.Pointer[identity]
	seesAll  atomic.Bool

	port    *peer.Port
	wire    *consensus.Wire
	wal     *wal.Log
	state   *consensus.State
	machine *machine.Machine
	// core is nil until the node is in a cluster.
	core atomic.Pointer[core]

	ctx     context.Context // ends when the node begins to close
	cancel  context.CancelFunc
	running sync.WaitGroup // run and expire
	passed  sync.WaitGroup // calls that others pass on
	calls   counter        // all calls under way
	// deadlines are those of calls that have none.
	deadlines deadline.Shared
	fresh     freshness      // of the state
	clock     *logtime.Clock // for what this node stamps as the leader
	ticking   chan struct{}  // holds one while somebody puts the time into the log
	disputes  disputes       // about states that differ
	hearsay   hearsay        // of what the other members know
	// hurry ends when calls under way are not waited for any longer.
	hurry  context.Context
	hasten context.CancelFunc

	opened chan struct{} // closed when Start has opened all there is, or given up
	// closing says that somebody unwinds the node, or that there is nothing to
	// unwind. Others wait for done: not in a lock, which would stop virtual time.
	closing atomic.Bool
	done    chan struct{} // closed when the node is closed

	// mu guards err.
	mu  sync.Mutex
	err error
}

// core is what a node has once it is in a cluster.
type core struct {
	group  *consensus.Group
	batch  *batch.Batcher
	reads  *readindex.Rounds // asks the voters, on the leader
	follow *readindex.Rounds // asks the leader, on a follower
}

// Open opens a node and waits until it is ready, or until ctx ends. See Start.
func Open(ctx context.Context, service *quorate.Service, config Config) (*Node, error) {
	n, err := Start(service, config)
	if err != nil {
		return nil, err
	}
	if err := n.Ready(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("the node did not become ready: %w", err), n.Close(context.WithoutCancel(ctx)))
	}
	return n, nil
}

// Start opens a node and returns at once. Calls are answered as unavailable
// until the cluster has formed and has a leader; Ready waits for that. The
// error says what is wrong with the configuration or the data directory.
func Start(service *quorate.Service, config Config) (*Node, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	dir, id, err := openDirectory(config, service.Name())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	hurry, hasten := context.WithCancel(context.Background())
	n := &Node{
		service: service, config: config, dir: dir,
		opened: make(chan struct{}), done: make(chan struct{}), ticking: make(chan struct{}, 1),
		ctx: ctx, cancel: cancel, hurry: hurry, hasten: hasten, disputes: disputes{asking: make(chan struct{}, 1)},
	}
	n.identity.Store(&id)
	n.config.Log = config.Log.With("node", string(id.Node))
	defer close(n.opened)
	if err := n.open(); err != nil {
		cancel()
		hasten()
		n.closing.Store(true) // here, and not by fail
		return nil, errors.Join(err, n.closeFiles())
	}
	n.running.Go(n.run)
	return n, nil
}

// open opens what does not need a cluster.
func (n *Node) open() (err error) {
	fs := n.config.Host.FS
	if n.wal, err = wal.Open(wal.Options{FS: fs, Dir: n.dir.join(walDir), Group: group, SegmentBytes: n.config.Host.SegmentBytes, Log: n.config.Log}); err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	n.state, err = consensus.OpenState(consensus.StateOptions{
		FS: fs, Dir: n.config.Dir, Group: group, Log: n.config.Log, Failed: n.fail, LayerBytes: n.config.Host.LayerBytes,
	})
	if err != nil {
		return err
	}
	n.machine = machine.New(machine.Config{
		Service: n.service, Store: n.state.Store(), Limits: machine.DefaultLimits, Log: n.config.Log,
		Apply: n.config.Host.Apply, Judge: n.judge,
	})
	if err := n.machine.Unfit(); err != nil {
		return err
	}
	n.clock = logtime.New(logtime.Config{Wall: n.config.Host.Now, Stamped: n.logTime, Agree: n.agree, Log: n.config.Log})
	listener, err := n.config.Host.Listen(n.config.Peer)
	if err != nil {
		return fmt.Errorf("open peer port: %w", err)
	}
	// Only now: a directory is bound to its address for ever, and one that
	// cannot be listened on may be a slip of the pen.
	if err := n.dir.complete(*n.identity.Load()); err != nil {
		return errors.Join(err, listener.Close())
	}
	n.port = peer.New(peer.Config{
		Listener: listener, Dial: n.config.Host.Dial, Group: group, Self: n.self, Log: n.config.Log,
	})
	n.wire = consensus.NewWire(n.port)
	n.serve()
	n.port.Start()
	return nil
}

// self is who this node is, for the handshake.
func (n *Node) self() (peer.ClusterID, peer.Member) {
	id := n.identity.Load()
	// An identity is checked when it is loaded, and empty means none yet.
	cluster, _ := peer.ParseClusterID(id.Cluster)
	return cluster, peer.Member{ID: id.Node, Addr: id.Peer}
}

// run brings the node into its cluster.
func (n *Node) run() {
	if err := n.form(n.ctx); err != nil {
		if n.ctx.Err() == nil {
			n.fail(err)
		}
		return
	}
	group, err := consensus.Start(n.groupConfig())
	if err != nil {
		n.fail(err)
		return
	}
	c := &core{
		group:  group,
		batch:  batch.New(group.Propose, n.stamp),
		reads:  readindex.New(group),
		follow: readindex.Share(n.askLeader),
	}
	n.core.Store(c)
	n.running.Go(func() { n.expire(n.ctx, c) })
	n.running.Go(func() { n.widen(n.ctx, c) })
	n.doubt(n.ctx, group)
}

// aloneTimeout is the election timeout of a node that is the only member:
// there is nobody to wait for.
const aloneTimeout = 100 * time.Millisecond

func (n *Node) groupConfig() consensus.Config {
	id := n.identity.Load()
	c := consensus.Config{
		Self: peer.Member{ID: id.Node, Addr: id.Peer}, Wire: n.wire, WAL: n.wal, State: n.state, Machine: n.machine,
		Log: n.config.Log, Failed: n.fail,
		ElectionTimeout: n.config.ElectionTimeout,
		SnapshotEntries: n.config.SnapshotEntries, TrailingEntries: n.config.TrailingEntries,
	}
	for _, f := range id.Founders {
		c.Founders = append(c.Founders, peer.Member{ID: f.Node, Addr: f.Peer})
	}
	if len(c.Founders) == 1 {
		c.ElectionTimeout = min(c.ElectionTimeout, aloneTimeout)
	}
	return c
}

// readyInterval is how often Ready looks where nothing tells it.
const readyInterval = 20 * time.Millisecond

// Ready waits until the node has a leader and its state has caught up with
// what it knows to be committed. It returns the error of ctx, or that of a node
// that stopped.
func (n *Node) Ready(ctx context.Context) error {
	ticker := time.NewTicker(readyInterval)
	defer ticker.Stop()
	for !n.ready() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", n.missing(), ctx.Err())
		case <-n.ctx.Done():
			return n.stopped()
		case <-ticker.C:
		}
	}
	return nil
}

func (n *Node) ready() bool {
	c := n.core.Load()
	if c == nil || n.ctx.Err() != nil {
		return false
	}
	s := c.group.Status()
	if s.Role == consensus.Leader {
		_, err := c.group.Leading()
		return err == nil
	}
	return s.Leader.ID != "" && s.CommitIndex > 0 && s.CommitIndex >= s.SnapshotIndex && s.Behind == 0
}

// missing says why a node is not ready.
func (n *Node) missing() string {
	c := n.core.Load()
	switch {
	case n.ctx.Err() != nil:
		return "the node is closing"
	case c == nil:
		return "the other members have not been seen yet"
	case c.group.Leader().ID == "":
		return "there is no leader"
	}
	return "the state of the node has not caught up"
}

// stopped is why a node does not serve any more.
func (n *Node) stopped() error {
	if err := n.Err(); err != nil {
		return fmt.Errorf("the node has stopped: %w", err)
	}
	return errors.New("the node is closed")
}

// Done is closed when the node has stopped: after Close, or by itself when it
// failed.
func (n *Node) Done() <-chan struct{} { return n.done }

// Err is why the node stopped by itself; nil if it did not.
func (n *Node) Err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.err
}

// fail stops the node because it cannot go on. It returns at once.
func (n *Node) fail(err error) {
	if errors.Is(err, errUndecided) {
		return // it is closing already, and nothing is wrong with that
	}
	n.mu.Lock()
	first := n.err == nil
	if first {
		n.err = err
	}
	n.mu.Unlock()
	if first {
		n.config.Log.Error("the node stops", "error", err)
		n.cancel()
		n.hasten()
		go func() {
			<-n.opened // the disk may fail while the node is being opened
			n.unwind(context.Background())
		}()
	}
}

// HandOver gives leadership to another node if this one leads, so that the
// others need not wait until they miss it. It returns when another leads, when
// ctx ends, or after 2 s at the latest. The node serves on.
func (n *Node) HandOver(ctx context.Context) {
	if c := n.core.Load(); c != nil && n.ctx.Err() == nil {
		c.group.HandOver(ctx)
	}
}

// Close refuses new calls, answers those under way, gives leadership to
// another node and closes this one. If ctx ends it does not wait for calls and
// leadership. It returns why the node stopped by itself, if it did.
func (n *Node) Close(ctx context.Context) error {
	n.cancel()
	n.unwind(ctx)
	<-n.done
	return n.Err()
}

// unwind closes everything, in the opposite order of its making, unless
// somebody does.
func (n *Node) unwind(ctx context.Context) {
	if !n.closing.CompareAndSwap(false, true) {
		return
	}
	defer close(n.done)
	n.running.Wait()
	c := n.core.Load()
	if n.Err() == nil {
		n.drain(ctx, c)
	}
	// From here on nothing is waited for that could take long: what is still
	// on its way is answered as raft and the port end.
	n.hasten()
	if c != nil {
		c.follow.Close()
		c.reads.Close()
		c.group.Close()
		c.batch.Close()
	}
	n.clock.Close()
	n.closePort()
	n.calls.wait(context.Background())
	n.passed.Wait()
	if err := n.closeFiles(); err != nil && n.Err() == nil {
		n.mu.Lock()
		n.err = err
		n.mu.Unlock()
	}
}

// drain waits for the calls under way and gives leadership to another node,
// until ctx ends or the node fails.
func (n *Node) drain(ctx context.Context, c *core) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.hurry, cancel)()
	n.calls.wait(ctx)
	if c != nil {
		c.group.HandOver(ctx)
	}
}

func (n *Node) closePort() {
	if err := n.port.Close(); err != nil {
		n.config.Log.Debug("close peer port", "error", err)
	}
}

// closeFiles closes what is open of the data directory. A state that was
// flushed saves the next start the work of applying the log again.
func (n *Node) closeFiles() error {
	var errs []error
	if n.machine != nil {
		if n.Err() == nil {
			errs = append(errs, n.machine.Flush())
		}
		errs = append(errs, n.machine.Close())
	}
	if n.wal != nil {
		err := n.wal.Close()
		if n.Err() == nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, n.dir.close())...)
}

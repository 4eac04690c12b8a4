// Package consensus is this node's part in one raft group. It is the only room
// that imports hashicorp/raft, and it hides what has to be known about it.
//
// The rules it keeps:
//
//   - An entry is answered after a majority has it on disk and it was applied
//     here; every failure says whether the entry may yet be applied.
//   - This node is the leader for readers only while it leads a term in which
//     an entry of its own was applied, and only by asking the other voters.
//   - What raft does beside its main goroutine, in two steps, or not at all is
//     made safe here, outside of it: see stableStore, transport and reconcile.
//   - A node whose disk fails stops.
//
// It does not know what an entry means, batches nothing and retries nothing.
//
// The goroutines of a group: those of raft; one that follows what raft does
// (watch), one that opens each term (open), one that decides about snapshots
// (keep); one for each call of another node that raft has not answered, one for
// each follower that appends are pipelined to, and one while raft is told a
// commit index that was learned.
package consensus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/machine"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/wal"
	"github.com/quorate/quorate/internal/watermark"
)

// Config is what a group works with. The caller closes Log, Machine and the
// port after the group.
type Config struct {
	Self    peer.Member
	Wire    *Wire
	WAL     *wal.Log
	State   *State
	Machine *machine.Machine
	Log     *slog.Logger
	// Founders is the first members of the cluster, this node among them, in
	// one order on all of them; ignored once there is a log.
	Founders []peer.Member
	// ElectionTimeout is how long a follower waits for its leader.
	ElectionTimeout time.Duration
	// SnapshotEntries is after how many entries a snapshot is taken;
	// TrailingEntries is how many of them stay in the log.
	SnapshotEntries, TrailingEntries uint64
	// Failed is called once if the group has to stop.
	Failed func(error)
}

// Group is this node's part in one raft group.
type Group struct {
	config Config
	stable *stableStore
	// running says that raft has taken over the goroutines that call the
	// log and the stable store.
	running atomic.Bool
	// opened is the last term that this node led and in which an entry of its
	// own was applied.
	opened atomic.Uint64
	// barrier is the index of the opening entry of that term. All entries before
	// it are applied.
	barrier atomic.Uint64
	// done is up to where raft has handed entries to the state, and they were
	// applied. Raft hands over commands and configurations only.
	done watermark.Mark
	// current is the raft instance that runs. It is nil while one is being
	// replaced.
	current atomic.Pointer[instance]
	// refused is since when raft has refused entries because of a transfer of
	// leadership, in unix nanoseconds; 0 if it does not.
	refused atomic.Int64
	// handed is a term in which leadership is being handed over, or was to be
	// and raft ran out of time; 0 if there is none.
	handed atomic.Uint64

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	tasks   sync.WaitGroup
	restart chan string // a reason to replace the raft instance
	check   chan struct{}

	// mu guards what follows.
	mu      sync.Mutex
	changed chan struct{} // closed and replaced when role, term or leader change
	err     error
}

// instance is one raft instance and what ends with it.
type instance struct {
	raft      *raft.Raft
	transport *transport
	observer  *raft.Observer
	stopped   chan struct{} // closed when raft has shut down
}

// Start joins the group.
func Start(config Config) (*Group, error) {
	ctx, cancel := context.WithCancel(context.Background())
	g := &Group{
		config: config, ctx: ctx, cancel: cancel,
		restart: make(chan string, 1), check: make(chan struct{}, 1), changed: make(chan struct{}),
	}
	g.config.State.machine = config.Machine
	g.stable = newStableStore(config.WAL, &g.running)
	config.Wire.stable.Store(g.stable)
	if err := g.bootstrap(); err != nil {
		cancel()
		return nil, err
	}
	if err := g.start(); err != nil {
		cancel()
		return nil, err
	}
	g.tasks.Go(g.watch)
	g.tasks.Go(g.open)
	g.tasks.Go(g.keep)
	return g, nil
}

// bootstrap writes the first entry of a new cluster, which names its members.
// All of them write the same one. Done again after a crash it does what was left
// to do.
func (g *Group) bootstrap() error {
	log := g.config.WAL
	if len(g.config.Founders) == 0 || log.LastIndex() > 0 || g.config.State.newest != nil {
		return nil
	}
	const first = 1 // index and term of the first entry
	if vote := log.Vote(); vote.Term > first {
		return fmt.Errorf("this node has taken part in term %d, but its log is empty: make it anew from an empty directory", vote.Term)
	}
	var configuration raft.Configuration
	for _, m := range g.config.Founders {
		configuration.Servers = append(configuration.Servers, raft.Server{
			Suffrage: raft.Voter, ID: raft.ServerID(m.ID), Address: raft.ServerAddress(m.Addr),
		})
	}
	if err := g.stable.setTerm(first); err != nil {
		return fmt.Errorf("begin a cluster: %w", err)
	}
	entry := wal.Entry{Index: first, Term: first, Kind: uint8(raft.LogConfiguration), Data: raft.EncodeConfiguration(configuration)}
	if err := log.Append([]wal.Entry{entry}); err != nil {
		return fmt.Errorf("begin a cluster: %w", err)
	}
	return nil
}

// start runs a raft instance on what is on disk.
func (g *Group) start() error {
	if err := g.matchLog(g.config.State.position()); err != nil {
		return err
	}
	t := newTransport(g.config.Wire, g.config.Self, g.stable, g.config.ElectionTimeout)
	r, err := g.newRaft(t)
	if err != nil {
		return errors.Join(fmt.Errorf("start raft: %w", err), t.Close())
	}
	g.running.Store(true)
	following := func() bool { return r.State() == raft.Follower }
	t.following.Store(&following)
	progress := func() (committed, last uint64) { return r.CommitIndex(), r.LastIndex() }
	t.progress.Store(&progress)
	i := &instance{raft: r, transport: t, observer: g.observer(), stopped: make(chan struct{})}
	r.RegisterObserver(i.observer)
	g.current.Store(i)
	g.config.Wire.transport.Store(t)
	g.signal()
	return nil
}

// newRaft makes a raft instance. Raft panics where it cannot read its log.
func (g *Group) newRaft(t *transport) (r *raft.Raft, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	logs := &logStore{log: g.config.WAL, running: &g.running, snapshot: g.config.State.position, ahead: g.ahead}
	return raft.NewRaft(g.raftConfig(), fsm{g}, logs, g.stable, g.config.State, t)
}

// entriesInFlightMax is how many entries raft puts into one append. It is far
// above what a batcher has in flight, so that one append carries all of them.
const entriesInFlightMax = 256

// never is for what raft would do by itself and the group does.
const never = 1 << 62

func (g *Group) raftConfig() *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(g.config.Self.ID)
	c.HeartbeatTimeout = g.config.ElectionTimeout
	c.ElectionTimeout = g.config.ElectionTimeout
	c.LeaderLeaseTimeout = g.config.ElectionTimeout / 2
	c.CommitTimeout = min(c.CommitTimeout, g.config.ElectionTimeout/4)
	c.MaxAppendEntries = entriesInFlightMax
	c.TrailingLogs = g.config.TrailingEntries
	c.SnapshotThreshold = never // keep decides
	c.SnapshotInterval = time.Hour
	// The state is on disk: the newest snapshot is in it already, which
	// OpenState has made sure of.
	c.NoSnapshotRestoreOnStart = true
	c.ShutdownOnRemove = false
	c.NoLegacyTelemetry = true
	c.Logger = chatter{log: g.config.Log}
	return c
}

// observer tells watch that something changed. It drops what watch is too slow
// for, which looks at raft itself and not at what it was told.
func (g *Group) observer() *raft.Observer {
	return raft.NewObserver(nil, false, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.LeaderObservation, raft.RaftState:
			select {
			case g.check <- struct{}{}:
			default:
			}
		}
		return false
	})
}

// stop ends a raft instance. What is on its way is answered by raft, or by
// the end of stopped.
func (g *Group) stop(i *instance) {
	g.config.Wire.transport.CompareAndSwap(i.transport, nil)
	shutdown := i.raft.Shutdown()
	// The transport first: raft waits for calls under way.
	_ = i.transport.Close()
	_ = shutdown.Error()
	i.raft.DeregisterObserver(i.observer)
	close(i.stopped)
	if err := g.config.State.settle(); err != nil {
		g.config.Log.Warn("a snapshot that came from another node could not be removed", "error", err)
	}
}

// await is the outcome of a future of raft. It ends with the instance.
//
// Raft gives its futures a channel that ends them at its shutdown, but leaves
// it out for those of entries, snapshots and transfers, and does not answer
// them if they were in a queue then: whoever waits would wait for ever. The
// field is exported, its type is not.
func (i *instance) await(future raft.Future) error {
	if v := reflect.ValueOf(future); v.Kind() == reflect.Pointer {
		if field := v.Elem().FieldByName("ShutdownCh"); field.IsValid() && field.CanSet() {
			field.Set(reflect.ValueOf(i.stopped))
		}
	}
	return future.Error()
}

// handOverTimeout bounds how long a leader that closes waits for another.
const handOverTimeout = 2 * time.Second

// Leads says that raft leads, as far as this node knows.
func (g *Group) Leads() bool {
	i := g.current.Load()
	return i != nil && i.raft.State() == raft.Leader
}

// HandOver gives leadership to another node, if this one leads. It returns
// when another leads or a moment has passed.
//
// Behind one that ran out of time it tries no more in that term. Such a transfer
// may leave a question to the goroutine that replicates; another behind it waits
// until that one takes it, which it never does if the term ends first, and two
// goroutines of raft stay for ever. checkTransfer mends what that does to a later
// term.
func (g *Group) HandOver(ctx context.Context) {
	i := g.current.Load()
	if i == nil || i.raft.State() != raft.Leader || len(g.Voters()) == 0 {
		return
	}
	term, began := i.raft.CurrentTerm(), time.Now()
	if g.handed.Swap(term) == term {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, handOverTimeout)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := i.await(i.raft.LeadershipTransfer()); err != nil {
			g.config.Log.Debug("leadership was not handed over", "error", err)
		}
		if time.Since(began) < g.config.ElectionTimeout { // what raft gives a transfer
			g.handed.CompareAndSwap(term, 0)
		}
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// Close ends this node's part in the group. Nothing may be proposed any more.
func (g *Group) Close() {
	g.cancel()
	g.tasks.Wait()
	if i := g.current.Swap(nil); i != nil {
		g.stop(i)
	}
	g.signal()
}

// Err is why the group has to stop; nil while it has not.
func (g *Group) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// fail stops the node: what it knows does not match what it stored.
func (g *Group) fail(err error) {
	g.mu.Lock()
	first := g.err == nil
	if first {
		g.err = err
	}
	g.mu.Unlock()
	if first {
		g.config.Failed(err)
	}
}

// Changed is closed when role, term or leader change after it was called.
func (g *Group) Changed() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changed
}

func (g *Group) signal() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.changed)
	g.changed = make(chan struct{})
}

// Propose puts an entry into the log and returns the answers to its calls once
// it was applied. The error is an *quorate.Error whose outcome is sure.
func (g *Group) Propose(data []byte) ([]quorate.Reply, error) {
	i := g.current.Load()
	if i == nil {
		return nil, quorate.Errorf(quorate.Unavailable, "this node takes no part in the cluster at the moment")
	}
	if err := g.Err(); err != nil {
		return nil, quorate.Errorf(quorate.Unavailable, "this node stops: %v", err)
	}
	future := i.raft.Apply(data, 0)
	err := i.await(future)
	g.noteTransfer(err)
	if err != nil {
		return nil, outcome(err, g.leaderAddr())
	}
	answer := future.Response().(applied)
	switch {
	case answer.err != nil:
		return nil, outcome(answer.err, "")
	case answer.replies == nil:
		// The state reflected the entry before raft handed it on, which
		// cannot be for one that this node has just proposed.
		return nil, outcome(errPassedOver, "")
	}
	return answer.replies, nil
}

var errPassedOver = errors.New("the entry was applied already, and its answers are not known")

// noteTransfer keeps since when raft has refused entries because leadership
// is being transferred.
func (g *Group) noteTransfer(err error) {
	if !errors.Is(err, raft.ErrLeadershipTransferInProgress) {
		g.refused.Store(0)
		return
	}
	g.refused.CompareAndSwap(0, time.Now().UnixNano())
}

func (g *Group) leaderAddr() string { return g.Leader().Addr }

// Leader is who leads as far as this node knows; empty if it knows of none. It
// is this node only while raft leads: for a moment after it has stepped down,
// raft still names it.
func (g *Group) Leader() peer.Member {
	i := g.current.Load()
	if i == nil {
		return peer.Member{}
	}
	addr, id := i.raft.LeaderWithID()
	leader := to(id, addr)
	if leader.ID == g.config.Self.ID && i.raft.State() != raft.Leader {
		return peer.Member{}
	}
	return leader
}

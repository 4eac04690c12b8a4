package consensus_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/consensus"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/machine"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/peer/memnet"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/wal"
)

// Add adds to the only counter of the test service and returns the sum.
type Add struct{ By int64 }

// Apply adds.
func (a Add) Apply(tx *quorate.Tx) (int64, error) {
	sum := sumOf(&tx.View) + a.By
	tx.Set(sumKey, binary.BigEndian.AppendUint64(nil, uint64(sum)))
	return sum, nil
}

var sumKey = []byte("sum")

func sumOf(view *quorate.View) int64 {
	value, ok := view.Get(sumKey)
	if !ok {
		return 0
	}
	return int64(binary.BigEndian.Uint64(value))
}

var service = quorate.Define("sums", quorate.Write[Add]("ADD"))

// electionTimeout is that of every cluster here.
const electionTimeout = time.Second

// cluster is nodes in one bubble, on a network and on disks in memory.
type cluster struct {
	t     *testing.T
	id    peer.ClusterID
	net   *memnet.Network
	nodes []*node
	// seed tells apart the entries of propose.
	seed uint64
	// change alters what a node is started with.
	change func(i int, c *consensus.Config, w *wal.Options)
}

// node is one member and what it stands on.
type node struct {
	disk *vfs.MemFS
	// fault, if set, is asked before each I/O.
	fault errorfs.InjectorFunc

	port    *peer.Port
	log     *wal.Log
	machine *machine.Machine
	group   *consensus.Group // nil while the node is stopped
	failed  chan error
	said    *diary
}

// diary keeps what a node logs for people.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (d *diary) WithAttrs([]slog.Attr) slog.Handler               { return d }
func (d *diary) WithGroup(string) slog.Handler                    { return d }
func (d *diary) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
	return nil
}

// count is how many lines hold text.
func (d *diary) count(text string) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, line := range d.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// inCluster runs f on virtual time with n nodes that have a leader. Every
// goroutine must end with it.
func inCluster(t *testing.T, n int, f func(t *testing.T, c *cluster)) {
	t.Helper()
	inClusterOf(t, n, nil, f)
}

// inClusterOf is inCluster with nodes that are altered before they start.
func inClusterOf(t *testing.T, n int, change func(int, *consensus.Config, *wal.Options), f func(t *testing.T, c *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t, id: peer.NewClusterID(), net: memnet.New(), change: change}
		for range n {
			c.nodes = append(c.nodes, &node{disk: vfs.NewCrashableMem(), said: &diary{}})
		}
		for i := range n {
			c.start(i)
		}
		defer c.close()
		c.leader()
		f(t, c)
	})
}

func (c *cluster) close() {
	for i := range c.nodes {
		c.stop(i)
	}
}

func host(i int) string { return fmt.Sprint("n", i) }

func member(i int) peer.Member {
	return peer.Member{ID: peer.NodeID(fmt.Sprintf("%016x", i+1)), Addr: host(i) + ":7302"}
}

func (c *cluster) start(i int) {
	c.t.Helper()
	n := c.nodes[i]
	disk := vfs.FS(n.disk)
	if n.fault != nil {
		disk = errorfs.Wrap(disk, n.fault)
	}
	log := slog.New(n.said)
	n.failed = make(chan error, 10)
	failed := func(err error) {
		select {
		case n.failed <- err:
		default:
		}
	}
	walOptions := wal.Options{FS: disk, Dir: "data/wal", Group: 1, SegmentBytes: 64 << 10}
	config := consensus.Config{
		Self: member(i), Log: log, Failed: failed, ElectionTimeout: electionTimeout,
		SnapshotEntries: 1 << 20, TrailingEntries: 1 << 20,
	}
	if i == 0 {
		for j := range c.nodes {
			config.Founders = append(config.Founders, member(j))
		}
	}
	if c.change != nil {
		c.change(i, &config, &walOptions)
	}
	var err error
	if n.log, err = wal.Open(walOptions); err != nil {
		c.t.Fatalf("node %d: %v", i, err)
	}
	config.WAL = n.log
	config.State, err = consensus.OpenState(consensus.StateOptions{FS: disk, Dir: "data", Group: 1, Log: log, Failed: failed})
	if err != nil {
		c.t.Fatalf("node %d: %v", i, err)
	}
	n.machine = machine.New(machine.Config{Service: service, Store: config.State.Store(), Limits: machine.DefaultLimits, Log: log})
	config.Machine = n.machine
	listener, err := c.net.Listen(member(i).Addr)
	if err != nil {
		c.t.Fatalf("node %d: %v", i, err)
	}
	n.port = peer.New(peer.Config{
		Listener: listener, Dial: c.net.Host(host(i)).Dial, Group: 1,
		Self: func() (peer.ClusterID, peer.Member) { return c.id, member(i) },
	})
	config.Wire = consensus.NewWire(n.port)
	n.port.Start()
	if n.group, err = consensus.Start(config); err != nil {
		c.t.Fatalf("node %d: %v", i, err)
	}
}

// stop ends a node in good order.
func (c *cluster) stop(i int) {
	n := c.nodes[i]
	if n.group == nil {
		return
	}
	n.group.Close()
	n.group = nil
	if err := errors.Join(n.port.Close(), n.machine.Close()); err != nil {
		c.t.Errorf("node %d: %v", i, err)
	}
	if err := n.log.Close(); err != nil && n.log.Err() == nil {
		c.t.Errorf("node %d: %v", i, err)
	}
}

// crash ends a node as the loss of power does: of what was not synced, some
// is there afterwards and some is not.
func (c *cluster) crash(i int, rng *rand.Rand) {
	n := c.nodes[i]
	after := n.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng})
	c.stop(i)
	n.disk = after
}

// cut separates a node from all others, heal joins it again.
func (c *cluster) cut(i int)  { c.each(i, c.net.Cut) }
func (c *cluster) heal(i int) { c.each(i, c.net.Heal) }

func (c *cluster) each(i int, f func(a, b string)) {
	for j := range c.nodes {
		if j != i {
			f(host(i), host(j))
		}
	}
}

// until waits for a condition.
func (c *cluster) until(what string, holds func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: not within five minutes\n%s", what, c.status())
		}
	}
}

func (c *cluster) status() string {
	var all strings.Builder
	for i, n := range c.nodes {
		if n.group != nil {
			fmt.Fprintf(&all, "node %d: %+v, state %+v, log %d to %d, %v\n", i, n.group.Status(), n.machine.Meta(),
				n.log.FirstIndex(), n.log.LastIndex(), n.group.Err())
		}
	}
	return all.String()
}

// leader waits until a node leads and is ready for readers. Nodes that are cut
// off do not count: without names it looks at all.
func (c *cluster) leader(except ...int) int {
	c.t.Helper()
	leader := -1
	c.until("a leader", func() bool {
		for i, n := range c.nodes {
			if n.group == nil || len(except) > 0 && except[0] == i {
				continue
			}
			if _, err := n.group.Leading(); err == nil {
				leader = i
				return true
			}
		}
		return false
	})
	return leader
}

// add proposes one Add on a node.
func (c *cluster) add(i int, by int64) (int64, error) { return c.addOn(c.nodes[i].group, by) }

// addOn is add on a group that may be closing.
func (c *cluster) addOn(group *consensus.Group, by int64) (int64, error) {
	call, err := quorate.NewCall(Add{By: by})
	if err != nil {
		return 0, err
	}
	data := entry.Append(nil, entry.Header{Time: time.Now()}, []quorate.Call{call})
	replies, err := group.Propose(data)
	if err != nil {
		return 0, err
	}
	return replies[0].Value.Int(), replies[0].Err
}

// mustAdd proposes n times on a node and returns the sum.
func (c *cluster) mustAdd(i int, n int) (sum int64) {
	c.t.Helper()
	for range n {
		var err error
		if sum, err = c.add(i, 1); err != nil {
			c.t.Fatalf("add on node %d: %v\n%s", i, err, c.status())
		}
	}
	return sum
}

// converge waits until the nodes that run have applied the same, and checks
// that it is the same and that the counter stands at the sum, unless it is
// negative.
func (c *cluster) converge(sum int64) store.Meta {
	c.t.Helper()
	var metas []store.Meta
	c.until("the same state everywhere", func() bool {
		metas = metas[:0]
		lead := c.leader()
		commit := c.nodes[lead].group.Status().CommitIndex
		for _, n := range c.nodes {
			if n.group != nil {
				metas = append(metas, n.machine.Meta())
				if s := n.group.Status(); s.CommitIndex != commit || s.Behind > 0 || s.LastIndex != commit {
					return false
				}
			}
		}
		for _, m := range metas[1:] {
			if m.Index != metas[0].Index {
				return false
			}
		}
		return true
	})
	for i, n := range c.nodes {
		if n.group == nil {
			continue
		}
		if got := n.machine.Meta(); got != metas[0] {
			c.t.Fatalf("the states differ: %+v and %+v\n%s", got, metas[0], c.status())
		}
		if got := total(c.t, n.machine); sum >= 0 && got != sum {
			c.t.Fatalf("node %d counted %d, not %d", i, got, sum)
		}
	}
	return metas[0]
}

// lead makes a node the leader of nodes that have the same state; handTo does
// not wait for that.
func (c *cluster) lead(i int) {
	c.t.Helper()
	c.handTo(i)
	c.converge(-1)
}

func (c *cluster) handTo(i int) {
	c.t.Helper()
	c.until("the leader that is wanted", func() bool {
		lead := c.leader()
		if lead != i {
			c.nodes[lead].group.HandOver(c.t.Context())
			time.Sleep(electionTimeout)
		}
		return lead == i
	})
}

// sameLogs checks that wherever two nodes have an entry it is the same.
func (c *cluster) sameLogs() {
	c.t.Helper()
	held := make(map[uint64]wal.Entry)
	for i, n := range c.nodes {
		if n.group == nil || n.log.LastIndex() == 0 {
			continue
		}
		for index := n.log.FirstIndex(); index <= n.log.LastIndex(); index++ {
			e, err := n.log.Entry(index)
			if err != nil {
				c.t.Fatalf("node %d: %v", i, err)
			}
			if other, ok := held[index]; ok && (other.Term != e.Term || other.Kind != e.Kind || !bytes.Equal(other.Data, e.Data)) {
				c.t.Errorf("entry %d of node %d has term %d and %d bytes; on another node it has term %d and %d bytes",
					index, i, e.Term, len(e.Data), other.Term, len(other.Data))
			}
			held[index] = e
		}
	}
}

// total is where the counter stands.
func total(t testing.TB, m *machine.Machine) int64 {
	t.Helper()
	view := m.View()
	defer func() {
		if err := view.Close(); err != nil {
			t.Error(err)
		}
	}()
	return sumOf(quorate.Engine().NewView(view, engine.Moment{}))
}

// mustBe checks code and outcome of an error of Propose.
func mustBe(t testing.TB, err error, outcome quorate.Outcome) {
	t.Helper()
	if e, ok := errors.AsType[*quorate.Error](err); !ok || e.Code != quorate.Unavailable || e.Outcome != outcome {
		t.Errorf("the answer is %v, not unavailable and %s", err, outcome)
	}
}

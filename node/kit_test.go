package node_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/peer/memnet"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/node"
)

// cluster is nodes in one bubble, on a network and on disks in memory.
type cluster struct {
	t     *testing.T
	net   *memnet.Network
	nodes []*node.Node
	disks []vfs.FS
	// service is what the nodes run; kv unless a test says otherwise.
	service *quorate.Service
	// change alters the configuration of a node before it starts.
	change func(i int, c *node.Config)
}

// inBubble runs f on virtual time. All goroutines must end with it.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func newCluster(t *testing.T, n int) *cluster {
	c := &cluster{t: t, net: memnet.New(), nodes: make([]*node.Node, n), service: kv.Service}
	for range n {
		c.disks = append(c.disks, vfs.NewMem())
	}
	return c
}

// startCluster starts n nodes and waits until all are ready.
func startCluster(t *testing.T, n int) *cluster {
	t.Helper()
	c := newCluster(t, n)
	for i := range n {
		c.start(i)
	}
	c.ready()
	return c
}

func addr(i int) string { return host(i) + ":7302" }

func (c *cluster) addrs() []string {
	var addrs []string
	for i := range c.nodes {
		addrs = append(addrs, addr(i))
	}
	return addrs
}

func (c *cluster) config(i int) node.Config {
	config := node.Config{
		Dir: "data", Peer: addr(i), Join: c.addrs(),
		Host: node.Host{
			FS: c.disks[i], Listen: c.net.Listen, Dial: c.net.Host(host(i)).Dial,
			SegmentBytes: 128 << 10, // disks in memory copy whole files
		},
	}
	if c.change != nil {
		c.change(i, &config)
	}
	return config
}

func (c *cluster) start(i int) {
	c.t.Helper()
	n, err := node.Start(c.service, c.config(i))
	if err != nil {
		c.t.Fatalf("start node %d: %v", i, err)
	}
	c.nodes[i] = n
}

// ready waits until every node that runs is ready.
func (c *cluster) ready() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	for i, n := range c.nodes {
		if n == nil {
			continue
		}
		if err := n.Ready(ctx); err != nil {
			c.t.Fatalf("node %d: %v", i, err)
		}
	}
}

func (c *cluster) stop(i int) {
	c.t.Helper()
	if err := c.nodes[i].Close(c.t.Context()); err != nil {
		c.t.Errorf("close node %d: %v", i, err)
	}
	c.nodes[i] = nil
}

// close stops the nodes that still run. A bubble must end without goroutines,
// so it is called within.
func (c *cluster) close() {
	for i, n := range c.nodes {
		if n != nil {
			c.stop(i)
		}
	}
}

// host is the name of a node on the network.
func host(i int) string { return fmt.Sprintf("n%d", i) }

// isolate cuts a node off from all others.
func (c *cluster) isolate(i int) {
	for other := range c.nodes {
		if other != i {
			c.net.Cut(host(i), host(other))
		}
	}
}

// heal undoes every cut.
func (c *cluster) heal() {
	for i := range c.nodes {
		for other := range i {
			c.net.Heal(host(i), host(other))
		}
	}
}

// leader waits for a node that leads, as seen by itself.
func (c *cluster) leader() int {
	c.t.Helper()
	for range 1000 {
		for i, n := range c.nodes {
			if n != nil && n.Status(c.t.Context()).Role == node.Leader {
				return i
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.t.Fatal("no node leads")
	return -1
}

// follower is a node that runs and does not lead.
func (c *cluster) follower() int {
	c.t.Helper()
	leader := c.leader()
	for i, n := range c.nodes {
		if n != nil && i != leader {
			return i
		}
	}
	c.t.Fatal("no node follows")
	return -1
}

// routed is the leader, and a follower that is connected to it. The counter
// hits is 2 by then.
func (c *cluster) routed() (leader, through int) {
	c.t.Helper()
	c.inc(0, "hits")
	leader, through = c.leader(), c.follower()
	c.inc(through, "hits")
	return leader, through
}

// converged waits until all nodes that run have applied the same, and checks
// that they hold the same.
func (c *cluster) converged() {
	c.t.Helper()
	for range 1000 {
		if c.same() == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.t.Fatal(c.same())
}

func (c *cluster) same() error {
	var first string
	for i, n := range c.nodes {
		if n == nil {
			continue
		}
		hash, index, err := n.ContentHash(c.t.Context())
		if err != nil {
			return err
		}
		state := fmt.Sprintf("index %d, content %s, state %s", index, hash, n.Status(c.t.Context()).StateHash)
		if first == "" {
			first = state
		}
		if state != first {
			return fmt.Errorf("node %d: %s; another: %s", i, state, first)
		}
	}
	return nil
}

// inc increments a counter through a node and fails the test if that fails.
func (c *cluster) inc(i int, key string) int64 {
	c.t.Helper()
	n, err := quorate.Do(c.t.Context(), c.nodes[i], kv.Inc{Key: kv.Key(key), By: 1})
	if err != nil {
		c.t.Fatalf("inc %s through node %d: %v", key, i, err)
	}
	return n
}

// read reads a counter through a node; 0 if there is none.
func (c *cluster) read(i int, key string) int64 {
	c.t.Helper()
	v, err := quorate.Ask(c.t.Context(), c.nodes[i], kv.Get{Key: kv.Key(key)})
	if errors.Is(err, &quorate.Error{Code: quorate.NotFound}) {
		return 0
	}
	if err != nil {
		c.t.Fatalf("get %s through node %d: %v", key, i, err)
	}
	return v.Int()
}

package main

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate/internal/peer/memnet"
	"github.com/quorate/quorate/node"
	"github.com/quorate/quorate/quoratetest"
)

func TestLimitHoldsThroughAllNodesAndLeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := quoratetest.Cluster(t, service, 3)
		allowed := 0
		for i := range 12 {
			if i == 6 {
				c.Kill(c.Leader())
				c.Leader()
			}
			if mustAsk(t, c, Allow{Key: "ann", Limit: 5, Per: time.Hour.Milliseconds(), Cost: 1}).Allowed {
				allowed++
			}
		}
		if allowed != 5 {
			t.Errorf("%d calls of an hour passed, want 5", allowed)
		}
	})
}

// The clock of the server that leads goes an hour ahead, and that of another an
// hour behind, when the limit of a day is used up.
func TestServersWithDifferentClocksAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, ahead := openWithClocks(t, 3)
		if allowed := ask30(t, nodes); allowed != 24 {
			t.Errorf("%d of 30 calls passed, with a limit of 24 a day", allowed)
		}
		leader := leading(t, nodes)
		ahead[leader].Store(int64(time.Hour))
		ahead[(leader+1)%len(nodes)].Store(int64(-time.Hour))
		for turn := range 4 {
			if allowed := ask30(t, nodes); allowed != 0 {
				t.Errorf("turn %d: %d calls passed within a minute of the last", turn, allowed)
			}
			nodes[leading(t, nodes)].HandOver(t.Context())
		}
	})
}

// ask30 asks ten times through each node, and returns how much was let through.
func ask30(t *testing.T, nodes []*node.Node) (allowed int) {
	t.Helper()
	for _, n := range nodes {
		for range 10 {
			if mustAsk(t, n, Allow{Key: "ann", Limit: 24, Per: (24 * time.Hour).Milliseconds(), Cost: 1}).Allowed {
				allowed++
			}
		}
	}
	return allowed
}

// leading is the number of the node that leads after a call was answered.
func leading(t *testing.T, nodes []*node.Node) int {
	t.Helper()
	for i, n := range nodes {
		if n.Status(t.Context()).Role == node.Leader {
			return i
		}
	}
	t.Fatal("no node leads")
	return 0
}

// openWithClocks opens a cluster of nodes whose clocks can be put ahead.
func openWithClocks(t *testing.T, count int) (nodes []*node.Node, ahead []atomic.Int64) {
	t.Helper()
	network := memnet.New()
	ahead = make([]atomic.Int64, count)
	var join []string
	for i := range count {
		join = append(join, fmt.Sprintf("n%d:7302", i))
	}
	for i, addr := range join {
		n, err := node.Start(service, node.Config{
			Dir: "data", Peer: addr, Join: join,
			Host: node.Host{
				FS: vfs.NewMem(), Listen: network.Listen, Dial: network.Host(fmt.Sprintf("n%d", i)).Dial,
				Now: func() time.Time { return time.Now().Add(time.Duration(ahead[i].Load())) }, SegmentBytes: 128 << 10,
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = n.Close(t.Context()) }) // its data is thrown away
		nodes = append(nodes, n)
	}
	for _, n := range nodes {
		if err := n.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return nodes, ahead
}

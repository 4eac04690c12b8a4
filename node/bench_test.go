package node_test

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/node"
	"github.com/quorate/quorate/values"
)

// BenchmarkPut writes through the leader of three nodes in this process, on
// real disks and over loopback, with so many callers at a time.
func BenchmarkPut(b *testing.B) {
	n, _ := threeOnDisk(b)
	for _, callers := range []int{1, 64, 256, 1024, 4096} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) { inParallel(b, n, callers, put) })
	}
}

// BenchmarkGet reads, linearizably, through the leader of three nodes and
// through a follower.
func BenchmarkGet(b *testing.B) {
	leader, follower := threeOnDisk(b)
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("leader/%d", callers), func(b *testing.B) { inParallel(b, leader, callers, get) })
		b.Run(fmt.Sprintf("follower/%d", callers), func(b *testing.B) { inParallel(b, follower, callers, get) })
	}
}

func put(b *testing.B, n *node.Node, i int64) {
	key := kv.Key(fmt.Sprintf("key-%d", i%100_000))
	if _, err := quorate.Do(b.Context(), n, kv.Put{Key: key, Value: values.Int(12345678)}); err != nil {
		b.Error(err)
	}
}

func get(b *testing.B, n *node.Node, i int64) {
	key := kv.Key(fmt.Sprintf("key-%d", i%100_000))
	_, err := quorate.Ask(b.Context(), n, kv.Get{Key: key})
	if quorate.CodeOf(err) != quorate.NotFound && err != nil {
		b.Error(err)
	}
}

func inParallel(b *testing.B, n *node.Node, callers int, f func(*testing.B, *node.Node, int64)) {
	var next atomic.Int64
	var done sync.WaitGroup
	for range callers {
		done.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				f(b, n, i)
			}
		})
	}
	done.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// threeOnDisk starts three nodes on real disks and over loopback.
func threeOnDisk(b *testing.B) (leader, follower *node.Node) {
	b.Helper()
	var addrs []string
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		addrs = append(addrs, l.Addr().String())
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
	var nodes []*node.Node
	for _, addr := range addrs {
		n, err := node.Start(kv.Service, node.Config{Dir: b.TempDir(), Peer: addr, Join: addrs})
		if err != nil {
			b.Fatal(err)
		}
		nodes = append(nodes, n)
		b.Cleanup(func() {
			if err := n.Close(b.Context()); err != nil {
				b.Error(err)
			}
		})
	}
	for _, n := range nodes {
		if err := n.Ready(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	for _, n := range nodes {
		if n.Status(b.Context()).Role == node.Leader {
			leader = n
		} else {
			follower = n
		}
	}
	if leader == nil {
		b.Fatal("no node leads")
	}
	return leader, follower
}

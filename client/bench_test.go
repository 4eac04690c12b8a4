package client_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/respapi"
	"github.com/quorate/quorate/values"
)

// startEcho serves a door over TCP whose executor answers at once, so that what
// is measured is the client and the door.
func startEcho(b *testing.B) (addr string) {
	on := memory.Func(func(_ context.Context, calls []quorate.Call) []quorate.Reply {
		replies := make([]quorate.Reply, len(calls))
		for i := range replies {
			replies[i] = quorate.Reply{Index: 1, Value: values.Int(7)}
		}
		return replies
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := respapi.New(respapi.Config{Service: kv.Service, Executor: on})
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	b.Cleanup(func() {
		_ = server.Shutdown(context.Background())
		serving.Wait()
	})
	return l.Addr().String()
}

// drive runs b.N increments from some goroutines.
func drive(b *testing.B, c *client.Client, goroutines int) {
	b.Helper()
	if _, err := inc(context.Background(), c, "k"); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var (
		left  atomic.Int64
		group sync.WaitGroup
	)
	left.Store(int64(b.N))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for range goroutines {
		group.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := inc(ctx, c, "k"); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

func BenchmarkDoor(b *testing.B) {
	for _, conns := range []int{1, 2, 4} {
		for _, goroutines := range []int{1, 8, 64, 1000} {
			b.Run(fmt.Sprintf("conns=%d/callers=%d", conns, goroutines), func(b *testing.B) {
				c := mustOpen(b, client.Config{Addrs: []string{startEcho(b)}, ConnsPerNode: conns})
				defer mustClose(b, c)
				drive(b, c, goroutines)
			})
		}
	}
}

// BenchmarkNodes is the same against three nodes in one process, without a disk.
func BenchmarkNodes(b *testing.B) {
	r := startReal(b, 3)
	defer r.close()
	var addrs []string
	for i := range r.targets {
		addrs = append(addrs, r.targets[i].Load().(string))
	}
	leader := addrs[r.leader()]
	for _, conns := range []int{1, 2, 4} {
		for _, goroutines := range []int{1, 8, 64, 1000} {
			b.Run(fmt.Sprintf("conns=%d/callers=%d", conns, goroutines), func(b *testing.B) {
				c := mustOpen(b, client.Config{Addrs: []string{leader}, ConnsPerNode: conns})
				defer mustClose(b, c)
				drive(b, c, goroutines)
			})
		}
	}
}

// BenchmarkInProcess is what BenchmarkNodes is compared with: the same calls
// given to the leader itself.
func BenchmarkInProcess(b *testing.B) {
	r := startReal(b, 3)
	defer r.close()
	leader := r.nodes[r.leader()]
	for _, goroutines := range []int{1, 8, 64, 1000} {
		b.Run(fmt.Sprintf("callers=%d", goroutines), func(b *testing.B) {
			var (
				left  atomic.Int64
				group sync.WaitGroup
			)
			left.Store(int64(b.N))
			b.ResetTimer()
			for range goroutines {
				group.Go(func() {
					for left.Add(-1) >= 0 {
						if _, err := inc(context.Background(), leader, "k"); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

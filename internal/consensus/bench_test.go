package consensus_test

import (
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/batch"
	"github.com/quorate/quorate/internal/consensus"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/machine"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/wal"
)

// BenchmarkAdd is one Add after the other from each of many callers, through a
// batcher and three nodes in this process, over loopback TCP and real disks.
func BenchmarkAdd(b *testing.B) {
	groups := startOnDisk(b, 3)
	lead := groups[0]
	for _, err := lead.Leading(); err != nil; _, err = lead.Leading() {
		time.Sleep(10 * time.Millisecond)
		for _, g := range groups {
			if g.Leads() {
				lead = g
			}
		}
	}
	batcher := batch.New(lead.Propose, func() entry.Header { return entry.Header{Time: time.Now()} })
	b.Cleanup(batcher.Close)
	call, err := quorate.NewCall(Add{By: 1})
	if err != nil {
		b.Fatal(err)
	}
	for _, callers := range []int{1, 64, 256, 1024} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			var left atomic.Int64
			left.Store(int64(b.N))
			var all sync.WaitGroup
			for range callers {
				all.Go(func() {
					for left.Add(-1) >= 0 {
						if r := batcher.Do(b.Context(), []quorate.Call{call}); r[0].Err != nil {
							b.Error(r[0].Err)
							return
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

func startOnDisk(b *testing.B, n int) []*consensus.Group {
	b.Helper()
	var members []peer.Member
	var listeners []net.Listener
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		listeners = append(listeners, l)
		members = append(members, peer.Member{ID: peer.NewNodeID(), Addr: l.Addr().String()})
	}
	var groups []*consensus.Group
	cluster := peer.NewClusterID()
	for i := range n {
		config := consensus.Config{
			Self: members[i], Log: slog.New(slog.DiscardHandler), Failed: func(err error) { b.Error(err) },
			ElectionTimeout: electionTimeout, SnapshotEntries: 1 << 16, TrailingEntries: 1 << 14,
		}
		if i == 0 {
			config.Founders = members
		}
		groups = append(groups, startOne(b, cluster, listeners[i], config))
	}
	return groups
}

func startOne(b *testing.B, cluster peer.ClusterID, l net.Listener, config consensus.Config) *consensus.Group {
	b.Helper()
	dir := b.TempDir()
	log, err := wal.Open(wal.Options{FS: vfs.Default, Dir: vfs.Default.PathJoin(dir, "wal"), Group: 1})
	if err != nil {
		b.Fatal(err)
	}
	state, err := consensus.OpenState(consensus.StateOptions{FS: vfs.Default, Dir: dir, Group: 1, Log: config.Log, Failed: config.Failed})
	if err != nil {
		b.Fatal(err)
	}
	port := peer.New(peer.Config{
		Listener: l, Group: 1, Self: func() (peer.ClusterID, peer.Member) { return cluster, config.Self },
	})
	config.WAL, config.State, config.Machine = log, state, machine.New(machine.Config{Service: service, Store: state.Store(), Limits: machine.DefaultLimits, Log: config.Log})
	config.Wire = consensus.NewWire(port)
	port.Start()
	group, err := consensus.Start(config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		group.Close()
		for _, close := range []func() error{port.Close, config.Machine.Close, log.Close} {
			if err := close(); err != nil {
				b.Error(err)
			}
		}
	})
	return group
}

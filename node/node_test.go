package node_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/node"
	"github.com/quorate/quorate/values"
)

func TestEveryNodeAnswersTheSame(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		for i := range 9 {
			if got := c.inc(i%3, "hits"); got != int64(i+1) {
				t.Fatalf("increment %d answered %d", i+1, got)
			}
		}
		for i := range c.nodes {
			if got := c.read(i, "hits"); got != 9 {
				t.Errorf("node %d reads %d", i, got)
			}
		}
		c.converged()
	})
}

func TestOneNodeIsAClusterOfItsOwn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 1)
		defer c.close()
		c.inc(0, "hits")
		c.stop(0)
		start := time.Now()
		c.start(0)
		c.ready()
		if took := time.Since(start); took > time.Second {
			t.Errorf("alone, it took %v to be ready again", took)
		}
		if got := c.inc(0, "hits"); got != 2 {
			t.Errorf("after a restart the second increment answers %d", got)
		}
	})
}

func TestRestartOfAllAppliesNothingTwice(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.change = func(_ int, config *node.Config) { config.SnapshotEntries, config.TrailingEntries = 7, 3 }
		defer c.close()
		for round := range 4 {
			for i := range c.nodes {
				c.start(i)
			}
			c.ready()
			for i := range 10 {
				if got, want := c.inc(i%3, "hits"), int64(10*round+i+1); got != want {
					t.Fatalf("round %d: increment answered %d, not %d", round, got, want)
				}
			}
			// Long enough for a snapshot to be taken.
			time.Sleep(2 * time.Second)
			c.converged()
			for i := range c.nodes {
				c.stop(i)
			}
		}
	})
}

func TestWritesGoOnWithoutTheLeader(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		c.inc(0, "hits")
		c.stop(c.leader())
		if got := c.inc(c.follower(), "hits"); got != 2 {
			t.Errorf("the second increment answered %d", got)
		}
	})
}

func TestHandOverMovesLeadershipAndTheNodeServesOn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		c.inc(0, "hits")
		old := c.leader()
		c.nodes[old].HandOver(t.Context())
		if role := c.nodes[old].Status(t.Context()).Role; role == node.Leader {
			t.Error("it still leads")
		}
		if got := c.inc(old, "hits"); got != 2 {
			t.Errorf("through the node that handed over, the second increment answers %d", got)
		}
		c.converged()
	})
}

func TestPipelineTakesEffectInOrder(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		for i := range c.nodes {
			key := kv.Key(fmt.Sprintf("key%d", i))
			calls := mustCalls(t, kv.Get{Key: key}, kv.Put{Key: key, Value: values.Int(5)}, kv.Get{Key: key},
				kv.Put{Key: "", Value: values.Int(1)}, kv.Inc{Key: key, By: 2}, kv.Get{Key: key}, kv.Delete{Key: key}, kv.Get{Key: key})
			replies := c.nodes[i].Execute(t.Context(), calls)
			got := make([]string, len(replies))
			for p, r := range replies {
				got[p] = r.Value.String()
				if r.Err != nil {
					got[p] = string(quorate.CodeOf(r.Err))
				}
			}
			if want := "not_found 5 5 invalid 7 7 true not_found"; strings.Join(got, " ") != want {
				t.Errorf("through node %d: %s, want %s", i, strings.Join(got, " "), want)
			}
		}
	})
}

func TestPipelineOfManyMegabytesArrivesWhole(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		value := values.Bytes(strings.Repeat("x", 700<<10))
		var calls []quorate.Call
		for i := range 20 {
			calls = append(calls, mustCalls(t, kv.Put{Key: kv.Key(fmt.Sprint(i)), Value: value}, kv.Inc{Key: "order", By: 1})...)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for i, r := range c.nodes[c.follower()].Execute(ctx, calls) {
			if r.Err != nil {
				t.Fatalf("call %d: %v", i, r.Err)
			}
			if i%2 == 1 && r.Value.Int() != int64(i/2+1) {
				t.Fatalf("increment %d answered %d", i/2+1, r.Value.Int())
			}
		}
	})
}

func mustCalls(t *testing.T, operations ...any) []quorate.Call {
	t.Helper()
	var calls []quorate.Call
	for _, o := range operations {
		call, err := quorate.NewCall(o)
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, call)
	}
	return calls
}

func TestMinorityRefusesAndSaysNotApplied(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		alone := c.follower()
		c.isolate(alone)
		time.Sleep(5 * time.Second) // it notices that there is no leader
		start := time.Now()
		_, err := quorate.Do(t.Context(), c.nodes[alone], kv.Inc{Key: "hits", By: 1})
		if quorate.CodeOf(err) != quorate.Unavailable || quorate.OutcomeUnknown(err) {
			t.Errorf("the cut-off node says %v", err)
		}
		if took := time.Since(start); took < 4*time.Second || took > 6*time.Second {
			t.Errorf("it gave up after %v, not after 5s", took)
		}
		c.heal()
		if got := c.inc(alone, "hits"); got != 1 {
			t.Errorf("after healing, the first increment answers %d", got)
		}
		c.converged()
	})
}

func TestLeaderCutOffNeverAnswersAndItsCallsAreUnknown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		c.inc(0, "hits")
		old := c.leader()
		c.isolate(old)
		var waits sync.WaitGroup
		waits.Go(func() {
			if _, err := quorate.Do(t.Context(), c.nodes[old], kv.Inc{Key: "hits", By: 10}); !quorate.OutcomeUnknown(err) {
				t.Errorf("the write of the cut-off leader: %v", err)
			}
		})
		waits.Go(func() {
			if v, err := quorate.Ask(t.Context(), c.nodes[old], kv.Get{Key: "hits"}); err == nil {
				t.Errorf("the cut-off leader read %s", v)
			}
		})
		time.Sleep(3 * time.Second)
		next := (old + 1) % 3
		if got := c.inc(next, "hits"); got != 2 {
			t.Errorf("the new leader's increment answers %d", got)
		}
		waits.Wait()
		c.heal()
		time.Sleep(5 * time.Second)
		for i := range c.nodes {
			if got := c.read(i, "hits"); got != 2 {
				t.Errorf("node %d reads %d after healing", i, got)
			}
		}
		c.converged()
	})
}

func TestReadIsNotHeldByALeaderThatFellSilent(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		through := c.follower()
		c.inc(through, "hits") // from now on it is connected to the leader
		c.isolate(c.leader())
		start := time.Now()
		if got := c.read(through, "hits"); got != 1 {
			t.Errorf("it reads %d", got)
		}
		if took := time.Since(start); took > 4500*time.Millisecond {
			t.Errorf("the read took %v", took)
		}
		c.heal()
	})
}

func TestFollowerPastTheCutLogGetsTheState(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.change = func(_ int, config *node.Config) { config.SnapshotEntries, config.TrailingEntries = 10, 5 }
		defer c.close()
		for i := range c.nodes {
			c.start(i)
		}
		c.ready()
		c.inc(0, "hits")
		late := c.follower()
		c.stop(late)
		other := c.leader()
		for range 60 {
			c.inc(other, "hits")
			time.Sleep(100 * time.Millisecond)
		}
		if first := c.nodes[other].Status(t.Context()).FirstIndex; first < 20 {
			t.Fatalf("the log still begins at %d", first)
		}
		stop := make(chan struct{})
		var writer sync.WaitGroup
		writer.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
					if _, err := quorate.Do(t.Context(), c.nodes[other], kv.Inc{Key: "hits", By: 1}); err != nil {
						t.Error(err)
					}
				}
			}
		})
		c.start(late)
		c.ready()
		time.Sleep(5 * time.Second)
		close(stop)
		writer.Wait()
		c.converged()
		if got, want := c.read(late, "hits"), c.read(other, "hits"); got != want {
			t.Errorf("it reads %d, and the leader reads %d", got, want)
		}
	})
}

func TestWriteErrorOfTheLogStopsTheNodeAndNotTheCluster(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		broken := make([]atomic.Bool, 3)
		c.change = func(i int, config *node.Config) {
			config.Host.FS = errorfs.Wrap(config.Host.FS, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if broken[i].Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.Contains(op.Path, "wal") {
					return errors.New("the disk is gone")
				}
				return nil
			}))
		}
		for i := range c.nodes {
			c.start(i)
		}
		c.ready()
		defer c.close()
		c.inc(0, "hits")
		victim := c.leader()
		broken[victim].Store(true)
		if _, err := quorate.Do(t.Context(), c.nodes[victim], kv.Inc{Key: "hits", By: 1}); err == nil {
			t.Error("a node whose disk is gone acknowledged a write")
		}
		select {
		case <-c.nodes[victim].Done():
		case <-time.After(time.Minute):
			t.Fatal("the node goes on")
		}
		if err := c.nodes[victim].Err(); err == nil || !strings.Contains(err.Error(), "the disk is gone") {
			t.Errorf("the node says %v", err)
		}
		c.nodes[victim] = nil
		before := c.read(c.follower(), "hits")
		if got := c.inc(c.follower(), "hits"); got != before+1 {
			t.Errorf("the others go on from %d to %d", before, got)
		}
	})
}

func TestCloseUnderLoadAnswersEveryCall(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		var acknowledged, unknown atomic.Int64
		var callers sync.WaitGroup
		for i := range 60 {
			callers.Go(func() {
				n := c.nodes[i%3]
				for {
					_, err := quorate.Do(t.Context(), n, kv.Inc{Key: "hits", By: 1})
					switch {
					case err == nil:
						acknowledged.Add(1)
					case quorate.OutcomeUnknown(err):
						unknown.Add(1)
					}
					if err != nil {
						return
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		for i := range 30 {
			callers.Go(func() { readUntilClosed(t, c.nodes[i%3], i%2 == 0) })
		}
		time.Sleep(time.Second)
		for i := range c.nodes {
			c.stop(i)
		}
		callers.Wait()
		for i := range c.nodes {
			c.start(i)
		}
		c.ready()
		got := c.read(0, "hits")
		if low, high := acknowledged.Load(), acknowledged.Load()+unknown.Load(); got < low || got > high {
			t.Errorf("the counter is %d: %d were acknowledged, %d are unknown", got, low, high-low)
		}
		c.close()
	})
}

// readUntilClosed reads through a node until it does not answer any more.
func readUntilClosed(t *testing.T, n *node.Node, aged bool) {
	on := quorate.Executor(n)
	if aged {
		on = quorate.Stale(n, 5*time.Millisecond)
	}
	for {
		_, err := quorate.Ask(t.Context(), on, kv.Get{Key: "hits"})
		if err != nil && quorate.CodeOf(err) != quorate.NotFound {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func TestStatusTellsOfEveryMember(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		c.inc(0, "hits")
		gone := c.follower()
		c.converged()
		c.stop(gone)
		leader := c.leader()
		c.inc(leader, "hits")
		s := c.nodes[leader].Status(t.Context())
		if s.Role != node.Leader || s.Leader != s.ID || s.LeaderPeer != addr(leader) || len(s.Members) != 3 {
			t.Fatalf("status %+v", s)
		}
		for _, m := range s.Members {
			if reached := m.Peer != addr(gone); m.Reached != reached || m.Voter != true || !reached && m.Error == "" {
				t.Errorf("member %+v", m)
			}
		}
	})
}

func TestExecuteWithoutAClusterEndsWithItsDeadline(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.start(0)
		defer c.close()
		ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
		defer cancel()
		_, err := quorate.Do(ctx, c.nodes[0], kv.Inc{Key: "hits", By: 1})
		if quorate.CodeOf(err) != quorate.Unavailable || quorate.OutcomeUnknown(err) {
			t.Errorf("without a cluster: %v", err)
		}
		if err := c.nodes[0].Ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Ready = %v", err)
		}
		if role := c.nodes[0].Status(t.Context()).Role; role != node.Forming {
			t.Errorf("role %s", role)
		}
	})
}

func TestOpenWaitsForTheClusterOrItsContext(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if n, err := node.Open(ctx, kv.Service, c.config(0)); err == nil || n != nil {
			t.Fatalf("Open of one of three nodes: %v", err)
		}
		// What it left behind can be opened again.
		var opened sync.WaitGroup
		for i := range c.nodes {
			opened.Go(func() {
				n, err := node.Open(t.Context(), kv.Service, c.config(i))
				if err != nil {
					t.Error(err)
				}
				c.nodes[i] = n
			})
		}
		opened.Wait()
		c.inc(0, "hits")
		c.close()
	})
}

func TestConfigurationThatCannotWorkIsRefused(t *testing.T) {
	mem := node.Host{FS: vfs.NewMem()}
	for _, tt := range []struct {
		config node.Config
		want   string
	}{
		{node.Config{Peer: "n0:1", Host: mem}, "data directory"},
		{node.Config{Dir: "d", Host: mem}, "peer address"},
		{node.Config{Dir: "d", Peer: "0.0.0.0:7302", Host: mem}, "name the host"},
		{node.Config{Dir: "d", Peer: ":7302", Host: mem}, "name the host"},
		{node.Config{Dir: "d", Peer: "n0:0", Host: mem}, "name a port"},
		{node.Config{Dir: "d", Peer: "n0:99999", Host: mem}, "name a port"},
		{node.Config{Dir: "d", Peer: "n0:1", Join: []string{"n1:http"}, Host: mem}, "name a port"},
		{node.Config{Dir: "d", Peer: "n0:1", Join: []string{"nowhere"}, Host: mem}, "join address"},
		{node.Config{Dir: "d", Peer: "n0:1", ElectionTimeout: time.Microsecond, Host: mem}, "election timeout"},
	} {
		if _, err := node.Start(kv.Service, tt.config); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want something about %q", tt.config, err, tt.want)
		}
	}
}

func TestEveryGoroutineEndsWithItsNode(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			c := startCluster(t, 3)
			c.inc(0, "hits")
			c.close()
		})
	}
}

func TestTwoMayCloseANodeAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		c.inc(0, "hits")
		leader := c.leader()
		c.isolate(leader) // so that handing over takes its time
		var closing sync.WaitGroup
		for range 2 {
			closing.Go(func() {
				if err := c.nodes[leader].Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		closing.Wait()
		c.nodes[leader] = nil
		c.close()
	})
}

package node_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/node"
	"github.com/quorate/quorate/values"
)

// getAged reads a counter and tolerates age.
func (c *cluster) getAged(i int, key string, tolerated time.Duration) quorate.Reply {
	c.t.Helper()
	call := mustCalls(c.t, kv.Get{Key: kv.Key(key)})
	call[0].Read = time.Duration(tolerated)
	return c.nodes[i].Execute(c.t.Context(), call)[0]
}

func TestFollowerSeesAtOnceWhatAnotherNodeAcknowledged(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		follower := c.follower()
		for i := range 300 {
			want := c.inc(i%3, "hits")
			began := time.Now()
			if got := c.read(follower, "hits"); got != want {
				t.Fatalf("the follower answered %d after %d was acknowledged", got, want)
			}
			// On this network nothing takes time but waiting.
			if took := time.Since(began); took > 0 {
				t.Fatalf("read %d waited %v for news that the leader had", i, took)
			}
		}
	})
}

func TestReadsOfAFollowerCostTheLeaderOneSmallAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		var received [3]atomic.Int64
		c.change = func(i int, config *node.Config) {
			dial := config.Host.Dial
			config.Host.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
				conn, err := dial(ctx, addr)
				return countedConn{conn, &received[i]}, err
			}
		}
		for i := range c.nodes {
			c.start(i)
		}
		defer c.close()
		c.ready()
		const size, readers = 100 << 10, 200
		put := kv.Put{Key: "large", Value: values.Bytes(strings.Repeat("x", size))}
		if _, err := quorate.Do(t.Context(), c.nodes[0], put); err != nil {
			t.Fatal(err)
		}
		follower := c.follower()
		time.Sleep(time.Second)
		before := received[follower].Load()
		var reading sync.WaitGroup
		for range readers {
			reading.Go(func() {
				if v, err := quorate.Ask(t.Context(), c.nodes[follower], kv.Get{Key: "large"}); err != nil || len(v.String()) != size {
					t.Errorf("%d bytes, %v", len(v.String()), err)
				}
			})
		}
		reading.Wait()
		// What it dials carries the answers to its questions.
		if got := received[follower].Load() - before; got == 0 || got > 4<<10 {
			t.Errorf("%d reads of %d bytes brought %d bytes from other nodes", readers, size, got)
		}
	})
}

type countedConn struct {
	net.Conn
	received *atomic.Int64
}

func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.received.Add(int64(n))
	return n, err
}

// Slow takes its time on the node that applies it.
type Slow struct{ Value int64 }

func (s Slow) Apply(tx *quorate.Tx) (int64, error) {
	time.Sleep(time.Second)
	tx.Set([]byte("slow"), fmt.Append(nil, s.Value))
	return s.Value, nil
}

// Last is what the last Slow left.
type Last struct{}

func (Last) Read(view *quorate.View) (string, error) {
	value, _ := view.Get([]byte("slow"))
	return string(value), nil
}

// Lazy is Last, a while after it has looked.
type Lazy struct{}

func (Lazy) Read(view *quorate.View) (string, error) {
	value, _ := view.Get([]byte("slow"))
	time.Sleep(100 * time.Millisecond)
	return string(value), nil
}

func TestAgeIsThatOfTheStateThatWasRead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		service := quorate.Define("slow", quorate.Write[Slow]("SLOW"), quorate.Read[Last]("LAST"), quorate.Read[Lazy]("LAZY"))
		n, err := node.Start(service, newCluster(t, 1).config(0))
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close(t.Context())
		last := func() {
			if _, err := quorate.Ask(t.Context(), n, Last{}); err != nil {
				t.Error(err)
			}
		}
		last()
		lazy := mustCalls(t, Lazy{})
		lazy[0].Read = time.Duration(time.Minute)
		// While the one looks at the state, news of a later one come.
		time.AfterFunc(50*time.Millisecond, last)
		if r := n.Execute(t.Context(), lazy)[0]; r.Err != nil || r.Age < 100*time.Millisecond {
			t.Errorf("100ms after it looked, the age is %v, %v", r.Age, r.Err)
		}
	})
}

func TestReadOnANodeThatIsBehindIsPassedOnToTheLeader(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		service := quorate.Define("slow", quorate.Write[Slow]("SLOW"), quorate.Read[Last]("LAST"))
		c := newCluster(t, 3)
		for i := range c.nodes {
			n, err := node.Start(service, c.config(i))
			if err != nil {
				t.Fatal(err)
			}
			c.nodes[i] = n
		}
		defer c.close()
		c.ready()
		if _, err := quorate.Do(t.Context(), c.nodes[c.leader()], Slow{7}); err != nil {
			t.Fatal(err)
		}
		// The leader answered when it was done; the follower has hardly begun.
		began := time.Now()
		got, err := quorate.Ask(t.Context(), c.nodes[c.follower()], Last{})
		if err != nil || got != "7" {
			t.Errorf("the follower answered %q, %v", got, err)
		}
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAgedReadSaysHowOldItMayBeAndIsRefusedWhenOlder(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		c.inc(0, "hits")
		alone := c.follower()
		if r := c.getAged(alone, "hits", time.Second); r.Err != nil || r.Value.Int() != 1 || r.Age != 0 {
			t.Errorf("among the others it answers %d, age %v, %v", r.Value.Int(), r.Age, r.Err)
		}
		c.isolate(alone)
		time.Sleep(3 * time.Second) // the others may have another leader by now
		other := (alone + 1) % 3
		if c.inc(other, "hits") != 2 {
			t.Error("the others do not go on")
		}
		r := c.getAged(alone, "hits", 10*time.Second)
		if r.Err != nil || r.Value.Int() != 1 || r.Age < 3*time.Second || r.Age > 5*time.Second {
			t.Errorf("cut off for 3s and more it answers %d, age %v, %v", r.Value.Int(), r.Age, r.Err)
		}
		began := time.Now()
		if r := c.getAged(alone, "hits", time.Second); quorate.CodeOf(r.Err) != quorate.TooOld || quorate.OutcomeUnknown(r.Err) {
			t.Errorf("asked for 1s it answers %d, age %v, %v", r.Value.Int(), r.Age, r.Err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the refusal took %v", took)
		}
		if c.read(other, "hits") != 2 {
			t.Error("the others forgot")
		}
		c.heal()
		time.Sleep(3 * time.Second)
		if r := c.getAged(alone, "hits", time.Millisecond); r.Err != nil || r.Value.Int() != 2 || r.Age > time.Millisecond {
			t.Errorf("back among the others it answers %d, age %v, %v", r.Value.Int(), r.Age, r.Err)
		}
	})
}

func TestLeaderThatIsCutOffGrowsOldToo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		c.inc(0, "hits")
		alone := c.leader()
		c.read(alone, "hits")
		c.isolate(alone)
		time.Sleep(100 * time.Millisecond) // it still believes that it leads
		if r := c.getAged(alone, "hits", 50*time.Millisecond); quorate.CodeOf(r.Err) != quorate.TooOld {
			t.Errorf("it answers %d, age %v, %v", r.Value.Int(), r.Age, r.Err)
		}
		if r := c.getAged(alone, "hits", time.Minute); r.Err != nil || r.Age < 100*time.Millisecond {
			t.Errorf("it answers age %v, %v", r.Age, r.Err)
		}
	})
}

func TestAgeIsNotKnownAfterARestartWithoutALeader(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		c.inc(0, "hits")
		alone := c.follower()
		c.stop(alone)
		c.isolate(alone)
		c.start(alone)
		time.Sleep(time.Second)
		r := c.getAged(alone, "hits", time.Hour)
		if quorate.CodeOf(r.Err) != quorate.TooOld || !strings.Contains(r.Err.Error(), "not known") {
			t.Errorf("it answers %d, age %v, %v", r.Value.Int(), r.Age, r.Err)
		}
	})
}

func TestSliceIsAsFreshAsItsStrictestRead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		c.inc(0, "hits")
		alone := c.follower()
		c.read(alone, "hits")
		c.isolate(alone)
		time.Sleep(time.Second)
		calls := mustCalls(t, kv.Get{Key: "hits"}, kv.Get{Key: "hits"})
		calls[0].Read = time.Duration(time.Hour)
		for i, r := range c.nodes[alone].Execute(t.Context(), calls) {
			if quorate.CodeOf(r.Err) != quorate.Unavailable {
				t.Errorf("beside a read that tolerates no age, read %d answered %v", i, r.Err)
			}
		}
		calls[1].Read = time.Duration(time.Minute)
		for i, r := range c.nodes[alone].Execute(t.Context(), calls) {
			if r.Err != nil || r.Age < time.Second {
				t.Errorf("read %d answered age %v, %v", i, r.Age, r.Err)
			}
		}
	})
}

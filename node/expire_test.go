package node_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/node"
	"github.com/quorate/quorate/values"
)

// Hold makes keys stay for a while.
type Hold struct {
	Key     string
	Seconds int64
	Count   int64 `default:"1"`
}

func (h Hold) Apply(tx *quorate.Tx) (int64, error) {
	for i := range h.Count {
		tx.SetUntil(fmt.Appendf(nil, "%s%d", h.Key, i), []byte("held"), tx.Now().Add(time.Duration(h.Seconds)*time.Second))
	}
	return h.Count, nil
}

// Held says whether a key is there.
type Held struct{ Key string }

func (h Held) Read(view *quorate.View) (bool, error) {
	_, found := view.Get([]byte(h.Key + "0"))
	return found, nil
}

// HeldIn is Held as a command.
type HeldIn struct{ Key string }

func (h HeldIn) Apply(tx *quorate.Tx) (bool, error) { return Held(h).Read(&tx.View) }

// Count is how many keys are there.
type Count struct{}

func (Count) Read(view *quorate.View) (n int64, err error) {
	for range view.Scan(nil, nil) {
		n++
	}
	return n, nil
}

// Left is how long a key stays, in milliseconds.
type Left struct{ Key string }

func (l Left) Read(view *quorate.View) (int64, error) {
	end, _ := view.End([]byte(l.Key + "0"))
	return end.Sub(view.Clock()).Milliseconds(), nil
}

var leases = quorate.Define("leases", quorate.Write[Hold]("HOLD"), quorate.Read[Held]("HELD"), quorate.Write[HeldIn]("HELDIN"),
	quorate.Read[Count]("COUNT"), quorate.Read[Left]("LEFT"))

// startLeases starts three nodes whose clocks are off by as much as is given.
func startLeases(t *testing.T, off *[3]atomic.Int64) *cluster {
	c := newCluster(t, 3)
	c.service = leases
	c.change = func(i int, config *node.Config) {
		config.Host.Now = func() time.Time { return time.Now().Add(time.Duration(off[i].Load())) }
	}
	for i := range c.nodes {
		c.start(i)
	}
	c.ready()
	return c
}

func (c *cluster) hold(i int, h Hold) {
	c.t.Helper()
	if h.Count == 0 {
		h.Count = 1
	}
	if _, err := quorate.Do(c.t.Context(), c.nodes[i], h); err != nil {
		c.t.Fatalf("hold %s through node %d: %v", h.Key, i, err)
	}
}

// held asks a node whether a key is there.
func (c *cluster) held(i int, key string) bool {
	c.t.Helper()
	found, err := quorate.Ask(c.t.Context(), c.nodes[i], Held{key})
	if err != nil {
		c.t.Fatalf("ask node %d for %s: %v", i, key, err)
	}
	return found
}

func (c *cluster) index() uint64 { return c.nodes[c.leader()].Status(c.t.Context()).AppliedIndex }

func TestAKeyEndsAtTheSameInstantEverywhereAndCostsOneEntry(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startLeases(t, new([3]atomic.Int64))
		defer c.close()
		c.hold(0, Hold{Key: "a", Seconds: 10})
		before := c.index()
		time.Sleep(10*time.Second - 1)
		for i := range c.nodes {
			if !c.held(i, "a") {
				t.Errorf("node %d does not show the key before its end", i)
			}
			if left, err := quorate.Ask(t.Context(), c.nodes[i], Left{"a"}); left > 10 || err != nil {
				t.Errorf("node %d says that %d ms are left, %v", i, left, err)
			}
		}
		if got := c.index(); got != before {
			t.Errorf("while nothing ended the log went on from %d to %d", before, got)
		}
		time.Sleep(time.Nanosecond)
		for i := range c.nodes {
			if c.held(i, "a") {
				t.Errorf("node %d shows the key at its end", i)
			}
		}
		c.converged()
		time.Sleep(5 * time.Minute)
		if got := c.index(); got != before+1 {
			t.Errorf("one key ended, and the log went on from %d to %d", before, got)
		}
	})
}

// However those who read at the end and the leader's own look at it meet.
func TestEachOfManyEndsCostsOneEntry(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startLeases(t, new([3]atomic.Int64))
		defer c.close()
		const keys = 200
		c.hold(0, Hold{Key: "b", Seconds: 1e6}) // what is there already is there by now
		before := c.index()
		for range keys {
			c.hold(0, Hold{Key: "a", Seconds: 1})
			time.Sleep(time.Second)
			var asking sync.WaitGroup
			for i := range c.nodes {
				asking.Go(func() { c.held(i, "a") })
			}
			asking.Wait()
		}
		time.Sleep(time.Minute)
		if got, want := c.index(), before+2*keys; got != want {
			t.Errorf("%d keys were put and ended, and the log went on from %d to %d, want %d", keys, before, got, want)
		}
	})
}

func TestACommandMeetsNoKeyThatHasEnded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startLeases(t, new([3]atomic.Int64))
		defer c.close()
		for i := range 50 {
			key := fmt.Sprint("k", i)
			c.hold(i%3, Hold{Key: key, Seconds: 1})
			time.Sleep(time.Second)
			if found, err := quorate.Do(t.Context(), c.nodes[i%3], HeldIn{key}); found || err != nil {
				t.Fatalf("a command found %s at its end: %v, %v", key, found, err)
			}
		}
	})
}

// What one reader saw to be gone is gone for every later leader, whatever its
// clock says.
func TestWhatWasSeenToBeGoneStaysGone(t *testing.T) {
	for _, through := range []string{"the leader", "a follower"} {
		inBubble(t, func(t *testing.T) {
			var off [3]atomic.Int64
			c := startLeases(t, &off)
			defer c.close()
			leader := c.leader()
			c.hold(leader, Hold{Key: "a", Seconds: 10})
			time.Sleep(8*time.Second + 500*time.Millisecond)
			// Nobody waits for this moment: only the clock of the leader says
			// that the end has come.
			off[leader].Store(int64(3 * time.Second))
			reader := leader
			if through == "a follower" {
				reader = c.follower()
			}
			if c.held(reader, "a") {
				t.Fatalf("through %s the key is there at its end", through)
			}
			c.isolate(leader)
			other := (leader + 1) % 3
			for range 100 {
				if c.held(other, "a") {
					t.Fatalf("the key is there again, after it was gone through %s", through)
				}
				time.Sleep(50 * time.Millisecond)
			}
			c.heal()
		})
	}
}

func TestAClockFarAheadDoesNotEndTheWorld(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var off [3]atomic.Int64
		c := startLeases(t, &off)
		defer c.close()
		c.hold(0, Hold{Key: "a", Seconds: 3600})
		leader := c.leader()
		off[leader].Store(int64(24 * time.Hour))
		for range 20 {
			time.Sleep(time.Minute)
			c.hold(1, Hold{Key: "other", Seconds: 1})
			if !c.held(2, "a") {
				t.Fatal("a clock that jumped has ended a key")
			}
		}
		// A leader whose clock jumped before it led is not believed either.
		c.isolate(leader)
		next := (leader + 1) % 3
		off[next].Store(int64(48 * time.Hour))
		time.Sleep(time.Minute)
		if !c.held(next, "a") || !c.held((leader+2)%3, "a") {
			t.Fatal("a new leader whose clock is wrong has ended a key")
		}
		c.heal()
		time.Sleep(time.Minute)
		// The clocks of all agree: it was a week indeed.
		for i := range off {
			off[i].Store(int64(7 * 24 * time.Hour))
		}
		c.hold(1, Hold{Key: "other", Seconds: 1})
		time.Sleep(5 * time.Second)
		c.hold(1, Hold{Key: "other", Seconds: 1})
		if c.held(2, "a") {
			t.Error("the clocks of all nodes agree, and log time does not go on")
		}
	})
}

func TestManyKeysThatEndAtOnceAreGoneAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startLeases(t, new([3]atomic.Int64))
		defer c.close()
		const many = 5000
		c.hold(0, Hold{Key: "a", Seconds: 10, Count: many})
		c.hold(0, Hold{Key: "stays", Seconds: 1000})
		before := c.index()
		time.Sleep(10 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		end := time.Now()
		for i := range c.nodes {
			if n, err := quorate.Ask(ctx, c.nodes[i], Count{}); n != 1 || err != nil {
				t.Errorf("node %d shows %d keys, %v", i, n, err)
			}
		}
		// What has ended by log time is passed over, and not waited for until it
		// is removed.
		if took := time.Since(end); took > 0 {
			t.Errorf("the answers took %v", took)
		}
		time.Sleep(time.Second)
		if entries := c.index() - before; entries < 4 || entries > 8 {
			t.Errorf("%d keys were removed in %d entries", many, entries)
		}
		c.converged()
	})
}

// A node that comes back after everybody was down learns the time from the
// others: nothing is shown that ended meanwhile.
func TestKeysEndWhileTheClusterIsDown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startLeases(t, new([3]atomic.Int64))
		defer c.close()
		c.hold(0, Hold{Key: "a", Seconds: 60})
		c.hold(0, Hold{Key: "stays", Seconds: 3600})
		for i := range c.nodes {
			c.stop(i)
		}
		time.Sleep(10 * time.Minute)
		for i := range c.nodes {
			c.start(i)
		}
		c.ready()
		time.Sleep(3 * time.Second)
		if c.held(1, "a") || !c.held(1, "stays") {
			t.Errorf("a is held: %v, and what stays: %v", c.held(1, "a"), c.held(1, "stays"))
		}
	})
}

// Of the first end only a time is known that it is not before, and that may be
// long ago. An end that comes then must be waited for as any other.
func TestAnEndIsInTheLogWhenItIsDue(t *testing.T) {
	for _, c := range []struct {
		after, slow time.Duration // when the second key is set, and what delays that
	}{
		{after: -time.Second / 10}, {after: time.Second / 10}, {after: 600 * time.Millisecond}, {after: 1700 * time.Millisecond},
		{after: -time.Second / 100, slow: time.Second / 50},
	} {
		inBubble(t, func(t *testing.T) {
			cl := startCluster(t, 3)
			defer cl.close()
			leader := cl.leader()
			put := func(key string, stays time.Duration) {
				ttl := stays.Milliseconds()
				if _, err := quorate.Do(t.Context(), cl.nodes[leader], kv.Put{Key: kv.Key(key), Value: values.Int(1), TTL: &ttl}); err != nil {
					t.Fatal(err)
				}
			}
			put("stays", time.Hour)
			put("a", 10*time.Second)
			time.Sleep(5 * time.Second)
			put("a", 100*time.Second)
			time.Sleep(5*time.Second + c.after)
			delay := func(d time.Duration) {
				for i := range cl.nodes {
					cl.net.Delay(host(leader), host(i), func() time.Duration { return d })
				}
			}
			delay(c.slow)
			began := time.Now()
			put("b", 200*time.Millisecond)
			delay(0)
			before := cl.index()
			time.Sleep(200*time.Millisecond - time.Since(began) - 1)
			if got := cl.index(); got != before {
				t.Errorf("%v after the first: the log went on from %d to %d before the end", c.after, before, got)
			}
			time.Sleep(2 * time.Millisecond)
			if got := cl.index(); got != before+1 {
				t.Errorf("%v after the first: at the end the log went on from %d to %d", c.after, before, got)
			}
		})
	}
}

func TestAfterTheLastMomentThereIsTimeStandsStill(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		last := time.Unix(0, math.MaxInt64)
		var off [3]atomic.Int64
		for i := range off {
			off[i].Store(int64(time.Until(last) - 20*time.Second))
		}
		c := startLeases(t, &off)
		defer c.close()
		c.hold(0, Hold{Key: "a", Seconds: 100})
		for i := range c.nodes {
			if !c.held(i, "a") {
				t.Errorf("node %d does not show the key before the last moment", i)
			}
		}
		time.Sleep(17 * time.Second)
		for i := range off {
			off[i].Add(int64(4 * time.Second)) // nobody waits for this moment
		}
		for range 3 {
			for i := range c.nodes {
				if c.held(i, "a") {
					t.Errorf("node %d shows the key after the last moment", i)
				}
			}
			c.hold(1, Hold{Key: "b", Seconds: 1})
			time.Sleep(time.Minute)
		}
		c.converged()
	})
}

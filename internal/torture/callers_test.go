//go:build unix

package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/kv"
)

const (
	// callersCount share one client of 4 connections to each node.
	callersCount = 1000
	// callersThink is how long each pauses between calls, on average. With it
	// the machine has time left, so that who is late is late for a reason.
	callersThink = 200 * time.Millisecond
	// lateMax is how long after its deadline a call may return.
	lateMax = 50 * time.Millisecond
)

// callers is goroutines that increment a counter of their own, and one that all
// share, through one client.
type callers struct {
	on      *client.Client
	quit    chan struct{}
	calling sync.WaitGroup
	// own is what each was told of its counter, shared what all were of theirs.
	own    [callersCount]counted
	shared counted
	// late is by how much each call that came to its deadline was past it.
	mu   sync.Mutex
	late []time.Duration
	// timer is by how much a timer alone was, in the same process.
	timer atomic.Int64
}

// counted is what is known of a counter.
type counted struct{ acknowledged, unknown, refused, highest atomic.Int64 }

func startCallers(on *client.Client, seed uint64) *callers {
	c := &callers{on: on, quit: make(chan struct{})}
	for i := range callersCount {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		c.calling.Go(func() { c.run(i, random) })
	}
	c.calling.Go(c.watchTimers)
	return c
}

func (c *callers) run(i int, random *rand.Rand) {
	for {
		select {
		case <-c.quit:
			return
		case <-time.After(time.Duration(random.Int64N(int64(2 * callersThink)))):
		}
		timeout := 100*time.Millisecond + time.Duration(random.Int64N(int64(2*time.Second)))
		if random.IntN(4) == 0 {
			c.increment("shared", &c.shared, timeout)
		} else {
			c.increment(fmt.Sprint("own", i), &c.own[i], timeout)
		}
	}
}

func (c *callers) increment(key string, of *counted, timeout time.Duration) {
	deadline := time.Now().Add(timeout)
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	n, err := quorate.Do(ctx, c.on, kv.Inc{Key: kv.Key(key), By: 1})
	if past := time.Since(deadline); past > 0 {
		c.mu.Lock()
		c.late = append(c.late, past)
		c.mu.Unlock()
	}
	switch {
	case err == nil:
		of.acknowledged.Add(1)
		for highest := of.highest.Load(); n > highest && !of.highest.CompareAndSwap(highest, n); highest = of.highest.Load() {
		}
	case quorate.OutcomeUnknown(err):
		of.unknown.Add(1)
	default:
		of.refused.Add(1)
	}
}

// watchTimers measures how late the machine is when nothing is asked of it but
// to wake up.
func (c *callers) watchTimers() {
	const every = 5 * time.Millisecond
	for {
		began := time.Now()
		select {
		case <-c.quit:
			return
		case <-time.After(every):
		}
		if late := int64(time.Since(began) - every); late > c.timer.Load() {
			c.timer.Store(late)
		}
	}
}

func (c *callers) finish() {
	close(c.quit)
	c.calling.Wait()
}

// check compares a counter with what was told of it: nothing lost, nothing
// counted twice.
func (of *counted) check(t testing.TB, c *cluster, key string) {
	t.Helper()
	value, err := c.get(0, key)
	if err != nil {
		t.Fatal(err)
	}
	low, high := of.acknowledged.Load(), of.acknowledged.Load()+of.unknown.Load()
	if value < low || value > high || of.highest.Load() > value {
		t.Errorf("%s is %d after %d acknowledged and %d unknown increments, the highest answer was %d", key, value, low, high-low, of.highest.Load())
	}
}

// TestThousandCallersLoseNothingAndAreNotLate has a thousand goroutines use one
// client while a node is killed and comes back, and another one is frozen, the
// leader among them.
func TestThousandCallersLoseNothingAndAreNotLate(t *testing.T) {
	c := newCluster(t, settings{resp: true})
	seed := newSeed(t)
	var addrs []string
	for _, p := range c.nodes {
		addrs = append(addrs, p.config.RESP)
	}
	on, err := client.Open(client.Config{Addrs: addrs, ConnsPerNode: 4})
	c.must(err)
	defer on.Close()
	load := startCallers(on, seed)
	random := rand.New(rand.NewPCG(seed, 1<<32))
	for round := range count(4, 40) {
		target := c.follower()
		if round%2 == 0 {
			target = c.leader()
		}
		time.Sleep(time.Duration(random.Int64N(int64(time.Second))))
		length := 500*time.Millisecond + time.Duration(random.Int64N(int64(2*time.Second)))
		if round%4 < 2 {
			c.kill(target)
			time.Sleep(length)
			c.start(target)
		} else {
			c.must(c.nodes[target].pause())
			time.Sleep(length)
			c.must(c.nodes[target].resume())
		}
		c.waitReady(target)
	}
	load.finish()
	c.waitConverged()
	load.report(t, c)
}

func (c *callers) report(t *testing.T, on *cluster) {
	var acknowledged, unknown, refused int64
	for i := range c.own {
		c.own[i].check(t, on, fmt.Sprint("own", i))
		acknowledged += c.own[i].acknowledged.Load()
		unknown += c.own[i].unknown.Load()
		refused += c.own[i].refused.Load()
	}
	c.shared.check(t, on, "shared")
	acknowledged += c.shared.acknowledged.Load()
	slices.Sort(c.late)
	at := func(q float64) time.Duration {
		if len(c.late) == 0 {
			return 0
		}
		return c.late[min(int(q*float64(len(c.late))), len(c.late)-1)]
	}
	timer := time.Duration(c.timer.Load())
	t.Logf("%d increments acknowledged, %d unknown, %d surely not applied; %d calls came to their deadline, past it by %v (median), %v (99 %%), %v (at most); a timer alone was late by up to %v",
		acknowledged, unknown+c.shared.unknown.Load(), refused+c.shared.refused.Load(), len(c.late), at(0.5), at(0.99), at(1), timer)
	// A machine that wakes nobody in time wakes no caller either.
	if worst := at(1); worst > lateMax+timer {
		t.Errorf("a call returned %v after its deadline", worst)
	}
}

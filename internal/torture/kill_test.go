package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// ledger is what clients know of the counters they incremented.
type ledger struct {
	mu sync.Mutex
	// acknowledged and unknown count the increments of each key.
	acknowledged, unknown map[string]int64
	// values is every answer to an increment of each key. With a delta of 1
	// no two may be equal.
	values map[string]map[int64]bool
	// refused counts the calls that were surely not applied.
	refused int64
}

func newLedger() *ledger {
	return &ledger{acknowledged: make(map[string]int64), unknown: make(map[string]int64), values: make(map[string]map[int64]bool)}
}

func (l *ledger) note(t testing.TB, key string, a answer, out outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch out {
	case notApplied, refused:
		l.refused++
	case unknown:
		l.unknown[key]++
	case acknowledged:
		l.acknowledged[key]++
		value, err := strconv.ParseInt(string(a.Value), 10, 64)
		if err != nil {
			t.Errorf("an increment of %s answered %s", key, a.Value)
		}
		if l.values[key] == nil {
			l.values[key] = make(map[int64]bool)
		}
		if l.values[key][value] {
			t.Errorf("two increments of %s answered %d", key, value)
		}
		l.values[key][value] = true
	}
}

// totals is the sums over all keys.
func (l *ledger) totals() (acknowledged, unknown, refused int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.acknowledged {
		acknowledged += n
	}
	for _, n := range l.unknown {
		unknown += n
	}
	return acknowledged, unknown, l.refused
}

// check compares each counter with what the clients know: it holds every
// increment that was acknowledged, and no more than those and the unknown ones.
func (l *ledger) check(t testing.TB, c *cluster, node int) {
	t.Helper()
	keys := make(map[string]bool)
	for key := range l.acknowledged {
		keys[key] = true
	}
	for key := range l.unknown {
		keys[key] = true
	}
	for key := range keys {
		final, err := c.get(node, key)
		if err != nil {
			t.Fatal(err)
		}
		low := l.acknowledged[key]
		if high := low + l.unknown[key]; final < low || final > high {
			t.Errorf("%s is %d: %d increments were acknowledged and %d are unknown", key, final, low, high-low)
		}
	}
}

const clients = 64

// incrementing is clients that increment counters through random nodes.
type incrementing struct {
	done   sync.WaitGroup
	sent   atomic.Int64
	ledger *ledger
	stop   atomic.Bool
}

// increment sends total increments over so many keys, or until stop.
func (c *cluster) increment(seed uint64, total, keys int) *incrementing {
	l := &incrementing{ledger: newLedger()}
	var next atomic.Int64
	for i := range clients {
		l.done.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			client := newClient(15 * time.Second)
			defer client.CloseIdleConnections()
			for !l.stop.Load() && next.Add(1) <= int64(total) {
				l.one(c, client, random, keys)
			}
		})
	}
	return l
}

func (l *incrementing) one(c *cluster, client *http.Client, random *rand.Rand, keys int) {
	key := fmt.Sprintf("counter-%d", random.IntN(keys))
	a, out := c.post(context.Background(), client, random.IntN(len(c.nodes)), call{path: "/inc", body: keyBody(key)})
	l.ledger.note(c.t, key, a, out)
	l.sent.Add(1)
	if out != acknowledged {
		time.Sleep(10 * time.Millisecond) // a node that is down refuses at once
	}
}

// after waits until so many calls were answered.
func (l *incrementing) after(t testing.TB, sent int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Minute)
	for l.sent.Load() < int64(sent) {
		if time.Now().After(deadline) {
			t.Fatalf("only %d of %d calls were answered", l.sent.Load(), sent)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestEveryCounterIsExactWhileNodesAreKilled(t *testing.T) {
	total := count(6_000, 200_000)
	c := newCluster(t, settings{snapshot: 500, trailing: 100})
	start := time.Now()
	load := c.increment(newSeed(t), total, count(200, 1000))
	for i, victim := range []func() int{c.leader, c.follower, c.leader} {
		load.after(t, total*(2*i+1)/7)
		node := victim()
		c.kill(node)
		load.after(t, total*(2*i+2)/7)
		c.start(node)
	}
	load.done.Wait()
	acked, unknown, refused := load.ledger.totals()
	t.Logf("%d increments in %v: %d acknowledged, %d unknown, %d surely not applied", total, time.Since(start).Round(time.Millisecond), acked, unknown, refused)
	if acked < int64(total)/2 {
		t.Errorf("only %d of %d were acknowledged: the cluster hardly served", acked, total)
	}
	for i := range c.nodes {
		c.waitReady(i)
	}
	load.ledger.check(t, c, 0)
	c.waitConverged()
}

func TestEverythingAcknowledgedSurvivesTheDeathOfAllNodes(t *testing.T) {
	total := count(4_000, 100_000)
	c := newCluster(t, settings{})
	load := c.increment(newSeed(t), total, 100)
	load.after(t, total/2)
	c.killAll()
	load.stop.Store(true)
	load.done.Wait()
	acked, unknown, refused := load.ledger.totals()
	t.Logf("%d acknowledged, %d unknown, %d surely not applied before all nodes died", acked, unknown, refused)
	for i := range c.nodes {
		c.start(i)
	}
	for i := range c.nodes {
		c.waitReady(i)
		load.ledger.check(t, c, i)
	}
	c.waitConverged()
}

func TestFollowerPastTheCutLogCatchesUpWhileWritesGoOn(t *testing.T) {
	missed := count(5_000, 50_000)
	c := newCluster(t, settings{snapshot: 50, trailing: 20})
	seed := newSeed(t)
	before := c.increment(seed, 500, 50)
	before.done.Wait()
	late := c.follower()
	c.waitConverged()
	was, err := c.status(late, "")
	if err != nil {
		t.Fatal(err)
	}
	c.stop(late)
	load := c.increment(seed+1, missed+count(1_000, 20_000), 50)
	load.after(t, missed)
	var cut uint64
	c.waitFor(20*time.Second, "the log is cut behind where the late node stopped", func() error {
		leader, err := c.status(c.leader(), "")
		if cut = leader.FirstIndex; err == nil && cut <= was.AppliedIndex+1 {
			err = fmt.Errorf("it begins at %d and still has what comes after %d", cut, was.AppliedIndex)
		}
		return err
	})
	c.start(late)
	load.done.Wait()
	c.waitReady(late)
	c.waitConverged()
	now, err := c.status(late, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("stopped at %d; the log of the others begins at %d; caught up to %d with a snapshot at %d",
		was.AppliedIndex, cut, now.AppliedIndex, now.SnapshotIndex)
	for key, n := range before.ledger.acknowledged {
		load.ledger.acknowledged[key] += n
	}
	load.ledger.check(t, c, late)
}

func TestNodeWithManyKeysAnswersSoonAfterItsDeath(t *testing.T) {
	keys := count(5_000, 1_000_000)
	c := newCluster(t, settings{})
	var next atomic.Int64
	var writers sync.WaitGroup
	for range clients {
		writers.Go(func() {
			client := newClient(15 * time.Second)
			defer client.CloseIdleConnections()
			for n := next.Add(1); n <= int64(keys); n = next.Add(1) {
				if a, out := c.post(context.Background(), client, 0, call{path: "/put", body: fmt.Sprintf(`{"key":%d,"value":%d}`, n, n)}); out != acknowledged {
					t.Errorf("put %d: %s", n, a.Error)
					return
				}
			}
		})
	}
	writers.Wait()
	victim := c.leader()
	c.kill(victim)
	start := time.Now()
	c.start(victim)
	c.waitFor(20*time.Second, "the node answers", func() error {
		if n, err := c.get(victim, strconv.Itoa(keys)); err != nil || n != int64(keys) {
			return fmt.Errorf("%d, %v", n, err)
		}
		return nil
	})
	took := time.Since(start)
	t.Logf("with %d keys a node answered %v after it was started again", keys, took.Round(time.Millisecond))
	// Alone on the machine, 3 s; other tests may run beside the small counts.
	if limit := time.Duration(count(10, 3)) * time.Second; took > limit {
		t.Errorf("a node with %d keys took %v to answer, over %v", keys, took, limit)
	}
}

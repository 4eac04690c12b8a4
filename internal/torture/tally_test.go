package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// tally is a counter that only ever rises by one, and what clients know of it.
// So each answer can be judged at once: it must not be below what anybody was
// answered before it was asked for.
type tally struct {
	key string
	// floor is the highest value that was answered to anybody.
	floor atomic.Int64
	// begun is the increments that were ever sent; no answer is above it.
	begun atomic.Int64

	acknowledged, unknown, refused atomic.Int64
	// values is every answer to an increment.
	values sync.Map
}

// raise notes a value that was answered.
func (c *tally) raise(value int64) {
	for {
		floor := c.floor.Load()
		if value <= floor || c.floor.CompareAndSwap(floor, value) {
			return
		}
	}
}

// judge compares an answer with what was known when it was asked for.
func (c *tally) judge(t testing.TB, what string, value, lowest int64) {
	if value < lowest {
		t.Errorf("stale: %s answered %d, and at least %d was known before", what, value, lowest)
	}
	if begun := c.begun.Load(); value > begun {
		t.Errorf("doubled: %s answered %d, and only %d increments were ever sent", what, value, begun)
	}
	c.raise(value)
}

// increment adds one, under an id if there is one: then through one node after
// the other until it is acknowledged or ctx ends.
func (c *tally) increment(ctx context.Context, on *cluster, client *http.Client, id string, nodes func() int) {
	lowest := c.floor.Load() + 1
	c.begun.Add(1)
	doubt := false
	for {
		node := nodes()
		a, out := on.post(ctx, client, node, call{path: "/inc", body: keyBody(c.key), id: id})
		switch out {
		case acknowledged:
			c.acknowledged.Add(1)
			value, _, err := a.integer()
			if err != nil {
				on.t.Errorf("increment of %s: %v", c.key, err)
			}
			c.judge(on.t, fmt.Sprintf("increment of %s through node %d", c.key, node), value, lowest)
			if _, twice := c.values.LoadOrStore(value, true); twice {
				on.t.Errorf("two increments of %s answered %d", c.key, value)
			}
			return
		case refused:
			on.t.Errorf("increment of %s: %v", c.key, a)
			return
		case unknown:
			doubt = true
		}
		if id == "" || ctx.Err() != nil {
			if doubt {
				c.unknown.Add(1)
			} else {
				c.refused.Add(1)
			}
			return
		}
	}
}

// read asks a node, and says whether it answered.
func (c *tally) read(ctx context.Context, on *cluster, client *http.Client, node int) bool {
	lowest := c.floor.Load()
	a, out := on.post(ctx, client, node, call{path: "/get", body: keyBody(c.key)})
	if !out.answered() {
		return false
	}
	value, _, err := a.integer()
	if err != nil {
		on.t.Errorf("read of %s: %v", c.key, err)
	}
	c.judge(on.t, fmt.Sprintf("read of %s on node %d", c.key, node), value, lowest)
	return true
}

// check compares the counter with what is known of it in the end.
func (c *tally) check(on *cluster, node int) {
	on.t.Helper()
	final, err := on.get(node, c.key)
	on.must(err)
	low := c.acknowledged.Load()
	if high := low + c.unknown.Load(); final < low || final > high {
		on.t.Errorf("%s is %d: %d increments were acknowledged and %d are unknown", c.key, final, low, high-low)
	}
}

// counting is clients that increment tallies without a pause.
type counting struct {
	on      *cluster
	tallies []*tally
	cancel  context.CancelFunc
	done    sync.WaitGroup
	stopped atomic.Bool
	// overtaken is the increments of the test itself.
	overtaken int
}

const (
	// countingClients is as many as provoked stale reads on the stock library.
	countingClients = 24
	// countingTimeout is soon, so that clients of a paused node come back.
	countingTimeout = time.Second
	// countingPause is between the calls with an id of a client, of which a
	// node remembers a million: with it 12 clients send some 3,000 a second,
	// and those of five minutes fit.
	countingPause = 2 * time.Millisecond
)

// startCounting starts clients: of two, one sends ids. Of three, one goes to
// nodes that are paused too; the others keep the load up meanwhile.
func startCounting(on *cluster, seed uint64) *counting {
	ctx, cancel := context.WithCancel(context.Background())
	l := &counting{on: on, cancel: cancel}
	for i := range 8 {
		l.tallies = append(l.tallies, &tally{key: fmt.Sprintf("tally-%d", i)})
	}
	for i := range countingClients {
		l.done.Go(func() { l.count(ctx, i, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	return l
}

func (l *counting) count(ctx context.Context, i int, random *rand.Rand) {
	client := newClient(countingTimeout)
	defer client.CloseIdleConnections()
	nodes := func() int {
		for {
			node := random.IntN(clusterSize)
			if i%3 == 0 || ctx.Err() != nil || !l.on.nodes[node].paused.Load() {
				return node
			}
		}
	}
	for n := 0; !l.stopped.Load(); n++ {
		id := ""
		if i%2 == 0 {
			id = fmt.Sprintf("client-%d-%d", i, n)
		}
		// Even numbers are for calls with ids: those are exact in the end.
		which := l.tallies[2*random.IntN(len(l.tallies)/2)+i%2]
		which.increment(ctx, l.on, client, id, nodes)
		if id != "" {
			time.Sleep(countingPause)
		}
	}
}

// finish ends the load in order. A call with an id that nobody acknowledges
// within a minute is given up, and is unknown.
func (l *counting) finish() {
	l.stopped.Store(true)
	giveUp := time.AfterFunc(time.Minute, l.cancel)
	defer giveUp.Stop()
	l.done.Wait()
	l.cancel()
}

// overtakeMax bounds how long a node that leads may take to acknowledge.
const overtakeMax = 10 * time.Second

// overtake has a node acknowledge an increment of every tally.
func (l *counting) overtake(node int) {
	l.on.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), overtakeMax)
	defer cancel()
	for _, tally := range l.tallies {
		l.overtaken++
		tally.increment(ctx, l.on, l.on.http, fmt.Sprintf("overtake-%d", l.overtaken), func() int { return node })
		if ctx.Err() != nil {
			l.on.t.Fatalf("node %d acknowledges nothing within %v", node, overtakeMax)
		}
	}
}

// check compares all tallies with what clients know in the end, and returns
// how many increments were acknowledged.
func (l *counting) check() (acknowledged int64) {
	l.on.t.Helper()
	var unknown, refused int64
	for i, tally := range l.tallies {
		tally.check(l.on, i%clusterSize)
		acknowledged += tally.acknowledged.Load()
		unknown += tally.unknown.Load()
		refused += tally.refused.Load()
		if n := tally.unknown.Load() + tally.refused.Load(); i%2 == 0 && n > 0 {
			l.on.t.Errorf("%d increments of %s had an id and were not acknowledged within a minute", n, tally.key)
		}
	}
	l.on.t.Logf("%d increments acknowledged, %d unknown, %d surely not applied", acknowledged, unknown, refused)
	return acknowledged
}

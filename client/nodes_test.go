package client_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/peer/memnet"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/node"
	"github.com/quorate/quorate/respapi"
)

var full = flag.Bool("full", false, "let the 1,000 goroutines rest never, and the test of them take 75 s")

// real is nodes with their Redis doors, each behind a proxy. What is between the
// nodes is in memory, what is between them and the client is TCP.
type real struct {
	t       testing.TB
	net     *memnet.Network
	disks   []vfs.FS
	nodes   []*node.Node
	doors   []*respapi.Server
	targets []atomic.Value // string: where the door listens
	proxies []*proxy
	serving sync.WaitGroup
}

func startReal(t testing.TB, n int) *real {
	t.Helper()
	r := &real{t: t, net: memnet.New(), nodes: make([]*node.Node, n), doors: make([]*respapi.Server, n), targets: make([]atomic.Value, n)}
	for i := range n {
		r.disks = append(r.disks, vfs.NewMem())
		r.start(i)
		r.proxies = append(r.proxies, newProxy(t, func() string { return r.targets[i].Load().(string) }))
	}
	for _, n := range r.nodes {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		if err := n.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	return r
}

func (r *real) start(i int) {
	r.t.Helper()
	var join []string
	for other := range r.nodes {
		join = append(join, fmt.Sprintf("n%d:7302", other))
	}
	host := r.net.Host(fmt.Sprintf("n%d", i))
	n, err := node.Start(kv.Service, node.Config{
		Dir: "data", Peer: join[i], Join: join, ElectionTimeout: 500 * time.Millisecond,
		Host: node.Host{FS: r.disks[i], Listen: host.Listen, Dial: host.Dial, SegmentBytes: 1 << 20},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.targets[i].Store(l.Addr().String())
	r.nodes[i], r.doors[i] = n, respapi.New(respapi.Config{Service: kv.Service, Executor: n})
	door := r.doors[i]
	r.serving.Go(func() { _ = door.Serve(l) })
}

// kill ends a node in the middle of what it does, as far as anybody sees.
func (r *real) kill(i int) {
	r.proxies[i].kill()
	for other := range r.nodes {
		if other != i {
			r.net.Cut(fmt.Sprintf("n%d", i), fmt.Sprintf("n%d", other))
		}
	}
	r.stop(i)
}

// revive starts a node that was killed.
func (r *real) revive(i int) {
	r.t.Helper()
	for other := range r.nodes {
		if other != i {
			r.net.Heal(fmt.Sprintf("n%d", i), fmt.Sprintf("n%d", other))
		}
	}
	r.start(i)
	r.proxies[i].revive()
}

// freeze cuts a node off from all others and from its clients, none of whom
// sees that.
func (r *real) freeze(i int) {
	r.proxies[i].freeze()
	for other := range r.nodes {
		if other != i {
			r.net.Cut(fmt.Sprintf("n%d", i), fmt.Sprintf("n%d", other))
		}
	}
}

func (r *real) thaw(i int) {
	for other := range r.nodes {
		if other != i {
			r.net.Heal(fmt.Sprintf("n%d", i), fmt.Sprintf("n%d", other))
		}
	}
	r.proxies[i].thaw()
}

func (r *real) stop(i int) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // nobody is waited for
	_ = r.doors[i].Shutdown(ctx)
	_ = r.nodes[i].Close(ctx)
	<-r.nodes[i].Done()
}

func (r *real) close() {
	for i := range r.nodes {
		r.proxies[i].close()
		r.stop(i)
	}
	r.serving.Wait()
}

// leader is a node that leads, as seen by itself.
func (r *real) leader() int {
	r.t.Helper()
	for range 1000 {
		for i, n := range r.nodes {
			if n.Status(r.t.Context()).Role == node.Leader {
				return i
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.t.Fatal("no node leads")
	return -1
}

func (r *real) client(change ...func(*client.Config)) *client.Client {
	r.t.Helper()
	var config client.Config
	for _, p := range r.proxies {
		config.Addrs = append(config.Addrs, p.addr)
	}
	for _, f := range change {
		f(&config)
	}
	return mustOpen(r.t, config)
}

// worker is one goroutine that increments a counter of its own and, now and
// then, one that all share.
type worker struct {
	key           string
	rest          time.Duration // between two calls, at most
	sure, perhaps int64         // of its own
	shared        int64         // of the shared counter that were answered
	sharedPerhaps int64
	refused       int64
	failed        int64           // of those with much time
	over          []time.Duration // past the deadline, of calls that came to it
}

const sharedKey = "shared"

func (k *worker) run(t *testing.T, c *client.Client, random *rand.Rand, done <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-done:
			return
		case <-time.After(time.Duration(random.Int64N(int64(k.rest) + 1))):
		}
		timeout := muchTime
		if n%4 == 0 {
			timeout = time.Duration(1+random.IntN(1000)) * time.Millisecond
		}
		key, sure, perhaps := k.key, &k.sure, &k.perhaps
		if n%8 == 7 {
			key, sure, perhaps = sharedKey, &k.shared, &k.sharedPerhaps
		}
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		deadline, _ := ctx.Deadline()
		got, err := inc(ctx, c, key)
		over := time.Since(deadline)
		cancel()
		if over > 0 {
			k.over = append(k.over, over)
		}
		if key == k.key && err == nil && (got < k.sure+1 || got > k.sure+1+k.perhaps) {
			t.Errorf("%s is %d behind %d increments that were answered and %d of unknown outcome", key, got, k.sure, k.perhaps)
		}
		if err != nil && timeout == muchTime {
			k.failed++
		}
		switch {
		case err == nil:
			*sure++
		case quorate.OutcomeUnknown(err):
			*perhaps++
		default:
			k.refused++
		}
	}
}

// muchTime is longer than the cluster is ever without a leader.
const muchTime = 5 * time.Second

// lateness is how late timers of this process are, which no call can help.
func lateness(done <-chan struct{}) (worst time.Duration) {
	for {
		due := time.Now().Add(5 * time.Millisecond)
		timer := time.NewTimer(time.Until(due))
		select {
		case <-timer.C:
			worst = max(worst, time.Since(due))
		case <-done:
			timer.Stop()
			return worst
		}
	}
}

// TestThousandCallersThroughLossesOfNodes is many callers over four connections
// while nodes are killed and frozen, the leader among them.
func TestThousandCallersThroughLossesOfNodes(t *testing.T) {
	callers, rest := 1000, 300*time.Millisecond
	rounds, down, up := 1, time.Second, 250*time.Millisecond
	if *full {
		rounds, down, up, rest = 3, 4*time.Second, 2*time.Second, 0
	}
	if raced {
		callers = 50
	}
	r := startReal(t, 3)
	defer r.close()
	c := r.client(func(config *client.Config) { config.ConnsPerNode = 4 })
	defer mustClose(t, c)
	workers := make([]*worker, callers)
	done := make(chan struct{})
	var group sync.WaitGroup
	begun := time.Now()
	for i := range workers {
		workers[i] = &worker{key: fmt.Sprint("own", i), rest: rest}
		random := rand.New(rand.NewPCG(1, uint64(i)))
		group.Go(func() { workers[i].run(t, c, random, done) })
	}
	var late time.Duration
	group.Go(func() { late = lateness(done) })
	time.Sleep(up)
	for range rounds {
		for _, step := range []struct {
			what string
			who  func() int
			do   func(int)
			undo func(int)
		}{
			{"kill a follower", func() int { return (r.leader() + 1) % 3 }, r.kill, r.revive},
			{"freeze a follower", func() int { return (r.leader() + 2) % 3 }, r.freeze, r.thaw},
			{"freeze the leader", r.leader, r.freeze, r.thaw},
			{"kill the leader", r.leader, r.kill, r.revive},
		} {
			i := step.who()
			t.Logf("%6.2fs %s, node %d", time.Since(begun).Seconds(), step.what, i)
			step.do(i)
			time.Sleep(down)
			step.undo(i)
			time.Sleep(up)
		}
	}
	close(done)
	group.Wait()
	elapsed := time.Since(begun)
	report(t, c, workers, elapsed, late)
}

// report counts, and compares with what the nodes say. Timers of the process
// were late by so much, at most.
func report(t *testing.T, c *client.Client, workers []*worker, elapsed, late time.Duration) {
	t.Helper()
	var all worker
	for _, k := range workers {
		n := mustRead(t, c, k.key)
		if n < k.sure || n > k.sure+k.perhaps {
			t.Errorf("%s is %d after %d increments that were answered and %d of unknown outcome", k.key, n, k.sure, k.perhaps)
		}
		all.sure += k.sure
		all.perhaps += k.perhaps + k.sharedPerhaps
		all.shared += k.shared
		all.sharedPerhaps += k.sharedPerhaps
		all.refused += k.refused
		all.failed += k.failed
		all.over = append(all.over, k.over...)
	}
	if n := mustRead(t, c, sharedKey); n < all.shared || n > all.shared+all.sharedPerhaps {
		t.Errorf("the shared counter is %d after %d increments that were answered and %d of unknown outcome", n, all.shared, all.sharedPerhaps)
	}
	calls := all.sure + all.shared
	t.Logf("%d answered in %.1f s (%.0f/s), %d unknown, %d surely not applied", calls, elapsed.Seconds(), float64(calls)/elapsed.Seconds(), all.perhaps, all.refused)
	if calls == 0 {
		t.Error("nothing was answered")
	}
	if *full && all.failed > 0 {
		t.Errorf("%d calls with a deadline of %v failed", all.failed, muchTime)
	}
	slices.Sort(all.over)
	n := len(all.over)
	if n == 0 {
		return
	}
	at := func(share float64) time.Duration { return all.over[min(n-1, int(share*float64(n)))] }
	t.Logf("%d calls came to their deadline; past it: median %v, 90%% %v, 99%% %v, at most %v; a timer alone was late by up to %v",
		n, at(.5), at(.9), at(.99), all.over[n-1], late)
	if worst := all.over[n-1]; worst > overMax+handOvers*late {
		t.Errorf("a call returned %v after its deadline, where a timer alone was late by up to %v", worst, late)
	}
}

const (
	// overMax is how late a call may return, where no timer is late.
	overMax = 50 * time.Millisecond
	// handOvers is how often a goroutine waits for its turn before a call that
	// has come to its deadline returns: for the timer, and for the account of the
	// connection and of the client.
	handOvers = 3
)

func mustRead(t *testing.T, c *client.Client, key string) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	v, err := quorate.Ask(ctx, c, kv.Get{Key: kv.Key(key)})
	if quorate.CodeOf(err) == quorate.NotFound {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return v.Int()
}

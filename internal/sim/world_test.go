package sim_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/peer/memnet"
	"github.com/quorate/quorate/node"
)

// world is a cluster, what breaks it and what is known of it.
type world struct {
	t       *testing.T
	plan    plan
	net     *memnet.Network
	places  []*place
	history *history
	tally   *tally
	journey *strings.Builder // what happened, line by line; guarded by mu
	began   time.Time
	length  atomic.Int64 // 0 until the world has ended
	// ctx ends when a check has failed.
	ctx   context.Context
	stop  context.CancelFunc
	jobs  sync.WaitGroup // what faults do; they end when all is calm
	lives sync.WaitGroup // those who wait for the end of a node, or close one
	// calm ends when the faults do.
	calm   context.Context
	soothe context.CancelFunc

	// mu guards what follows.
	mu       sync.Mutex
	verdicts []verdict
	// cuts counts the faults that cut each way.
	cuts map[way]int
	// leaders is who led each term, hashes the state at each index.
	leaders map[uint64]string
	hashes  map[uint64]string
	// entries is every entry that was ever durable anywhere, committed those
	// that a node said are committed.
	entries   map[position]record
	committed map[uint64]record
	// floor is the highest index of any answer so far.
	floor uint64
	// floors is how floor rose.
	floors []heard
}

type way struct{ from, to int }

type position struct{ index, term uint64 }

// verdict is a check that failed.
type verdict struct {
	check   string
	message string
	at      time.Duration
}

func (v verdict) String() string {
	return fmt.Sprintf("check: %s, at %v: %s", v.check, v.at, v.message)
}

func newWorld(t *testing.T, p plan) *world {
	ctx, stop := context.WithCancel(context.Background())
	calm, soothe := context.WithCancel(ctx)
	w := &world{
		t: t, plan: p, net: memnet.New(), history: &history{}, tally: newTally(), journey: new(strings.Builder),
		began: time.Now(), ctx: ctx, stop: stop, calm: calm, soothe: soothe,
		cuts: make(map[way]int), leaders: make(map[uint64]string), hashes: make(map[uint64]string),
		entries: make(map[position]record), committed: make(map[uint64]record),
	}
	for i := range p.Nodes {
		w.places = append(w.places, newPlace(w, i))
	}
	for _, u := range p.Upgrades {
		w.places[u.Node].older = true
	}
	w.link()
	return w
}

// verdictsMax bounds what is kept of a run that has failed anyway.
const verdictsMax = 20

// fail notes that a check failed and ends the run.
func (w *world) fail(check, format string, args ...any) {
	v := verdict{check, fmt.Sprintf(format, args...), w.now()}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.verdicts) < verdictsMax {
		w.verdicts = append(w.verdicts, v)
	}
	fmt.Fprintln(w.journey, v)
	w.stop()
}

// note writes a line of the journey.
func (w *world) note(format string, args ...any) {
	line := fmt.Sprintf("%v %s\n", w.now(), fmt.Sprintf(format, args...))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.journey.WriteString(line)
}

// now is the time since the world began; when it has ended, its length.
func (w *world) now() time.Duration {
	if length := w.length.Load(); length != 0 {
		return time.Duration(length)
	}
	return time.Since(w.began)
}

// sleep waits, or less if a check fails meanwhile.
func (w *world) sleep(d time.Duration) { rest(w.ctx, d) }

// rest waits, or less if ctx ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// host is the name of a place on the network, addr where its node listens.
func host(i int) string { return fmt.Sprintf("n%d", i) }
func addr(i int) string { return host(i) + ":7302" }

// majority is how many nodes make one.
func (w *world) majority() int { return len(w.places)/2 + 1 }

// config is how the node of a place runs.
func (w *world) config(p *place, d *disk, h *memnet.Host) node.Config {
	var join []string
	for i := range w.places {
		join = append(join, addr(i))
	}
	return node.Config{
		Dir: dataDir, Peer: addr(p.index), Join: join, Log: p.log(),
		ElectionTimeout: w.plan.ElectionTimeout,
		SnapshotEntries: w.plan.SnapshotEntries, TrailingEntries: max(1, w.plan.TrailingEntries),
		Host: node.Host{
			FS: d, Listen: h.Listen, Dial: h.Dial, Now: p.clock.now, SegmentBytes: w.plan.SegmentBytes, LayerBytes: w.plan.LayerBytes,
			Apply: w.drifting(p),
		},
	}
}

// execute runs calls through the node of a place. It is false if the node
// died meanwhile, so that nobody heard its answers, or if there is none.
func (w *world) execute(ctx context.Context, i int, calls []quorate.Call) (replies []quorate.Reply, sent, heard bool) {
	l := w.places[i].running()
	if l == nil {
		return nil, false, false
	}
	replies = l.node.Execute(ctx, calls)
	return replies, true, !l.over.Load()
}

// closeAll closes what runs.
func (w *world) closeAll() {
	for _, p := range w.places {
		p.take(func() { p.closeNode(5 * time.Second) })
	}
	w.lives.Wait()
}

// up is the places whose nodes are not lost for ever.
func (w *world) up() []*place {
	var up []*place
	for _, p := range w.places {
		p.mu.Lock()
		if p.out == "" {
			up = append(up, p)
		}
		p.mu.Unlock()
	}
	return up
}

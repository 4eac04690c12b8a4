package sim_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/peer/memnet"
	"github.com/quorate/quorate/node"
)

// place is where a node lives: its disk and its clock outlive it.
type place struct {
	index int
	world *world
	clock *clock
	// stretch is by how much everything to and from here takes longer; 0 is
	// once.
	stretch atomic.Int64
	// turn is held by who starts or stops the node. It is a channel because
	// that takes time.
	turn chan struct{}

	// mu guards what follows.
	mu sync.Mutex
	// life is the node that runs; nil if none does.
	life *life
	// journal is what of its log is durable.
	journal *journal
	// image is the disk to start from.
	image *vfs.MemFS
	// lives counts the nodes that ran here.
	lives int
	// older says that the program here is the older version.
	older bool
	// out says why no node can run here any more; empty if one can.
	out string
	// formed says that its node was seen in a cluster.
	formed bool
	// checked is up to where the journal was compared with what is committed.
	checked uint64
	// drift is how its state came to differ from that of the others.
	drift drift
}

// life is one incarnation of a node.
type life struct {
	place *place
	node  *node.Node
	disk  *disk
	host  *memnet.Host
	// over says that it has ended: what it does from then on, such as closing
	// after a power failure, counts for nothing.
	over atomic.Bool
	// closing says that it is being closed in good order: its last answers
	// count.
	closing atomic.Bool
}

func newPlace(w *world, i int) *place {
	return &place{
		index: i, world: w, clock: newClock(w.plan.Clocks[i]), journal: newJournal(),
		turn: make(chan struct{}, 1), image: vfs.NewCrashableMem(),
	}
}

// log takes the lines that a node logs into the journey.
func (p *place) log() *slog.Logger { return slog.New(journeyLog{p, nil}) }

// running is the node that runs here; nil if none does.
func (p *place) running() *life {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life
}

// start starts a node on the image. The caller holds the turn.
func (p *place) start() {
	w := p.world
	p.mu.Lock()
	if p.life != nil || p.out != "" {
		p.mu.Unlock()
		return
	}
	p.lives++
	mem, lives := p.image, p.lives
	p.mu.Unlock()
	d := newDisk(mem, source(w.plan.Seed, fmt.Sprintf("disk %d/%d", p.index, lives)))
	l := &life{place: p, disk: d, host: w.net.Host(host(p.index))}
	d.synced = func(m mark) {
		if !l.over.Load() {
			p.synced(d, m)
		}
	}
	d.strange = func(err error) { w.fail("log", "n%d writes to its log %v", p.index, err) }
	n, err := node.Start(p.program(), w.config(p, d, l.host))
	if err != nil {
		l.host.PowerOff()
		if !d.faulted.Load() {
			w.fail("restart", "n%d does not start on its own disk: %v", p.index, err)
		}
		return
	}
	l.node = n
	p.mu.Lock()
	p.life, p.checked = l, 0
	p.mu.Unlock()
	w.note("n%d starts for the %d. time", p.index, lives)
	w.lives.Go(func() { p.watch(l) })
}

// program is what is started here.
func (p *place) program() *quorate.Service {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.older {
		return olderService
	}
	return service
}

// upgrade starts the node with the newer version.
func (p *place) upgrade() {
	p.take(func() {
		p.closeNode(2 * time.Second)
		p.mu.Lock()
		p.older = false
		p.mu.Unlock()
		p.world.note("n%d gets the newer version", p.index)
		p.world.tally.upgrade()
		p.start()
	})
}

// watch waits for the end of a node, which must have a reason.
func (p *place) watch(l *life) {
	<-l.node.Done()
	if l.over.Load() || l.closing.Load() {
		return
	}
	if errors.Is(l.node.Err(), node.ErrDiverged) {
		p.diverged(l)
		return
	}
	if !l.disk.faulted.Load() {
		p.world.fail("stop", "n%d stopped by itself: %v", p.index, l.node.Err())
	}
	p.world.note("n%d stopped: %v", p.index, l.node.Err())
	p.take(func() { p.crash(l, 50) })
	rest(p.world.calm, repair)
	p.take(p.start)
}

// repair is how long a node that stopped by itself is down.
const repair = 700 * time.Millisecond

// take does something to the place while nobody else does.
func (p *place) take(do func()) {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	do()
}

// crash cuts the power of a node: of what was not synced, each part survives
// with the chance of percent. The caller holds the turn.
func (p *place) crash(l *life, percent int) {
	w := p.world
	p.mu.Lock()
	if p.life != l || l == nil {
		p.mu.Unlock()
		return
	}
	p.life = nil
	lives := p.lives
	p.mu.Unlock()
	w.note("n%d loses its power; %d %% of what was not synced survive", p.index, percent)
	// From here on nothing that it says is heard, so that nothing is promised
	// that the image lacks.
	l.over.Store(true)
	l.host.PowerOff()
	image := l.disk.mem.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: percent, RNG: source(w.plan.Seed, fmt.Sprintf("crash %d/%d", p.index, lives)),
	})
	p.mu.Lock()
	p.image = image
	p.mu.Unlock()
	w.lives.Go(func() { l.node.Close(done()) })
	p.inspect(image)
}

// closeNode closes a node as an operator does. The caller holds the turn.
func (p *place) closeNode(wait time.Duration) {
	l := p.running()
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	l.closing.Store(true)
	p.mu.Lock()
	p.life = nil
	p.mu.Unlock()
	err := l.node.Close(ctx)
	l.over.Store(true)
	l.host.PowerOff()
	if err != nil && !l.disk.faulted.Load() {
		p.world.fail("stop", "n%d closes with %v", p.index, err)
	}
	if l.disk.faulted.Load() {
		p.inspect(l.disk.mem)
	}
	p.mu.Lock()
	p.image = l.disk.mem
	p.mu.Unlock()
}

// synced takes a durable record of the log of a node that lives.
func (p *place) synced(d *disk, m mark) {
	w := p.world
	if m.kind == recordEntry {
		m.record = w.meet(p, m.record)
	}
	removed, covered := p.durableLog().take(m, func() uint64 {
		covered, err := noteIndex(d.mem.CrashClone(vfs.CrashCloneCfg{}))
		if err != nil {
			w.fail("durability", "the snapshot on the disk of n%d cannot be read: %v", p.index, err)
		}
		return covered
	})
	for _, r := range removed {
		w.mu.Lock()
		was, known := w.committed[r.index]
		w.mu.Unlock()
		if known && was.same(r) && r.index > covered {
			w.fail("durability", "n%d drops the committed %v, and the snapshot on its disk covers %d", p.index, r, covered)
		}
	}
}

// meet compares an entry with those of the same index and term elsewhere, and
// returns the first of them: all share its bytes.
func (w *world) meet(p *place, r record) record {
	w.mu.Lock()
	was, known := w.entries[position{r.index, r.term}]
	if !known {
		w.entries[position{r.index, r.term}] = r
	}
	w.mu.Unlock()
	if known && !was.same(r) {
		w.fail("log", "n%d holds %v, and another node %v", p.index, r, was)
	}
	if !known || !was.same(r) {
		return r
	}
	return was
}

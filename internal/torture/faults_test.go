package torture

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// fault is something that is done to the cluster, for a time. A seed decides
// all of it but one thing: which node leads when the time comes.
type fault struct {
	kind faultKind
	at   time.Duration // since the round began
	// lasts is until it is undone.
	lasts time.Duration
	// leader says that it is for the node that leads, if there is one, instead
	// of node. other is another node than that: the one so many further on.
	leader      bool
	node, other int
	delay       time.Duration
}

// faultKind is what a fault does.
type faultKind string

const (
	faultKill    faultKind = "kill"    // SIGKILL, and started again
	faultRestart faultKind = "restart" // SIGTERM, awaited, and started again
	faultPause   faultKind = "pause"   // SIGSTOP, then SIGCONT
	faultHold    faultKind = "hold"    // one direction between two nodes is held
	faultMute    faultKind = "mute"    // nothing of a node reaches any other
	faultDeafen  faultKind = "deafen"  // nothing of any other reaches a node
	faultCut     faultKind = "cut"     // both of these
	faultDelay   faultKind = "delay"   // one direction is slow
	faultReset   faultKind = "reset"   // connections between two nodes break
)

var faultKinds = []faultKind{faultKill, faultRestart, faultPause, faultHold, faultMute, faultDeafen, faultCut, faultDelay, faultReset}

// faultGapMin and faultGapMax bound the time between faults, which is half a
// second on average. With how long they last, two or three are there at a time.
const (
	faultGapMin = 100 * time.Millisecond
	faultGapMax = 1500 * time.Millisecond
)

// schedule draws the faults of a round: every kind once, in any order, and
// again, until the round is full.
func schedule(random *rand.Rand, length time.Duration) []fault {
	var faults []fault
	var kinds []int
	for at := time.Duration(0); ; {
		at += spread(random, faultGapMin, faultGapMax)
		if at >= length {
			return faults
		}
		if len(kinds) == 0 {
			kinds = random.Perm(len(faultKinds))
		}
		f := fault{
			kind: faultKinds[kinds[0]], at: at,
			leader: random.IntN(2) == 0, node: random.IntN(clusterSize), other: 1 + random.IntN(clusterSize-1),
			delay: spread(random, 2*time.Millisecond, 100*time.Millisecond),
		}
		kinds = kinds[1:]
		switch f.kind {
		case faultKill, faultRestart:
			f.lasts = spread(random, 10*time.Millisecond, 2*time.Second)
		case faultReset:
		default:
			f.lasts = spread(random, 100*time.Millisecond, 5*time.Second)
		}
		if f.kind == faultPause && !canPause {
			continue
		}
		faults = append(faults, f)
	}
}

// spread draws a duration whose magnitude is even between two.
func spread(random *rand.Rand, low, high time.Duration) time.Duration {
	return time.Duration(float64(low) * math.Pow(float64(high)/float64(low), random.Float64()))
}

// player does faults to a cluster, one step after the other, on the goroutine
// of the test.
type player struct {
	c       *cluster
	figures *figures
	began   time.Time
	steps   []step
	// busy is the nodes whose process a fault has at the moment.
	busy [clusterSize]bool
}

// step is the beginning or the end of a fault.
type step struct {
	at  time.Duration
	do  func()
	end bool
}

func newPlayer(c *cluster, f *figures) *player { return &player{c: c, figures: f} }

// play does faults for so long, and then ends all that are left.
func (p *player) play(faults []fault, length time.Duration) {
	p.began = time.Now()
	for _, f := range faults {
		p.add(step{at: f.at, do: func() { p.begin(f) }})
	}
	for len(p.steps) > 0 && p.steps[0].at < length {
		next := p.steps[0]
		p.steps = p.steps[1:]
		time.Sleep(next.at - time.Since(p.began))
		p.checkAlive()
		next.do()
	}
	time.Sleep(length - time.Since(p.began))
	p.heal()
}

// heal ends all faults at once.
func (p *player) heal() {
	steps := p.steps
	p.steps = nil
	for _, s := range steps {
		if s.end {
			s.do()
		}
	}
	p.checkAlive()
}

func (p *player) add(s step) {
	p.steps = append(p.steps, s)
	slices.SortStableFunc(p.steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
}

// checkAlive fails the test if a node has ended that no fault ended.
func (p *player) checkAlive() {
	p.c.t.Helper()
	for i, node := range p.c.nodes {
		if !p.busy[i] && !node.alive() {
			p.c.t.Fatalf("node %d ended by itself: %v", i, node.err)
		}
	}
}

// begin does a fault and plans its end.
func (p *player) begin(f fault) {
	node := f.node
	if f.leader {
		if leads := p.c.leads(); leads >= 0 {
			node = leads
		}
	}
	other := (node + f.other) % clusterSize
	end := p.process(f, node)
	if end == nil {
		end = p.wires(f, node, other)
	}
	if end == nil {
		return // the node has a fault already
	}
	p.figures.faults[f.kind]++
	p.add(step{at: time.Since(p.began) + f.lasts, do: end, end: true})
}

// process does a fault to the process of a node. What it returns undoes it.
func (p *player) process(f fault, i int) func() {
	node := p.c.nodes[i]
	if p.busy[i] {
		return nil
	}
	var undo func()
	switch f.kind {
	case faultKill:
		p.c.kill(i)
		undo = func() { p.c.start(i) }
	case faultRestart:
		p.c.must(node.terminate())
		undo = func() {
			p.c.must(node.awaitEnd())
			p.c.start(i)
		}
	case faultPause:
		p.c.must(node.pause())
		undo = func() { p.c.must(node.resume()) }
	default:
		return nil
	}
	p.busy[i] = true
	return func() {
		undo()
		p.busy[i] = false
	}
}

// wires does a fault to what is between nodes. What it returns undoes it.
func (p *player) wires(f fault, node, other int) (end func()) {
	one := direction{node, other}
	switch f.kind {
	case faultHold:
		return p.hold(one)
	case faultMute:
		return p.hold(around(node)...)
	case faultDeafen:
		return p.hold(reversed(around(node))...)
	case faultCut:
		return p.hold(append(around(node), reversed(around(node))...)...)
	case faultDelay:
		p.c.wires.delay(one, f.delay)
		return func() { p.c.wires.delay(one, 0) }
	case faultReset:
		p.c.wires.reset(one)
		return func() {}
	}
	return nil
}

// hold holds directions until its end.
func (p *player) hold(directions ...direction) (end func()) {
	for _, d := range directions {
		p.c.wires.hold(d)
	}
	return func() {
		for _, d := range directions {
			p.c.wires.release(d)
		}
	}
}

// around is the directions from a node to all others.
func around(node int) (directions []direction) {
	for i := 1; i < clusterSize; i++ {
		directions = append(directions, direction{node, (node + i) % clusterSize})
	}
	return directions
}

func reversed(directions []direction) (all []direction) {
	for _, d := range directions {
		all = append(all, d.reverse())
	}
	return all
}

func TestScheduleIsThatOfItsSeedAndHasEveryKindOfFault(t *testing.T) {
	draw := func(seed uint64) []fault { return schedule(rand.New(rand.NewPCG(seed, 0)), 10*time.Minute) }
	if !slices.Equal(draw(1), draw(1)) {
		t.Error("one seed has two schedules")
	}
	if slices.Equal(draw(1), draw(2)) {
		t.Error("two seeds have one schedule")
	}
	seen := make(map[faultKind]int)
	for _, f := range draw(1) {
		seen[f.kind]++
	}
	for _, kind := range faultKinds {
		if seen[kind] == 0 && (kind != faultPause || canPause) {
			t.Errorf("no %s in 10 minutes", kind)
		}
	}
}

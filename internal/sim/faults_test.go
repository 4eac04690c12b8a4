package sim_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// direct lets the faults of the plan come, and ends them when their time is
// over.
func (w *world) direct() {
	for _, f := range w.plan.Faults {
		rest(w.ctx, f.At-w.now())
		if w.ctx.Err() != nil {
			return
		}
		target := f.Target
		if leader := w.leader(); f.Aim == "leader" && leader >= 0 {
			target = leader
		}
		w.note("fault: %s, n%d", f, target)
		w.strike(f, w.places[target], rand.New(rand.NewPCG(f.Dice, 0)))
	}
	rest(w.ctx, w.plan.Safety-w.now())
}

// leader is a place whose node leads, as it sees itself; -1 if there is none.
func (w *world) leader() int {
	for _, p := range w.places {
		if l := p.running(); l != nil && l.status().Role == "leader" {
			return p.index
		}
	}
	return -1
}

// strike makes one fault.
func (w *world) strike(f fault, p *place, dice *rand.Rand) {
	switch f.Kind {
	case isolate, oneWay, split, partial, bridge, ring:
		w.cutFor(f, w.waysOf(f.Kind, p.index, dice))
	case reset:
		w.tally.fault(f.Kind)
		for _, q := range w.places {
			if q != p && dice.IntN(2) == 0 {
				w.net.Break(host(p.index), host(q.index))
			}
		}
	case slowLink:
		w.tally.fault(f.Kind)
		stretch := int64(2 + dice.IntN(20))
		p.stretch.Store(stretch)
		w.after(f.For, func() { p.stretch.CompareAndSwap(stretch, 1) })
	case jump:
		w.tally.fault(f.Kind)
		apart := offBy(len(w.places))
		if w.heard(0) == 0 {
			// There is no log time yet: the first one is that of whoever
			// leads first, and the others would agree on another.
			apart = aloneOffsetMax
		}
		if dice.IntN(2) == 0 && w.plan.inStep() {
			apart = followedMax
		}
		p.clock.set(within(dice, apart))
	case slowDisk:
		w.slow(f, p, dice)
	case failDisk:
		w.fault(f, p, dice)
	case handOver:
		if l := p.running(); l != nil {
			w.handOver(f, l, dice)
		}
	case crash, kill, restart:
		w.jobs.Go(func() { w.end(f, p, dice) })
	case outage:
		w.jobs.Go(func() { w.endAll(f, dice) })
	case wipe, loseLog, corrupt:
		w.jobs.Go(func() { w.ruin(f.Kind, p, dice) })
	}
}

// handOver lets a leader give leadership away. In one of two cases it hears
// nobody any more once it has told its successor, and so does not learn that it
// is deposed: an old leader that believes in itself as long as it may.
// Not beside a drift: who is right can be decided while all are heard of.
func (w *world) handOver(f fault, l *life, dice *rand.Rand) {
	w.tally.fault(f.Kind)
	w.jobs.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		l.node.HandOver(ctx)
	})
	if dice.IntN(2) == 0 || w.plan.Drift != nil {
		return
	}
	told := w.plan.Links.Delay + time.Duration(dice.Int64N(int64(w.plan.Links.Delay)+int64(w.plan.Links.Jitter)+1))
	deaf := w.waysTo(l.place.index)
	w.jobs.Go(func() {
		rest(w.calm, told)
		w.tally.fault(oneWay)
		w.cut(deaf, 1)
		rest(w.calm, f.For)
		w.cut(deaf, -1)
	})
}

// waysTo is all ways to a place.
func (w *world) waysTo(target int) (ways []way) {
	for i := range w.places {
		if i != target {
			ways = append(ways, way{i, target})
		}
	}
	return ways
}

// after does something when a fault is over, at the latest when all are.
func (w *world) after(d time.Duration, do func()) {
	w.jobs.Go(func() {
		rest(w.calm, d)
		do()
	})
}

// cutFor cuts ways for the time of a fault.
func (w *world) cutFor(f fault, ways []way) {
	if len(ways) == 0 {
		return
	}
	w.tally.fault(f.Kind)
	w.cut(ways, 1)
	w.after(f.For, func() { w.cut(ways, -1) })
}

// cut adds to the number of faults that cut each way.
func (w *world) cut(ways []way, by int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range ways {
		w.cuts[c] += by
		switch from, to := host(c.from), host(c.to); {
		case by > 0 && w.cuts[c] == 1:
			w.net.CutOneWay(from, to)
		case w.cuts[c] == 0:
			w.net.HealOneWay(from, to)
		}
	}
}

// waysOf is what a partition cuts.
func (w *world) waysOf(k kind, target int, dice *rand.Rand) (ways []way) {
	n := len(w.places)
	order := dice.Perm(n)
	side := dice.IntN(1<<n-2) + 1
	outwards := dice.IntN(2) == 0
	other := (target + 1 + dice.IntN(max(1, n-1))) % n
	for a := range n {
		for b := range n {
			if a != b && w.severs(k, a, b, target, other, side, outwards, order) {
				ways = append(ways, way{a, b})
			}
		}
	}
	return ways
}

// severs says that a partition cuts the way from a to b.
func (w *world) severs(k kind, a, b, target, other, side int, outwards bool, order []int) bool {
	n := len(order)
	switch k {
	case isolate:
		return a == target || b == target
	case oneWay:
		return outwards && a == target || !outwards && b == target
	case partial:
		return a == target && b == other || a == other && b == target
	case split:
		return side>>a&1 != side>>b&1
	case bridge:
		// The first in the order sees both halves.
		x, y := order[a], order[b]
		return x != 0 && y != 0 && (x <= n/2) != (y <= n/2)
	case ring:
		distance := (order[a] - order[b] + n) % n
		return distance != 1 && distance != n-1
	}
	return false
}

// slow makes the log of a node slow.
func (w *world) slow(f fault, p *place, dice *rand.Rand) {
	l := p.running()
	if l == nil {
		return
	}
	w.tally.fault(f.Kind)
	l.disk.slowDown(between(dice, time.Millisecond, 2*w.plan.ElectionTimeout))
	w.after(f.For, func() { l.disk.slowDown(0) })
}

// fault makes the log of a node fail. The node must stop.
func (w *world) fault(f fault, p *place, dice *rand.Rand) {
	l := p.running()
	if l == nil {
		return
	}
	w.tally.fault(f.Kind)
	how := failure{once: dice.IntN(2) == 0}
	how.syncs = dice.IntN(3) > 0
	how.writes = !how.syncs
	l.disk.fail(how)
	w.after(f.For, func() { l.disk.fail(failure{}) })
}

// end ends a node and starts another on what it left.
func (w *world) end(f fault, p *place, dice *rand.Rand) {
	percent := dice.IntN(101)
	p.take(func() {
		l := p.running()
		if l == nil {
			return
		}
		w.tally.fault(f.Kind)
		switch f.Kind {
		case crash:
			p.crash(l, percent)
		case kill:
			p.crash(l, 100)
			for _, q := range w.places {
				w.net.Break(host(p.index), host(q.index))
			}
		case restart:
			p.closeNode(2 * time.Second)
		}
	})
	rest(w.calm, f.For)
	p.take(p.start)
}

// endAll cuts the power of all nodes at one moment.
func (w *world) endAll(f fault, dice *rand.Rand) {
	for _, p := range w.places {
		p.turn <- struct{}{}
	}
	w.tally.fault(f.Kind)
	for _, p := range w.places {
		if l := p.running(); l != nil {
			l.over.Store(true)
		}
	}
	for _, p := range w.places {
		p.crash(p.running(), dice.IntN(101))
		<-p.turn
	}
	rest(w.calm, f.For)
	for _, p := range w.places {
		wait := time.Duration(dice.Int64N(int64(time.Second)))
		w.jobs.Go(func() {
			rest(w.calm, wait)
			p.take(p.start)
		})
	}
}

// link gives every way its delays.
func (w *world) link() {
	for _, a := range w.places {
		for _, b := range w.places {
			if a == b {
				continue
			}
			var mu sync.Mutex
			random := source(w.plan.Seed, "link "+host(a.index)+host(b.index))
			w.net.Delay(host(a.index), host(b.index), func() time.Duration {
				mu.Lock()
				defer mu.Unlock()
				return w.plan.Links.draw(random) * time.Duration(max(a.stretch.Load(), b.stretch.Load(), 1))
			})
		}
	}
}

// draw is how long some bytes take. No two take the same time: what happens at
// one instant is in no order.
func (l links) draw(r *rand.Rand) time.Duration {
	d := l.Delay + time.Duration(r.Int64N(int64(l.Jitter)+1000))
	if l.Stalls > 0 && r.IntN(1000) < l.Stalls {
		d += l.Stall
	}
	return d
}

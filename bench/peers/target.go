package main

import (
	"fmt"
	"time"
)

// target is what Quorate should reach.
type target struct {
	work, text string
	// value is what is measured in one round, false if that is not known.
	value func(r round) (float64, bool)
	// atLeast or atMost is the bound; the other one is 0, unless zero is the
	// most.
	atLeast, atMost float64
	// unit is printed after the value.
	unit string
}

// met says whether a value is within the bound.
func (t target) met(v float64) bool {
	if t.atLeast > 0 {
		return v >= t.atLeast
	}
	return v <= t.atMost
}

// targets is all of them, in the order of the works.
func targets() []target {
	all := []target{
		times("write 1", etcd, 1.6),
		{
			work: "write 1", text: "p50 at most 3 × fdatasync", atMost: 3, unit: "×",
			value: func(r round) (float64, bool) {
				f, ok := r.figure("write 1", quorate)
				return float64(f.P50) / float64(r.sync), ok && r.sync > 0
			},
		},
		times("write 64", etcd, 4),
		times("write 256", etcd, 5),
		{
			work: "write 256", text: "40,000/s", atLeast: 40_000, unit: "/s",
			value: func(r round) (float64, bool) {
				f, ok := r.figure("write 256", quorate)
				return f.Rate, ok
			},
		},
		times("write 1000", etcd, 4.5),
	}
	all = append(all,
		times("write 64 pipeline 16", etcd, 20),
		times("write 64 pipeline 16", redis, 0.6),
		times("write 64 pipeline 64", etcd, 30),
		times("write 64 pipeline 64", redis, 0.6),
		times("read 256", etcd, 2.5),
		times("read 256 all nodes", etcd, 2.5),
		times("increment one key 256", etcd, 1000),
		times("HTTP write 256", etcd, 3),
	)
	for _, step := range []struct {
		callers int
		least   float64
	}{{64, 1.5}, {256, 1.8}, {1024, 2}, {4096, 3}} {
		work := fmt.Sprintf("in process write %d", step.callers)
		all = append(all, times(work, dragonboat, step.least), target{
			work: work, text: "nothing refused", atMost: 0,
			value: func(r round) (float64, bool) {
				f, ok := r.figure(work, quorateInProcess)
				return float64(f.Refused), ok
			},
		})
	}
	return all
}

// times is that Quorate does a work so many times as fast as a peer. See ratio.
func times(work, peer string, least float64) target {
	return target{
		work: work, text: fmt.Sprintf("%g × %s", least, peer), atLeast: least, unit: "×",
		value: func(r round) (float64, bool) { return r.ratio(work, peer) },
	}
}

// round is the figures of one round that tell something, and how long a sync
// took in it.
type round struct {
	figures map[key]figure
	sync    time.Duration
}

// key is what a figure is about.
type key struct{ work, system string }

func (r round) figure(work, system string) (figure, bool) {
	f, ok := r.figures[key{work, system}]
	return f, ok && f.Error == ""
}

// ours is the figure of Quorate, by whichever door.
func (r round) ours(work string) (figure, bool) {
	if f, ok := r.figure(work, quorate); ok {
		return f, true
	}
	return r.figure(work, quorateInProcess)
}

// ratio is how many times as much as a peer Quorate does in a work. Where etcd
// cannot do it, it is compared by the works that the table names instead.
func (r round) ratio(name, peer string) (float64, bool) {
	ours, ok := r.ours(name)
	if !ok {
		return 0, false
	}
	theirs, _ := r.figure(name, peer)
	best := theirs.Rate
	for _, w := range works() {
		if w.name != name || peer != etcd {
			continue
		}
		for _, other := range w.versus {
			if f, ok := r.figure(other, peer); ok {
				best = max(best, f.Rate)
			}
		}
	}
	return ours.Rate / best, best > 0
}

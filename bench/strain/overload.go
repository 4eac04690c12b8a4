package main

import (
	"context"
	"fmt"
	"time"

	"github.com/quorate/quorate/bench/internal/cluster"
	"github.com/quorate/quorate/bench/internal/member"
	"github.com/quorate/quorate/bench/internal/report"
)

const (
	// overloadTimes is how many times the callers that saturate a cluster
	// overload it, and overloadRatio what must be left of its best.
	overloadTimes = 10
	overloadRatio = 0.85
	// nearBest is which part of the best throughput counts as saturated.
	nearBest = 0.97
	// overloadKeys is how many keys there are.
	overloadKeys = 100_000
	// clientsMax is room for ten times the most callers and for who looks on.
	clientsMax = 20_000
)

func overloadHow(door string) string {
	return fmt.Sprintf("Callers write 8 bytes under random ones of 100,000 keys with `quorate bench`, in a closed loop, with %s, to the leader. "+
		"As many callers as get within 3 %% of the best, and ten times as many, in turns. Nobody pauses after a refusal.", door)
}

// busy is what came of so many callers.
type busy struct {
	rate, p99 float64 // calls answered in a second, and milliseconds
	refused   int64   // surely without effect
	// dubious is calls that failed and may have had an effect, or do not say;
	// first is what one of them said.
	dubious int64
	first   string
}

// overload is the scenario over a door.
func overload(proto string) func(ctx context.Context, l *lab) error {
	return func(ctx context.Context, l *lab) error {
		c, err := l.quorate(ctx, "--resp-max-clients", fmt.Sprint(clientsMax))
		if err != nil {
			return err
		}
		leader, err := c.Leader(ctx)
		if err != nil {
			return err
		}
		addr := leader.RESP
		if proto == "http" {
			addr = leader.HTTP
		}
		began := time.Now()
		before, err := terms(ctx, c)
		if err != nil {
			return err
		}
		err = l.overload(ctx, l.callers, func(callers int, lasts time.Duration) (busy, error) {
			m, err := l.bench(ctx, load{
				proto: proto, addr: addr, clients: callers, keys: overloadKeys, warmup: l.warmup, duration: lasts,
			})
			b := busy{rate: m.Rate, p99: m.Latency["p99"], refused: m.Failed[notApplied].Calls}
			b.dubious, b.first = m.dubious()
			return b, err
		})
		if err != nil {
			return err
		}
		after, err := terms(ctx, c)
		if err != nil {
			return err
		}
		elections := 0.0
		for i := range after {
			elections = max(elections, float64(after[i]-before[i]))
		}
		l.out.judge("terms that began", "", atMost(0), elections)
		if elections > 0 {
			for _, n := range c.Nodes {
				for _, line := range linesSince(n, began) {
					l.note("node %s printed: %s", n.RESP, line)
				}
			}
		}
		return nil
	}
}

// terms is the term of each node.
func terms(ctx context.Context, c *cluster.Cluster) (all []uint64, err error) {
	for _, n := range c.Nodes {
		status, err := n.Status(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, status.Term)
	}
	return all, nil
}

// overload finds out how many callers saturate a system, and what it does for
// ten times as many.
func (l *lab) overload(ctx context.Context, callers []int, call func(callers int, lasts time.Duration) (busy, error)) error {
	rates, err := l.search(callers, call)
	if err != nil {
		return err
	}
	enough := callers[saturated(rates)]
	l.out.show("callers that saturate it", "", float64(enough))
	if enough == callers[len(callers)-1] {
		l.note("the most callers of the search were the best: more may be better still")
	}
	counts := [2]int{enough, enough * overloadTimes}
	var all [2][]busy
	err = l.turns(ctx, func(which int) error {
		b, err := call(counts[which], l.duration)
		if err != nil {
			return err
		}
		l.say("%d callers: %s/s, p99 %s ms, %d refused, %d failed %s", counts[which], report.Count(b.rate), report.Three(b.p99), b.refused, b.dubious, b.first)
		all[which] = append(all[which], b)
		return nil
	})
	l.judgeOverload(counts, all)
	return err
}

// search is the median of what a system does for each number of callers. All
// of them are tried again and again, each time for a part of the duration.
func (l *lab) search(callers []int, call func(callers int, lasts time.Duration) (busy, error)) (medians []float64, err error) {
	all := make([][]float64, len(callers))
	for range l.rounds {
		for i, n := range callers {
			b, err := call(n, l.duration/time.Duration(l.rounds))
			if err != nil {
				return nil, err
			}
			l.say("%d callers: %s/s, p99 %s ms", n, report.Count(b.rate), report.Three(b.p99))
			all[i] = append(all[i], b.rate)
		}
	}
	for i, n := range callers {
		l.out.show(report.Count(float64(n))+" callers", "/s", all[i]...)
		medians = append(medians, report.Median(all[i]))
	}
	return medians, nil
}

// judgeOverload shows what came of the callers that are enough, and of ten
// times as many.
func (l *lab) judgeOverload(counts [2]int, all [2][]busy) {
	var goodput [2][]float64
	var dubious []float64
	for i, n := range counts {
		var late, refused []float64
		for _, b := range all[i] {
			goodput[i] = append(goodput[i], b.rate)
			late = append(late, b.p99)
			refused = append(refused, float64(b.refused))
			dubious = append(dubious, float64(b.dubious))
			if b.dubious > 0 {
				l.note("%d callers: %d calls failed without saying %s, such as: %s", n, b.dubious, notApplied, b.first)
			}
		}
		name := report.Count(float64(n)) + " callers"
		l.out.show(name+", in turns", "/s", goodput[i]...)
		l.out.show(name+": p99", "ms", late...)
		l.out.show(name+": refused, "+notApplied, "", refused...)
	}
	l.out.judge("goodput of ten times as many : of enough", "×", atLeast(overloadRatio), ratios(goodput[1], goodput[0])...)
	if len(dubious) > 0 {
		l.out.judge("failed without saying "+notApplied, "", atMost(0), sum(dubious))
	}
}

func sum(values []float64) (all float64) {
	for _, v := range values {
		all += v
	}
	return all
}

// saturated is the first of the rates that is near the best.
func saturated(rates []float64) int {
	best := 0.0
	for _, rate := range rates {
		best = max(best, rate)
	}
	for i, rate := range rates {
		if rate >= nearBest*best {
			return i
		}
	}
	return 0
}

// inProcessMore is how many times as many callers as over a socket it takes to
// saturate a cluster from within a process.
const inProcessMore = 4

// overloadInProcess is the scenario with callers in the leader's process.
func overloadInProcess(ctx context.Context, l *lab) error {
	c, err := l.keep(cluster.QuorateInProcess(ctx, l.dir))
	if err != nil {
		return err
	}
	leader, err := c.Leader(ctx)
	if err != nil {
		return err
	}
	var callers []int
	for _, n := range l.callers {
		callers = append(callers, n*inProcessMore)
	}
	err = l.overload(ctx, callers, func(callers int, lasts time.Duration) (busy, error) {
		r, err := leader.Load(ctx, member.Load{Callers: callers, Warmup: l.warmup, Duration: lasts, Keys: overloadKeys}, func() {})
		return busy{rate: r.Rate(), p99: float64(r.P99) / float64(time.Millisecond), refused: r.Refused, dubious: r.Failed, first: r.Error}, err
	})
	if err != nil {
		return err
	}
	after, err := c.Leader(ctx)
	if err != nil {
		return err
	}
	changed := 0.0
	if after != leader {
		changed = 1
	}
	l.out.judge("another node leads", "", atMost(0), changed)
	return nil
}

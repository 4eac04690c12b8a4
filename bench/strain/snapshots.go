package main

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/quorate/quorate/bench/internal/cluster"
	"github.com/quorate/quorate/bench/internal/fill"
	"github.com/quorate/quorate/bench/internal/report"
)

const (
	// snapshotCallers write while snapshots are taken.
	snapshotCallers = 64
	// snapshotRatio is what snapshots may cost of the p99.
	snapshotRatio = 1.5
	// never is more entries than there will be. The log is still cut when it
	// has grown by some segments; the report counts these snapshots.
	never = math.MaxInt64
	// snapshotsEvery is about how often snapshots are taken.
	snapshotsEvery = time.Second
	// lookPause goes between two looks at how many were taken.
	lookPause = 100 * time.Millisecond
)

// strainSnapshots compares latencies with many snapshots and with none.
func strainSnapshots(ctx context.Context, l *lab) error {
	plain, err := l.filled(ctx, l.keysSnapshots, never)
	if err != nil {
		return err
	}
	leader, err := plain.Leader(ctx)
	if err != nil {
		return err
	}
	work := load{
		proto: "resp", addr: leader.RESP, clients: snapshotCallers, keys: l.keysSnapshots,
		warmup: l.warmup, duration: l.duration,
	}
	most, err := l.bench(ctx, work)
	if err != nil {
		return err
	}
	work.rate = max(1, int(most.Rate/2))
	l.note("%d callers get %s/s out of it; what follows is at %s/s", snapshotCallers, report.Count(most.Rate), report.Count(float64(work.rate)))
	entries, err := l.entries(ctx, leader, work)
	if err != nil {
		return err
	}
	busy, err := l.filled(ctx, l.keysSnapshots, entries)
	if err != nil {
		return err
	}
	// What the fill has left in memory goes to disk with the first snapshot. The
	// load runs once for that, as it did on the other cluster.
	if leader, err = busy.Leader(ctx); err != nil {
		return err
	}
	work.addr = leader.RESP
	if _, err := l.bench(ctx, work); err != nil {
		return err
	}
	return l.compareSnapshots(ctx, [2]*cluster.Cluster{plain, busy}, work)
}

// entries is how many a log gets under a load in the time between two
// snapshots.
func (l *lab) entries(ctx context.Context, leader *cluster.Node, work load) (int, error) {
	before, err := leader.Status(ctx)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if _, err := l.bench(ctx, work); err != nil {
		return 0, err
	}
	took := time.Since(began)
	after, err := leader.Status(ctx)
	if err != nil {
		return 0, err
	}
	each := int(float64(after.LastIndex-before.LastIndex) / took.Seconds() * snapshotsEvery.Seconds())
	l.note("that is about %s entries a second in the log", report.Count(float64(each)))
	return max(1, each), nil
}

// filled is a cluster with keys that takes a snapshot after so many entries.
func (l *lab) filled(ctx context.Context, keys, entries int) (*cluster.Cluster, error) {
	c, err := l.quorate(ctx, "--snapshot-entries", fmt.Sprint(entries))
	if err != nil {
		return nil, err
	}
	leader, err := c.Leader(ctx)
	if err != nil {
		return nil, err
	}
	return c, fill.RESP(ctx, leader.RESP, fill.Load{Keys: keys, Key: keyFormat, Value: small, Together: fillTogether})
}

// compareSnapshots measures two clusters in turns: without and with snapshots.
func (l *lab) compareSnapshots(ctx context.Context, clusters [2]*cluster.Cluster, work load) error {
	names := [2]string{"without snapshots", "with snapshots"}
	var latency [2]map[string][]float64
	var taken [2][]float64
	for i := range latency {
		latency[i] = make(map[string][]float64)
	}
	err := l.turns(ctx, func(which int) error {
		leader, err := clusters[which].Leader(ctx)
		if err != nil {
			return err
		}
		work.addr = leader.RESP
		count := watchSnapshots(ctx, clusters[which])
		m, err := l.bench(ctx, work)
		snapshots := count()
		if err != nil {
			return err
		}
		for name, millis := range m.Latency {
			latency[which][name] = append(latency[which][name], millis)
		}
		taken[which] = append(taken[which], float64(snapshots))
		l.say("%s (%d were taken): %s/s, p99 %s ms", names[which], snapshots, report.Count(m.Rate), report.Three(m.Latency["p99"]))
		if calls, first := m.dubious(); calls > 0 || m.Waiting > 0 {
			l.note("%s: %d calls failed (%s) and %d had no answer", names[which], calls, first, m.Waiting)
		}
		return nil
	})
	for i, name := range names {
		for _, percentile := range []string{"p50", "p99", "p99.9", "max"} {
			l.out.show(name+": "+percentile, "ms", latency[i][percentile]...)
		}
		l.out.show(name+": snapshots of all nodes", "", taken[i]...)
	}
	l.out.judge("p99 with : p99 without", "×", atMost(snapshotRatio), ratios(latency[1]["p99"], latency[0]["p99"])...)
	return err
}

// watchSnapshots begins to count the snapshots of all nodes. The function that
// it returns ends that and says how many there were.
func watchSnapshots(ctx context.Context, c *cluster.Cluster) func() int {
	ctx, stop := context.WithCancel(ctx)
	counts := make([]int, len(c.Nodes))
	var looking sync.WaitGroup
	for i, n := range c.Nodes {
		looking.Go(func() {
			var last uint64
			for known := false; sleep(ctx, lookPause) == nil; {
				status, err := n.Status(ctx)
				if err != nil {
					continue // it is counted by the next look
				}
				if known && status.SnapshotIndex != last {
					counts[i]++
				}
				known, last = true, status.SnapshotIndex
			}
		})
	}
	return func() (sum int) {
		stop()
		looking.Wait()
		for _, n := range counts {
			sum += n
		}
		return sum
	}
}

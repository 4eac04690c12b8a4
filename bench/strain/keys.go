package main

import (
	"context"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/quorate/quorate/bench/internal/cluster"
	"github.com/quorate/quorate/bench/internal/fill"
	"github.com/quorate/quorate/bench/internal/redisbench"
	"github.com/quorate/quorate/bench/internal/report"
	"github.com/quorate/quorate/bench/internal/usage"
)

// value is what is stored, where its size is not the point.
const value = "12345678"

func small(int) []byte { return []byte(value) }

const (
	// fillTogether is how many keys one call stores where only what is there
	// afterwards matters.
	fillTogether = 100
	// keysRatio is what many keys may cost.
	keysRatio = 0.7
)

// strainKeys compares many keys with few.
func strainKeys(ctx context.Context, l *lab) error {
	if _, err := exec.LookPath("redis-benchmark"); err != nil {
		return fmt.Errorf("install redis-tools to have this: %w", err)
	}
	counts := [2]int{l.keysFew, l.keysMany}
	var plans [2]redisbench.Plan
	for i, keys := range counts {
		c, err := l.quorate(ctx)
		if err != nil {
			return err
		}
		leader, err := c.Leader(ctx)
		if err != nil {
			return err
		}
		began := time.Now()
		err = fill.RESP(ctx, leader.RESP, fill.Load{Keys: keys, Key: "k:%012d", Value: small, Together: fillTogether})
		if err != nil {
			return err
		}
		l.note("%s keys were stored in %.1f s, %d with each call", report.Count(float64(keys)), time.Since(began).Seconds(), fillTogether)
		plans[i] = redisbench.Plan{
			Addr: leader.RESP, Clients: 64, Pipeline: 64, Keys: keys, Calls: 64 * 64 * 4,
			Command: []string{"SET", "k:__rand_int__", value},
		}
	}
	rates, err := l.pipelines(ctx, plans)
	if err != nil {
		return err
	}
	for i, keys := range counts {
		name := report.Count(float64(keys)) + " keys"
		l.out.show(name+": SET", "/s", rates[i]...)
		if err := l.weigh(ctx, name, l.clusters[i]); err != nil {
			return err
		}
	}
	l.out.judge("many keys : few keys", "×", atLeast(keysRatio), ratios(rates[1], rates[0])...)
	return nil
}

// pipelines measures both plans in turns. How many calls last how long is
// found out by calling: a few, then as many as fill the warm-up.
func (l *lab) pipelines(ctx context.Context, plans [2]redisbench.Plan) (rates [2][]float64, err error) {
	err = l.turns(ctx, func(which int) error {
		plan := &plans[which]
		for _, lasts := range []time.Duration{l.warmup, l.duration} {
			r, err := redisbench.Run(ctx, *plan)
			if err != nil {
				return err
			}
			plan.Calls = max(plan.Clients*plan.Pipeline, int(r.Rate*lasts.Seconds()))
		}
		r, err := redisbench.Run(ctx, *plan)
		if err != nil {
			return err
		}
		l.say("%d keys: %s/s", plan.Keys, report.Count(r.Rate))
		rates[which] = append(rates[which], r.Rate)
		plan.Calls = max(plan.Clients*plan.Pipeline, int(r.Rate*l.warmup.Seconds()))
		return nil
	})
	return rates, err
}

// weigh shows what the leader of a cluster has on disk and in memory.
func (l *lab) weigh(ctx context.Context, name string, c *cluster.Cluster) error {
	leader, err := c.Leader(ctx)
	if err != nil {
		return err
	}
	disk, err := diskBytes(leader.Dir)
	if err != nil {
		return err
	}
	l.out.show(name+": directory of the leader", "MiB", mebibytes(disk))
	if m, ok := usage.MemoryOf(leader.PID()); ok {
		l.out.show(name+": resident memory of the leader", "MiB", mebibytes(m.Resident))
		l.out.show(name+": the most of it ever", "MiB", mebibytes(m.Peak))
	}
	return nil
}

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// diskBytes is how long all files in a directory are together. One that goes
// away meanwhile does not count.
func diskBytes(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return gone(err)
		}
		info, err := entry.Info()
		if err == nil {
			sum += info.Size()
		}
		return gone(err)
	})
	if err != nil {
		return 0, fmt.Errorf("add up the files in %s: %w", dir, err)
	}
	return sum, nil
}

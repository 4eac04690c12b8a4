package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/quorate/quorate/bench/internal/cluster"
	"github.com/quorate/quorate/bench/internal/fill"
	"github.com/quorate/quorate/bench/internal/redisbench"
)

// commands is what redis-benchmark sends for each work.
var commands = map[op][]string{
	opWrite: {"SET", "k:__rand_int__", value},
	opRead:  {"GET", "k:__rand_int__"},
	opHot:   {"INCR", "hot"},
	opMany:  {"INCR", "c:__rand_int__"},
}

// generators is one for the leader, or one for each node with a part of the
// callers.
func generators(ctx context.Context, c *cluster.Cluster, w work) ([]redisbench.Plan, error) {
	whole := redisbench.Plan{Clients: w.callers, Pipeline: w.pipeline, Keys: keyCount, Command: commands[w.op]}
	if !w.spread {
		leader, err := c.Leader(ctx)
		if err != nil {
			return nil, err
		}
		whole.Addr = leader.RESP
		return []redisbench.Plan{whole}, nil
	}
	var all []redisbench.Plan
	for i, n := range c.Nodes {
		part := whole
		part.Addr = n.RESP
		part.Clients = w.callers*(i+1)/len(c.Nodes) - w.callers*i/len(c.Nodes)
		all = append(all, part)
	}
	return all, nil
}

func measureRESP(ctx context.Context, c *cluster.Cluster, w work, p pace, m *meter) (figure, error) {
	all, err := generators(ctx, c, w)
	if err != nil {
		return figure{}, err
	}
	// How many calls last how long is found out by calling: a few, then as
	// many as fill the warm-up, whose pace tells how many are measured.
	for i := range all {
		all[i].Calls = max(500, 4*all[i].Clients*all[i].Pipeline)
	}
	for _, lasts := range []time.Duration{p.warmup, p.duration} {
		figures, err := runAll(ctx, all)
		if err != nil {
			return figure{}, err
		}
		for i, f := range figures {
			all[i].Calls = max(all[i].Calls, int(f.Rate*lasts.Seconds()))
		}
	}
	m.open()
	figures, err := runAll(ctx, all)
	m.shut()
	return sum(figures), err
}

// runAll runs all generators at once.
func runAll(ctx context.Context, all []redisbench.Plan) ([]figure, error) {
	figures, errs := make([]figure, len(all)), make([]error, len(all))
	var running sync.WaitGroup
	for i, plan := range all {
		running.Go(func() {
			r, err := redisbench.Run(ctx, plan)
			figures[i], errs[i] = figure{Rate: r.Rate, P50: r.P50, P99: r.P99, Calls: float64(plan.Calls)}, err
		})
	}
	running.Wait()
	return figures, errors.Join(errs...)
}

// sum is the figure of generators that ran at once.
func sum(parts []figure) (all figure) {
	for _, f := range parts {
		all.Rate += f.Rate
		all.Calls += f.Calls
		all.P50, all.P99 = max(all.P50, f.P50), max(all.P99, f.P99)
	}
	return all
}

func fillRESP(ctx context.Context, c *cluster.Cluster) error {
	leader, err := c.Leader(ctx)
	if err != nil {
		return err
	}
	return fill.RESP(ctx, leader.RESP, stored())
}

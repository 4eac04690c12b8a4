package main

import (
	"context"

	"github.com/quorate/quorate/bench/internal/cluster"
	"github.com/quorate/quorate/bench/internal/member"
)

// measureInProcess has the process of the leader do a work by itself.
func measureInProcess(ctx context.Context, c *cluster.Cluster, w work, p pace, m *meter) (figure, error) {
	leader, err := c.Leader(ctx)
	if err != nil {
		return figure{}, err
	}
	result, err := leader.Load(ctx, member.Load{
		Callers: w.callers, Warmup: p.warmup, Duration: p.duration, Keys: keyCount,
	}, m.open)
	m.shut()
	if err != nil {
		return figure{}, err
	}
	return of(result), result.Err()
}

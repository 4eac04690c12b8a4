package main

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/quorate/quorate/bench/internal/cluster"
	"github.com/quorate/quorate/bench/internal/fill"
	"github.com/quorate/quorate/bench/internal/report"
	"github.com/quorate/quorate/bench/internal/usage"
)

// gone is an error, unless it says that a file is not there any more.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// errNoProc is that nothing can be known of the memory of other processes.
var errNoProc = errors.New("there is no /proc that tells the memory of processes")

// strainMemory compares the memory of a node with that of etcd, one cluster
// after the other.
func strainMemory(ctx context.Context, l *lab) error {
	keys := fill.Load{Keys: l.keysMemory, Key: "k:%012d", Value: small}
	ours, err := l.memory(ctx, "Quorate", keys, func(ctx context.Context) (*cluster.Cluster, error) { return l.quorate(ctx) },
		func(ctx context.Context, n *cluster.Node) error { return fill.RESP(ctx, n.RESP, keys) })
	if err != nil {
		return err
	}
	theirs, err := l.memory(ctx, "etcd", keys, func(ctx context.Context) (*cluster.Cluster, error) { return l.keep(cluster.Etcd(ctx, l.dir)) },
		func(ctx context.Context, n *cluster.Node) error { return fill.Etcd(ctx, n.Client, keys) })
	if err != nil {
		return err
	}
	l.out.judge("peak of Quorate : peak of etcd", "×", atMost(1), ours/theirs)
	return nil
}

// memory fills a cluster, and ends it. The peak is the most that a node ever
// had.
func (l *lab) memory(ctx context.Context, system string, keys fill.Load, start func(context.Context) (*cluster.Cluster, error),
	store func(context.Context, *cluster.Node) error) (peak float64, err error) {
	c, err := start(ctx)
	if err != nil {
		return 0, err
	}
	leader, err := c.Leader(ctx)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := store(ctx, leader); err != nil {
		return 0, err
	}
	l.note("%s stored %s keys in %.1f s", system, report.Count(float64(keys.Keys)), time.Since(began).Seconds())
	atOnce, err := largest(c)
	if err != nil {
		return 0, err
	}
	if err := l.settle(ctx); err != nil {
		return 0, err
	}
	later, err := largest(c)
	if err != nil {
		return 0, err
	}
	l.out.show(system+": peak of the largest node", "MiB", mebibytes(later.Peak))
	l.out.show(system+": resident right after the run", "MiB", mebibytes(atOnce.Resident))
	l.out.show(system+": resident when it is quiet", "MiB", mebibytes(later.Resident))
	l.out.show(system+": of which no pages of files", "MiB", mebibytes(later.Anonymous))
	err = errors.Join(c.Alive(), c.Close())
	l.clusters = nil
	return mebibytes(later.Peak), err
}

// largest is the most of everything that one of the nodes has.
func largest(c *cluster.Cluster) (most usage.Memory, err error) {
	for _, pid := range c.PIDs() {
		m, ok := usage.MemoryOf(pid)
		if !ok {
			return usage.Memory{}, errNoProc
		}
		most.Resident = max(most.Resident, m.Resident)
		most.Anonymous = max(most.Anonymous, m.Anonymous)
		most.Peak = max(most.Peak, m.Peak)
	}
	return most, nil
}

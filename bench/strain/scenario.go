package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/quorate/quorate/bench/internal/cluster"
	"github.com/quorate/quorate/bench/internal/usage"
)

// size is how much of everything there is.
type size struct {
	// rounds is how often two cases take turns, and how often a node restarts.
	rounds int
	// warmup goes before a measurement, which lasts duration.
	warmup, duration time.Duration
	// keysFew and keysMany are compared; the others are for one scenario each.
	keysFew, keysMany, keysMemory, keysSnapshots, keysRestart int
	// callers is what may saturate a cluster, rising. Ten times the last one is
	// as many as `quorate bench` makes.
	callers []int
}

func full() size {
	return size{
		rounds: 3, warmup: time.Second, duration: 8 * time.Second,
		keysFew: 100_000, keysMany: 10_000_000, keysMemory: 1_000_000, keysSnapshots: 1_000_000,
		keysRestart: 1 << 20, // of 1 KiB: 1 GiB
		callers:     []int{64, 128, 256, 512, 1000},
	}
}

func quick() size {
	return size{
		rounds: 2, warmup: 300 * time.Millisecond, duration: 3 * time.Second,
		keysFew: 100_000, keysMany: 1_000_000, keysMemory: 300_000, keysSnapshots: 200_000,
		keysRestart: 1 << 17, // 128 MiB
		callers:     []int{64, 256, 1000},
	}
}

// scenario is one way to strain a cluster.
type scenario struct {
	name string
	// how says what is done. The report has it.
	how string
	run func(ctx context.Context, l *lab) error
}

// scenarios is all there are, in the order of the report.
func scenarios() []scenario {
	return []scenario{
		{"keys", "Two clusters, one with few keys and one with many, filled in random order; then `redis-benchmark` writes 8 bytes under random ones of " +
			"these keys, 64 connections with pipelines of 64, to the leader of one cluster and the other in turns. Before each turn both clusters are left " +
			"alone until they do nothing any more, so that neither pays for the other.", strainKeys},
		{"memory", "The same keys with values of 8 bytes are written to Quorate and to etcd (its defaults, but a quota of 8 GiB), by what is fastest: pipelines of SET " +
			"and transactions of 100 puts, each over 16 connections to the leader. What counts is the most that a node ever had resident, its program and " +
			"mapped files with it.", strainMemory},
		{"snapshots", "Two clusters with the same keys, one that takes a snapshot about once a second (`--snapshot-entries`) and one that takes none by that count. `quorate bench` " +
			"writes 8 bytes under random keys to the leader, 64 connections, in an open loop at half of what saturates it, to one cluster and the other in turns. " +
			"Latencies are from the moment a call was meant to begin.", strainSnapshots},
		{"restart", "A cluster is filled with values of 1 KiB that do not compress. Before each restart another twentieth is written, so that there " +
			"is something to recover. A follower is ended by SIGTERM, then others by SIGKILL, and started again: the time is from the start of the program until it " +
			"answers a linearizable GET through itself, with the right value. At last all nodes are killed at once and started: the time until a write is answered.", strainRestart},
		{"overload RESP", overloadHow("a connection each of the Redis protocol"), overload("resp")},
		{"overload HTTP", overloadHow("a keep-alive connection each of HTTP"), overload("http")},
		{"overload in process", "The same with goroutines in the process of the leader, where Quorate is a library. A call that is refused says that a queue is full, " +
			"which is not_applied; a call that fails in another way is counted apart.", overloadInProcess},
	}
}

// play runs a scenario, and returns what came of it.
func (s scenario) play(ctx context.Context, w wish, dir string) outcome {
	l := &lab{size: w.size, binary: w.binary, out: outcome{Name: s.name, How: s.how}}
	l.say("begins")
	began := time.Now()
	err := os.Mkdir(filepath.Join(dir, s.dir()), 0o700)
	if err == nil {
		l.dir = filepath.Join(dir, s.dir())
		err = errors.Join(s.run(ctx, l), l.close())
	}
	l.out.Took = time.Since(began).Round(100 * time.Millisecond).String()
	if err != nil {
		l.out.Error = err.Error()
		l.say("failed: %v", err)
	}
	return l.out
}

// dir is the name of a scenario as that of a folder.
func (s scenario) dir() string { return fmt.Sprintf("%x", s.name) }

// lab is where one scenario is run.
type lab struct {
	size
	binary, dir string
	clusters    []*cluster.Cluster
	out         outcome
}

// quorate starts a cluster, which ends with the scenario.
func (l *lab) quorate(ctx context.Context, flags ...string) (*cluster.Cluster, error) {
	return l.keep(cluster.Quorate(ctx, l.dir, l.binary, flags...))
}

// keep has a cluster end with the scenario.
func (l *lab) keep(c *cluster.Cluster, err error) (*cluster.Cluster, error) {
	if err == nil {
		l.clusters = append(l.clusters, c)
	}
	return c, err
}

// close ends all clusters. One of which a node has ended by itself is an error.
func (l *lab) close() error {
	var errs []error
	for _, c := range l.clusters {
		errs = append(errs, c.Alive(), c.Close())
	}
	return errors.Join(errs...)
}

// note adds to what the report tells.
func (l *lab) note(format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	l.out.Notes = append(l.out.Notes, text)
	l.say("%s", text)
}

// say tells who waits how it goes.
func (l *lab) say(format string, a ...any) {
	fmt.Fprintf(os.Stderr, "%s  %-20s %s\n", time.Now().Format(time.TimeOnly), l.out.Name, fmt.Sprintf(format, a...))
}

const (
	// settleMax bounds how long clusters may go on after their last call.
	settleMax = 30 * time.Second
	// settleWindow is how long they must have been quiet, and settleShare how
	// much of a core they may take for that: heartbeats of six nodes are less.
	settleWindow = time.Second
	settleShare  = 0.10
)

// settle waits until no cluster works on what it was given earlier.
func (l *lab) settle(ctx context.Context) error {
	var pids []int
	for _, c := range l.clusters {
		pids = append(pids, c.PIDs()...)
	}
	for began := time.Now(); time.Since(began) < settleMax; {
		before, known := usage.Of(pids...)
		if err := sleep(ctx, settleWindow); err != nil || !known {
			return err
		}
		after, _ := usage.Of(pids...)
		if after.Since(before).CPU.Seconds() < settleShare*settleWindow.Seconds() {
			return nil
		}
	}
	l.note("the clusters were still at work after %v without a call", settleMax)
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// turns has two cases take turns: f(0) and f(1) in every round, the other one
// first in every second round.
func (l *lab) turns(ctx context.Context, f func(which int) error) error {
	for i := range l.rounds {
		for _, which := range []int{i % 2, 1 - i%2} {
			if err := l.settle(ctx); err != nil {
				return err
			}
			if err := f(which); err != nil {
				return fmt.Errorf("round %d: %w", i+1, err)
			}
		}
	}
	return nil
}

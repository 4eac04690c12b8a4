package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime/debug"
	"strings"

	"github.com/quorate/quorate/bench/internal/cluster"
)

// The names of the systems, as they are in the report.
const (
	quorate          = "Quorate"
	quorateInProcess = "Quorate in process"
	etcd             = "etcd"
	dragonboat       = "dragonboat"
	redis            = "redis-server"
)

// system is one that is measured.
type system struct {
	name string
	// about says how it is run. The report has it.
	about string
	start func(ctx context.Context, dir string) (*cluster.Cluster, error)
	// measure does a work and tells the meter when the window opens and
	// closes.
	measure func(ctx context.Context, c *cluster.Cluster, w work, p pace, m *meter) (figure, error)
	// fill stores all keys that can be read.
	fill func(ctx context.Context, c *cluster.Cluster) error
	// does says which works it can do.
	does func(w work) bool
}

// systems is all that can be had here. Each of the others is a line of why not.
func systems(ctx context.Context, dir string) (all []system, without []string) {
	for _, find := range []func(context.Context, string) (system, error){
		quorateSystem, etcdSystem, redisSystem, quorateInProcessSystem, dragonboatSystem,
	} {
		s, err := find(ctx, dir)
		if err != nil {
			without = append(without, fmt.Sprintf("%s is left out: %v", s.name, err))
			continue
		}
		all = append(all, s)
	}
	return all, without
}

func quorateSystem(ctx context.Context, dir string) (system, error) {
	s := system{
		name:    quorate,
		about:   "three processes of the program `quorate serve`, as built from this tree, defaults; load by `redis-benchmark`, for HTTP by a loop that writes prepared bytes, one connection for each caller",
		measure: measureQuorate,
		fill:    fillRESP,
		does:    func(w work) bool { return w.door != doorProcess },
	}
	binary, err := cluster.Build(ctx, dir)
	if err != nil {
		return s, err
	}
	s.start = func(ctx context.Context, dir string) (*cluster.Cluster, error) {
		return cluster.Quorate(ctx, dir, binary)
	}
	return s, hasRedisBenchmark()
}

func measureQuorate(ctx context.Context, c *cluster.Cluster, w work, p pace, m *meter) (figure, error) {
	if w.door == doorHTTP {
		return measureHTTP(ctx, c, w, p, m)
	}
	return measureRESP(ctx, c, w, p, m)
}

func etcdSystem(context.Context, string) (system, error) {
	return system{
		name: etcd,
		about: "three processes of its embedded server " + versionOf("go.etcd.io/etcd/server/v3") + ", defaults (but a quota of 8 GiB, and only errors logged); load by " +
			"its own client, 16 connections shared by the callers, to the leader unless all nodes are said; an increment is a read, a compare and a swap, again until it is done",
		start:   cluster.Etcd,
		measure: measureEtcd,
		fill:    fillEtcd,
		does:    func(w work) bool { return w.door == doorClient && w.pipeline == 1 },
	}, nil
}

func redisSystem(context.Context, string) (system, error) {
	s := system{
		name:    redis,
		about:   "**one** process, **nothing replicated**: " + redisVersion() + ", `appendonly yes`, `appendfsync always`, no snapshots, otherwise as it comes; load by `redis-benchmark`",
		start:   cluster.Redis,
		measure: measureRESP,
		fill:    fillRESP,
		does:    func(w work) bool { return w.door == doorClient && w.op == opWrite },
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		return s, fmt.Errorf("install redis-server to have it measured: %w", err)
	}
	return s, hasRedisBenchmark()
}

func quorateInProcessSystem(context.Context, string) (system, error) {
	return system{
		name:    quorateInProcess,
		about:   "three processes with Quorate as a library and its service of keys and values on disk, defaults; load by goroutines in the process of the leader, whose CPU is counted with it",
		start:   cluster.QuorateInProcess,
		measure: measureInProcess,
		does:    func(w work) bool { return w.door == doorProcess },
	}, nil
}

func dragonboatSystem(context.Context, string) (system, error) {
	return system{
		name: dragonboat,
		about: "three processes with the library " + versionOf("github.com/lni/dragonboat/v4") + " and a map in memory as state, defaults, no snapshots and no sessions, both of which are its cheapest; load by " +
			"goroutines in the process of the leader with `SyncPropose`, whose CPU is counted with it",
		start:   cluster.Dragonboat,
		measure: measureInProcess,
		does:    func(w work) bool { return w.door == doorProcess },
	}, nil
}

// hasRedisBenchmark is nil if there is one in the path.
func hasRedisBenchmark() error {
	if _, err := exec.LookPath("redis-benchmark"); err != nil {
		return errors.Join(errors.New("install redis-benchmark to have it measured"), err)
	}
	return nil
}

// versionOf is the version of a module that this program was built with.
func versionOf(module string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == module {
				return m.Version
			}
		}
	}
	return "of unknown version"
}

// redisVersion is what redis-server says of itself.
func redisVersion() string {
	out, err := exec.Command("redis-server", "--version").Output()
	if err != nil {
		return "version unknown"
	}
	text, _, _ := strings.Cut(string(out), " sha=")
	return strings.TrimSpace(text)
}

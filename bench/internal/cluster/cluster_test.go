//go:build unix

package cluster_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/bench/internal/cluster"
	"github.com/quorate/quorate/bench/internal/member"
)

func TestMain(m *testing.M) {
	if status, is := member.Main(); is {
		os.Exit(status)
	}
	os.Exit(m.Run())
}

// systems starts a cluster of each system.
var systems = map[string]func(t *testing.T, dir string) (*cluster.Cluster, error){
	"etcd":       func(t *testing.T, dir string) (*cluster.Cluster, error) { return cluster.Etcd(t.Context(), dir) },
	"dragonboat": func(t *testing.T, dir string) (*cluster.Cluster, error) { return cluster.Dragonboat(t.Context(), dir) },
	"quorate in process": func(t *testing.T, dir string) (*cluster.Cluster, error) {
		return cluster.QuorateInProcess(t.Context(), dir)
	},
	"quorate": func(t *testing.T, dir string) (*cluster.Cluster, error) {
		binary, err := cluster.Build(t.Context(), t.TempDir())
		if err != nil {
			return nil, err
		}
		return cluster.Quorate(t.Context(), dir, binary)
	},
	"redis": func(t *testing.T, dir string) (*cluster.Cluster, error) {
		c, err := cluster.Redis(t.Context(), dir)
		if errors.Is(err, exec.ErrNotFound) {
			t.Skip(err)
		}
		return c, err
	},
}

func TestEachSystemStartsAndLeavesNothing(t *testing.T) {
	for name, start := range systems {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			began := time.Now()
			c, err := start(t, dir)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("started in %v", time.Since(began))
			pids := c.PIDs()
			if len(pids) != len(c.Nodes) {
				t.Errorf("%d processes for %d nodes", len(pids), len(c.Nodes))
			}
			if _, err := c.Leader(t.Context()); err != nil {
				t.Error(err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			for _, pid := range pids {
				if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
					t.Errorf("process %d is still there: %v", pid, err)
				}
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestNodeThatCannotStartSaysWhy(t *testing.T) {
	binary, err := exec.LookPath("false")
	if err != nil {
		t.Skip(err)
	}
	began := time.Now()
	if _, err := cluster.Quorate(context.Background(), t.TempDir(), binary); err == nil {
		t.Error("a cluster of programs that end at once has started")
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v to find that out", took)
	}
}

package counter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/bench/internal/cluster"
)

// size is how many nodes a cluster has.
const size = 3

// patience is how long a cluster may take until it serves.
const patience = 60 * time.Second

// group is three nodes of one of the programs.
type group struct {
	binary string
	// args is the command line of a node.
	args  func(node int) []string
	https []string
	nodes []*exec.Cmd
}

// serving makes the command line of a node from the addresses of all.
type serving func(node int, dir string, peers, https []string, spare string) []string

func positional(node int, dir string, peers, https []string, spare string) []string {
	return []string{strconv.Itoa(node), dir, strings.Join(peers, ","), strings.Join(https, ","), spare}
}

func flags(node int, dir string, peers, https []string, _ string) []string {
	return []string{"serve", "--data-dir", dir, "--peer", peers[node], "--http", https[node], "--join", strings.Join(peers, ",")}
}

func TestCountersAreExactAndDurable(t *testing.T) {
	for name, args := range map[string]serving{"etcd": positional, "dragonboat": positional, "hashicorp": positional, "quorate": flags} {
		t.Run(name, func(t *testing.T) {
			g := mustBuild(t, name, args)
			g.mustStart(t)
			sum := g.mustAddFromManySides(t)
			g.kill()
			g.mustStart(t)
			for node := range size {
				if got := g.mustAdd(t, node, 0); got != sum {
					t.Errorf("after all nodes were killed the sum is %d through node %d, want %d", got, node, sum)
				}
			}
		})
	}
}

func mustBuild(t *testing.T, name string, args serving) *group {
	t.Helper()
	dir, binary := t.TempDir(), filepath.Join(t.TempDir(), name)
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".")
	build.Dir = name
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	addrs := mustAddrs(t, 3*size)
	peers, https, spare := addrs[:size], addrs[size:2*size], addrs[2*size:]
	g := &group{binary: binary, https: https}
	g.args = func(node int) []string {
		return args(node, filepath.Join(dir, strconv.Itoa(node)), peers, https, spare[node])
	}
	t.Cleanup(g.kill)
	return g
}

// mustAddrs are addresses on loopback that are free.
func mustAddrs(t *testing.T, count int) (addrs []string) {
	t.Helper()
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		addrs = append(addrs, listener.Addr().String())
	}
	return addrs
}

// mustStart starts all nodes, and waits until each of them serves.
func (g *group) mustStart(t *testing.T) {
	t.Helper()
	for node := range size {
		cmd := cluster.Command(context.WithoutCancel(t.Context()), g.binary, g.args(node)...)
		cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		g.nodes = append(g.nodes, cmd)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for node := range size {
		for {
			_, err := g.add(ctx, node, 0)
			if err == nil {
				break
			}
			select {
			case <-again.C:
			case <-ctx.Done():
				t.Fatalf("node %d does not serve: %v", node, err)
			}
		}
	}
}

// kill ends all nodes as a crash does.
func (g *group) kill() {
	for _, cmd := range g.nodes {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // by a signal
	}
	g.nodes = nil
}

// mustAddFromManySides adds through all nodes at once, and returns the sum.
func (g *group) mustAddFromManySides(t *testing.T) (sum int64) {
	t.Helper()
	const callers, calls = 4, 25
	var seen sync.Map
	var busy sync.WaitGroup
	for caller := range callers {
		busy.Go(func() {
			for i := range calls {
				got, err := g.add(t.Context(), (caller+i)%size, 1)
				if _, twice := seen.LoadOrStore(got, true); err != nil || twice {
					t.Errorf("the answer %d came before: %t, %v", got, twice, err)
				}
			}
		})
	}
	busy.Wait()
	if sum = g.mustAdd(t, 0, 0); sum != callers*calls {
		t.Errorf("the sum is %d, want %d", sum, callers*calls)
	}
	return sum
}

func (g *group) mustAdd(t *testing.T, node int, n int64) int64 {
	t.Helper()
	sum, err := g.add(t.Context(), node, n)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func (g *group) add(ctx context.Context, node int, n int64) (int64, error) {
	body := fmt.Appendf(nil, `{"name":"hits","n":%d}`, n)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+g.https[node]+"/add", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s %s: %w", answer.Status, text, err)
	}
	var sum struct{ Value int64 }
	return sum.Value, json.Unmarshal(text, &sum)
}

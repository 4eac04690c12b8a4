package torture

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var size = flag.String("torture", "small", "counts of the torture tests: small or full")

// count is the number of operations of a test: small by default.
func count(small, full int) int {
	if *size == "full" {
		return full
	}
	return small
}

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "torture")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "quorate")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	build := exec.Command("go", "build", "-o", binary, "github.com/quorate/quorate/cmd/quorate")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the binary: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// cluster is nodes that run as processes. Its cleanup ends them all.
type cluster struct {
	t     testing.TB
	nodes []*process
	// http is the client of the test itself; load makes its own.
	http *http.Client
}

// process is one node.
type process struct {
	index int
	http  string
	args  []string
	log   string
	cmd   *exec.Cmd
	ended chan error
}

// newCluster starts n nodes and waits until all are ready.
func newCluster(t testing.TB, n int, flags ...string) *cluster {
	t.Helper()
	ports := freePorts(t, 2*n)
	var peers []string
	for i := range n {
		peers = append(peers, fmt.Sprintf("127.0.0.1:%d", ports[2*i+1]))
	}
	c := &cluster{t: t, http: &http.Client{Timeout: 10 * time.Second}}
	dir := t.TempDir()
	for i := range n {
		p := &process{index: i, http: fmt.Sprintf("127.0.0.1:%d", ports[2*i]), log: filepath.Join(dir, fmt.Sprintf("node%d.log", i))}
		p.args = append([]string{
			"serve", "--data-dir", filepath.Join(dir, fmt.Sprintf("node%d", i)),
			"--http", p.http, "--peer", peers[i], "--join", strings.Join(peers, ","), "--log-format", "text",
		}, flags...)
		c.nodes = append(c.nodes, p)
	}
	t.Cleanup(c.close)
	for i := range n {
		c.start(i)
	}
	for i := range n {
		c.waitReady(i)
	}
	return c
}

// freePorts finds ports that nobody listens on at the moment.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// close ends all processes, and shows their logs if the test failed.
func (c *cluster) close() {
	for i, p := range c.nodes {
		if p.cmd != nil {
			c.kill(i)
		}
		if c.t.Failed() {
			log, _ := os.ReadFile(p.log)
			c.t.Logf("log of node %d, the end of it:\n%s", i, log[max(0, len(log)-4000):])
		}
	}
}

// start runs a node. It does not wait for it.
func (c *cluster) start(i int) {
	c.t.Helper()
	p := c.nodes[i]
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(binary, p.args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	p.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan error) { ended <- cmd.Wait() }(p.cmd, p.ended)
}

// kill ends a node as a crash does: with SIGKILL, at once.
func (c *cluster) kill(i int) {
	c.t.Helper()
	p := c.nodes[i]
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		c.t.Errorf("kill node %d: %v", i, err)
	}
	<-p.ended
	p.cmd = nil
}

// killAll ends all nodes at the same moment.
func (c *cluster) killAll() {
	for _, p := range c.nodes {
		_ = p.cmd.Process.Kill()
	}
	for _, p := range c.nodes {
		<-p.ended
		p.cmd = nil
	}
}

// stop asks a node to end, and waits until it has.
func (c *cluster) stop(i int) {
	c.t.Helper()
	p := c.nodes[i]
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		c.t.Fatal(err)
	}
	select {
	case err := <-p.ended:
		if err != nil {
			c.t.Errorf("node %d ended with %v", i, err)
		}
	case <-time.After(20 * time.Second):
		c.t.Fatalf("node %d does not end", i)
	}
	p.cmd = nil
}

// waitFor polls until f is nil, and fails the test if it does not get there.
func (c *cluster) waitFor(limit time.Duration, what string, f func() error) {
	c.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: not within %v: %v", what, limit, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (c *cluster) waitReady(i int) {
	c.t.Helper()
	c.waitFor(30*time.Second, fmt.Sprintf("node %d is ready", i), func() error {
		select {
		case err := <-c.nodes[i].ended:
			c.t.Fatalf("node %d ended by itself: %v", i, err)
		default:
		}
		resp, err := c.http.Get("http://" + c.nodes[i].http + "/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	})
}

// status is what the tests need of GET /v1/status.
type status struct {
	ID            string `json:"id"`
	Role          string `json:"role"`
	Leader        string `json:"leader"`
	AppliedIndex  uint64 `json:"applied_index"`
	FirstIndex    uint64 `json:"first_index"`
	SnapshotIndex uint64 `json:"snapshot_index"`
	StateHash     string `json:"state_hash"`
	ContentHash   string `json:"content_hash"`
}

func (c *cluster) status(i int) (status, error) {
	var s status
	resp, err := c.http.Get("http://" + c.nodes[i].http + "/v1/status?content_hash=true")
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return s, errors.New(resp.Status)
	}
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

// leader finds the node that leads.
func (c *cluster) leader() int {
	c.t.Helper()
	found := -1
	c.waitFor(20*time.Second, "there is a leader", func() error {
		for i, p := range c.nodes {
			if p.cmd == nil {
				continue
			}
			if s, err := c.status(i); err == nil && s.Role == "leader" {
				found = i
				return nil
			}
		}
		return errors.New("none leads")
	})
	return found
}

// follower finds a node that runs and does not lead.
func (c *cluster) follower() int {
	c.t.Helper()
	leader := c.leader()
	return slices.IndexFunc(c.nodes, func(p *process) bool { return p.cmd != nil && p.index != leader })
}

// waitConverged waits until all nodes have applied the same and checks that
// they hold the same.
func (c *cluster) waitConverged() {
	c.t.Helper()
	c.waitFor(60*time.Second, "all nodes hold the same", func() error {
		first, err := c.status(0)
		if err != nil {
			return err
		}
		for i := 1; i < len(c.nodes); i++ {
			s, err := c.status(i)
			if err != nil {
				return err
			}
			if s.AppliedIndex != first.AppliedIndex {
				return fmt.Errorf("node %d is at %d, node 0 at %d", i, s.AppliedIndex, first.AppliedIndex)
			}
			if s.StateHash != first.StateHash || s.ContentHash != first.ContentHash {
				c.t.Fatalf("at index %d node %d has hashes %s and %s, node 0 has %s and %s", s.AppliedIndex,
					i, s.StateHash, s.ContentHash, first.StateHash, first.ContentHash)
			}
		}
		return nil
	})
}

// outcome is what a client knows of its call.
type outcome int

const (
	acknowledged outcome = iota
	notApplied           // surely
	unknown
)

// answer is the body of a response.
type answer struct {
	Value   json.RawMessage `json:"value"`
	Index   uint64          `json:"index"`
	Error   string          `json:"error"`
	Code    string          `json:"code"`
	Outcome string          `json:"outcome"`
}

// newClient is an HTTP client for one of many concurrent callers.
func newClient() *http.Client {
	return &http.Client{
		Timeout:   15 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 4, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext},
	}
}

// post sends one call and says what became of it.
func (c *cluster) post(ctx context.Context, client *http.Client, node int, path, body string) (answer, outcome) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.nodes[node].http+path, strings.NewReader(body))
	if err != nil {
		c.t.Error(err)
		return answer{}, notApplied
	}
	resp, err := client.Do(req)
	if err != nil {
		// A call whose connection was never made never left.
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
			return answer{}, notApplied
		}
		return answer{}, unknown
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	var a answer
	if err != nil || json.Unmarshal(data, &a) != nil {
		return a, unknown
	}
	switch {
	case resp.StatusCode == http.StatusOK:
		return a, acknowledged
	case a.Outcome == "not_applied":
		return a, notApplied
	}
	return a, unknown
}

// get reads an integer through a node; 0 if there is none.
func (c *cluster) get(node int, key string) (int64, error) {
	a, out := c.post(context.Background(), c.http, node, "/get", `{"key":`+strconv.Quote(key)+`}`)
	if out == acknowledged {
		return strconv.ParseInt(string(bytes.TrimSpace(a.Value)), 10, 64)
	}
	if a.Code == "not_found" {
		return 0, nil
	}
	return 0, fmt.Errorf("get %s: %s", key, a.Error)
}

package torture

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// clusterSize is the nodes of every cluster here.
const clusterSize = 3

// cluster is nodes that run as processes. Its cleanup ends them all. Its
// methods are for the goroutine of the test, except where they say otherwise.
type cluster struct {
	t     testing.TB
	dir   string
	nodes []*process
	// wires is between the nodes; nil if they talk directly.
	wires *wires
	// http is the client of the test itself; load makes its own.
	http *http.Client
}

// settings is what tests want of a cluster. The zero value is the binary with
// short elections.
type settings struct {
	election           time.Duration
	snapshot, trailing uint64
	// own runs this program as the nodes, built as the test was.
	own bool
	// resp opens the Redis port of the binary.
	resp bool
	// wired puts proxies between the nodes, which takes own.
	wired bool
}

// electionTimeout is what most tests use: short, so that they do not mostly
// wait, and longer than a busy machine holds a heartbeat up.
const electionTimeout = 300 * time.Millisecond

// newCluster starts nodes and waits until all are ready.
func newCluster(t testing.TB, s settings) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: t.TempDir(), http: newClient(10 * time.Second)}
	ports := freePorts(t, 3*clusterSize)
	var peers []string
	for i := range clusterSize {
		peers = append(peers, fmt.Sprintf("127.0.0.1:%d", ports[2*i+1]))
	}
	for i := range clusterSize {
		c.nodes = append(c.nodes, &process{
			index: i, own: s.own, log: filepath.Join(c.dir, fmt.Sprintf("node%d.log", i)),
			config: nodeConfig{
				Dir: filepath.Join(c.dir, fmt.Sprintf("node%d", i)), HTTP: fmt.Sprintf("127.0.0.1:%d", ports[2*i]),
				Peer: peers[i], Join: peers, ElectionTimeout: cmp.Or(s.election, electionTimeout),
				SnapshotEntries: cmp.Or(s.snapshot, 8192), TrailingEntries: cmp.Or(s.trailing, 4096),
			},
		})
	}
	for i, p := range c.nodes {
		if s.resp {
			p.config.RESP = fmt.Sprintf("127.0.0.1:%d", ports[2*clusterSize+i])
		}
	}
	if s.wired {
		c.wires = newWires(t, peers)
		for i, p := range c.nodes {
			p.config.Dials = c.wires.dials(i)
		}
	}
	t.Cleanup(c.close)
	for i := range c.nodes {
		c.start(i)
	}
	for i := range c.nodes {
		c.waitReady(i)
	}
	return c
}

// Systems give ports above 32767 to connections that dial. A node that is down
// for a moment could find its port taken by one of those.
const portMin, portMax = 12_000, 32_000

// freePorts finds ports that nobody listens on at the moment.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", portMin+rand.IntN(portMax-portMin)))
		if err != nil {
			continue
		}
		defer l.Close()
		if ports = append(ports, l.Addr().(*net.TCPAddr).Port); len(ports) == n {
			return ports
		}
	}
	t.Fatalf("there are no %d free ports", n)
	return nil
}

// close ends all processes, and shows their logs if the test failed.
func (c *cluster) close() {
	for i, p := range c.nodes {
		if p.cmd != nil {
			c.kill(i)
		}
	}
	c.http.CloseIdleConnections()
	if !c.t.Failed() {
		return
	}
	for i, p := range c.nodes {
		log, _ := os.ReadFile(p.log)
		c.t.Logf("log of node %d, the end of it:\n%s", i, log[max(0, len(log)-4000):])
	}
}

// must fails the test at an error.
func (c *cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// start runs a node. It does not wait for it.
func (c *cluster) start(i int) {
	c.t.Helper()
	c.must(c.nodes[i].start())
}

// kill ends a node as a crash does.
func (c *cluster) kill(i int) {
	c.t.Helper()
	c.must(c.nodes[i].kill())
}

// killAll ends all nodes at the same moment.
func (c *cluster) killAll() {
	c.t.Helper()
	for _, p := range c.nodes {
		_ = p.cmd.Process.Kill()
	}
	for i := range c.nodes {
		c.kill(i)
	}
}

// stop asks a node to end, and waits until it has.
func (c *cluster) stop(i int) {
	c.t.Helper()
	c.must(c.nodes[i].terminate())
	c.must(c.nodes[i].awaitEnd())
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
	p := c.nodes[i]
	c.waitFor(30*time.Second, fmt.Sprintf("node %d is ready", i), func() error {
		if !p.alive() {
			c.t.Fatalf("node %d ended by itself: %v", i, p.err)
		}
		resp, err := c.http.Get("http://" + p.config.HTTP + "/readyz")
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
	ContentIndex  uint64 `json:"content_index"`
}

// status is how a node sees itself, with its content hash if parameters ask
// for it.
func (c *cluster) status(i int, parameters string) (status, error) {
	var s status
	resp, err := c.http.Get("http://" + c.nodes[i].config.HTTP + "/v1/status" + parameters)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return s, errors.New(resp.Status)
	}
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

// leads is the node that says it leads, or -1.
func (c *cluster) leads() int {
	return slices.IndexFunc(c.nodes, func(p *process) bool {
		if !p.serving() {
			return false
		}
		s, err := c.status(p.index, "")
		return err == nil && s.Role == "leader"
	})
}

// leader waits until a node leads.
func (c *cluster) leader() int {
	c.t.Helper()
	found := -1
	c.waitFor(20*time.Second, "there is a leader", func() error {
		if found = c.leads(); found < 0 {
			return errors.New("none leads")
		}
		return nil
	})
	return found
}

// follower finds a node that runs and does not lead.
func (c *cluster) follower() int {
	c.t.Helper()
	leader := c.leader()
	return slices.IndexFunc(c.nodes, func(p *process) bool { return p.serving() && p.index != leader })
}

// waitConverged waits until all nodes have applied the same and checks that
// they hold the same.
func (c *cluster) waitConverged() {
	c.t.Helper()
	c.waitFor(60*time.Second, "all nodes hold the same", func() error {
		var first status
		for i := range c.nodes {
			s, err := c.status(i, "?content_hash=true")
			if err != nil {
				return err
			}
			if i == 0 {
				first = s
			}
			if s.AppliedIndex != first.AppliedIndex {
				return fmt.Errorf("node %d is at %d, node 0 at %d", i, s.AppliedIndex, first.AppliedIndex)
			}
			if s.ContentIndex != s.AppliedIndex {
				return fmt.Errorf("node %d went on from %d to %d while its content was read", i, s.AppliedIndex, s.ContentIndex)
			}
			if s.StateHash != first.StateHash || s.ContentHash != first.ContentHash {
				c.t.Fatalf("at index %d node %d has hashes %s and %s, node 0 has %s and %s", s.AppliedIndex,
					i, s.StateHash, s.ContentHash, first.StateHash, first.ContentHash)
			}
		}
		return nil
	})
}

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// clusterSize is the nodes of a cluster.
const clusterSize = 3

// cluster is nodes that run as processes. Its methods are for the goroutine of
// the test.
type cluster struct {
	t     testing.TB
	nodes []*process
	// resp and http is where the doors of each node are.
	resp, http []string
	web        *http.Client
}

// startCluster runs nodes and waits until all are ready. Flags are those that a
// test wants beside the addresses.
func startCluster(t testing.TB, flags ...string) *cluster {
	t.Helper()
	addrs := freeAddrs(t, 3*clusterSize)
	peers := addrs[2*clusterSize:]
	c := &cluster{t: t, resp: addrs[:clusterSize], http: addrs[clusterSize : 2*clusterSize], web: &http.Client{Timeout: 5 * time.Second}}
	t.Cleanup(c.web.CloseIdleConnections)
	dir := t.TempDir()
	for i := range clusterSize {
		args := append([]string{
			"serve", "--data-dir", filepath.Join(dir, fmt.Sprint(i)), "--log-format", "text",
			"--http", c.http[i], "--resp", c.resp[i], "--peer", peers[i], "--join", strings.Join(peers, ","),
		}, flags...)
		c.nodes = append(c.nodes, newProcess(t, binary, args...))
		c.nodes[i].start()
	}
	for i := range c.nodes {
		c.waitReady(i)
	}
	return c
}

func (c *cluster) waitReady(i int) {
	c.t.Helper()
	waitFor(c.t, 30*time.Second, fmt.Sprintf("node %d is ready", i), func() error {
		c.nodes[i].alive()
		answer, err := c.web.Get("http://" + c.http[i] + "/readyz")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return errors.New(answer.Status)
		}
		return nil
	})
}

// role is what a node says it is.
func (c *cluster) role(i int) (string, error) {
	answer, err := c.web.Get("http://" + c.http[i] + "/v1/status")
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var status struct{ Role string }
	err = json.NewDecoder(answer.Body).Decode(&status)
	return status.Role, err
}

// leader waits until a node leads.
func (c *cluster) leader() (found int) {
	c.t.Helper()
	waitFor(c.t, 20*time.Second, "there is a leader", func() error {
		for i, node := range c.nodes {
			if node.cmd == nil {
				continue
			}
			if role, err := c.role(i); err == nil && role == "leader" {
				found = i
				return nil
			}
		}
		return errors.New("none leads")
	})
	return found
}

// servers runs a test on a redis-server, which shows that the test is right,
// and then on each node of a cluster.
func servers(t *testing.T, test func(t *testing.T, addr string)) {
	t.Run("redis-server", func(t *testing.T) { test(t, startRedis(t)) })
	t.Run("quorate", func(t *testing.T) {
		c := startCluster(t)
		leader := c.leader()
		for i, addr := range c.resp {
			name := fmt.Sprintf("follower %d", i)
			if i == leader {
				name = fmt.Sprintf("leader %d", i)
			}
			t.Run(name, func(t *testing.T) { test(t, addr) })
		}
	})
}

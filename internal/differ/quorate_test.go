package differ

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate/internal/peer/memnet"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/kv/redis"
	"github.com/quorate/quorate/node"
	"github.com/quorate/quorate/respapi"
)

// clusterSize is the nodes of a cluster: each connection of a sequence is on
// another one, and one of them leads.
const clusterSize = connections

// startQuorate runs nodes on a network and on disks in memory, each with a door
// on loopback, until the test ends.
func startQuorate(t testing.TB) server {
	t.Helper()
	network, s := memnet.New(), server{name: "quorate"}
	var join []string
	for i := range clusterSize {
		join = append(join, fmt.Sprintf("n%d:7302", i))
	}
	var nodes []*node.Node
	for i, peer := range join {
		n, err := node.Start(kv.Service, node.Config{
			Dir: "data", Peer: peer, Join: join,
			Host: node.Host{FS: vfs.NewMem(), Listen: network.Listen, Dial: network.Host(fmt.Sprintf("n%d", i)).Dial},
		})
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, n)
	}
	// The doors close first: cleanups run from the last to the first.
	t.Cleanup(func() { closeAll(t, nodes) })
	for _, n := range nodes {
		s.addrs = append(s.addrs, openDoor(t, n))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i, n := range nodes {
		if err := n.Ready(ctx); err != nil {
			t.Fatalf("node %d: %v", i, err)
		}
	}
	return s
}

// closeAll closes nodes at the same time, for none is to find a new leader.
func closeAll(t testing.TB, nodes []*node.Node) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var closing sync.WaitGroup
	for _, n := range nodes {
		closing.Go(func() {
			if err := n.Close(ctx); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	closing.Wait()
}

// openDoor serves a node on loopback.
func openDoor(t testing.TB, n *node.Node) net.Addr {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	door := respapi.New(respapi.Config{
		Service: kv.Service, Executor: n, Table: redis.Table(), Voters: func() int { return clusterSize },
		Status: func(ctx context.Context) any { return n.Status(ctx) },
	})
	served := make(chan error, 1)
	go func() { served <- door.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := errors.Join(door.Shutdown(ctx), <-served); err != nil {
			t.Error(err)
		}
	})
	return listener.Addr()
}

func TestQuorateAnswersAsRedisDoes(t *testing.T) {
	r := newRules(likenesses, differences)
	compareServers(t, startRedis(t), startQuorate(t), r)
	t.Logf("answers that passed by a rule: %v", r.used)
	if unused := r.unused(); *commandsFlag >= fullCommands && len(unused) > 0 && !t.Failed() {
		t.Errorf("no answer has shown the differences %q: are they still there?", unused)
	}
}

// manual is where users are told of differences.
const manual = "../../docs/REDIS.md"

func TestEveryDifferenceIsTold(t *testing.T) {
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range differences {
		if !strings.Contains(strings.ToLower(string(text)), strings.ToLower(rule.name)) {
			t.Errorf("%s does not tell of %q: %s", manual, rule.name, rule.why)
		}
	}
}

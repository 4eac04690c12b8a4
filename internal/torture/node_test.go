package torture

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/quorate/quorate/httpapi"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/node"
)

// nodeConfig is how a node is run, by the binary or by this program.
type nodeConfig struct {
	Dir, HTTP, Peer string
	// RESP is the address of the Redis port of the binary; empty for none.
	RESP            string
	Join            []string
	ElectionTimeout time.Duration
	SnapshotEntries uint64
	TrailingEntries uint64
	// Dials says where to dial instead of a peer address. The binary has no
	// such setting.
	Dials map[string]string
}

// args is the command line of the binary.
func (c nodeConfig) args() []string {
	return []string{
		"serve", "--data-dir", c.Dir, "--http", c.HTTP, "--resp", c.RESP, "--peer", c.Peer, "--join", strings.Join(c.Join, ","),
		"--election-timeout", c.ElectionTimeout.String(),
		"--snapshot-entries", strconv.FormatUint(c.SnapshotEntries, 10),
		"--trailing-entries", strconv.FormatUint(c.TrailingEntries, 10),
		"--log-format", "text",
	}
}

// variable is the entry of the environment that makes this program the node.
func (c nodeConfig) variable() (string, error) {
	text, err := json.Marshal(c)
	return nodeVariable + "=" + string(text), err
}

// runNode is this program as a node. It returns the exit code.
func runNode(text string) int {
	var c nodeConfig
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		err = c.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// nodeDrainMax is how long a node may take to end, in each of its two steps.
const nodeDrainMax = 10 * time.Second

// run is what the binary does for serve.
func (c nodeConfig) run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	listener, err := net.Listen("tcp", c.HTTP)
	if err != nil {
		return err
	}
	n, err := node.Start(kv.Service, node.Config{
		Dir: c.Dir, Peer: c.Peer, Join: c.Join, Log: log,
		ElectionTimeout: c.ElectionTimeout, SnapshotEntries: c.SnapshotEntries, TrailingEntries: c.TrailingEntries,
		Host: node.Host{Dial: c.dial},
	})
	if err != nil {
		return err
	}
	door := httpapi.New(httpapi.Config{
		Service: kv.Service, Executor: n, Log: log,
		Status:      func(ctx context.Context) any { return n.Status(ctx) },
		ContentHash: n.ContentHash, Ready: n.Ready,
	})
	served := make(chan error, 1)
	go func() { served <- door.Serve(listener) }()
	select {
	case <-ctx.Done():
	case <-n.Done():
	}
	draining, cancel := context.WithTimeout(context.Background(), nodeDrainMax)
	defer cancel()
	n.HandOver(draining)
	if err := door.Shutdown(draining); err != nil {
		log.Warn("some calls were not answered", "error", err)
	}
	closing, cancel := context.WithTimeout(context.Background(), nodeDrainMax)
	defer cancel()
	err = n.Close(closing)
	return cmp.Or(err, <-served)
}

// dial reaches another node, through a proxy where there is one.
func (c nodeConfig) dial(ctx context.Context, addr string) (net.Conn, error) {
	if through, ok := c.Dials[addr]; ok {
		addr = through
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, "tcp", addr)
}

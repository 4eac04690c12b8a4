package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
)

// Redis starts one redis-server, the first one in the path, which replicates
// nothing. It appends every write to a file and syncs it before it answers,
// and is otherwise as it comes.
func Redis(ctx context.Context, dir string) (*Cluster, error) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("find redis-server: %w", err)
	}
	c, err := prepare(dir, 1)
	if err != nil {
		return nil, err
	}
	addrs, err := freeAddrs(1)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	_, port, err := net.SplitHostPort(addrs[0])
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	n := c.Nodes[0]
	n.RESP = addrs[0]
	n.Process = newProcess(c.logOf(0), binary, "--bind", "127.0.0.1", "--port", port, "--dir", n.Dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "always")
	c.ready = func(ctx context.Context, n *Node) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", n.RESP)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	c.leads = func(context.Context, *Node) (bool, error) { return true, nil }
	return c.begin(ctx)
}

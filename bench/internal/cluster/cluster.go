// Package cluster starts the nodes of the systems that are measured, each in
// fresh directories and on ports of this machine, and ends them.
//
// A node is a process of its own: the program of the system, or a copy of this
// one that runs package member. Nothing outlives the program that started it.
// Every system syncs a write to disk before it answers, and has its defaults
// beside that; what is said otherwise is at the function that starts it.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Size is the nodes of a cluster of every system that has clusters.
const Size = 3

const (
	// startMax is how long the nodes may take to be ready, and to elect.
	startMax = 30 * time.Second
	// pollPause goes between two looks at whether it is so.
	pollPause = 20 * time.Millisecond
)

// Node is one of a cluster.
type Node struct {
	*Process
	// Dir is where its data is.
	Dir string
	// RESP, HTTP and Client are where its doors are, each empty if it has no
	// such door. Client is the one of etcd.
	RESP, HTTP, Client string

	member *pipes // nil unless it is a copy of this program
}

// Cluster is the nodes of one system that work together, or the one node of a
// system that has no clusters.
type Cluster struct {
	Nodes []*Node

	dir   string
	ready func(ctx context.Context, n *Node) error
	leads func(ctx context.Context, n *Node) (bool, error)
}

// prepare is a cluster whose nodes have a directory each, and do not run. The
// directory dir holds them; empty means the one for temporary files.
func prepare(dir string, size int) (*Cluster, error) {
	dir, err := os.MkdirTemp(dir, "bench-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for a cluster: %w", err)
	}
	c := &Cluster{dir: dir}
	for i := range size {
		n := &Node{Dir: filepath.Join(dir, fmt.Sprint(i))}
		if err := os.Mkdir(n.Dir, 0o700); err != nil {
			return nil, errors.Join(fmt.Errorf("make a directory for a node: %w", err), c.Close())
		}
		c.Nodes = append(c.Nodes, n)
	}
	return c, nil
}

// logOf is the file for what a node prints.
func (c *Cluster) logOf(i int) string { return filepath.Join(c.dir, fmt.Sprintf("%d.log", i)) }

// begin starts all nodes and waits until all are ready and one leads. If it
// cannot, nothing is left.
func (c *Cluster) begin(ctx context.Context) (*Cluster, error) {
	for _, n := range c.Nodes {
		if err := n.Start(); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	for _, n := range c.Nodes {
		if err := c.Ready(ctx, n); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	if _, err := c.Leader(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Ready waits until a node that was started serves.
func (c *Cluster) Ready(ctx context.Context, n *Node) error {
	return poll(ctx, "the node is ready", func(ctx context.Context) error {
		if err := n.Alive(); err != nil {
			return err
		}
		return c.ready(ctx, n)
	})
}

// Leader waits until a node leads, and returns it.
func (c *Cluster) Leader(ctx context.Context) (leader *Node, err error) {
	err = poll(ctx, "a node leads", func(ctx context.Context) error {
		for _, n := range c.Nodes {
			if n.Alive() != nil {
				continue
			}
			if leads, err := c.leads(ctx, n); err == nil && leads {
				leader = n
				return nil
			}
		}
		return errors.New("none does")
	})
	return leader, err
}

// PIDs is the processes that run.
func (c *Cluster) PIDs() []int {
	var pids []int
	for _, n := range c.Nodes {
		if n.Alive() == nil {
			pids = append(pids, n.PID())
		}
	}
	return pids
}

// Alive is nil if all nodes run.
func (c *Cluster) Alive() error {
	var errs []error
	for _, n := range c.Nodes {
		errs = append(errs, n.Alive())
	}
	return errors.Join(errs...)
}

// Close kills all nodes and removes their data.
func (c *Cluster) Close() error {
	var errs []error
	for _, n := range c.Nodes {
		if n.Process != nil {
			errs = append(errs, n.Kill())
		}
		if n.member != nil {
			n.member.close()
		}
	}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}

// poll calls f until it is nil, a process has ended, ctx ends, or startMax has
// passed.
func poll(ctx context.Context, what string, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startMax)
	defer cancel()
	for {
		err := f(ctx)
		if err == nil || errors.Is(err, errEnded) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w: %w", what, context.Cause(ctx), err)
		case <-time.After(pollPause):
		}
	}
}

// Systems give ports above 32767 to connections that dial. A node that is down
// for a moment could find its port taken by one of those.
const portMin, portMax = 12_000, 32_000

// freeAddrs finds addresses on which nobody listens at the moment.
func freeAddrs(n int) ([]string, error) {
	var addrs []string
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", portMin+rand.IntN(portMax-portMin)))
		if err != nil {
			continue
		}
		defer l.Close()
		if addrs = append(addrs, l.Addr().String()); len(addrs) == n {
			return addrs, nil
		}
	}
	return nil, fmt.Errorf("there are no %d free ports", n)
}

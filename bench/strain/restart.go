package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/quorate/quorate/bench/internal/cluster"
	"github.com/quorate/quorate/bench/internal/fill"
	"github.com/quorate/quorate/bench/internal/report"
	"github.com/quorate/quorate/internal/resp"
)

const (
	// restartValue is the bytes of a value.
	restartValue = 1 << 10
	// restartMax is how long a node may take to be back, in seconds.
	restartMax = 3
	// restartPart is the part of all keys that is written before each restart.
	restartPart = 20
	// askMax bounds how long an answer is waited for, and askPause goes before
	// the next try. A restart that takes as long as giveUp has failed.
	askMax   = 2 * time.Second
	askPause = 5 * time.Millisecond
	giveUp   = 2 * time.Minute
)

// noise is values that do not compress, each other than its neighbours.
type noise []byte

func newNoise() noise {
	n := make(noise, 1<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(n) // it never fails
	return n
}

// value is the value of a key.
func (n noise) value(number int) []byte {
	at := (number * 7919) % (len(n) - restartValue) // a prime: neighbours lie apart
	return n[at : at+restartValue]
}

// restarts is what a scenario of restarts works with.
type restarts struct {
	*lab
	cluster *cluster.Cluster
	keys    fill.Load
}

// strainRestart has nodes with much state start again.
func strainRestart(ctx context.Context, l *lab) error {
	c, err := l.quorate(ctx)
	if err != nil {
		return err
	}
	r := &restarts{l, c, fill.Load{Keys: l.keysRestart, Key: "k:%012d", Value: newNoise().value, Together: fillTogether}}
	began := time.Now()
	if err := r.write(ctx, r.keys); err != nil {
		return err
	}
	l.note("%s values of 1 KiB were stored in %.1f s", report.Count(float64(l.keysRestart)), time.Since(began).Seconds())
	if err := l.weigh(ctx, "state", c); err != nil {
		return err
	}
	if err := r.one(ctx, "after SIGTERM", (*cluster.Node).Stop); err != nil {
		return err
	}
	if err := r.one(ctx, "after SIGKILL", (*cluster.Node).Kill); err != nil {
		return err
	}
	return r.all(ctx)
}

// write stores keys through the leader.
func (r *restarts) write(ctx context.Context, keys fill.Load) error {
	leader, err := r.cluster.Leader(ctx)
	if err != nil {
		return err
	}
	return fill.RESP(ctx, leader.RESP, keys)
}

// more writes a part of the keys again.
func (r *restarts) more(ctx context.Context) error {
	part := r.keys
	part.Keys /= restartPart
	part.First = rand.IntN(r.keys.Keys - part.Keys)
	return r.write(ctx, part)
}

// one ends and starts a follower again and again.
func (r *restarts) one(ctx context.Context, how string, end func(*cluster.Node) error) error {
	var times []float64
	for range r.rounds {
		if err := r.more(ctx); err != nil {
			return err
		}
		leader, err := r.cluster.Leader(ctx)
		if err != nil {
			return err
		}
		n := r.cluster.Nodes[0]
		if n == leader {
			n = r.cluster.Nodes[1]
		}
		asked := time.Now()
		if err := end(n); err != nil {
			return err
		}
		ended := time.Since(asked)
		began := time.Now()
		if err := n.Start(); err != nil {
			return err
		}
		if err := r.back(ctx, n); err != nil {
			return err
		}
		times = append(times, time.Since(began).Seconds())
		r.say("%s: the end took %.2f s, the start %.2f s", how, ended.Seconds(), time.Since(began).Seconds())
		if time.Since(began).Seconds() > restartMax {
			r.tell(n, began)
		}
	}
	r.out.judge("start "+how, "s", atMost(restartMax), times...)
	return nil
}

// back waits until a node answers what it should under some key.
func (r *restarts) back(ctx context.Context, n *cluster.Node) error {
	number := rand.IntN(r.keys.Keys)
	return again(ctx, n, func(ctx context.Context) error {
		answer, err := ask(ctx, n.RESP, "GET", fmt.Appendf(nil, r.keys.Key, number))
		if err == nil && !bytes.Equal([]byte(answer.Text()), r.keys.Value(number)) {
			return errWrongValue
		}
		return err
	})
}

// errWrongValue is that a value is another one than was stored.
var errWrongValue = errors.New("a value that was stored is not there")

// all kills all nodes and starts them again, as after a loss of power.
func (r *restarts) all(ctx context.Context) error {
	var times []float64
	for range r.rounds {
		if err := r.more(ctx); err != nil {
			return err
		}
		for _, n := range r.cluster.Nodes {
			if err := n.Kill(); err != nil {
				return err
			}
		}
		began := time.Now()
		for _, n := range r.cluster.Nodes {
			if err := n.Start(); err != nil {
				return err
			}
		}
		if err := r.writable(ctx); err != nil {
			return err
		}
		times = append(times, time.Since(began).Seconds())
		r.say("all were killed: a write after %.2f s", time.Since(began).Seconds())
		for _, n := range r.cluster.Nodes {
			if err := r.back(ctx, n); err != nil {
				return err
			}
		}
	}
	r.out.show("first write after all were killed", "s", times...)
	return nil
}

// writable waits until one of the nodes answers a write.
func (r *restarts) writable(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, len(r.cluster.Nodes))
	for _, n := range r.cluster.Nodes {
		go func() {
			done <- again(ctx, n, func(ctx context.Context) error {
				_, err := ask(ctx, n.RESP, "SET", []byte("first"), []byte(value))
				return err
			})
		}()
	}
	var errs []error
	for range r.cluster.Nodes {
		err := <-done
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// tell notes what a node printed since it began.
func (r *restarts) tell(n *cluster.Node, began time.Time) {
	for _, line := range linesSince(n, began) {
		r.note("it printed: %s", line)
	}
}

// again asks until f is nil, the node has ended, or it takes too long.
func again(ctx context.Context, n *cluster.Node, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, giveUp)
	defer cancel()
	for {
		err := f(ctx)
		if err == nil || errors.Is(err, errWrongValue) {
			return err
		}
		if err := n.Alive(); err != nil {
			return err
		}
		if stop := sleep(ctx, askPause); stop != nil {
			return fmt.Errorf("wait for a node to be back: %w: %w", stop, err)
		}
	}
}

// ask makes one call through a connection of its own. An error as answer is
// one.
func ask(ctx context.Context, addr, name string, arguments ...[]byte) (resp.Value, error) {
	wire, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return resp.Value{}, err
	}
	defer wire.Close()
	if err := wire.SetDeadline(time.Now().Add(askMax)); err != nil {
		return resp.Value{}, err
	}
	if _, err := wire.Write(resp.AppendCall(nil, name, arguments...)); err != nil {
		return resp.Value{}, err
	}
	answer, err := resp.NewReplyReader(wire, resp.DefaultReplyLimits()).Read()
	if err == nil && answer.IsError() {
		err = errors.New(answer.Text())
	}
	return answer, err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/quorate/quorate/bench/internal/cluster"
	"github.com/quorate/quorate/bench/internal/fill"
	"github.com/quorate/quorate/bench/internal/loop"
)

// etcdConns is how many connections the callers share. One alone holds etcd
// back; more than this gain nothing.
const etcdConns = 16

// openEtcd is clients with a connection each, to the leader or to one node
// after the other.
func openEtcd(ctx context.Context, c *cluster.Cluster, spread bool) (clients []*clientv3.Client, end func(), err error) {
	end = func() {
		for _, client := range clients {
			_ = client.Close() // nothing is under way
		}
	}
	leader, err := c.Leader(ctx)
	if err != nil {
		return nil, end, err
	}
	for i := range etcdConns {
		addr := leader.Client
		if spread {
			addr = c.Nodes[i%len(c.Nodes)].Client
		}
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{addr}, Logger: zap.NewNop()})
		if err != nil {
			end()
			return nil, end, fmt.Errorf("connect to %s: %w", addr, err)
		}
		clients = append(clients, client)
	}
	return clients, end, nil
}

func measureEtcd(ctx context.Context, c *cluster.Cluster, w work, p pace, m *meter) (figure, error) {
	clients, end, err := openEtcd(ctx, c, w.spread)
	if err != nil {
		return figure{}, err
	}
	defer end()
	return measureLoop(ctx, w, p, m, func(caller int) (loop.Call, func(), error) {
		return etcdCall(clients[caller%len(clients)], w.op), nil, nil
	})
}

// etcdCall is what a user of etcd calls to do an operation.
func etcdCall(on *clientv3.Client, o op) loop.Call {
	random := func(format string) string { return fmt.Sprintf(format, rand.IntN(keyCount)) }
	switch o {
	case opRead:
		return func(ctx context.Context) error {
			got, err := on.Get(ctx, random(keyFormat))
			if err == nil && (got.Count != 1 || string(got.Kvs[0].Value) != value) {
				err = errors.New("a key that was stored is not there")
			}
			return err
		}
	case opHot:
		return func(ctx context.Context) error { return etcdIncrement(ctx, on, "hot") }
	case opMany:
		return func(ctx context.Context) error { return etcdIncrement(ctx, on, random("c:%012d")) }
	}
	return func(ctx context.Context) error {
		_, err := on.Put(ctx, random(keyFormat), value)
		return err
	}
}

// etcdIncrement adds one to a counter: it reads, and stores what is one more if
// nobody has stored anything since. If somebody has, it does so again, with
// what the refusal says is there now.
func etcdIncrement(ctx context.Context, on *clientv3.Client, counter string) error {
	got, err := on.Get(ctx, counter)
	if err != nil {
		return err
	}
	for {
		var revision, count int64
		if len(got.Kvs) > 0 {
			revision = got.Kvs[0].ModRevision
			if count, err = strconv.ParseInt(string(got.Kvs[0].Value), 10, 64); err != nil {
				return fmt.Errorf("read counter %s: %w", counter, err)
			}
		}
		done, err := on.Txn(ctx).
			If(clientv3.Compare(clientv3.ModRevision(counter), "=", revision)).
			Then(clientv3.OpPut(counter, strconv.FormatInt(count+1, 10))).
			Else(clientv3.OpGet(counter)).
			Commit()
		if err != nil {
			return err
		}
		if done.Succeeded {
			return nil
		}
		got = (*clientv3.GetResponse)(done.Responses[0].GetResponseRange())
	}
}

func fillEtcd(ctx context.Context, c *cluster.Cluster) error {
	leader, err := c.Leader(ctx)
	if err != nil {
		return err
	}
	return fill.Etcd(ctx, leader.Client, stored())
}

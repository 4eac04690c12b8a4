package member

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/bench/internal/loop"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/node"
	"github.com/quorate/quorate/values"
)

// startMax is how long a node may take to find the others and a leader.
const startMax = 30 * time.Second

// quorateMember is Quorate as a library, with the service that is built in.
type quorateMember struct{ *node.Node }

func openQuorate(config Config) (member, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startMax)
	defer cancel()
	n, err := node.Open(ctx, kv.Service, node.Config{
		Dir:  config.Dir,
		Peer: config.Peers[config.ID],
		Join: config.Peers,
	})
	if err != nil {
		return nil, fmt.Errorf("open node %d: %w", config.ID, err)
	}
	return quorateMember{n}, nil
}

func (m quorateMember) leads() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	status := m.Status(ctx)
	return status.Leader == status.ID
}

func (m quorateMember) writer(random *rand.Rand, keys int) loop.Call {
	put := kv.Put{Value: values.Bytes(value)}
	return func(ctx context.Context) error {
		put.Key = kv.Key(key(random, keys))
		_, err := quorate.Do(ctx, m.Node, put)
		return err
	}
}

func (m quorateMember) refused(err error) bool { return quorate.CodeOf(err) == quorate.Overloaded }

func (m quorateMember) close() {
	ctx, cancel := context.WithTimeout(context.Background(), startMax)
	defer cancel()
	_ = m.Close(ctx) // the data is thrown away
}

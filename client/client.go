// Package client runs calls on the nodes of a cluster from another process.
// What it dials is a quorate.Executor, as a node is:
//
//	c, err := client.Dial("10.0.0.1:7301", "10.0.0.2:7301", "10.0.0.3:7301")
//	…
//	hits, err := quorate.Do(ctx, c, kv.Inc{Key: "hits", By: 1})
//
// The addresses are those of the Redis port of the nodes. Any number of
// goroutines share one Client: their calls go out together over few
// connections.
//
// The rules it keeps:
//
//   - A call takes effect once. Each call without an id gets one, and what was
//     not answered is sent again under it, to another node where there is one,
//     until the deadline of the caller.
//   - The outcome of an error is that of all attempts: not_applied only if not
//     one of them can have had an effect.
//   - No call returns after its deadline. A caller waits for its context, never
//     for a connection, and a node that is silent is given up after a part of
//     the time that is left.
//
// It does not know what a call means, nor which node leads: every node serves
// every call. A program that imports it gets nothing with it but a few packages
// of this module and the standard library.
//
// The goroutines of a Client are two for each connection, one that reads and
// one that writes, and one now and then that tells the nodes which answers they
// may forget; Close awaits them.
package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/quorate/quorate"
)

// Client runs calls on the nodes of a cluster. It must be closed.
type Client struct {
	config Config
	ledger ledger

	ctx     context.Context // ends with Close
	cancel  context.CancelCauseFunc
	running sync.WaitGroup // one for each connection, and who tells of finished sessions

	// mu guards what follows, and what the nodes say it guards.
	mu    sync.Mutex
	nodes []*node
	// at is the node that new calls go to: the last one that had to be looked
	// for, and was found good.
	at int
	// dialled is when the newest dial began that somebody waits for.
	dialled time.Time
	// changed is closed when the state of a node has changed.
	changed chan struct{}
	closed  bool
}

// Dial makes a Client of the nodes at some addresses, host and port of their
// Redis port. It connects when the first call comes, so the error is never that
// no node is up, only that an address is malformed.
func Dial(addrs ...string) (*Client, error) { return Open(Config{Addrs: addrs}) }

// Open is Dial with a configuration.
func Open(config Config) (*Client, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{config: config, changed: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	for _, addr := range config.Addrs {
		c.nodes = append(c.nodes, &node{addr: addr})
	}
	// Many clients with one list of addresses spread over the nodes.
	c.at = draw(len(c.nodes))
	return c, nil
}

// errClosed ends what is under way when the client is closed.
var errClosed = errors.New("the client is closed")

// Close ends the connections and answers all who wait: a call that was sent
// already has outcome unknown. It returns when nothing of the client is left.
// The error is always nil.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel(errClosed)
	c.running.Wait()
	return nil
}

var _ quorate.Executor = (*Client)(nil)

package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/resp"
)

const (
	// dialTimeout bounds a dial with its handshake: several round trips around
	// the world.
	dialTimeout = 2 * time.Second
	// answerBytesMax bounds one answer: 64 values of the largest size.
	answerBytesMax = 64 << 20
	// blameTime is how long a node is avoided that did not serve a call: as long
	// as an election takes.
	blameTime = time.Second
)

// node is one address, and what is known of who answers there.
type node struct {
	addr string
	// blamed says that blamedUntil is set.
	blamed atomic.Bool

	// What follows is guarded by mu of the Client.

	conns    []*conn // that are up
	dialling int     // connections that will be up, or not
	// blamedUntil is how long the node is avoided; zero if it is not.
	blamedUntil time.Time
	// failures is how often in a row it could not be dialled, or a connection to
	// it ended; since it last served a call.
	failures int
	// dialAt is when it may be dialled again.
	dialAt time.Time
	// trouble is why the last dial came to nothing; nil if it did not.
	trouble error
	// refuses says that the trouble is an answer, and will be the same again.
	refuses bool
}

// refusal is how a node answers a client that it will not serve.
type refusal struct{ text string }

// Error is the answer of the node.
func (r refusal) Error() string { return "it refuses the client: " + r.text }

// dial begins to connect to a node. It is called under mu.
func (c *Client) dial(n *node) {
	n.dialling++
	c.running.Go(func() { c.serve(n) })
}

// serve is the goroutine of one connection, from the dial to the end.
func (c *Client) serve(n *node) {
	wire, err := c.connect(n)
	if err != nil {
		c.failed(n, err)
		return
	}
	cn := newConn(n, c, wire.Conn)
	stop := context.AfterFunc(c.ctx, func() { cn.end(errClosed) })
	defer stop()
	var writer sync.WaitGroup
	writer.Go(cn.write)
	c.up(cn)
	cn.end(cn.read(wire.replies))
	writer.Wait()
}

// greeted is a connection that has passed the handshake.
type greeted struct {
	net.Conn
	replies *resp.ReplyReader
}

// connect dials a node and greets it.
func (c *Client) connect(n *node) (*greeted, error) {
	ctx, cancel := context.WithTimeout(c.ctx, dialTimeout)
	defer cancel()
	plain, err := c.config.Dial(ctx, n.addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = plain.Close() })
	defer stop()
	wire := plain
	if c.config.TLS != nil {
		wire = tls.Client(plain, tlsFor(c.config.TLS, n.addr))
	}
	replies, err := greet(wire, c.config.Password)
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = wire.Close() // the error says more
		return nil, err
	}
	return &greeted{wire, replies}, nil
}

// tlsFor is a configuration that names the server, if only by the address.
func tlsFor(config *tls.Config, addr string) *tls.Config {
	if config.ServerName != "" {
		return config
	}
	config = config.Clone()
	config.ServerName, _, _ = net.SplitHostPort(addr) // it was checked
	return config
}

// greet says the password, and runs a frame without calls. Who answers that is a
// node, it is awake, and it lets this client in; no call is ever sent to
// another.
func greet(wire net.Conn, password string) (*resp.ReplyReader, error) {
	var hello []byte
	lines := 1
	if password != "" {
		hello = resp.AppendCall(hello, "AUTH", []byte(password))
		lines++
	}
	ms := strconv.AppendInt(nil, dialTimeout.Milliseconds(), 10)
	hello = resp.AppendCall(hello, "QUORATE", []byte("EXECUTE"), ms, entry.AppendCalls(nil, nil))
	if _, err := wire.Write(hello); err != nil {
		return nil, fmt.Errorf("greet: %w", err)
	}
	replies := resp.NewReplyReader(wire, resp.ReplyLimits{Bytes: answerBytesMax, BulkBytes: answerBytesMax})
	for range lines {
		answer, err := replies.Read()
		switch {
		case err != nil:
			return nil, fmt.Errorf("greet: %w", err)
		case answer.IsError() && lasting(answer):
			return nil, refusal{answer.Text()}
		case answer.IsError():
			return nil, fmt.Errorf("greet: %s", answer.Text())
		}
	}
	return replies, nil
}

// lasting says that a node answers the same in a second.
func lasting(answer resp.Value) bool {
	switch answer.Prefix() {
	case "TRYAGAIN", "LOADING", "BUSY", "MASTERDOWN":
		return false
	}
	return answer.Text() != "ERR max number of clients reached"
}

// up notes that a connection is up.
func (c *Client) up(cn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := cn.node
	n.dialling--
	n.trouble, n.refuses = nil, false
	cn.mu.Lock()
	ended := cn.cause != nil
	cn.mu.Unlock()
	if ended {
		n.postpone()
	} else {
		n.conns = append(n.conns, cn)
		c.config.Log.Info("connected", "node", n.addr)
	}
	c.tell()
}

// failed notes that a dial came to nothing.
func (c *Client) failed(n *node, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n.dialling--
	n.trouble = err
	_, n.refuses = errors.AsType[refusal](err)
	n.postpone()
	c.config.Log.Debug("not connected", "node", n.addr, "err", err)
	c.tell()
}

// lost notes that a connection has ended.
func (c *Client) lost(cn *conn, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := cn.node
	i := slices.Index(n.conns, cn)
	if i < 0 {
		return // it never was up
	}
	n.conns = slices.Delete(n.conns, i, i+1)
	n.postpone()
	c.config.Log.Info("connection lost", "node", n.addr, "err", cause)
	c.tell()
}

// postpone puts off the next dial.
func (n *node) postpone() {
	n.failures++
	n.dialAt = time.Now().Add(pauseAfter(n.failures))
}

// tell wakes those who wait for a connection. It is called under mu.
func (c *Client) tell() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// judge notes whether a node has served calls; nil is none.
func (c *Client) judge(n *node, served bool) {
	if n == nil || served && !n.blamed.Load() {
		return // nearly always
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n.blamed.Store(!served)
	n.blamedUntil = time.Time{}
	if served {
		n.failures = 0
		return
	}
	n.blamedUntil = time.Now().Add(blameTime)
}

// Package peer is the one TCP port between nodes: it carries opaque bodies of
// numbered kinds from one member to another.
//
// The nouns are Port, Member and Lane. A lane is a class of traffic with a
// connection of its own; the answers of a call come back on it. Calls of many
// goroutines share the connection, streams have one each.
//
// The rules it keeps:
//   - No byte of a call is read before the two ends have agreed, in a
//     handshake, that they belong to the same cluster (Probe excepted).
//   - Frames of one lane arrive in the order in which they were sent, or the
//     connection ends. It sends nothing twice.
//   - An error tells "surely never left this node" (ErrUnsent) from "may have
//     arrived".
//   - Nothing is allocated on the word of the other side, and every queue has
//     a named maximum.
//
// It knows nothing of raft or of services, does not authenticate (a node id is
// believed), does not encrypt, and does not choose whom to call.
//
// The goroutines of a port: one that accepts; two for each connection, a reader
// and a writer; one more for a stream that is being received. Close stops and
// awaits them all.
package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync"

	"github.com/quorate/quorate/internal/invariant"
)

// Handler serves the calls of one kind. It is called on the goroutine that
// reads the connection, for one call after the other in the order of their
// arrival: while it blocks, no later call of the connection is read. That is
// back-pressure, and it must be short: pings wait too, and the dialler gives
// the connection up when it gets neither answer nor pong for DeadAfter. The last
// sign of life may be one PingInterval old when a Handler begins to block.
//
// It, or what it starts, calls reply exactly once, at any time and from any
// goroutine; only the first reply counts. An error travels as text and becomes
// a *RemoteError. The body belongs to the Handler; the body of reply is copied.
//
// The ctx ends with the connection. A Handler that blocks must return when it
// does: Close waits for it, and so does the next Log connection of the same
// node. While a Handler blocks nobody reads, so that a connection which the
// other side ended is noticed after it returns.
//
// A panic of a Handler ends the connection and is logged.
type Handler func(ctx context.Context, from Member, body []byte, reply func(body []byte, err error))

// StreamHandler serves one stream. The body ends with io.EOF if and only if the
// sender ended it well; else with an error that wraps ErrAborted. What the
// handler returns goes back to the sender. The ctx ends with the connection; a
// handler may take longer than DeadAfter, its node gives signs of life meanwhile.
type StreamHandler func(ctx context.Context, from Member, header []byte, body io.Reader) ([]byte, error)

// Port is a node's end of all its connections to other nodes.
type Port struct {
	config   Config
	counters counters
	handlers handlers

	// ctx ends when Close begins.
	ctx    context.Context
	cancel context.CancelFunc
	// goroutines counts those that Close awaits. It rises from zero only
	// under mu and while the port is open.
	goroutines sync.WaitGroup
	// handshakes holds a token for each handshake of an accepted connection.
	handshakes chan struct{}

	// mu guards what follows.
	mu      sync.Mutex
	started bool
	closed  bool
	// conns holds every connection in either direction, from its first byte.
	conns map[net.Conn]struct{}
	// links holds the newest link of each route.
	links map[route]*link
	// served counts the accepted connections that passed the handshake.
	served int
	// newest holds the newest Log connection of each node.
	newest map[NodeID]*served
}

// handlers is who serves what. It does not change after Start.
type handlers struct {
	calls   map[Kind]callHandler
	streams map[Kind]StreamHandler
}

type callHandler struct {
	lane  Lane
	serve Handler
}

// New returns a port that can call. It serves after Start.
func New(config Config) *Port {
	ctx, cancel := context.WithCancel(context.Background())
	return &Port{
		config:     config.complete(),
		handlers:   handlers{calls: make(map[Kind]callHandler), streams: make(map[Kind]StreamHandler)},
		ctx:        ctx,
		cancel:     cancel,
		handshakes: make(chan struct{}, handshakesMax),
		conns:      make(map[net.Conn]struct{}),
		links:      make(map[route]*link),
		newest:     make(map[NodeID]*served),
	}
}

// Handle serves the calls of kind on the lane. It is called before Start, once
// for each kind, and not for Bulk.
func (p *Port) Handle(lane Lane, kind Kind, h Handler) {
	lane.mustCarryCalls()
	p.mustBeFree(kind)
	p.handlers.calls[kind] = callHandler{lane: lane, serve: h}
}

// HandleStream serves the streams of kind. It is called before Start, once for
// each kind.
func (p *Port) HandleStream(kind Kind, h StreamHandler) {
	p.mustBeFree(kind)
	p.handlers.streams[kind] = h
}

// mustBeFree stops a program that registers a kind twice or too late.
func (p *Port) mustBeFree(kind Kind) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, called := p.handlers.calls[kind]
	_, streamed := p.handlers.streams[kind]
	invariant.Must(!called && !streamed, "kind %d has one handler", kind)
	invariant.Must(!p.started, "kind %d is handled before Start", kind)
}

// Start begins to accept connections. A port without a Listener only dials.
func (p *Port) Start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	invariant.Must(!p.started, "a port is started once")
	p.started = true
	if p.config.Listener != nil && !p.closed {
		p.goroutines.Go(p.accept)
	}
}

// Close ends the listener and all connections, fails what is outstanding, and
// returns when every goroutine of the port has ended, handlers included. A
// Stream under way fails on the goroutine of its caller. Close must not be
// called from a handler or from the done of a Send.
func (p *Port) Close() error {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	p.cancel()
	conns := slices.Collect(maps.Keys(p.conns))
	p.mu.Unlock()

	for _, conn := range conns {
		conn.Close()
	}
	var err error
	if first && p.config.Listener != nil {
		err = p.config.Listener.Close()
	}
	p.goroutines.Wait()
	return err
}

// self asks who this node is.
func (p *Port) self() identity {
	cluster, member := p.config.Self()
	return identity{group: p.config.Group, cluster: cluster, member: member}
}

// orClosed names the close of the port as the reason of what it made fail.
func (p *Port) orClosed(err error) error {
	if err == nil || p.ctx.Err() == nil || errors.Is(err, ErrClosed) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrClosed, err)
}

// track makes a connection known to Close. On a closed port it closes it.
func (p *Port) track(conn net.Conn) bool {
	p.mu.Lock()
	open := !p.closed
	if open {
		p.conns[conn] = struct{}{}
	}
	p.mu.Unlock()
	if !open {
		conn.Close()
		return false
	}
	keepAlive(conn)
	return true
}

// untrack closes a connection and forgets it.
func (p *Port) untrack(conn net.Conn) {
	conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
}

// keepAlive lets the system look for dead peers too: our own pings do not run
// while a handshake or a blocked handler holds a connection.
func keepAlive(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: deadAfter, Interval: pingInterval, Count: 5})
	}
}

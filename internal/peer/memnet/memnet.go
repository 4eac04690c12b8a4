// Package memnet is a network in memory for tests: listeners and connections
// that behave like TCP on a good day, and links that a test can cut.
//
// The nouns are Network and Host. A host listens under addresses that begin
// with its name: host "n1" may listen at "n1" and at "n1:peer".
//
// The rule it keeps: a goroutine that waits here waits on a condition variable,
// never in a system call or under a lock, so that it works inside a
// testing/synctest bubble, where a cut of an hour takes no time.
//
// Bytes of one direction arrive in order, at once, and through a bounded
// buffer. It does not delay, lose or reorder.
package memnet

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"syscall"
)

// backlogMax bounds the connections that a listener has not accepted; further
// ones are refused, as a full backlog in the end does.
const backlogMax = 128

// Network connects hosts.
type Network struct {
	mu sync.Mutex
	// changed is broadcast when a listener or a cut comes or goes.
	changed *sync.Cond
	// listeners holds who listens, by address.
	listeners map[string]*listener
	// cuts holds the directions in which nothing passes.
	cuts map[direction]bool
	// pipes holds the open connections, two pipes for each.
	pipes map[*pipe]struct{}
}

// direction is from one host to another.
type direction struct{ from, to string }

// New returns a network without listeners, on which everybody reaches everybody.
func New() *Network {
	n := &Network{
		listeners: make(map[string]*listener),
		cuts:      make(map[direction]bool),
		pipes:     make(map[*pipe]struct{}),
	}
	n.changed = sync.NewCond(&n.mu)
	return n
}

// Host is a place on the network to dial from.
type Host struct {
	network *Network
	name    string
}

// Host returns the host of that name.
func (n *Network) Host(name string) *Host { return &Host{network: n, name: name} }

// hostOf is the host that an address belongs to.
func hostOf(addr string) string {
	host, _, _ := strings.Cut(addr, ":")
	return host
}

// Cut lets nothing pass between two hosts, in either direction. Connections
// stay open: what is written waits in their buffers and arrives after Heal, and
// so does the news that one was closed. A dial waits too.
func (n *Network) Cut(a, b string) {
	n.CutOneWay(a, b)
	n.CutOneWay(b, a)
}

// CutOneWay lets nothing pass from one host to another; the way back stays
// open. A dial needs both ways.
func (n *Network) CutOneWay(from, to string) { n.set(direction{from, to}, true) }

// Heal undoes Cut and CutOneWay between two hosts.
func (n *Network) Heal(a, b string) {
	n.set(direction{a, b}, false)
	n.set(direction{b, a}, false)
}

// set cuts or heals one direction.
func (n *Network) set(way direction, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cuts[way] = cut
	for p := range n.pipes {
		if p.way == way {
			p.hold(cut)
		}
	}
	n.changed.Broadcast()
}

// Break resets all open connections between two hosts, as a host that restarts
// does. New ones can be dialled.
func (n *Network) Break(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for p := range n.pipes {
		if p.way == (direction{a, b}) || p.way == (direction{b, a}) {
			p.reset()
			delete(n.pipes, p)
		}
	}
}

// Listen begins to listen at the address, which names its host.
func (n *Network) Listen(addr string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[addr] != nil {
		return nil, opError("listen", addr, syscall.EADDRINUSE)
	}
	l := &listener{network: n, addr: address(addr)}
	n.listeners[addr] = l
	return l, nil
}

// Dial connects to an address. Where nobody listens it fails at once; across a
// cut it waits for Heal or the end of ctx.
func (h *Host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	n := h.network
	defer context.AfterFunc(ctx, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.changed.Broadcast()
	})()
	there, back := direction{h.name, hostOf(addr)}, direction{hostOf(addr), h.name}
	n.mu.Lock()
	defer n.mu.Unlock()
	for ctx.Err() == nil && (n.cuts[there] || n.cuts[back]) {
		n.changed.Wait()
	}
	if err := ctx.Err(); err != nil {
		return nil, opError("dial", addr, err)
	}
	l := n.listeners[addr]
	if l == nil || len(l.backlog) >= backlogMax {
		return nil, opError("dial", addr, syscall.ECONNREFUSED)
	}
	out, in := newPipe(there), newPipe(back)
	n.pipes[out], n.pipes[in] = struct{}{}, struct{}{}
	l.backlog = append(l.backlog, &conn{network: n, reads: out, writes: in, local: l.addr, remote: address(h.name)})
	n.changed.Broadcast()
	return &conn{network: n, reads: in, writes: out, local: address(h.name), remote: l.addr}, nil
}

// forget drops the pipes of a connection whose two ends are closed.
func (n *Network) forget(pipes ...*pipe) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range pipes {
		if p.done() {
			delete(n.pipes, p)
		}
	}
}

// listener is the end that accepts.
type listener struct {
	network *Network
	addr    address
	// backlog and closed are guarded by network.mu.
	backlog []*conn
	closed  bool
}

// Accept returns the next connection.
func (l *listener) Accept() (net.Conn, error) {
	n := l.network
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(l.backlog) == 0 && !l.closed {
		n.changed.Wait()
	}
	if l.closed {
		return nil, opError("accept", string(l.addr), net.ErrClosed)
	}
	c := l.backlog[0]
	l.backlog = l.backlog[1:]
	return c, nil
}

// Close frees the address. Connections that were accepted stay open; those in
// the backlog are closed.
func (l *listener) Close() error {
	n := l.network
	n.mu.Lock()
	if l.closed {
		n.mu.Unlock()
		return opError("close", string(l.addr), net.ErrClosed)
	}
	l.closed = true
	delete(n.listeners, string(l.addr))
	backlog := l.backlog
	l.backlog = nil
	n.changed.Broadcast()
	n.mu.Unlock()
	return errors.Join(closeAll(backlog)...)
}

func closeAll(conns []*conn) (errs []error) {
	for _, c := range conns {
		errs = append(errs, c.Close())
	}
	return errs
}

// Addr is the address that Listen was given.
func (l *listener) Addr() net.Addr { return l.addr }

// address is the address of a listener or the name of a host.
type address string

func (a address) Network() string { return "mem" }
func (a address) String() string  { return string(a) }

// opError dresses an error as the net package does.
func opError(op, addr string, err error) error {
	return &net.OpError{Op: op, Net: "mem", Addr: address(addr), Err: err}
}

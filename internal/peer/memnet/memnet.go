// Package memnet is a network in memory for tests: listeners and connections
// that behave like TCP, on links that a test can cut and slow down, between
// hosts whose power it can cut.
//
// The nouns are Network and Host. A host listens under addresses that begin
// with its name: host "n1" may listen at "n1" and at "n1:peer".
//
// The rule it keeps: a goroutine that waits here waits on a condition variable,
// never in a system call or under a lock, so that it works inside a
// testing/synctest bubble, where a cut of an hour takes no time.
//
// Bytes of one direction arrive in order and through a bounded buffer; at once,
// or as late as Delay says. Nothing is lost or reordered within a connection:
// as with TCP, a lost packet is bytes that come later.
package memnet

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
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
	// delays holds how long bytes take, by direction.
	delays map[direction]func() time.Duration
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
		delays:    make(map[direction]func() time.Duration),
		pipes:     make(map[*pipe]struct{}),
	}
	n.changed = sync.NewCond(&n.mu)
	return n
}

// Host is a place on the network to dial and listen from, until it loses its
// power.
type Host struct {
	network *Network
	name    string
	// off says that the power is cut. It is guarded by network.mu.
	off bool
}

// Host returns a host of that name. Each has a power of its own: after
// PowerOff, the machine that starts again is another Host of the same name.
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

// HealOneWay undoes CutOneWay.
func (n *Network) HealOneWay(from, to string) { n.set(direction{from, to}, false) }

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

// Delay makes everything from one host to another take as long as each says,
// which is asked for every write, under a lock: it must not wait. What was
// written before keeps its time. Dialling takes one way there and one back.
func (n *Network) Delay(from, to string, each func() time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	way := direction{from, to}
	n.delays[way] = each
	for p := range n.pipes {
		if p.way == way {
			p.change(func() { p.delay = each })
		}
	}
}

// Listen begins to listen at the address, which names its host.
func (n *Network) Listen(addr string) (net.Listener, error) { return n.listen(addr, nil) }

// Listen begins to listen at an address of this host.
func (h *Host) Listen(addr string) (net.Listener, error) { return h.network.listen(addr, h) }

func (n *Network) listen(addr string, host *Host) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if host != nil && host.off {
		return nil, opError("listen", addr, syscall.ENETDOWN)
	}
	if n.listeners[addr] != nil {
		return nil, opError("listen", addr, syscall.EADDRINUSE)
	}
	l := &listener{network: n, host: host, addr: address(addr)}
	n.listeners[addr] = l
	n.resetDark(hostOf(addr))
	return l, nil
}

// Dial connects to an address. Where nobody listens it fails at once; across a
// cut it waits for Heal or the end of ctx.
func (h *Host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	n := h.network
	there, back := direction{h.name, hostOf(addr)}, direction{hostOf(addr), h.name}
	if err := n.travel(ctx, there, back); err != nil {
		return nil, opError("dial", addr, err)
	}
	defer context.AfterFunc(ctx, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.changed.Broadcast()
	})()
	n.mu.Lock()
	defer n.mu.Unlock()
	for ctx.Err() == nil && !h.off && (n.cuts[there] || n.cuts[back]) {
		n.changed.Wait()
	}
	if err := ctx.Err(); err != nil {
		return nil, opError("dial", addr, err)
	}
	if h.off {
		return nil, opError("dial", addr, syscall.ENETDOWN)
	}
	l := n.listeners[addr]
	if l == nil || len(l.backlog) >= backlogMax {
		return nil, opError("dial", addr, syscall.ECONNREFUSED)
	}
	out, in := newPipe(there, h, l.host, n.delays[there]), newPipe(back, l.host, h, n.delays[back])
	n.pipes[out], n.pipes[in] = struct{}{}, struct{}{}
	l.backlog = append(l.backlog, &conn{network: n, reads: out, writes: in, local: l.addr, remote: address(h.name)})
	n.changed.Broadcast()
	return &conn{network: n, reads: in, writes: out, local: address(h.name), remote: l.addr}, nil
}

// travel waits as long as one way there and one back take.
func (n *Network) travel(ctx context.Context, ways ...direction) error {
	var wait time.Duration
	n.mu.Lock()
	for _, way := range ways {
		if each := n.delays[way]; each != nil {
			wait += each()
		}
	}
	n.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
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
	host    *Host // nil if it belongs to none
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
	l.network.mu.Lock()
	if l.closed {
		l.network.mu.Unlock()
		return opError("close", string(l.addr), net.ErrClosed)
	}
	backlog := l.end()
	l.network.mu.Unlock()
	return errors.Join(closeAll(backlog)...)
}

// end frees the address and returns who was not accepted. The caller holds
// network.mu.
func (l *listener) end() []*conn {
	l.closed = true
	if l.network.listeners[string(l.addr)] == l {
		delete(l.network.listeners, string(l.addr))
	}
	backlog := l.backlog
	l.backlog = nil
	l.network.changed.Broadcast()
	return backlog
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

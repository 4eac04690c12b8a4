package client_test

import (
	"net"
	"sync"
	"testing"
)

// proxy stands between clients and a node, on a port of its own, and can do to
// the connections what is done to a process: kill and freeze. What it got while
// it was frozen arrives when it is thawed, also where the client has gone.
type proxy struct {
	t      testing.TB
	addr   string
	target func() string

	mu       sync.Mutex // guards what follows
	listener net.Listener
	conns    map[net.Conn]struct{}
	thawed   chan struct{} // closed unless frozen
	wait     sync.WaitGroup
}

// newProxy starts a proxy in front of the address that target tells.
func newProxy(t testing.TB, target func() string) *proxy {
	t.Helper()
	p := &proxy{t: t, target: target, conns: make(map[net.Conn]struct{}), thawed: make(chan struct{})}
	close(p.thawed)
	p.listen("127.0.0.1:0")
	p.addr = p.listener.Addr().String()
	return p
}

func (p *proxy) listen(addr string) {
	p.t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	p.listener = l
	p.mu.Unlock()
	p.wait.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			p.wait.Go(func() { p.carry(nc) })
		}
	})
}

// carry connects a client with the node.
func (p *proxy) carry(client net.Conn) {
	defer client.Close()
	node, err := net.Dial("tcp", p.target())
	if err != nil {
		return
	}
	defer node.Close()
	if !p.keep(client, node) {
		return
	}
	defer p.drop(client, node)
	var both sync.WaitGroup
	both.Go(func() { p.copy(client, node) })
	both.Go(func() { p.copy(node, client) })
	both.Wait()
}

func (p *proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, nc := range conns {
		p.conns[nc] = struct{}{}
	}
	return p.listener != nil
}

func (p *proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, nc := range conns {
		delete(p.conns, nc)
	}
}

// copy carries bytes one way until an end, which it carries too.
func (p *proxy) copy(from, to net.Conn) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		p.awake()
		if n > 0 {
			_, _ = to.Write(buffer[:n])
		}
		if err != nil {
			if half, ok := to.(*net.TCPConn); ok {
				_ = half.CloseWrite()
			}
			return
		}
	}
}

func (p *proxy) awake() {
	p.mu.Lock()
	thawed := p.thawed
	p.mu.Unlock()
	<-thawed
}

func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.thawed = make(chan struct{})
}

func (p *proxy) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.thawed)
}

// kill ends all connections and takes no more until revive.
func (p *proxy) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
	for nc := range p.conns {
		_ = nc.Close()
	}
}

func (p *proxy) revive() {
	p.t.Helper()
	p.listen(p.addr)
}

func (p *proxy) close() {
	p.kill()
	p.wait.Wait()
}

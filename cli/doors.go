package cli

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/quorate/quorate/httpapi"
	"github.com/quorate/quorate/node"
	"github.com/quorate/quorate/respapi"
)

// door is how clients reach a node.
type door interface {
	// Serve serves until Shutdown is called, and returns nil then.
	Serve(net.Listener) error
	// Shutdown answers what is under way, until ctx ends.
	Shutdown(ctx context.Context) error
}

// ports is where the doors of a server listen. There may be no resp.
type ports struct{ http, resp net.Listener }

// open opens the ports before anything else is done: one that is taken is the
// most common mistake.
func (s *server) open() (opened ports, err error) {
	if opened.http, err = net.Listen("tcp", s.http); err != nil {
		return ports{}, failed("open the HTTP port: %v; choose another with --http", err)
	}
	if s.resp.addr != "" {
		if opened.resp, err = net.Listen("tcp", s.resp.addr); err != nil {
			opened.close()
			return ports{}, failed("open the port of the Redis protocol: %v; choose another with --resp", err)
		}
	}
	return opened, nil
}

func (p ports) close() {
	for _, listener := range []net.Listener{p.http, p.resp} {
		if listener != nil {
			_ = listener.Close() // nobody was let in
		}
	}
}

// respAddr is where the Redis protocol is spoken, or empty.
func (p ports) respAddr() string {
	if p.resp == nil {
		return ""
	}
	return p.resp.Addr().String()
}

// doors makes what stands at the ports.
func (s *server) doors(n *node.Node) (http, resp door) {
	status := func(ctx context.Context) any { return n.Status(ctx) }
	http = httpapi.New(httpapi.Config{
		Service:     s.program.service,
		Executor:    n,
		Status:      status,
		ContentHash: n.ContentHash,
		Ready:       n.Ready,
		Log:         s.config.Log,
	})
	resp = respapi.New(respapi.Config{
		Service:    s.program.service,
		Executor:   n,
		Table:      s.program.table,
		TLS:        s.resp.tls,
		Password:   s.resp.password,
		MaxClients: int(s.resp.maxClients),
		Status:     status,
		Voters:     n.Voters,
		Version:    version(),
		Log:        s.config.Log,
	})
	return http, resp
}

// doors is the doors of a server while they serve.
type doors struct {
	all     []door
	serving sync.WaitGroup
	ended   chan struct{} // closed when one does not serve any more
	once    sync.Once

	// mu guards err.
	mu  sync.Mutex
	err error
}

// serve lets clients in.
func (p ports) serve(http, resp door) *doors {
	d := &doors{ended: make(chan struct{})}
	d.let(http, p.http)
	if p.resp != nil {
		d.let(resp, p.resp)
	}
	return d
}

func (d *doors) let(one door, listener net.Listener) {
	d.all = append(d.all, one)
	d.serving.Go(func() {
		err := one.Serve(listener)
		d.mu.Lock()
		d.err = errors.Join(d.err, err)
		d.mu.Unlock()
		d.once.Do(func() { close(d.ended) })
	})
}

// failed is closed when a door does not serve any more.
func (d *doors) failed() <-chan struct{} { return d.ended }

// shut shuts all doors at once.
func (d *doors) shut(ctx context.Context) error {
	var shutting sync.WaitGroup
	errs := make([]error, len(d.all))
	for i, one := range d.all {
		shutting.Go(func() { errs[i] = one.Shutdown(ctx) })
	}
	shutting.Wait()
	return errors.Join(errs...)
}

// wait waits until no door serves, and returns why one stopped by itself.
func (d *doors) wait() error {
	d.serving.Wait()
	return d.err
}

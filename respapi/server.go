package respapi

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/deadline"
	"github.com/quorate/quorate/internal/resp"
)

// Server is the Redis door of one service.
type Server struct {
	config   Config
	commands map[string]*command
	// before and after are the limits of a client that is not known, and of one
	// that is.
	before, after resp.Limits
	// run is a name for this run of the server, which INFO tells.
	run     string
	started time.Time
	counted counters
	// singles holds a *list; buffers holds a *buffer.
	singles, buffers sync.Pool

	// base is what all calls run under; cancel ends it.
	base      context.Context
	cancel    context.CancelFunc
	deadlines deadline.Shared
	// draining says that the server shuts down.
	draining atomic.Bool
	serving  sync.WaitGroup // one for each connection

	mu        sync.Mutex // guards what follows
	lastID    uint64
	open      map[uint64]*conn
	listeners map[net.Listener]struct{}
	address   net.Addr
}

// counters is what INFO counts.
type counters struct {
	connections, rejected, commands, errors atomic.Int64
}

// New makes a Server. It answers nothing before Serve lets it. It panics if the
// captured docs of its own commands cannot be read, which is a fault of the
// program and seen at once.
func New(config Config) *Server {
	config = config.withDefaults()
	s := &Server{
		config:    config,
		run:       runID(),
		started:   time.Now(),
		open:      make(map[uint64]*conn),
		listeners: make(map[net.Listener]struct{}),
		singles:   sync.Pool{New: func() any { return new(list) }},
		buffers:   sync.Pool{New: func() any { return new(buffer) }},
	}
	s.commands = gather(config)
	s.base, s.cancel = context.WithCancel(context.Background())
	s.before = resp.LimitsBefore()
	s.after = resp.LimitsAfter(s.takesMany)
	s.after.BulkBytesLarge, s.after.Large = frameBytesMax, isFrame
	return s
}

// runID is 40 random digits, as Redis has them.
func runID() string {
	var id [20]byte
	_, _ = rand.Read(id[:]) // it never fails
	return hex.EncodeToString(id[:])
}

// Addr is where the server accepts connections, nil before it does.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.address
}

// acceptPause is how long to wait behind an error that may pass, such as too
// many open files.
const acceptPause = 50 * time.Millisecond

// Serve answers clients on the connections of listener until Shutdown, and then
// returns nil. It closes listener.
func (s *Server) Serve(listener net.Listener) error {
	defer listener.Close()
	if !s.listen(listener) {
		return nil
	}
	for {
		nc, err := listener.Accept()
		switch {
		case err == nil:
			s.accept(nc)
		case s.draining.Load():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("serve Redis on %s: %w", listener.Addr(), err)
		default:
			s.config.Log.Warn("accept a Redis connection", "err", err)
			select {
			case <-time.After(acceptPause):
			case <-s.base.Done():
			}
		}
	}
}

// listen notes a listener, unless the server shuts down.
func (s *Server) listen(listener net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	s.listeners[listener] = struct{}{}
	s.address = listener.Addr()
	return true
}

// accept starts to serve a connection, or refuses it.
func (s *Server) accept(nc net.Conn) {
	s.counted.connections.Add(1)
	if tcp, ok := nc.(*net.TCPConn); ok {
		// Within two minutes it is found out that the other side is gone. Where
		// that cannot be had the timeouts remain.
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 4})
	}
	c := s.admit(nc)
	if c == nil {
		s.reject(nc)
		return
	}
	go func() {
		defer s.serving.Done()
		defer s.forget(c)
		c.serve()
	}()
}

// admit makes the connection one of the open ones, or returns nil if there are
// too many.
func (s *Server) admit(nc net.Conn) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= s.config.MaxClients || s.draining.Load() {
		return nil
	}
	s.lastID++
	c := newConn(s, s.lastID, nc)
	s.open[c.id] = c
	s.serving.Add(1)
	return c
}

// rejectTimeout bounds the line that is sent to one client too many. It goes
// into an empty buffer.
const rejectTimeout = 100 * time.Millisecond

// reject closes the connection of one client too many, and says why where that
// needs no handshake.
func (s *Server) reject(nc net.Conn) {
	s.counted.rejected.Add(1)
	if s.config.TLS == nil && !s.draining.Load() {
		_ = nc.SetWriteDeadline(time.Now().Add(rejectTimeout))
		_, _ = nc.Write(resp.AppendError(nil, prefixError, "max number of clients reached"))
	}
	_ = nc.Close() // what it says is of no use to anybody
}

// forget closes a connection and forgets it.
func (s *Server) forget(c *conn) {
	_ = c.net.Close() // the client has gone, or is to go
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c.id)
}

// clients is all that are connected, in no order.
func (s *Server) clients() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*conn, 0, len(s.open))
	for _, c := range s.open {
		list = append(list, c)
	}
	return list
}

// wrap makes a connection one of TLS, if the server is one.
func (s *Server) wrap(nc net.Conn) net.Conn {
	if s.config.TLS == nil {
		return nc
	}
	return tls.Server(nc, s.config.TLS)
}

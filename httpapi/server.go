package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Limits of one connection, and of all.
const (
	headerTimeout = 5 * time.Second
	// receiveTimeout bounds a request on its way in: 1.5 MiB in 15 s is
	// 800 kbit/s.
	receiveTimeout = 15 * time.Second
	idleTimeout    = time.Minute
	// answerTimeout bounds a request from its first byte to the last of its
	// answer: it may take receiveTimeout to arrive and timeoutMax to run, and
	// the client may take as long to read.
	answerTimeout  = receiveTimeout + timeoutMax + receiveTimeout
	headerBytesMax = 16 << 10
	// connectionsMax bounds the connections that are open. Each costs about
	// 20 KiB while it is idle: 200 MiB in all. More wait to be accepted.
	connectionsMax = 10_000
)

const _ = uint(answerTimeout - timeoutMax - 1) // the longest call must be able to answer

// newHTTPServer is a server with limits on all that a client may do.
func newHTTPServer(handler http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       receiveTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytesMax,
		Protocols:         protocols,
		// What net/http has to say is about clients that misbehave.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Serve answers requests on the connections of listener until Shutdown, and
// then returns nil. It closes listener.
func (s *Server) Serve(listener net.Listener) error {
	err := s.http.Serve(limit(listener, connectionsMax))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve HTTP on %s: %w", listener.Addr(), err)
}

// Shutdown stops accepting, waits until what is under way is answered, and
// ends what remains when ctx does. For the rest of a request that has begun to
// arrive it waits a second.
func (s *Server) Shutdown(ctx context.Context) error {
	defer time.AfterFunc(drainGrace, s.drain.cut).Stop()
	if err := s.http.Shutdown(ctx); err != nil {
		return fmt.Errorf("wait for HTTP requests under way: %w", errors.Join(err, s.http.Close()))
	}
	return nil
}

// limited is a listener that has a bounded number of connections open.
type limited struct {
	net.Listener
	slots  chan struct{} // one element for each open connection
	closed chan struct{} // closed by Close
	close  func() error
}

// limit bounds the open connections of a listener.
func limit(listener net.Listener, connections int) net.Listener {
	l := &limited{Listener: listener, slots: make(chan struct{}, connections), closed: make(chan struct{})}
	l.close = sync.OnceValue(func() error {
		close(l.closed)
		return listener.Close()
	})
	return l
}

// Accept waits for a free slot, and then for a connection.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &slotted{conn, sync.OnceFunc(func() { <-l.slots })}, nil
}

// Close ends the listener and all who wait in Accept.
func (l *limited) Close() error { return l.close() }

// slotted is a connection that has a slot until it is closed.
type slotted struct {
	net.Conn
	release func()
}

// Close closes the connection and frees its slot.
func (c *slotted) Close() error {
	defer c.release()
	return c.Conn.Close()
}

package respapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/resp"
)

// conn is one connection. What is not said to be for all belongs to its
// goroutine.
type conn struct {
	server  *Server
	id      uint64
	net     net.Conn
	arrival arrival

	turn  atomic.Int32 // a turn; for all
	label label        // what CLIENT LIST tells; for all

	// known says that the client may do what needs a password.
	known   bool
	version resp.Version
	mute    mute
	queue   *queue  // of the transaction between MULTI and EXEC, nil outside
	watched []watch // of WATCH

	pipeline pipeline
	out      output
	// leaving says that the connection ends when its answers are written.
	leaving bool
}

// newConn makes a connection. Nothing is read or written before serve.
func newConn(s *Server, id uint64, nc net.Conn) *conn {
	c := &conn{server: s, id: id, version: resp.RESP2, known: s.config.Password == ""}
	c.net = s.wrap(nc)
	c.out.net, c.out.buffers = c.net, &s.buffers
	c.arrival.net, c.arrival.idleTimeout = c.net, s.config.IdleTimeout
	c.arrival.reader = resp.NewReader(&c.arrival, s.limits(c.known))
	c.label.begin(id, nc)
	return c
}

// limits are those of a client.
func (s *Server) limits(known bool) resp.Limits {
	if known {
		return s.after
	}
	return s.before
}

// admitted notes whether the client may do what needs a password.
func (c *conn) admitted(known bool) {
	c.known = known
	c.arrival.reader.SetLimits(c.server.limits(known))
}

// serve answers the client until one of both ends it. A panic costs this
// connection and nothing else.
func (c *conn) serve() {
	defer func() {
		if p := recover(); p != nil {
			c.server.config.Log.Error("panic while answering a Redis client", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	if err := c.handshake(); err != nil {
		c.server.config.Log.Debug("Redis client did not greet in TLS", "client", c.label.remote, "err", err)
		return
	}
	for {
		calls, err := c.arrival.next()
		if !c.turn.CompareAndSwap(waiting, running) {
			return
		}
		if err != nil {
			c.end(err)
			return
		}
		c.answer(calls)
		// The order matters: who shuts down says so first, and then looks whose
		// turn it is.
		c.turn.Store(waiting)
		if c.leaving || c.server.draining.Load() {
			return
		}
	}
}

// handshake is the greeting of TLS.
func (c *conn) handshake() error {
	secure, ok := c.net.(*tls.Conn)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.server.base, handshakeTimeout)
	defer cancel()
	return secure.HandshakeContext(ctx)
}

// end says what is wrong to a client that breaks the protocol. A foreign one is
// not told anything.
func (c *conn) end(err error) {
	if wrong, ok := errors.AsType[*resp.ProtocolError](err); ok {
		c.refuse(prefixError, wrong.Error())
		_ = c.out.write() // the client has gone before it was closed
		c.server.config.Log.Debug("Redis client broke the protocol", "client", c.label.remote, "err", err)
		return
	}
	if !errors.Is(err, io.EOF) {
		c.server.config.Log.Debug("Redis client lost", "client", c.label.remote, "err", err)
	}
}

// answer runs calls and writes their answers.
func (c *conn) answer(calls []resp.Call) {
	c.server.counted.commands.Add(int64(len(calls)))
	c.label.seen()
	for _, call := range calls {
		if c.leaving {
			break
		}
		c.dispatch(call)
		c.mute.passed()
	}
	c.run()
	if err := c.out.write(); err != nil {
		c.leaving = true
		c.server.config.Log.Debug("Redis client does not take its answers", "client", c.label.remote, "err", err)
	}
}

// dispatch answers one call, or puts it where it is run together with others.
func (c *conn) dispatch(args resp.Call) {
	if foreign(args[0]) {
		c.leaving = true
		return
	}
	cmd, err := c.server.find(args, c.known)
	if err == nil {
		err = c.allowed(cmd, args)
	}
	if err != nil {
		c.run()
		c.failed(cmd, err)
		return
	}
	c.label.saw(cmd)
	switch {
	case c.queue != nil && !cmd.atOnce:
		c.run()
		c.enqueue(cmd, args)
	case cmd.single():
		c.gather(cmd, args, options{})
	default:
		if !cmd.joins {
			c.run()
		}
		cmd.own(c, args)
	}
}

// foreign says that a name is the first word of a request of HTTP, in the form
// of a call.
func foreign(name []byte) bool {
	return bytes.EqualFold(name, []byte("POST")) || bytes.EqualFold(name, []byte("Host:"))
}

// allowed says why the client may not make the call now, or nil.
func (c *conn) allowed(cmd *command, args resp.Call) error {
	switch {
	case !cmd.takes(len(args)):
		return refusal("wrong number of arguments for '%s' command", cmd.name)
	case !c.known && !cmd.noAuth:
		return noAuth()
	case c.queue != nil && !cmd.atOnce && !cmd.queueable():
		return refusal("Command not allowed inside a transaction")
	}
	return nil
}

func noAuth() error { return &Refusal{Prefix: "NOAUTH", Text: "Authentication required."} }

// refusal is an error with the prefix of most.
func refusal(format string, args ...any) *Refusal {
	return &Refusal{Prefix: prefixError, Text: fmt.Sprintf(format, args...)}
}

// failed answers a call that is not even tried.
func (c *conn) failed(cmd *command, err error) {
	if c.queue != nil {
		c.queue.broken = true
	}
	if r, ok := errors.AsType[*Refusal](err); ok && cmd != nil && cmd.name == "exec" {
		c.endTransaction()
		c.refuse("EXECABORT", "Transaction discarded because of: "+strings.TrimPrefix(r.Error(), prefixError+" "))
		return
	}
	c.value(Failure(err))
}

// output is the answers that are not written yet.
type output struct {
	net   net.Conn
	bytes []byte
	// buffer is where bytes comes from, and buffers where that comes from; both
	// go back when all is written. It is nil while there are no bytes.
	buffer  *buffer
	buffers *sync.Pool
	// deadline is the one that is set.
	deadline time.Time
	// lost is why nothing more can be written, or nil.
	lost error
}

// buffer is room for answers, which connections share: one that is not at work
// needs none.
type buffer struct{ bytes []byte }

// room is what answers are appended to.
func (o *output) room() []byte {
	if o.bytes == nil {
		o.buffer = o.buffers.Get().(*buffer)
		o.bytes = o.buffer.bytes
	}
	return o.bytes
}

// write writes all answers at once. After an error it drops them: a client that
// did not take the first is not waited for with each of the others.
func (o *output) write() error {
	if len(o.bytes) == 0 || o.lost != nil {
		o.bytes, o.buffer = nil, nil
		return o.lost
	}
	// It is moved only when half of it is over, because each time costs.
	if now := time.Now(); o.deadline.Sub(now) < writeTimeout/2 {
		o.deadline = now.Add(writeTimeout)
		_ = o.net.SetWriteDeadline(o.deadline) // it fails where the write behind it does
	}
	_, o.lost = o.net.Write(o.bytes)
	if cap(o.bytes) <= 2*outputBytesMax {
		o.buffer.bytes = o.bytes[:0]
		o.buffers.Put(o.buffer)
	}
	o.bytes, o.buffer = nil, nil
	return o.lost
}

// mute is what CLIENT REPLY has silenced.
type mute struct {
	// off is all answers; skip is those to this call, next those to the next.
	off, skip, next bool
}

// passed notes that a call is over.
func (m *mute) passed() { m.skip, m.next = m.next, false }

// muted says that answers to this call are dropped.
func (m *mute) muted() bool { return m.off || m.skip }

// value answers with a value.
func (c *conn) value(v resp.Value) {
	if c.mute.muted() {
		return
	}
	c.append(v)
}

// append appends an answer whether or not the client wants it.
func (c *conn) append(v resp.Value) {
	if v.IsError() {
		c.server.counted.errors.Add(1)
	}
	c.out.bytes = resp.Append(c.out.room(), c.version, v)
	c.overflow()
}

// overflow writes what is too much to wait for the end of the pipeline.
func (c *conn) overflow() {
	if len(c.out.bytes) >= outputBytesMax && c.out.write() != nil {
		c.leaving = true // the write at the end of the pipeline says why
	}
}

// simple answers with a word.
func (c *conn) simple(text string) { c.value(resp.SimpleValue(text)) }

// ok answers that it is done.
func (c *conn) ok() { c.simple("OK") }

// refuse answers with an error.
func (c *conn) refuse(prefix, text string) { c.value(resp.ErrorValue(prefix, text)) }

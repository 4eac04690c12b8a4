package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// bufferBytesMax is what one direction holds before a write waits: about what
// a kernel holds for a connection on a local network.
const bufferBytesMax = 256 << 10

// pipe is one direction of a connection.
type pipe struct {
	way direction

	mu sync.Mutex
	// changed is broadcast at every change of what follows.
	changed *sync.Cond
	buffer  []byte
	// held says that the direction is cut: the reader sees nothing of what
	// the writer did since, and the other way round.
	held bool
	// writerClosed and readerClosed say which end is closed.
	writerClosed, readerClosed bool
	// broken says that the connection was reset.
	broken bool
	// readBy and writeBy are the deadlines of the two ends.
	readBy, writeBy deadline
}

func newPipe(way direction) *pipe {
	p := &pipe{way: way}
	p.changed = sync.NewCond(&p.mu)
	return p
}

// read takes bytes out, and waits for some.
func (p *pipe) read(into []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.readerClosed:
			return 0, net.ErrClosed
		case p.broken:
			return 0, syscall.ECONNRESET
		case p.readBy.passed():
			return 0, os.ErrDeadlineExceeded
		case len(into) == 0:
			return 0, nil
		case p.held:
		case len(p.buffer) > 0:
			n := copy(into, p.buffer)
			p.buffer = p.buffer[n:]
			p.changed.Broadcast()
			return n, nil
		case p.writerClosed:
			return 0, io.EOF
		}
		p.changed.Wait()
	}
}

// write puts bytes in, and waits for room.
func (p *pipe) write(from []byte) (written int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch room := bufferBytesMax - len(p.buffer); {
		case p.writerClosed:
			return written, net.ErrClosed
		case p.broken:
			return written, syscall.ECONNRESET
		case p.readerClosed && !p.held:
			return written, syscall.EPIPE
		case p.writeBy.passed():
			return written, os.ErrDeadlineExceeded
		case len(from) == 0:
			return written, nil
		case room > 0:
			n := min(room, len(from))
			p.buffer = append(p.buffer, from[:n]...)
			from, written = from[n:], written+n
			p.changed.Broadcast()
			continue
		}
		p.changed.Wait()
	}
}

// change does something to the pipe and wakes who waits.
func (p *pipe) change(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
	p.changed.Broadcast()
}

// hold cuts or heals the direction.
func (p *pipe) hold(held bool) { p.change(func() { p.held = held }) }

// reset breaks the connection.
func (p *pipe) reset() { p.change(func() { p.broken, p.buffer = true, nil }) }

// done says that both ends are closed.
func (p *pipe) done() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writerClosed && p.readerClosed
}

// deadline is a moment after which an operation fails.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

// passed says that the deadline is over.
func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// set moves the deadline; wake is called when it is over.
func (d *deadline) set(at time.Time, wake func()) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = at
	if wait := time.Until(at); !at.IsZero() && wait > 0 {
		d.timer = time.AfterFunc(wait, wake)
	}
}

// conn is one end of a connection.
type conn struct {
	network       *Network
	reads, writes *pipe
	local, remote address
}

var _ net.Conn = (*conn)(nil)

// Read is net.Conn.
func (c *conn) Read(into []byte) (int, error) {
	n, err := c.reads.read(into)
	if err != nil && err != io.EOF {
		err = opError("read", string(c.remote), err)
	}
	return n, err
}

// Write is net.Conn.
func (c *conn) Write(from []byte) (int, error) {
	n, err := c.writes.write(from)
	if err != nil {
		err = opError("write", string(c.remote), err)
	}
	return n, err
}

// Close is net.Conn. What was written still arrives.
func (c *conn) Close() error {
	c.reads.change(func() { c.reads.readerClosed = true; c.reads.readBy.set(time.Time{}, nil) })
	c.writes.change(func() { c.writes.writerClosed = true; c.writes.writeBy.set(time.Time{}, nil) })
	c.network.forget(c.reads, c.writes)
	return nil
}

// LocalAddr is net.Conn.
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is net.Conn. For an accepted connection it is the host that dialled.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline is net.Conn.
func (c *conn) SetDeadline(at time.Time) error {
	c.SetReadDeadline(at)
	return c.SetWriteDeadline(at)
}

// SetReadDeadline is net.Conn.
func (c *conn) SetReadDeadline(at time.Time) error {
	p := c.reads
	p.change(func() { p.readBy.set(at, func() { p.change(func() {}) }) })
	return nil
}

// SetWriteDeadline is net.Conn.
func (c *conn) SetWriteDeadline(at time.Time) error {
	p := c.writes
	p.change(func() { p.writeBy.set(at, func() { p.change(func() {}) }) })
	return nil
}

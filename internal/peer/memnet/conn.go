package memnet

import (
	"io"
	"net"
	"time"
)

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
	c.reads.closeReader()
	c.writes.closeWriter()
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

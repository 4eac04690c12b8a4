package client

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/resp"
)

const (
	// framesMax and frameBytesMax bound what of a connection has no answer yet.
	// Four connections hold what a client lets wait.
	framesMax     = callsWaitingMax / connsDefault
	frameBytesMax = bytesWaitingMax / connsDefault
	// writeBytesMax is how much goes into one write. What is behind it can still
	// be taken back.
	writeBytesMax = 64 << 10
	// writeBytesKept is the largest buffer that a connection keeps.
	writeBytesKept = 256 << 10
	// silentMin is the least time after which a silent connection is closed. Many
	// callers lose their attempts with it.
	silentMin = 500 * time.Millisecond
)

// conn is one connection that is up. The node answers frames in the order in
// which they were sent.
type conn struct {
	client *Client
	node   *node
	wire   net.Conn
	// load is how many frames are in waiting and in flight.
	load atomic.Int64
	// wake tells the writer that a frame waits, or that the connection has ended.
	wake chan struct{}
	// heard is when the last answer came, as time since born.
	heard atomic.Int64
	born  time.Time

	// mu guards what follows. Nothing is waited for under it.
	mu sync.Mutex
	// waiting is frames that the writer has not taken.
	waiting []*attempt
	// flight is frames that it has taken, the oldest first.
	flight []*attempt
	bytes  int // of both
	// watch fires now and then while frames are in flight; armed says that it
	// will.
	watch *time.Timer
	armed bool
	// cause is why the connection has ended; nil while it has not.
	cause error
}

var (
	errFull    = errors.New("as much is under way on one connection as may be")
	errUnasked = errors.New("it answers what nobody asked")
)

func newConn(n *node, c *Client, wire net.Conn) *conn {
	cn := &conn{client: c, node: n, wire: wire, wake: make(chan struct{}, 1), born: time.Now()}
	cn.watch = time.AfterFunc(silentMin, cn.look)
	cn.watch.Stop()
	return cn
}

// lastHeard is when the last answer came.
func (cn *conn) lastHeard() time.Time { return cn.born.Add(time.Duration(cn.heard.Load())) }

// queue gives a frame to the writer. After an error it surely never leaves.
func (cn *conn) queue(a *attempt) error {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	switch {
	case cn.cause != nil:
		return cn.cause
	case cn.load.Load() >= framesMax, cn.bytes > 0 && cn.bytes+len(a.body) > frameBytesMax:
		return errFull
	}
	cn.waiting = append(cn.waiting, a)
	cn.load.Add(1)
	cn.bytes += len(a.body)
	if len(cn.waiting) == 1 {
		cn.rouse()
	}
	return nil
}

// rouse wakes the writer.
func (cn *conn) rouse() {
	select {
	case cn.wake <- struct{}{}:
	default: // it is told already
	}
}

// drop gives a frame up and says whether it was sent. One that was not never
// will be.
func (cn *conn) drop(a *attempt) (sent bool) {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	a.dropped = true
	return !a.sent.IsZero()
}

// write is the writer: it sends what waits, all at once, until the connection
// ends.
func (cn *conn) write() {
	var buffer []byte
	for range cn.wake {
		for {
			// Callers who are about to queue their frames come first: at 64 of
			// them that saves three of four writes, and one alone waits for
			// nobody.
			runtime.Gosched()
			taken, ended := cn.take()
			if ended {
				return
			}
			if len(taken) == 0 {
				break
			}
			if buffer = appendFrames(buffer[:0], taken); !cn.send(buffer) {
				return
			}
			if cap(buffer) > writeBytesKept {
				buffer = nil
			}
		}
	}
}

func (cn *conn) send(buffer []byte) bool {
	if _, err := cn.wire.Write(buffer); err != nil {
		cn.end(err)
		return false
	}
	return true
}

// take moves frames from waiting to flight, as many as fit one write. It is the
// moment from which on they may reach the node.
func (cn *conn) take() (taken []*attempt, ended bool) {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	if cn.cause != nil {
		return nil, true
	}
	now, size, n := time.Now(), 0, 0
	for ; n < len(cn.waiting) && size < writeBytesMax; n++ {
		a := cn.waiting[n]
		cn.waiting[n] = nil
		if a.dropped {
			cn.forget(a)
			continue
		}
		a.sent = now
		size += len(a.body)
		cn.flight = append(cn.flight, a)
		taken = append(taken, a)
	}
	if cn.waiting = cn.waiting[n:]; len(cn.waiting) == 0 {
		cn.waiting = nil
	}
	if len(taken) > 0 && !cn.armed {
		cn.armed = true
		cn.watch.Reset(silentMin)
	}
	return taken, false
}

// forget takes a frame out of the account.
func (cn *conn) forget(a *attempt) {
	cn.load.Add(-1)
	cn.bytes -= len(a.body)
}

// patience is how long a connection may be silent while a frame is the oldest.
func patience(a *attempt) time.Duration { return max(a.share, silentMin) }

// look closes the connection if the oldest frame in flight is due and nothing
// was heard for as long: the node is stopped, or cannot be reached.
func (cn *conn) look() {
	cn.mu.Lock()
	cn.armed = cn.cause == nil && len(cn.flight) > 0
	if !cn.armed {
		cn.mu.Unlock()
		return
	}
	since := cn.flight[0].sent
	if heard := cn.lastHeard(); heard.After(since) {
		since = heard
	}
	left := patience(cn.flight[0]) - time.Since(since)
	if left > 0 {
		cn.watch.Reset(min(left, silentMin))
	}
	cn.mu.Unlock()
	if left <= 0 {
		cn.end(errSilent)
	}
}

// margin is how much earlier than the caller a node is to give up: it can say
// what became of a call, and the caller cannot.
func margin(share time.Duration) time.Duration { return min(share/10, 100*time.Millisecond) }

// appendFrames appends QUORATE EXECUTE <milliseconds> <calls> for each attempt.
func appendFrames(dst []byte, attempts []*attempt) []byte {
	var digits [20]byte
	for _, a := range attempts {
		left := a.share - margin(a.share) - a.sent.Sub(a.begun)
		ms := strconv.AppendInt(digits[:0], max(left.Milliseconds(), 1), 10)
		dst = resp.AppendCall(dst, "QUORATE", []byte("EXECUTE"), ms, a.body)
	}
	return dst
}

// read gives answers to the oldest frames until the connection ends, and
// returns why it did.
func (cn *conn) read(replies *resp.ReplyReader) error {
	for {
		value, err := replies.Read()
		if err != nil {
			return err
		}
		a := cn.answered()
		if a == nil {
			return errUnasked
		}
		a.answered <- answer{value: value}
	}
}

// answered takes the oldest frame out of flight; nil if there is none.
func (cn *conn) answered() *attempt {
	cn.heard.Store(int64(time.Since(cn.born)))
	cn.mu.Lock()
	defer cn.mu.Unlock()
	if len(cn.flight) == 0 {
		return nil
	}
	a := cn.flight[0]
	cn.flight[0] = nil
	if cn.flight = cn.flight[1:]; len(cn.flight) == 0 {
		cn.flight = nil
	}
	cn.forget(a)
	return a
}

// end closes the connection and answers all who wait. The first cause stays.
func (cn *conn) end(cause error) {
	cn.mu.Lock()
	if cn.cause != nil {
		cn.mu.Unlock()
		return
	}
	cn.cause = fmt.Errorf("the connection ended: %w", cause)
	cause = cn.cause
	waiting, flight := cn.waiting, cn.flight
	cn.waiting, cn.flight = nil, nil
	cn.watch.Stop()
	cn.mu.Unlock()

	_ = cn.wire.Close() // why it ended is known
	cn.rouse()
	cn.client.lost(cn, cause)
	for _, a := range waiting {
		a.answered <- answer{err: unsent(cause)}
	}
	for _, a := range flight {
		a.answered <- answer{err: cause}
	}
}

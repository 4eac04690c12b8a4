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
	// source and target are the hosts at its ends; target is nil where the
	// listener belongs to none.
	source, target *Host

	mu sync.Mutex
	// changed is broadcast at every change of what follows.
	changed *sync.Cond
	buffer  []byte
	// flights is what of the end of buffer is still on its way, in order.
	flights []flight
	// inFlight is the bytes of flights.
	inFlight int
	// delay is how long the next bytes take; nil means no time.
	delay func() time.Duration
	// lands is when the newest bytes arrive. What is written later arrives
	// no earlier.
	lands time.Time
	// held says that the direction is cut: the reader sees nothing of what
	// the writer did since, and the other way round.
	held bool
	// dark says that one end lost its power, and sourceOff and targetOff
	// which: it sees a broken connection, and the other end sees nothing.
	dark, sourceOff, targetOff bool
	// writerClosed and readerClosed say which end is closed.
	writerClosed, readerClosed bool
	// broken says that the connection was reset.
	broken bool
	// readBy and writeBy are the deadlines of the two ends.
	readBy, writeBy deadline
}

// flight is bytes on their way.
type flight struct {
	bytes int
	lands time.Time
}

func newPipe(way direction, source, target *Host, delay func() time.Duration) *pipe {
	p := &pipe{way: way, source: source, target: target, delay: delay}
	p.changed = sync.NewCond(&p.mu)
	return p
}

// read takes bytes out, and waits for some.
func (p *pipe) read(into []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		p.land()
		landed := len(p.buffer) - p.inFlight
		switch {
		case p.readerClosed:
			return 0, net.ErrClosed
		case p.broken || p.targetOff:
			return 0, syscall.ECONNRESET
		case p.readBy.passed():
			return 0, os.ErrDeadlineExceeded
		case len(into) == 0:
			return 0, nil
		case p.held:
		case landed > 0:
			n := copy(into, p.buffer[:landed])
			p.buffer = p.buffer[n:]
			p.changed.Broadcast()
			return n, nil
		case p.writerClosed && !p.dark && p.inFlight == 0 && !p.lands.After(time.Now()):
			return 0, io.EOF
		}
		p.changed.Wait()
	}
}

// land takes what has arrived from the flights.
func (p *pipe) land() {
	now := time.Now()
	for len(p.flights) > 0 && !p.flights[0].lands.After(now) {
		p.inFlight -= p.flights[0].bytes
		p.flights = p.flights[1:]
	}
}

// depart says when what is written now arrives, and wakes the reader then.
func (p *pipe) depart() time.Time {
	now := time.Now()
	lands := now
	if p.delay != nil {
		lands = now.Add(p.delay())
	}
	if lands.Before(p.lands) {
		lands = p.lands
	}
	p.lands = lands
	if wait := lands.Sub(now); wait > 0 {
		time.AfterFunc(wait, func() { p.change(func() {}) })
	}
	return lands
}

// write puts bytes in, and waits for room.
func (p *pipe) write(from []byte) (written int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch room := bufferBytesMax - len(p.buffer); {
		case p.writerClosed:
			return written, net.ErrClosed
		case p.broken || p.sourceOff:
			return written, syscall.ECONNRESET
		case p.readerClosed && !p.held && !p.dark:
			return written, syscall.EPIPE
		case p.writeBy.passed():
			return written, os.ErrDeadlineExceeded
		case len(from) == 0:
			return written, nil
		case room > 0:
			n := min(room, len(from))
			p.buffer = append(p.buffer, from[:n]...)
			from, written = from[n:], written+n
			p.flights = append(p.flights, flight{n, p.depart()})
			p.inFlight += n
			p.changed.Broadcast()
			continue
		}
		p.changed.Wait()
	}
}

// closeWriter says that nothing more is written. The reader learns it as late
// as it would learn of bytes.
func (p *pipe) closeWriter() {
	p.change(func() {
		if !p.writerClosed {
			p.writerClosed = true
			p.depart()
		}
		p.writeBy.set(time.Time{}, nil)
	})
}

// closeReader says that nothing more is read.
func (p *pipe) closeReader() {
	p.change(func() { p.readerClosed = true; p.readBy.set(time.Time{}, nil) })
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
func (p *pipe) reset() {
	p.change(func() { p.broken, p.buffer, p.flights, p.inFlight = true, nil, nil, 0 })
}

// powerOff breaks the ends of the pipe that are at h.
func (p *pipe) powerOff(h *Host) {
	p.change(func() {
		p.sourceOff = p.sourceOff || p.source == h
		p.targetOff = p.targetOff || p.target == h
		p.dark = p.dark || p.sourceOff || p.targetOff
	})
}

// isDark says that one end of the pipe lost its power.
func (p *pipe) isDark() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dark
}

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

package peer

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/invariant"
)

const (
	// outboxBytesMax bounds what waits to be written on one connection. It
	// holds four of the largest frames; at 1 Gbit/s they take 0.5 s.
	outboxBytesMax = 64 << 20

	// writeBytesMax is the most one write hands to the system. Each write has
	// DeadAfter of its own: 105 KiB/s are slow but not dead.
	writeBytesMax = 1 << 20

	// spareBytesMax is the largest buffer that a connection keeps for its
	// next batch; what a rare large frame needed goes back.
	spareBytesMax = 1 << 20
)

var (
	// errFull is returned when outboxBytesMax is reached.
	errFull = fmt.Errorf("busy: %d MiB wait to be written", outboxBytesMax>>20)
	// errSilent ends a connection whose other side gives no sign of life.
	errSilent = errors.New("the other side is silent")
)

// wire writes frames on one connection and notes when the other side was last
// heard. Both ends of every lane have one.
//
//	callers   append their frame to waiting, under a short lock, and wake ...
//	writer    ... one goroutine, which takes all of waiting and writes it
//
// So frames of many callers leave in one system call when the writer is busy,
// a frame on an idle connection leaves at once, and no lock is held across I/O.
type wire struct {
	counters *counters
	// patience bounds one write; zero is for ever.
	patience time.Duration
	// conn is set before the writer starts.
	conn net.Conn

	// wake tells the writer that frames wait; room tells one waiting stream
	// that some were written; ended is closed by end.
	wake, room, ended chan struct{}

	// heard is when the last sign of life came, in time since started.
	heard   atomic.Int64
	started time.Time

	// mu guards what follows.
	mu sync.Mutex
	// waiting holds whole frames in the order in which they will leave.
	// Invariant: len(waiting) + writing <= outboxBytesMax.
	waiting []byte
	// writing counts the bytes that the writer has taken and not yet written.
	writing int
	// spare is the memory of the last batch.
	spare []byte
	// cause is why the connection ended; nil while it has not.
	cause error
}

func newWire(counters *counters, patience time.Duration) *wire {
	return &wire{
		counters: counters,
		patience: patience,
		wake:     make(chan struct{}, 1),
		room:     make(chan struct{}, 1),
		ended:    make(chan struct{}),
		started:  time.Now(),
	}
}

// append puts a frame into the queue of the writer. After an error it is
// surely not there.
func (w *wire) append(f frame) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cause != nil {
		return w.cause
	}
	if len(w.waiting)+w.writing+frameHeaderBytes+len(f.body) > outboxBytesMax {
		return errFull
	}
	w.waiting = appendFrame(w.waiting, f)
	w.counters.framesOut.Add(1)
	signal(w.wake)
	return nil
}

// ping queues a sign of life. Where the queue is full, what fills it is one.
func (w *wire) ping() error {
	if err := w.append(frame{form: formPing}); err != nil && !errors.Is(err, errFull) {
		return err
	}
	return nil
}

// signal wakes the one who waits on ch, now or at its next look.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// write is the writer goroutine. It calls tick from time to time, and ends
// with the connection or with the first error of a write or of tick.
func (w *wire) write(every time.Duration, tick func() error) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		var err error
		select {
		case <-w.wake:
			err = w.flush()
		case <-ticker.C:
			err = tick()
		case <-w.ended:
			return
		}
		if err != nil {
			w.end(err)
			return
		}
	}
}

// flush writes until nothing waits.
func (w *wire) flush() error {
	for batch := w.take(); len(batch) > 0; batch = w.take() {
		for piece := range slices.Chunk(batch, writeBytesMax) {
			if err := w.writePiece(piece); err != nil {
				return fmt.Errorf("write: %w", err)
			}
		}
		w.written(batch)
	}
	return nil
}

// writePiece is one system call.
func (w *wire) writePiece(piece []byte) error {
	if w.patience > 0 {
		w.conn.SetWriteDeadline(time.Now().Add(w.patience))
	}
	n, err := w.conn.Write(piece)
	w.counters.bytesOut.Add(uint64(n))
	if err == nil && len(piece) == writeBytesMax {
		// A piece of full size was taken only because earlier ones arrived,
		// but for those that the buffers of the system hold (some MiB at
		// most). Without this a frame that takes longer than DeadAfter could
		// never pass; with it only what these buffers hold must get through
		// in that time.
		w.hear()
	}
	return err
}

// take hands all waiting frames to the writer.
func (w *wire) take() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	batch := w.waiting
	w.waiting, w.spare = w.spare, nil
	w.writing = len(batch)
	if len(batch) == 0 {
		w.spare = batch
	}
	return batch
}

// written gives the memory of a batch back.
func (w *wire) written(batch []byte) {
	w.mu.Lock()
	w.writing = 0
	if cap(batch) <= spareBytesMax {
		w.spare = batch[:0]
	}
	w.mu.Unlock()
	signal(w.room)
}

// backlog counts the bytes not yet written.
func (w *wire) backlog() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting) + w.writing
}

// waitBacklog returns once at most so many bytes are not yet written, or with
// the cause of the end. Only one goroutine may wait.
func (w *wire) waitBacklog(most int) error {
	for w.backlog() > most {
		select {
		case <-w.room:
		case <-w.ended:
			return w.why()
		}
	}
	return nil
}

// end closes the connection; the first cause stays.
func (w *wire) end(cause error) {
	invariant.Must(cause != nil, "a connection ends with a cause")
	w.mu.Lock()
	first := w.cause == nil
	if first {
		w.cause = cause
		w.waiting, w.spare = nil, nil
		close(w.ended)
	}
	w.mu.Unlock()
	if first && w.conn != nil {
		w.conn.Close()
	}
}

// why is the cause of the end.
func (w *wire) why() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cause
}

// hear notes a sign of life.
func (w *wire) hear() { w.heard.Store(int64(time.Since(w.started))) }

// silence is how long the other side has given no sign of life.
func (w *wire) silence() time.Duration { return time.Since(w.started) - time.Duration(w.heard.Load()) }

// frames reads the frames of the connection. With a patience above zero a read
// that gets no byte for so long ends with errSilent.
func (w *wire) frames(patience time.Duration, lane Lane) *frameReader {
	return newFrameReader(&ear{wire: w, patience: patience}, lane.bodyBytesMax())
}

// ear reads a connection and notes signs of life.
type ear struct {
	wire     *wire
	patience time.Duration
}

func (e *ear) Read(p []byte) (int, error) {
	if e.patience > 0 {
		e.wire.conn.SetReadDeadline(time.Now().Add(e.patience))
	}
	n, err := e.wire.conn.Read(p)
	if n > 0 {
		e.wire.hear()
		e.wire.counters.bytesIn.Add(uint64(n))
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		err = errSilent
	}
	return n, err
}

var _ io.Reader = (*ear)(nil)

package respapi

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/resp"
)

// arrival is what a client sends, with its deadlines: none for a silent
// client unless Config.IdleTimeout says so, and arrivalTimeout for a call that
// has begun.
//
// A client that is silent for longer than idleGrace gets by without buffers:
// its connection waits for one byte in a place of its own. A busy one never
// comes there and reads with one system call.
type arrival struct {
	net         net.Conn
	reader      *resp.Reader
	idleTimeout time.Duration

	// partial says that a call has begun to arrive.
	partial atomic.Bool
	// deadline is the one that is set.
	deadline time.Time
	// first is the byte that ended the silence, until it is read.
	first [1]byte
	held  bool
}

// Read implements io.Reader for the reader of calls.
func (a *arrival) Read(p []byte) (int, error) {
	if a.held {
		a.held = false
		p[0] = a.first[0]
		return 1, nil
	}
	a.arm(time.Now())
	return a.net.Read(p)
}

// arm sets the deadline of the next read. That of a silent client is moved only
// when half of it is over, because each time costs.
func (a *arrival) arm(now time.Time) {
	partial := !a.reader.Idle()
	began := partial && !a.partial.Load()
	a.partial.Store(partial)
	left := a.deadline.Sub(now)
	switch {
	case began:
		a.set(now.Add(arrivalTimeout))
	case !partial && (left < idleGrace/2 || left > idleGrace):
		a.set(now.Add(idleGrace))
	}
}

func (a *arrival) set(deadline time.Time) {
	a.deadline = deadline
	_ = a.net.SetReadDeadline(deadline) // it fails where the read behind it does
}

// next waits for calls. An error is the end.
func (a *arrival) next() ([]resp.Call, error) {
	for {
		calls, err := a.reader.Read()
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return calls, err
		}
		if !a.reader.Idle() {
			return nil, fmt.Errorf("a call did not arrive within %v: %w", arrivalTimeout, err)
		}
		a.reader.Shrink()
		if err := a.rest(); err != nil {
			return nil, err
		}
	}
}

// rest waits for a byte.
func (a *arrival) rest() error {
	var deadline time.Time
	if a.idleTimeout > 0 {
		deadline = time.Now().Add(a.idleTimeout)
	}
	a.set(deadline)
	n, err := a.net.Read(a.first[:])
	a.held = n > 0
	if a.held {
		return nil // what err says is said again
	}
	return err
}

package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate"
)

const (
	// lineBytes is the buffer of answers: a pipeline of small ones is read at
	// once.
	lineBytes = 4 << 10
	// redialPause is how long a client rests when nobody took its connection, so
	// that a node which is down is not dialled without end.
	redialPause = 100 * time.Millisecond
)

// line is the connection of one client of bench, which is made again when it
// breaks, at the next address.
type line struct {
	addrs   []string
	at      int // of addrs, where the connection goes
	timeout time.Duration
	// dial makes a connection over which calls can go at once.
	dial func(ctx context.Context, addr string) (net.Conn, error)

	wire   net.Conn // nil while there is none
	reader *bufio.Reader
	// forget takes back that the end of the run closes the connection; nil where
	// it does not.
	forget func() bool
}

func (b *bench) line(caller int, dial func(ctx context.Context, addr string) (net.Conn, error)) *line {
	return &line{
		addrs: b.reached, at: caller % len(b.reached), timeout: b.nodes.timeout,
		dial: dial, reader: bufio.NewReaderSize(nil, lineBytes),
	}
}

// addr is where the connection goes.
func (l *line) addr() string { return l.addrs[l.at] }

// open makes the first connection, at the first address that takes one. The
// context is not that of the calls.
func (l *line) open(ctx context.Context) (err error) {
	for range l.addrs {
		if err = l.connect(ctx); err == nil || ctx.Err() != nil {
			return err
		}
		l.next()
	}
	return err
}

// ready makes sure that there is a connection, and gives it time for one
// exchange. An error means that nothing was sent.
func (l *line) ready(ctx context.Context) error {
	err := l.connect(ctx)
	if err != nil {
		l.next()
		pause(ctx, redialPause)
	} else if err = l.wire.SetDeadline(time.Now().Add(l.timeout)); err != nil {
		l.drop()
	}
	if err != nil {
		return &quorate.Error{Code: quorate.Unavailable, Outcome: quorate.NotApplied, Message: err.Error()}
	}
	if l.forget == nil {
		// A read must not outlast the run, and cannot see its context.
		wire := l.wire
		l.forget = context.AfterFunc(ctx, func() { _ = wire.Close() })
	}
	return nil
}

// connect makes a connection where there is none.
func (l *line) connect(ctx context.Context) error {
	if l.wire != nil {
		return nil
	}
	timed, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	wire, err := l.dial(timed, l.addr())
	if err != nil {
		return err
	}
	l.wire = wire
	l.reader.Reset(wire)
	return nil
}

// drop ends the connection. The next one goes to the next address.
func (l *line) drop() {
	l.close()
	l.next()
}

func (l *line) next() { l.at = (l.at + 1) % len(l.addrs) }

func (l *line) close() {
	if l.wire == nil {
		return
	}
	if l.forget != nil {
		l.forget()
	}
	_ = l.wire.Close() // what it was for has failed, or is done
	l.wire, l.forget = nil, nil
}

// lost is the failure of a call that was sent over a connection which broke.
func (l *line) lost(what *task, err error) error {
	e := &quorate.Error{Code: quorate.Unavailable, Outcome: quorate.NotApplied, Message: fmt.Sprintf("%s: %v", l.addr(), err)}
	if timedOut(err) {
		e.Message = fmt.Sprintf("%s did not answer within %v", l.addr(), l.timeout)
	}
	if errors.Is(err, net.ErrClosed) {
		e.Message = l.addr() + ": the run ended"
	}
	if what.writes() {
		e.Outcome = quorate.Unknown
	}
	return e
}

// pause waits, but not longer than ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// reach asks at all addresses whether there is a node, and keeps those at which
// there is one. The errors are those of the addresses, in their order.
func (b *bench) reach(ctx context.Context, ask func(ctx context.Context, addr string) error) (errs []error) {
	ctx, cancel := context.WithTimeout(ctx, b.nodes.timeout)
	defer cancel()
	addrs := slices.Compact(slices.Sorted(slices.Values(b.nodes.addrs)))
	errs = make([]error, len(addrs))
	var asking sync.WaitGroup
	for i, addr := range addrs {
		asking.Go(func() { errs[i] = ask(ctx, addr) })
	}
	asking.Wait()
	b.reached, b.missing = nil, nil
	for i, addr := range addrs {
		if errs[i] == nil {
			b.reached = append(b.reached, addr)
		} else {
			b.missing = append(b.missing, addr)
		}
	}
	return errs
}

// nobodyAt is the failure of a run that found nothing at any address.
func (b *bench) nobodyAt() *failure {
	return unavailable(quorate.NotApplied, "nothing answers at %s: start a node with: %s dev", strings.Join(b.missing, ", "), b.program.name)
}

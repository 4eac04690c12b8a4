package peer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	// outstandingMax bounds the calls of one connection that have no answer
	// yet, on either side: as many as a node lets wait.
	outstandingMax = 64 << 10

	// idleAfter ends a connection that carried no call for so long, so that
	// those to members that left or moved do not stay for ever. To dial anew
	// costs the next call two round trips.
	idleAfter = time.Minute
)

var (
	// errIdle ends a connection that nobody uses.
	errIdle = errors.New("idle")
	// errOutstanding is returned when outstandingMax is reached.
	errOutstanding = fmt.Errorf("busy: %d calls have no answer yet", outstandingMax)
)

// route is where calls of one kind of urgency go.
type route struct {
	to   Member
	lane Lane
}

// link is the dialler's end of one connection, from the decision to dial to
// its end. It is used once: after its end the next call makes a new one.
//
//	dialling --> up --> ended
//	    +---------------^
type link struct {
	port  *Port
	route route
	wire  *wire
	// ready is closed when the link is up, or has ended without.
	ready chan struct{}

	// mu guards what follows. wire.mu may be taken under it.
	mu sync.Mutex
	// outstanding holds what to do with each answer that has not arrived.
	// It is nil once the link takes no more calls.
	outstanding map[uint64]func(body []byte, err error)
	// lastID is the id of the newest call. Invariant: ids rise in the order
	// in which the frames leave.
	lastID uint64
	// used is when the newest call came.
	used time.Time
	// up says that the handshake passed; it stays true after the end.
	up bool
	// cause is why the link ended; nil while it has not.
	cause error
}

func newLink(port *Port, route route) *link {
	return &link{
		port:        port,
		route:       route,
		wire:        newWire(&port.counters, port.config.DeadAfter),
		ready:       make(chan struct{}),
		outstanding: make(map[uint64]func([]byte, error)),
		used:        time.Now(),
	}
}

// run is the goroutine of the link: it dials, reads answers until the
// connection ends, and then fails what is outstanding.
func (l *link) run() {
	conn, err := l.port.dial(l.port.ctx, l.route.to, l.route.lane)
	if err == nil {
		l.wire.conn = conn
		l.wire.hear()
		err = l.read()
		l.port.untrack(conn)
	}
	l.finish(l.port.orClosed(err))
}

// read marks the link as up, runs its writer, and handles its answers until
// the connection ends. It returns why it ended.
func (l *link) read() error {
	l.mu.Lock()
	l.up = true
	l.mu.Unlock()
	close(l.ready)

	var writer sync.WaitGroup
	writer.Go(func() { l.wire.write(l.port.config.PingInterval, l.keepAlive) })
	frames := l.wire.frames(0, l.route.lane)
	for {
		f, err := frames.next(nil)
		if err == nil {
			l.port.counters.framesIn.Add(1)
			err = l.handle(f)
		}
		if err != nil {
			l.wire.end(err)
			writer.Wait()
			return l.wire.why()
		}
	}
}

// handle takes one frame from the acceptor.
func (l *link) handle(f frame) error {
	switch f.form {
	case formPong:
		return nil
	case formAnswer, formFailure:
	default:
		return fmt.Errorf("%w: form %d from an acceptor", errMalformed, f.form)
	}
	l.mu.Lock()
	done := l.outstanding[f.id]
	delete(l.outstanding, f.id)
	given := f.id > 0 && f.id <= l.lastID
	l.mu.Unlock()
	switch {
	case !given:
		return fmt.Errorf("%w: answer to call %d, which was never made", errMalformed, f.id)
	case done == nil: // its caller did not wait
	case f.form == formFailure:
		done(nil, &RemoteError{From: l.route.to, Text: string(f.body)})
	default:
		done(f.body, nil)
	}
	return nil
}

// queue gives a call to the writer. After an error it surely never leaves;
// otherwise done is called once, from the goroutine of the link.
func (l *link) queue(call frame, done func([]byte, error)) (id uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.outstanding == nil {
		return 0, l.cause
	}
	if len(l.outstanding) >= outstandingMax {
		return 0, errOutstanding
	}
	call.id, call.form = l.lastID+1, formCall
	if err := l.wire.append(call); err != nil {
		return 0, err
	}
	l.lastID = call.id
	l.outstanding[l.lastID] = done
	l.used = time.Now()
	return l.lastID, nil
}

// forget drops a call whose caller waits no longer.
func (l *link) forget(id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.outstanding, id)
}

// takes says whether the link takes calls.
func (l *link) takes() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.outstanding != nil
}

// worn says that the link was up and has ended: what it refuses now, a new
// one may take.
func (l *link) worn() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up && l.outstanding == nil
}

// finish fails what is outstanding, in the order of the calls. The route is
// free before, so that whoever learns of the failure can call again.
func (l *link) finish(cause error) {
	l.port.forgetLink(l)
	l.mu.Lock()
	up := l.up
	outstanding := l.outstanding
	l.outstanding = nil
	if l.cause == nil {
		l.cause = cause
	}
	l.mu.Unlock()

	l.wire.end(cause)
	failure := lost(cause)
	if !up {
		// The writer never ran: no byte of a call has left.
		failure = unsent(cause)
		close(l.ready)
	}
	for _, id := range slices.Sorted(maps.Keys(outstanding)) {
		outstanding[id](nil, failure)
	}
}

// keepAlive runs on the writer at each PingInterval. It asks for a sign of life
// even where answers flow: the acceptor hears nothing while it sends them, and
// gives up on a silent dialler as this end does on a silent acceptor.
func (l *link) keepAlive() error {
	if silence := l.wire.silence(); silence >= l.port.config.DeadAfter {
		return fmt.Errorf("%w for %v", errSilent, silence.Round(time.Millisecond))
	}
	if l.retire() {
		return errIdle
	}
	return l.wire.ping()
}

// retire stops to take calls if there was none for long.
func (l *link) retire() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.outstanding) > 0 || time.Since(l.used) < idleAfter {
		return false
	}
	l.outstanding, l.cause = nil, errIdle
	return true
}

// link returns the connection to use for the route, and begins to dial where
// there is none.
func (p *Port) link(route route) (*link, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	if l := p.links[route]; l != nil && l.takes() {
		return l, nil
	}
	l := newLink(p, route)
	p.links[route] = l
	p.goroutines.Go(l.run)
	return l, nil
}

// forgetLink frees the route of an ended link.
func (p *Port) forgetLink(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.links[l.route] == l {
		delete(p.links, l.route)
	}
}

// Call sends body to the handler of kind at the member and waits for its
// answer or the end of ctx. It dials where no connection is up, and never
// sends anything twice. An error that wraps ErrUnsent means that the call never
// left; a *RemoteError is the answer of the handler; after any other error the
// call may have arrived.
func (p *Port) Call(ctx context.Context, to Member, lane Lane, kind Kind, body []byte) ([]byte, error) {
	answer, err := p.call(ctx, route{to, lane}, kind, body)
	if err != nil {
		return nil, p.failed(to, lane, kind, err)
	}
	return answer, nil
}

// call is Call without the words around its errors.
func (p *Port) call(ctx context.Context, route route, kind Kind, body []byte) ([]byte, error) {
	type outcome struct {
		body []byte
		err  error
	}
	arrived := make(chan outcome, 1)
	done := func(body []byte, err error) { arrived <- outcome{body, err} }
	up := func(l *link) error { return l.wait(ctx) }
	l, id, err := p.queue(route, frame{kind: kind, body: body}, done, up)
	if err != nil {
		return nil, unsent(err)
	}
	select {
	case o := <-arrived:
		return o.body, o.err
	case <-ctx.Done():
		l.forget(id)
		return nil, lost(ctx.Err())
	}
}

// Send is Call without waiting: it returns at once, and done gets the answer or
// the error, exactly once, from the goroutine that reads the connection.
// Frames of one goroutine leave in the order of its calls, also while the
// connection is still being dialled. An error, which wraps ErrUnsent, means
// that nothing was queued; done is not called then.
//
// The answers of a connection arrive one after the other: done must not block,
// and must not close the port. There is no deadline; a peer that stays silent
// for DeadAfter ends the connection and with it the call.
func (p *Port) Send(to Member, lane Lane, kind Kind, body []byte, done func(body []byte, err error)) error {
	route := route{to, lane}
	finished := func(body []byte, err error) {
		if err != nil {
			err = p.failed(to, lane, kind, err)
		}
		done(body, err)
	}
	now := func(*link) error { return nil }
	if _, _, err := p.queue(route, frame{kind: kind, body: body}, finished, now); err != nil {
		return p.failed(to, lane, kind, unsent(err))
	}
	return nil
}

// queue finds a link, waits until it may be used, and gives it the call.
func (p *Port) queue(route route, call frame, done func([]byte, error), wait func(*link) error) (*link, uint64, error) {
	route.lane.mustCarryCalls()
	if most := route.lane.bodyBytesMax(); len(call.body) > most {
		return nil, 0, fmt.Errorf("%d bytes, limit %d", len(call.body), most)
	}
	for second := false; ; second = true {
		l, err := p.link(route)
		if err != nil {
			return nil, 0, err
		}
		if err := wait(l); err != nil {
			return nil, 0, err
		}
		id, err := l.queue(call, done)
		// A link may end between the moment we found it and now. Nothing was
		// queued, so this is no retry of something sent; and only once.
		if err != nil && l.worn() && !second {
			continue
		}
		return l, id, err
	}
}

// wait returns once the link is up or has ended, or with the error of ctx. A
// call with a ctx must not be queued before: its frame could not be taken back.
func (l *link) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-l.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

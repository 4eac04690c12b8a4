package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

const (
	// handshakesMax bounds the accepted connections that have not shown who
	// they are. Eight other members that start at once open 8 x 4 lanes and
	// some streams; strangers hold one for HandshakeTimeout at most.
	handshakesMax = 128

	// connectionsMax bounds the accepted connections. Eight other members
	// open 8 x (4 lanes + 8 streams) = 96; twice that while those of before a
	// restart are not yet known to be dead; the rest is for probes.
	connectionsMax = 512

	// acceptPauseMax is the longest pause after an accept that went wrong,
	// as it does when the process has no file descriptors left.
	acceptPauseMax = time.Second
)

// errReplaced ends a Log connection when its node opens a newer one.
var errReplaced = errors.New("replaced by a newer connection of the same node")

// accept is the goroutine that takes connections in.
func (p *Port) accept() {
	pause := 5 * time.Millisecond
	for {
		conn, err := p.config.Listener.Accept()
		switch {
		case err == nil:
			pause = 5 * time.Millisecond
			p.admit(conn)
			continue
		case p.ctx.Err() != nil:
			return
		case errors.Is(err, net.ErrClosed):
			p.config.Log.Error("peer port: the listener was closed", "error", err)
			return
		}
		p.config.Log.Warn("peer port: accept", "error", err, "pause", pause)
		select {
		case <-time.After(pause):
			pause = min(2*pause, acceptPauseMax)
		case <-p.ctx.Done():
			return
		}
	}
}

// admit starts the goroutine of an accepted connection. It never waits: a
// listener that waits for strangers is closed for members too.
func (p *Port) admit(conn net.Conn) {
	select {
	case p.handshakes <- struct{}{}:
	default:
		p.counters.strangers.Add(1)
		conn.Close()
		return
	}
	if !p.track(conn) {
		<-p.handshakes
		return
	}
	p.goroutines.Go(func() {
		defer p.untrack(conn)
		s, err := p.welcome(conn)
		<-p.handshakes
		if err != nil {
			p.config.Log.Debug("peer port: no handshake", "remote", conn.RemoteAddr().String(), "error", err)
		}
		if s != nil {
			s.run()
		}
	})
}

// welcome is the whole handshake of an accepted connection. The result is nil
// if the two ends part; err is only for the log.
func (p *Port) welcome(conn net.Conn) (*served, error) {
	conn.SetDeadline(time.Now().Add(p.config.HandshakeTimeout))
	said, answer, err := p.receive(conn)
	if err != nil {
		p.counters.strangers.Add(1)
		return nil, err
	}
	var s *served
	if answer.status == accepted {
		// Before the answer: whatever this dialler sends, it sends after
		// the older connection has lost its place. Otherwise two newer
		// connections could take the place in the wrong order.
		if s = p.enter(conn, said); s == nil {
			answer.status = NotAccepting
			answer.message = fmt.Sprintf("has %d connections", connectionsMax)
		}
	}
	if s == nil {
		p.counters.refusalsGiven.Add(1)
		p.config.Log.Info("peer port: refused", "remote", conn.RemoteAddr().String(), "reason", answer.status.String(), "lane", said.lane.String(),
			"from", said.from.String(), "of_cluster", clusterName(said.cluster), "wanted", nodeName(said.wanted))
		return nil, refuse(conn, answer)
	}
	bytes, err := answer.append(nil)
	if err == nil {
		_, err = conn.Write(bytes)
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		s.leave(err)
		return nil, err
	}
	return s, nil
}

// served is the acceptor's end of one connection.
type served struct {
	port *Port
	wire *wire
	lane Lane
	from Member
	// ctx ends with the connection; it is what handlers get.
	ctx    context.Context
	cancel context.CancelFunc
	// unanswered holds a token for each call without a reply.
	unanswered chan struct{}
	// older is the Log connection whose place this one took, or nil.
	older *served
	// left is closed when no handler of this connection runs or will run,
	// nor of those whose place it took.
	left chan struct{}
}

// enter gives a connection that passed the judgement its place, and ends the
// one that had it. It returns nil if there is no place.
func (p *Port) enter(conn net.Conn, said preamble) *served {
	s := &served{
		port:       p,
		wire:       newWire(&p.counters, p.config.DeadAfter),
		lane:       said.lane,
		from:       said.from,
		unanswered: make(chan struct{}, outstandingMax),
		left:       make(chan struct{}),
	}
	s.wire.conn = conn
	p.mu.Lock()
	if p.served >= connectionsMax {
		p.mu.Unlock()
		return nil
	}
	p.served++
	s.ctx, s.cancel = context.WithCancel(p.ctx)
	if s.lane == Log {
		s.older = p.newest[s.from.ID]
		p.newest[s.from.ID] = s
	}
	p.mu.Unlock()

	if s.older != nil {
		s.older.end(errReplaced)
	}
	return s
}

// end closes the connection and tells its handlers.
func (s *served) end(cause error) {
	s.cancel()
	s.wire.end(cause)
}

// leave ends the connection and gives up its place. No handler of it runs.
func (s *served) leave(cause error) {
	s.end(cause)
	if s.older != nil {
		// Frames of the older connection may still be with a handler. The
		// next one waits for this channel and thereby for both.
		<-s.older.left
		s.older = nil
	}
	s.port.mu.Lock()
	s.port.served--
	if s.port.newest[s.from.ID] == s {
		delete(s.port.newest, s.from.ID)
	}
	s.port.mu.Unlock()
	close(s.left)
}

// run serves the connection until it ends.
func (s *served) run() {
	if s.older != nil {
		<-s.older.left
	}
	writer := make(chan struct{})
	every, tick := s.signsOfLife()
	s.port.goroutines.Go(func() {
		defer close(writer)
		s.wire.write(every, tick)
	})
	err := s.serve()
	s.leave(err)
	<-writer
	s.port.config.Log.Debug("peer port: connection ended", "lane", s.lane.String(), "from", s.from.String(), "cause", s.wire.why())
}

// signsOfLife is what the writer does from time to time: on Bulk both ends
// ping, on the other lanes the acceptor answers pings only.
func (s *served) signsOfLife() (every time.Duration, tick func() error) {
	if s.lane == Bulk {
		return s.port.config.PingInterval, s.wire.ping
	}
	return idleAfter, func() error { return nil }
}

// serve handles the frames of the connection and returns why it ended. The
// dialler pings, so that silence means that it is gone.
func (s *served) serve() error {
	frames := s.wire.frames(s.port.config.DeadAfter, s.lane)
	if s.lane == Bulk {
		return s.serveStream(frames)
	}
	for {
		f, err := frames.next(nil)
		if err != nil {
			return err
		}
		s.port.counters.framesIn.Add(1)
		switch f.form {
		case formCall:
			err = s.call(f)
		case formPing:
			err = s.wire.append(frame{form: formPong})
		default:
			err = fmt.Errorf("%w: form %d from a dialler", errMalformed, f.form)
		}
		if err != nil {
			return err
		}
	}
}

// call hands one call to its handler.
func (s *served) call(f frame) (err error) {
	handler, ok := s.port.handlers.calls[f.kind]
	if !ok || handler.lane != s.lane {
		return s.answer(f.id, nil, fmt.Errorf("kind %d is not served on %s", f.kind, s.lane))
	}
	select {
	case s.unanswered <- struct{}{}:
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
	if s.ctx.Err() != nil {
		// The frame was read before the connection lost its place.
		return context.Cause(s.ctx)
	}
	defer s.recovered(f.kind, &err)
	handler.serve(s.ctx, s.from, f.body, s.replyTo(f.id))
	return nil
}

package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

const (
	// streamReadBytes is what one read of the sender's body asks for. It is
	// below chunkBytesMax: small enough to be cheap to copy, large enough that
	// the frame around it does not count.
	streamReadBytes = 256 << 10

	// streamAheadBytes is how far the sender reads ahead of the connection:
	// one write of full size on its way and one ready.
	streamAheadBytes = 2 * writeBytesMax
)

const _ = uint(chunkBytesMax - streamReadBytes) // must not be negative

var (
	// errAnswered ends the connection of a stream that got its answer.
	errAnswered = errors.New("answered")
	// errGivenUp ends the connection of a stream whose sender stops before.
	errGivenUp = errors.New("given up by its sender")
)

// Stream sends header and then all of body to the stream handler of kind, on a
// connection of its own, and returns the handler's answer. The handler may
// answer before it has read all; then the rest is not sent.
//
// If body fails, the handler learns the reason and Stream returns the error of
// body; if ctx ends, the connection does. Either way the handler can tell it
// from a good end. Stream calls body.Read on the goroutine of its caller, and
// ctx cannot interrupt it there. Errors are told apart as those of Call.
func (p *Port) Stream(ctx context.Context, to Member, kind Kind, header []byte, body io.Reader) ([]byte, error) {
	answer, err := p.stream(ctx, to, frame{kind: kind, form: formCall, body: header}, body)
	if err != nil {
		return nil, p.failed(to, Bulk, kind, err)
	}
	return answer, nil
}

// stream is Stream without the words around its errors.
func (p *Port) stream(ctx context.Context, to Member, header frame, body io.Reader) ([]byte, error) {
	if len(header.body) > chunkBytesMax {
		return nil, unsent(fmt.Errorf("header of %d bytes, limit %d", len(header.body), chunkBytesMax))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	conn, err := p.dial(ctx, to, Bulk)
	if err != nil {
		return nil, p.orClosed(err)
	}
	defer p.untrack(conn)
	s := &sender{port: p, to: to, wire: newWire(&p.counters, 0)}
	s.wire.conn = conn
	answer, err := s.send(ctx, header, body)
	return answer, p.orClosed(err)
}

// sender is the dialler's end of one stream.
type sender struct {
	port *Port
	to   Member
	wire *wire
	// answer and failure are what came back. They are set before the reader
	// ends; failure is nil if there is an answer.
	answer  []byte
	failure error
}

// send sends the stream and waits for what comes back.
func (s *sender) send(ctx context.Context, header frame, body io.Reader) ([]byte, error) {
	if err := s.wire.append(header); err != nil {
		return nil, unsent(err)
	}
	// The receiver learns of the end of ctx at once, even while body.Read blocks.
	defer context.AfterFunc(ctx, func() { s.wire.end(ctx.Err()) })()
	var both sync.WaitGroup
	both.Go(func() { s.wire.write(s.port.config.PingInterval, s.wire.ping) })
	both.Go(s.read)
	failed := s.pump(body)
	if failed == nil {
		<-s.wire.ended
	}
	s.wire.end(errGivenUp)
	both.Wait()

	var remote *RemoteError
	switch {
	case s.failure == nil:
		return s.answer, nil
	case failed != nil:
		return nil, lost(failed)
	case errors.As(s.failure, &remote):
		return nil, remote
	case ctx.Err() != nil:
		return nil, lost(ctx.Err())
	default:
		return nil, s.failure
	}
}

// read waits for the answer and ends the connection with it. The receiver pings
// also while its handler is slow, so that silence means that it is gone. The
// writer has no such limit: a slow receiver may hold it up.
func (s *sender) read() {
	frames := s.wire.frames(s.port.config.DeadAfter, Bulk)
	for {
		f, err := frames.next(nil)
		if err == nil {
			s.port.counters.framesIn.Add(1)
		}
		switch {
		case err != nil:
			s.failure = lost(err)
		case f.form == formPing:
			continue
		case f.form == formAnswer:
			s.answer, err = f.body, errAnswered
		case f.form == formFailure:
			s.failure, err = &RemoteError{From: s.to, Text: string(f.body)}, errAnswered
		default:
			err = fmt.Errorf("%w: form %d from a receiver", errMalformed, f.form)
			s.failure = lost(err)
		}
		s.wire.end(err)
		return
	}
}

// pump sends body in chunks, then its end, until the connection ends. It
// returns the error of body, if that is what stopped it.
func (s *sender) pump(body io.Reader) error {
	buffer := make([]byte, streamReadBytes)
	for {
		n, err := body.Read(buffer)
		if n > 0 && s.queue(frame{form: formChunk, body: buffer[:n]}) != nil {
			return nil
		}
		switch {
		case err == io.EOF: // as it is: a failure that only wraps io.EOF is no good end
			s.queue(frame{form: formEnd}) // if not, the connection has ended
			return nil
		case err != nil:
			text := err.Error()
			s.queue(frame{form: formAbort, body: []byte(text[:min(len(text), errorBytesMax)])})
			s.wire.waitBacklog(0)
			return fmt.Errorf("read the body of the stream: %w", err)
		case s.wire.why() != nil:
			return nil
		}
	}
}

// queue gives a frame to the writer once it is not too far behind.
func (s *sender) queue(f frame) error {
	if err := s.wire.waitBacklog(streamAheadBytes); err != nil {
		return err
	}
	return s.wire.append(f)
}

// serveStream serves the one stream of a Bulk connection. The reader hands
// chunks to the goroutine of the handler and waits until each is taken.
func (s *served) serveStream(frames *frameReader) error {
	header, err := frames.next(nil)
	if err != nil {
		return err
	}
	s.port.counters.framesIn.Add(1)
	if header.form != formCall {
		return fmt.Errorf("%w: form %d where a stream begins", errMalformed, header.form)
	}
	body := &streamBody{ctx: s.ctx, chunks: make(chan []byte), taken: make(chan []byte, 2), answered: make(chan struct{})}
	var handler sync.WaitGroup
	handler.Go(func() {
		if err := s.handleStream(header, body); err != nil {
			s.end(err)
		}
	})
	err = s.feed(frames, body)
	// Not wrapped: the cause may be the io.EOF of the connection, and the
	// handler must not take it for the end of the stream.
	body.finish(fmt.Errorf("%w: %v", ErrAborted, err))
	s.end(err)
	handler.Wait()
	return err
}

// handleStream runs the handler and queues its answer. The dialler ends the
// connection when it has it.
func (s *served) handleStream(header frame, body *streamBody) (err error) {
	defer close(body.answered)
	handle, ok := s.port.handlers.streams[header.kind]
	if !ok {
		return s.answer(header.id, nil, fmt.Errorf("kind %d is not served on %s", header.kind, s.lane))
	}
	defer s.recovered(header.kind, &err)
	answer, failure := handle(s.ctx, s.from, header.body, body)
	return s.answer(header.id, answer, failure)
}

// feed reads the connection to its end, so that the handler also learns of an
// end that comes after the stream was complete.
func (s *served) feed(frames *frameReader, body *streamBody) error {
	for {
		f, err := frames.next(body.spare())
		if err != nil {
			return err
		}
		s.port.counters.framesIn.Add(1)
		switch {
		case f.form == formPing:
		case body.finished:
			return fmt.Errorf("%w: form %d after the end of a stream", errMalformed, f.form)
		case f.form == formChunk:
			body.put(f.body)
		case f.form == formEnd:
			body.finish(io.EOF)
		case f.form == formAbort:
			body.finish(fmt.Errorf("%w: %s", ErrAborted, f.body))
		default:
			return fmt.Errorf("%w: form %d within a stream", errMalformed, f.form)
		}
	}
}

// streamBody is the body as its handler reads it. The reader of the connection
// uses put, spare and finish; the handler uses Read, on one goroutine.
type streamBody struct {
	ctx context.Context
	// chunks passes each chunk on; it is closed after end is set.
	chunks chan []byte
	end    error
	// taken passes the memory of used chunks back.
	taken chan []byte
	// answered is closed when the handler has returned.
	answered chan struct{}
	// finished says that chunks is closed. The reader's own.
	finished bool
	// chunk is the memory of the current chunk and rest what is unread of it.
	// The handler's own.
	chunk, rest []byte
}

// Read is io.Reader.
func (b *streamBody) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		if b.chunk != nil {
			b.taken <- b.chunk // never blocks: two chunks exist, it holds two
			b.chunk = nil
		}
		chunk, open := <-b.chunks
		if !open {
			return 0, b.end
		}
		b.chunk, b.rest = chunk, chunk
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// put waits until the handler takes the chunk, or will take none any more.
func (b *streamBody) put(chunk []byte) {
	select {
	case b.chunks <- chunk:
	case <-b.answered:
	case <-b.ctx.Done():
	}
}

// spare is memory for the next chunk, or nil where there is none yet.
func (b *streamBody) spare() []byte {
	select {
	case chunk := <-b.taken:
		return chunk
	default:
		return nil
	}
}

// finish ends the body with err; only the first end counts.
func (b *streamBody) finish(err error) {
	if b.finished {
		return
	}
	b.finished, b.end = true, err
	close(b.chunks)
}

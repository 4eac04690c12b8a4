package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/load"
	"github.com/quorate/quorate/internal/resp"
)

// respMaker makes clients that speak the Redis protocol, with a connection each.
type respMaker struct {
	bench   *bench
	dialler *dialler
}

// respMaker looks for nodes at the addresses.
func (b *bench) respMaker(ctx context.Context) (*respMaker, error) {
	m := &respMaker{bench: b, dialler: newDialler(b.nodes.addrs, b.nodes.tls, func() {})}
	errs := b.reach(ctx, m.ask)
	if len(b.reached) > 0 {
		return m, nil
	}
	if f := m.dialler.nobody(b.program.name); f != nil {
		return nil, f
	}
	return nil, unavailable(quorate.NotApplied, "%v", errors.Join(errs...))
}

func (m *respMaker) close() {}

func (m *respMaker) open(ctx context.Context, caller int) (load.Worker, error) {
	w := &respWorker{
		maker: m, chooser: m.bench.chooser(caller), depth: int(m.bench.pipeline),
		line: m.bench.line(caller, m.dial),
	}
	if stale := time.Duration(m.bench.nodes.stale); stale > 0 {
		w.stale = strconv.AppendInt(nil, max(stale.Milliseconds(), 1), 10)
	}
	return w, w.line.open(ctx)
}

// ask says whether there is a node at an address.
func (m *respMaker) ask(ctx context.Context, addr string) error {
	wire, err := m.dial(ctx, addr)
	if err == nil {
		_ = wire.Close() // it has answered
	}
	return err
}

// dial connects to a node, and waits for its answer to a first call: one that
// wants no more clients, or another password, says so.
func (m *respMaker) dial(ctx context.Context, addr string) (net.Conn, error) {
	wire, err := m.dialler.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = wire.Close() })()
	var hello []byte
	answers := 1
	if password := m.bench.nodes.password; password != "" {
		hello = resp.AppendCall(hello, "AUTH", []byte(password))
		answers++
	}
	hello = resp.AppendCall(hello, "PING")
	if _, err = wire.Write(hello); err == nil {
		err = readGreeting(wire, answers)
	}
	if err != nil {
		_ = wire.Close() // the error says more
		if ctx.Err() != nil {
			err = errors.New("it did not answer in time")
		}
		return nil, fmt.Errorf("%s: %w", addr, err)
	}
	return wire, nil
}

func readGreeting(wire net.Conn, answers int) error {
	reader := bufio.NewReader(wire)
	for range answers {
		if err := readReply(reader); err != nil {
			return err
		}
	}
	return nil
}

// respWorker is one client.
type respWorker struct {
	maker   *respMaker
	chooser *chooser
	line    *line
	depth   int
	stale   []byte // milliseconds; empty for none
	out     []byte
	word    []byte
	sent    []*task
}

// Close implements load.Worker.
func (w *respWorker) Close() error {
	w.line.close()
	return nil
}

// Do implements load.Worker.
func (w *respWorker) Do(ctx context.Context) (errs []error) {
	if err := w.line.ready(ctx); err != nil {
		return slices.Repeat([]error{err}, w.depth)
	}
	w.out, w.sent = w.out[:0], w.sent[:0]
	for range w.depth {
		w.append()
	}
	if _, err := w.line.wire.Write(w.out); err != nil {
		return w.give(errs, w.sent, err)
	}
	for i, what := range w.sent {
		err := readReply(w.line.reader)
		if e, refused := errors.AsType[*quorate.Error](err); refused {
			if !what.writes() {
				e.Outcome = quorate.NotApplied
			}
			errs = append(errs, e)
		} else if err != nil {
			return w.give(errs, w.sent[i:], err)
		}
	}
	return errs
}

// give gives up the calls that have no answer, and the connection.
func (w *respWorker) give(errs []error, unanswered []*task, err error) []error {
	for _, what := range unanswered {
		if errors.Is(err, errForeignReply) {
			errs = append(errs, fmt.Errorf("%s: %w", w.line.addr(), err))
			continue
		}
		errs = append(errs, w.line.lost(what, err))
	}
	w.line.drop()
	return errs
}

// append appends the next call to what is sent.
func (w *respWorker) append() {
	what, n := w.chooser.next()
	words := 1 + len(what.words)
	if aged := len(w.stale) > 0 && !what.writes(); aged {
		w.out = resp.AppendArray(w.out, 2+words)
		w.out = resp.AppendBulk(resp.AppendBulk(w.out, "STALE"), w.stale)
	} else {
		w.out = resp.AppendArray(w.out, words)
	}
	w.out = resp.AppendBulk(w.out, what.command)
	for _, word := range what.words {
		w.word = word.append(w.word[:0], n)
		w.out = resp.AppendBulk(w.out, w.word)
	}
	w.sent = append(w.sent, what)
}

// errForeignReply says that what answers does not speak the protocol.
var errForeignReply = errors.New("this is no answer of the Redis protocol")

// replyBytesMax bounds a value: the largest of a node, and room to spare.
const replyBytesMax = 2 << 20

// repliesDeep bounds how deep lists stand in an answer: deeper than any result of
// a Go type that a person would write.
const repliesDeep = 32

// readReply reads the answer to one call, and nothing of it but whether it is an
// error. That is a *quorate.Error, with the effect that its prefix tells.
func readReply(r *bufio.Reader) error { return readReplyDeep(r, repliesDeep) }

func readReplyDeep(r *bufio.Reader, deep int) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			err = errForeignReply
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return errForeignReply
	}
	text := line[1 : len(line)-2]
	switch line[0] {
	case '+', ':':
		return nil
	case '-':
		return refusalOf(string(text))
	case '$':
		return skipBulk(r, text)
	case '*':
		return skipArray(r, text, deep)
	}
	return errForeignReply
}

func skipArray(r *bufio.Reader, length []byte, deep int) error {
	if string(length) == "-1" { // there is nothing
		return nil
	}
	n, err := strconv.ParseUint(string(length), 10, 32)
	if err != nil || n > replyBytesMax || deep == 0 {
		return errForeignReply
	}
	for range n {
		if err := readReplyDeep(r, deep-1); err != nil {
			return err
		}
	}
	return nil
}

func skipBulk(r *bufio.Reader, length []byte) error {
	if string(length) == "-1" { // there is nothing
		return nil
	}
	n, err := strconv.ParseUint(string(length), 10, 32)
	if err != nil || n > replyBytesMax {
		return errForeignReply
	}
	if _, err := r.Discard(int(n)); err != nil {
		return err
	}
	end, err := r.Peek(2)
	if err != nil {
		return err
	}
	if string(end) != "\r\n" {
		return errForeignReply
	}
	_, err = r.Discard(2)
	return err
}

// refusalOf is the error that a node answered with. Only one prefix says that
// the call may have taken effect.
func refusalOf(text string) *quorate.Error {
	e := &quorate.Error{Code: quorate.Failed, Message: text}
	switch prefix, _, _ := strings.Cut(text, " "); prefix {
	case "UNKNOWN":
		e.Code, e.Outcome = quorate.Unavailable, quorate.Unknown
	case "TRYAGAIN", "LOADING":
		e.Code = quorate.Unavailable
	case "STALE":
		e.Code = quorate.TooOld
	}
	return e
}

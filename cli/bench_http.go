package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/load"
)

// httpMaker makes clients that speak HTTP, with a connection each that is kept.
type httpMaker struct {
	bench *bench
}

func (b *bench) httpMaker(ctx context.Context) (benchMaker, error) {
	m := &httpMaker{bench: b}
	errs := b.reach(ctx, m.ask)
	if len(b.reached) > 0 {
		return m, nil
	}
	for _, err := range errs {
		// Something that is no node explains more than nothing does.
		if stranger, ok := errors.AsType[*failure](err); ok {
			return nil, stranger
		}
	}
	return nil, b.nobodyAt()
}

func (m *httpMaker) close() {}

func dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

// ask says whether there is a node at an address.
func (m *httpMaker) ask(ctx context.Context, addr string) error {
	wire, err := dialTCP(ctx, addr)
	if err != nil {
		return err
	}
	defer wire.Close()
	defer context.AfterFunc(ctx, func() { _ = wire.Close() })()
	_, err = fmt.Fprintf(wire, "GET /livez HTTP/1.1\r\nHost: %s\r\n\r\n", addr)
	var answer httpAnswer
	if err == nil {
		err = answer.read(bufio.NewReader(wire))
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return unavailable(quorate.NotApplied, "%s took the connection and said nothing", addr)
	case err != nil:
		return failed("%s does not speak HTTP: give the address of a node's HTTP port, such as %s", addr, defaultHTTP)
	case answer.status != 200:
		return failed("%s speaks HTTP, but is not a node", addr)
	}
	return nil
}

func (m *httpMaker) open(ctx context.Context, caller int) (load.Worker, error) {
	w := &httpWorker{maker: m, chooser: m.bench.chooser(caller), line: m.bench.line(caller, dialTCP)}
	return w, w.line.open(ctx)
}

// httpWorker is one client.
type httpWorker struct {
	maker   *httpMaker
	chooser *chooser
	line    *line
	answer  httpAnswer
	out     []byte
	body    []byte
	// heads is the requests up to the length of the body, for the address that
	// they are for.
	heads   map[*task][]byte
	headsAt string
}

// Close implements load.Worker.
func (w *httpWorker) Close() error {
	w.line.close()
	return nil
}

// Do implements load.Worker. There is one call at a time.
func (w *httpWorker) Do(ctx context.Context) []error {
	if err := w.line.ready(ctx); err != nil {
		return []error{err}
	}
	what, n := w.chooser.next()
	w.request(what, n)
	_, err := w.line.wire.Write(w.out)
	if err == nil {
		err = w.answer.read(w.line.reader)
	}
	switch {
	case errors.Is(err, errForeignAnswer):
		err = fmt.Errorf("%s: %w", w.line.addr(), err)
		w.line.drop()
	case err != nil:
		err = w.line.lost(what, err)
		w.line.drop()
	default:
		err = w.answer.failure(what.writes())
		if w.answer.closes {
			w.line.drop()
		}
	}
	if err != nil {
		return []error{err}
	}
	return nil
}

// request makes the next request.
func (w *httpWorker) request(what *task, n uint64) {
	if addr := w.line.addr(); w.headsAt != addr {
		w.headsAt = addr
		w.heads = make(map[*task][]byte)
		for _, s := range w.maker.bench.mix {
			w.heads[s.task] = w.maker.head(s.task, addr)
		}
	}
	w.body = what.body.append(w.body[:0], n)
	w.out = strconv.AppendInt(append(w.out[:0], w.heads[what]...), int64(len(w.body)), 10)
	w.out = append(append(w.out, "\r\n\r\n"...), w.body...)
}

func (m *httpMaker) head(what *task, addr string) []byte {
	path := "/" + strings.ToLower(what.operation.Name())
	if stale := time.Duration(m.bench.nodes.stale); stale > 0 && !what.writes() {
		path += "?stale=" + url.QueryEscape(stale.String())
	}
	// A node answers in time what it cannot do in time, which says more than the
	// end of a wait here.
	timeout := min(max(m.bench.nodes.timeout*9/10, time.Millisecond), time.Minute)
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nQuorate-Timeout: %v\r\nContent-Length: ",
		path, addr, timeout)
}

// errForeignAnswer says that what answers is no node.
var errForeignAnswer = errors.New("this is no answer of a node over HTTP")

// httpAnswer is an answer, as far as one needs to know it.
type httpAnswer struct {
	status int
	body   []byte // only where the status is not 200
	closes bool   // the connection ends behind it
}

// httpBytesMax bounds a body.
const httpBytesMax = 4 << 20

// read reads an answer.
func (a *httpAnswer) read(r *bufio.Reader) error {
	line, err := readHTTPLine(r)
	if err != nil {
		return err
	}
	// HTTP/1.1 200 OK
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return errForeignAnswer
	}
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return errForeignAnswer
	}
	a.closes = false
	length := -1
	for {
		if line, err = readHTTPLine(r); err != nil {
			return err
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch value = bytes.TrimSpace(value); {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return errForeignAnswer
			}
		case bytes.EqualFold(name, []byte("Connection")):
			a.closes = bytes.EqualFold(value, []byte("close"))
		}
	}
	if length < 0 || length > httpBytesMax {
		return errForeignAnswer
	}
	return a.readBody(r, length)
}

func (a *httpAnswer) readBody(r *bufio.Reader, length int) error {
	a.body = a.body[:0]
	if a.status == 200 {
		_, err := r.Discard(length)
		return err
	}
	a.body = append(a.body, make([]byte, length)...)
	_, err := io.ReadFull(r, a.body)
	return err
}

// readHTTPLine reads a line without its end.
func readHTTPLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, errForeignAnswer
	case errors.Is(err, io.EOF):
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

// failure is the error that an answer is. That there is nothing is none where it
// is that of a query.
func (a *httpAnswer) failure(writes bool) error {
	if a.status == 200 || !writes && bytes.Contains(a.body, []byte(`"code":"`+string(quorate.NotFound)+`"`)) {
		return nil
	}
	var p problem
	if err := json.Unmarshal(a.body, &p); err != nil || p.Code == "" {
		return fmt.Errorf("status %d: %.200s", a.status, strings.TrimSpace(string(a.body)))
	}
	e := &quorate.Error{Code: p.Code, Message: p.Message}
	if writes && p.Outcome != quorate.NotApplied.String() {
		e.Outcome = quorate.Unknown
	}
	return e
}

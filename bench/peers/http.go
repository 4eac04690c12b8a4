package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"

	"github.com/quorate/quorate/bench/internal/cluster"
	"github.com/quorate/quorate/bench/internal/loop"
)

func measureHTTP(ctx context.Context, c *cluster.Cluster, w work, p pace, m *meter) (figure, error) {
	leader, err := c.Leader(ctx)
	if err != nil {
		return figure{}, err
	}
	return measureLoop(ctx, w, p, m, func(int) (loop.Call, func(), error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", leader.HTTP)
		if err != nil {
			return nil, nil, err
		}
		// A call that hangs ends with the run.
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		return newPoster(conn).post, func() { stop(); conn.Close() }, nil
	})
}

// measureLoop has a loop of this program do a work.
func measureLoop(ctx context.Context, w work, p pace, m *meter, open func(caller int) (loop.Call, func(), error)) (figure, error) {
	result, err := loop.Run(ctx, loop.Plan{
		Callers: w.callers, Warmup: p.warmup, Duration: p.duration,
		Open: open, Began: m.open, Ended: m.shut,
	})
	if err != nil {
		return figure{}, err
	}
	return of(result), result.Err()
}

// poster sends one request again and again, with another key each time.
type poster struct {
	conn    io.ReadWriter
	answers *bufio.Reader
	request []byte
	digits  []byte // the part of request which is the key's number
}

func newPoster(conn io.ReadWriter) *poster {
	body := fmt.Sprintf(`{"key":%q,"value":%q}`, fmt.Sprintf(keyFormat, 0), value)
	request := fmt.Appendf(nil, "POST /put HTTP/1.1\r\nHost: quorate\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	zeros := bytes.Index(request, []byte("000000000000"))
	return &poster{conn: conn, answers: bufio.NewReader(conn), request: request, digits: request[zeros : zeros+12]}
}

// post sends the request and reads the answer as a whole.
func (p *poster) post(context.Context) error {
	number := rand.IntN(keyCount)
	for i := len(p.digits) - 1; i >= 0; i-- {
		p.digits[i] = byte('0' + number%10)
		number /= 10
	}
	if _, err := p.conn.Write(p.request); err != nil {
		return err
	}
	return p.read()
}

var (
	statusOK   = []byte("HTTP/1.1 200 ")
	lengthName = []byte("Content-Length: ")
)

// read reads an answer, which must be well and say how long it is, as those of
// Go's server do.
func (p *poster) read() error {
	status, err := p.answers.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(status, statusOK) {
		return fmt.Errorf("answered with %q", status)
	}
	length := -1
	for {
		line, err := p.answers.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= len("\r\n") {
			break
		}
		if digits, ok := bytes.CutPrefix(line, lengthName); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(digits))); err != nil {
				return fmt.Errorf("read the length of an answer: %w", err)
			}
		}
	}
	if length < 0 {
		return errors.New("an answer does not say how long it is")
	}
	_, err = p.answers.Discard(length)
	return err
}

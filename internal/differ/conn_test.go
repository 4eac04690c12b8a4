package differ

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/resp"
)

// answerMax is how long an answer may take. No command that is sent waits.
const answerMax = 10 * time.Second

// conn is a connection to one of the servers. It reads answers as the bytes
// that they are.
type conn struct {
	net.Conn
	from *bufio.Reader
}

func newConn(s server, number int) (*conn, error) {
	c, err := s.dial(number)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", s.name, err)
	}
	return &conn{Conn: c, from: bufio.NewReader(c)}, nil
}

// send writes calls in one piece.
func (c *conn) send(calls []call) error {
	var out []byte
	for _, call := range calls {
		if call.inline {
			out = append(out, strings.Join(call.args, " ")+"\r\n"...)
			continue
		}
		args := make([][]byte, len(call.args))
		for i, arg := range call.args {
			args[i] = []byte(arg)
		}
		out = resp.AppendCall(out, call.args[0], args[1:]...)
	}
	if err := c.SetDeadline(time.Now().Add(answerMax)); err != nil {
		return err
	}
	_, err := c.Write(out)
	return err
}

// reply reads the bytes of one reply.
func (c *conn) reply() ([]byte, error) { return readReply(nil, c.from) }

// readReply appends the bytes of one reply.
func readReply(dst []byte, from *bufio.Reader) ([]byte, error) {
	line, err := from.ReadBytes('\n')
	dst = append(dst, line...)
	if err != nil {
		return dst, err
	}
	switch line[0] {
	case '$', '=', '!':
		n, err := length(line)
		if err != nil || n < 0 {
			return dst, err
		}
		begin := len(dst)
		dst = append(dst, make([]byte, n+2)...)
		_, err = io.ReadFull(from, dst[begin:])
		return dst, err
	case '*', '~', '>', '%', '|':
		n, err := length(line)
		if line[0] == '%' || line[0] == '|' {
			n *= 2
		}
		if line[0] == '|' {
			n++ // and the value it is about
		}
		for ; n > 0 && err == nil; n-- {
			dst, err = readReply(dst, from)
		}
		return dst, err
	}
	return dst, nil
}

// length is the number on the first line of a reply.
func length(line []byte) (int, error) {
	return strconv.Atoi(string(bytes.TrimRight(line[1:], "\r\n")))
}

// elements is the replies within a reply that is an array, and false if it is
// none.
func elements(reply []byte) ([][]byte, bool) {
	if len(reply) == 0 || reply[0] != '*' {
		return nil, false
	}
	from := bufio.NewReader(bytes.NewReader(reply))
	line, err := from.ReadBytes('\n')
	if err != nil {
		return nil, false
	}
	n, err := length(line)
	if err != nil || n < 0 {
		return nil, false
	}
	list := make([][]byte, n)
	for i := range list {
		if list[i], err = readReply(nil, from); err != nil {
			return nil, false
		}
	}
	return list, true
}

// value is what a reply means.
func value(reply []byte) (resp.Value, error) {
	return resp.NewReplyReader(bytes.NewReader(reply), resp.DefaultReplyLimits()).Read()
}

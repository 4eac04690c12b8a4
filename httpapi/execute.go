package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/quorate/quorate"
)

// Limits of one request.
const (
	// bodyBytesMax bounds a body: arguments of 1 MiB in base64 are 1.33 MiB,
	// which leaves room for the names of the fields.
	bodyBytesMax = 3 << 19
	// bodyBytesSmall is the largest body that needs no place among
	// bodiesLargeMax. With connectionsMax, small bodies are at most 640 MiB.
	bodyBytesSmall = 64 << 10
	// bodiesLargeMax bounds the large bodies under way to 192 MiB. Others
	// wait for a place until their time is up.
	bodiesLargeMax = 128

	timeoutMin     = time.Millisecond
	timeoutMax     = time.Minute
	timeoutDefault = 5 * time.Second
	// staleMax bounds the age that a read tolerates. What may be older is
	// better asked of a backup.
	staleMax = time.Hour
)

const _ = uint(bodyBytesMax - quorate.ArgsBytesMax/3*4 - 64<<10) // base64 of the largest arguments fits a body

// Headers of a request.
const (
	timeoutHeader = "Quorate-Timeout"
	idHeader      = "Idempotency-Key"
)

// executeNamed runs the operation that the path names in any case.
func (s *Server) executeNamed(c *gin.Context) {
	op, ok := s.lookup(c.Param("name"))
	if !ok {
		s.noMethod(c)
		return
	}
	s.execute(c, op)
}

// lookup finds an operation by its name in any case.
func (s *Server) lookup(name string) (*quorate.Operation, bool) {
	return quorate.Engine().Lookup(s.config.Service, quorate.Call{Name: strings.ToUpper(name)})
}

// execute answers one request for an operation.
func (s *Server) execute(c *gin.Context, op *quorate.Operation) {
	call, reply, err := s.run(c, op)
	if err == nil {
		err = reply.Err
	}
	if err != nil {
		s.fail(c, op, err)
		return
	}
	s.succeed(c, reply, call.Read > 0)
}

// run makes a call of a request and runs it.
func (s *Server) run(c *gin.Context, op *quorate.Operation) (call quorate.Call, reply quorate.Reply, err error) {
	call.Name = op.Name()
	timeout, err := readSettings(c.Request, op, &call)
	if err != nil {
		return call, reply, err
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), timeout)
	defer cancel()
	if length := c.Request.ContentLength; length < 0 || length > bodyBytesSmall {
		select {
		case s.large <- struct{}{}:
			defer func() { <-s.large }()
		case <-ctx.Done():
			return call, reply, quorate.Errorf(quorate.Overloaded, "%d large bodies are under way, which is the limit", bodiesLargeMax)
		}
	}
	if call.Args, err = s.readArgs(c, op); err != nil {
		return call, reply, err
	}
	replies := s.config.Executor.Execute(ctx, []quorate.Call{call})
	if len(replies) != 1 {
		return call, reply, fmt.Errorf("the executor gave %d replies to one call", len(replies))
	}
	return call, replies[0], nil
}

// readArgs makes arguments of the body.
func (s *Server) readArgs(c *gin.Context, op *quorate.Operation) ([][]byte, error) {
	if encoding := c.Request.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, quorate.Errorf(quorate.Invalid, "the body has the encoding %.64q: send it without one", encoding)
	}
	if c.Request.ContentLength > bodyBytesMax {
		return nil, bodyTooLarge()
	}
	body := s.buffer()
	defer s.release(body)
	if _, err := body.ReadFrom(c.Request.Body); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, bodyTooLarge()
		}
		return nil, quorate.Errorf(quorate.Invalid, "the body did not arrive in full: %v", err)
	}
	return quorate.Engine().ArgsFromJSON(op, body.Bytes())
}

func bodyTooLarge() error {
	return quorate.Errorf(quorate.TooLarge, "the body is over the limit of %d bytes", bodyBytesMax)
}

// readSettings reads what a request says beside its body: the id and the
// consistency into call, and how long it may take.
func readSettings(r *http.Request, op *quorate.Operation, call *quorate.Call) (timeout time.Duration, err error) {
	id, err := readID(r.Header)
	if err != nil {
		return 0, err
	}
	if op.Writes() {
		call.ID = id // a query has no effect that could be there twice
	}
	if call.Read, err = readStale(r.URL, op); err != nil {
		return 0, err
	}
	return readTimeout(r.Header)
}

// readTimeout is how long the call may take.
func readTimeout(h http.Header) (time.Duration, error) {
	text, ok, err := single(h, timeoutHeader)
	if !ok || err != nil {
		return timeoutDefault, err
	}
	timeout, ok := parseDuration(text)
	if !ok || timeout < timeoutMin || timeout > timeoutMax {
		return 0, quorate.Errorf(quorate.Invalid,
			"header %s is %.40q, not a duration from %v to %v such as 500ms", timeoutHeader, text, timeoutMin, timeoutMax)
	}
	return timeout, nil
}

// readID is the id of the call, if it has one.
func readID(h http.Header) (quorate.CallID, error) {
	id, ok, err := single(h, idHeader)
	if err == nil && ok && (id == "" || len(id) > quorate.CallIDBytesMax) {
		err = quorate.Errorf(quorate.Invalid, "header %s has %d bytes, not 1 to %d", idHeader, len(id), quorate.CallIDBytesMax)
	}
	return quorate.CallID(id), err
}

// readStale is the age that a read tolerates, from the query of the address.
func readStale(address *url.URL, op *quorate.Operation) (time.Duration, error) {
	text, ok, err := parameter(address, "stale")
	if !ok || err != nil {
		return 0, err
	}
	if op.Writes() {
		return 0, quorate.Errorf(quorate.Invalid, "%s is a command: only a query can have the parameter stale", op.Name())
	}
	age, ok := parseDuration(text)
	if !ok || age <= 0 || age > staleMax {
		return 0, quorate.Errorf(quorate.Invalid,
			"parameter stale is %.40q, not a duration over 0 and up to %v such as 500ms", text, staleMax)
	}
	return time.Duration(age), nil
}

// parseDuration reads a Go duration or plain milliseconds.
func parseDuration(text string) (time.Duration, bool) {
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		return time.Duration(n) * time.Millisecond, true
	}
	d, err := time.ParseDuration(text)
	return d, err == nil
}

// single is a header that may stand once.
func single(h http.Header, name string) (value string, ok bool, err error) {
	values := h[name]
	if len(values) == 0 {
		return "", false, nil
	}
	if len(values) > 1 {
		return "", false, quorate.Errorf(quorate.Invalid, "header %s stands %d times", name, len(values))
	}
	return values[0], true, nil
}

// parameter is the one parameter that the query of an address may have.
func parameter(address *url.URL, known string) (value string, ok bool, err error) {
	if address.RawQuery == "" {
		return "", false, nil
	}
	given, err := url.ParseQuery(address.RawQuery)
	if err != nil {
		return "", false, quorate.Errorf(quorate.Invalid, "the parameters behind the ? are not well formed")
	}
	values := given[known]
	switch {
	case len(values) != 1 || len(given) != 1:
		return "", false, quorate.Errorf(quorate.Invalid, "the only parameter behind the ? is %s, once", known)
	default:
		return values[0], true, nil
	}
}

// buffer is an empty buffer, to be released.
func (s *Server) buffer() *bytes.Buffer { return s.buffers.Get().(*bytes.Buffer) }

// release keeps a buffer for the next request unless it has grown large:
// few do, and each would stay large for ever.
func (s *Server) release(b *bytes.Buffer) {
	if b.Cap() <= bodyBytesSmall {
		b.Reset()
		s.buffers.Put(b)
	}
}

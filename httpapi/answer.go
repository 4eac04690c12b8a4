package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/values"
)

// statusOf is the one place that translates a code to a status of HTTP. A
// code that is not of the language is one of a user's own command: the state
// did not allow what the call asked for.
func statusOf(code quorate.Code) int {
	switch code {
	case quorate.Invalid:
		return http.StatusBadRequest
	case quorate.TooLarge:
		return http.StatusRequestEntityTooLarge
	case quorate.UnknownOperation, quorate.NotFound:
		return http.StatusNotFound
	case quorate.IDReused:
		return http.StatusUnprocessableEntity
	case quorate.Unavailable, quorate.Overloaded, quorate.TooOld:
		return http.StatusServiceUnavailable
	case quorate.Internal, quorate.Panicked:
		return http.StatusInternalServerError
	}
	return http.StatusConflict
}

// The codes of failures that only this door knows. They never come from an
// Executor, so that they are not in the table.
const (
	methodNotAllowed quorate.Code = "method_not_allowed"
	foreignOrigin    quorate.Code = "foreign_origin"
)

// failure is the answer to a request that came to nothing.
type failure struct {
	status int
	err    quorate.Error
	// effect says that the request might have had one, and the answer must
	// say whether it had.
	effect bool
}

// failed is the failure of a request for op, which is nil if it was for
// something else.
func (s *Server) failed(op *quorate.Operation, err error) failure {
	e, ok := errors.AsType[*quorate.Error](err)
	if !ok {
		s.config.Log.Error("answer without a code", "err", err)
		e = &quorate.Error{Code: quorate.Internal, Outcome: quorate.Unknown, Message: "the node is at fault; its log says why"}
	}
	f := failure{status: statusOf(e.Code), err: *e, effect: true}
	if op == nil || !op.Writes() {
		f.err.Outcome = quorate.NotApplied // a query changes nothing, however it ends
		f.effect = f.status == http.StatusServiceUnavailable
	}
	return f
}

// append writes the failure as JSON.
func (f *failure) append(dst []byte) ([]byte, error) {
	dst = appendString(append(dst, `{"error":`...), f.err.Error())
	dst = appendString(append(dst, `,"code":`...), string(f.err.Code))
	if f.err.Field != "" {
		dst = appendString(append(dst, `,"field":`...), f.err.Field)
	}
	if f.effect {
		dst = appendString(append(dst, `,"outcome":`...), f.err.Outcome.String())
	}
	if f.err.Code == quorate.Conflict || f.err.Value.Kind() != values.KindNone {
		var err error
		if dst, err = f.err.Value.AppendJSON(append(dst, `,"value":`...)); err != nil {
			return nil, err
		}
	}
	if f.err.Leader != "" {
		dst = appendString(append(dst, `,"leader":`...), f.err.Leader)
	}
	return append(dst, "}\n"...), nil
}

// appendString appends text as a JSON string, whatever bytes it has.
func appendString(dst []byte, text string) []byte {
	quoted, err := values.Bytes(strings.ToValidUTF8(text, "\uFFFD")).AppendJSON(dst)
	if err != nil { // there is no such text
		return append(dst, `""`...)
	}
	return quoted
}

// appendReply writes a reply without an error as JSON. The age goes with a
// read that tolerates one.
func appendReply(dst []byte, reply quorate.Reply, aged bool) ([]byte, error) {
	dst, err := reply.Value.AppendJSON(append(dst, `{"value":`...))
	if err != nil {
		return nil, err
	}
	dst = strconv.AppendUint(append(dst, `,"index":`...), reply.Index, 10)
	if aged {
		dst = appendString(append(dst, `,"age":`...), reply.Age.Round(ageUnit).String())
	}
	return append(dst, "}\n"...), nil
}

// ageUnit is how finely the age of an answer is told.
const ageUnit = time.Microsecond

// succeed answers with the value of a reply.
func (s *Server) succeed(c *gin.Context, reply quorate.Reply, aged bool) {
	answer := s.buffer()
	defer s.release(answer)
	body, err := appendReply(answer.AvailableBuffer(), reply, aged)
	if err != nil {
		panic(fmt.Errorf("write a value as JSON: %w", err))
	}
	answer.Write(body) // so that what body has grown to is kept
	send(c.Writer, http.StatusOK, body)
}

// fail answers with the error of a request for op, or for something else if
// op is nil.
func (s *Server) fail(c *gin.Context, op *quorate.Operation, err error) {
	f := s.failed(op, err)
	if f.err.Code == quorate.Overloaded {
		c.Header("Retry-After", "1")
	}
	s.sendFailure(c.Writer, f)
}

func (s *Server) sendFailure(w http.ResponseWriter, f failure) {
	body, err := f.append(nil)
	if err != nil {
		panic(fmt.Errorf("write an error as JSON: %w", err))
	}
	send(w, f.status, body)
}

// sendJSON answers with what encoding/json makes of v.
func sendJSON(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Errorf("write an answer as JSON: %w", err))
	}
	send(w, http.StatusOK, append(body, '\n'))
}

// send answers with a body of JSON.
func send(w http.ResponseWriter, status int, body []byte) {
	// One piece of memory for both, and under the names that Set would give them.
	values := &[2]string{"application/json", strconv.Itoa(len(body))}
	h := w.Header()
	h["Content-Type"], h["Content-Length"] = values[0:1:1], values[1:2:2]
	w.WriteHeader(status)
	_, _ = w.Write(body) // if it fails the client is gone
}

// noRoute answers a request for what there is not.
func (s *Server) noRoute(c *gin.Context) {
	s.fail(c, nil, quorate.Errorf(quorate.UnknownOperation, "there is no %.16s %.64q: %s",
		c.Request.Method, c.Request.URL.Path, s.routes))
}

// noMethod answers a request for what there is with another method.
func (s *Server) noMethod(c *gin.Context) {
	path := c.Request.URL.Path
	name, named := strings.CutPrefix(path, "/v1/")
	if _, known := s.lookup(name); named && !known {
		// The route is there for any name, but nothing of this one is.
		if path != operationsPath && (path != statusPath || s.config.Status == nil) {
			c.Writer.Header().Del("Allow")
			s.noRoute(c)
			return
		}
		c.Header("Allow", "GET, HEAD")
	}
	s.sendFailure(c.Writer, failure{
		status: http.StatusMethodNotAllowed,
		err: quorate.Error{Code: methodNotAllowed, Message: fmt.Sprintf("%.64q is not for %.16s: use %s",
			path, c.Request.Method, c.Writer.Header().Get("Allow"))},
	})
}

// refuseForeign answers a request that a browser sends on behalf of another
// site.
func (s *Server) refuseForeign(w http.ResponseWriter, r *http.Request) {
	s.sendFailure(w, failure{
		status: http.StatusForbidden,
		err: quorate.Error{Code: foreignOrigin, Message: "a page of another site may not call this one: " +
			"the headers Origin and Sec-Fetch-Site say that it does"},
	})
}

// recovered turns a panic of a handler into an answer. What had happened
// before it is not known.
func (s *Server) recovered(c *gin.Context) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p == http.ErrAbortHandler {
			panic(p)
		}
		s.config.Log.Error("panic while answering", "path", c.Request.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		if c.Writer.Written() {
			panic(http.ErrAbortHandler) // the client must not take half an answer for a whole one
		}
		s.sendFailure(c.Writer, failure{
			status: http.StatusInternalServerError,
			err:    quorate.Error{Code: quorate.Internal, Outcome: quorate.Unknown, Message: "the node is at fault; its log says why"},
			effect: true,
		})
	}()
	c.Next()
}

// harden bounds the body of each request and keeps browsers from guessing what
// an answer is and proxies from keeping it.
func (s *Server) harden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := &hardened{
			headers: [2]string{"nosniff", "no-store"},
			request: *r,
			body:    arrival{http.MaxBytesReader(w, r.Body, bodyBytesMax), &s.drain, r},
		}
		// Under the names that Set would give them.
		w.Header()["X-Content-Type-Options"] = h.headers[0:1:1]
		w.Header()["Cache-Control"] = h.headers[1:2:2]
		h.request.Body = &h.body
		if r.ContentLength == 0 {
			s.drain.arrived(r)
		}
		next.ServeHTTP(w, &h.request)
	})
}

// hardened is what harden makes for one request, in one piece of memory.
type hardened struct {
	headers [2]string
	// request is a copy: the server looks at the body of its own request to see
	// whether the client still waits to be told to send it, and would read all of
	// it before a refusal goes out.
	request http.Request
	body    arrival
}

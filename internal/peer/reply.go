package peer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
)

// replyTo returns the function that answers the call with the id. Only its
// first use counts.
func (s *served) replyTo(id uint64) func(body []byte, err error) {
	var replied atomic.Bool
	return func(body []byte, err error) {
		if !replied.CompareAndSwap(false, true) {
			return
		}
		<-s.unanswered
		// A connection that has ended takes no answers; its dialler knows.
		if err := s.answer(id, body, err); errors.Is(err, errFull) {
			s.end(fmt.Errorf("answers are not read: %w", err))
		}
	}
}

// answer queues the answer of a handler.
func (s *served) answer(id uint64, body []byte, err error) error {
	if s.ctx.Err() != nil {
		// The handler may have given up because its connection ends: that is no
		// answer, and must not leave before the connection is closed.
		return context.Cause(s.ctx)
	}
	if most := s.lane.bodyBytesMax(); err == nil && len(body) > most {
		err = fmt.Errorf("the answer has %d bytes, limit %d", len(body), most)
	}
	if err == nil {
		return s.wire.append(frame{id: id, form: formAnswer, body: body})
	}
	text := err.Error()
	return s.wire.append(frame{id: id, form: formFailure, body: []byte(text[:min(len(text), errorBytesMax)])})
}

// recovered turns the panic of a handler into the end of the connection. Its
// caller defers it.
func (s *served) recovered(kind Kind, err *error) {
	cause := recover()
	if cause == nil {
		return
	}
	s.port.config.Log.Error("peer port: a handler panicked", "kind", kind, "lane", s.lane.String(), "from", s.from.String(),
		"panic", cause, "stack", string(debug.Stack()))
	*err = fmt.Errorf("the handler of kind %d panicked: %v", kind, cause)
}

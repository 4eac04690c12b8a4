package quorate

import (
	"errors"
	"fmt"
)

// Code says to a machine what went wrong. A command may use codes of its own.
type Code string

// The codes that doors translate.
const (
	Invalid          Code = "invalid"           // the call is not well formed
	TooLarge         Code = "too_large"         // the call or what it writes is over a limit
	UnknownOperation Code = "unknown_operation" // the service has no such operation
	NotFound         Code = "not_found"         // there is nothing under this key
	Conflict         Code = "conflict"          // the state is not what the call expects
	WrongType        Code = "wrong_type"        // the state holds another kind of value
	Overflow         Code = "overflow"          // the result does not fit its type
	IDReused         Code = "id_reused"         // the call id belongs to another call
	Unavailable      Code = "unavailable"       // no leader or no majority in time
	Overloaded       Code = "overloaded"        // a queue is full; try later
	TooOld           Code = "too_old"           // the copy is older than the read tolerates
	Failed           Code = "failed"            // a command returned an error without a code
	Panicked         Code = "panicked"          // a command panicked; it left no trace
	Internal         Code = "internal"          // the node is at fault
)

// Outcome says whether a call that failed may have changed the state.
type Outcome uint8

// The two outcomes of a failed call. They are never given one for the other.
const (
	NotApplied Outcome = iota // surely: the call did not and will not change the state
	Unknown                   // all else: it may have taken effect, or may still do so
)

// String is the word that doors show: not_applied or unknown.
func (o Outcome) String() string {
	if o == NotApplied {
		return "not_applied"
	}
	return "unknown"
}

// Error is why a call failed, the only type of error in a Reply.
type Error struct {
	Code    Code
	Message string // a sentence for people
	Outcome Outcome
	Leader  string // peer address of the node that can serve the call, if another can
	Value   Value  // what the state holds instead, for instance in a Conflict
	Field   string // the argument that is wrong, as JSON names it, if the call was refused here

	// cause stays on this node: it is not replicated and not sent.
	cause error
}

// Errorf makes an error with a code. One that a command returns is its answer, whose text
// must be the same on every node.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// fieldBytesMax bounds the name of a field in an error, which may be one that a
// stranger made up: a longer one is not told.
const fieldBytesMax = 256

// errField makes the error of a call whose argument of this name is wrong.
func errField(name, format string, args ...any) *Error {
	if len(name) > fieldBytesMax {
		name = ""
	}
	return &Error{Code: Invalid, Message: fmt.Sprintf(format, args...), Field: name}
}

// inside says that what an error is about stands inside of something else, such
// as then[0].
func inside(path string, err *Error) *Error {
	if err.Field != "" {
		path += "." + err.Field
	}
	err.Field = path
	return err
}

// Error is the message, or the code where there is none.
func (e *Error) Error() string {
	if e.Message == "" {
		return string(e.Code)
	}
	return e.Message
}

// Unwrap is what caused the error on this node, such as a panic.
func (e *Error) Unwrap() error { return e.cause }

// Is makes errors.Is(err, &Error{Code: c}) true for every error of code c.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Message == "" && t.Code == e.Code
}

// CodeOf is the code of err: empty for nil, Internal if it carries none.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

// OutcomeUnknown says that a call which failed with err may have taken effect.
func OutcomeUnknown(err error) bool {
	if err == nil {
		return false
	}
	e, ok := errors.AsType[*Error](err)
	return !ok || e.Outcome != NotApplied
}

// result turns the error of a command into one that can be replicated.
func result(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		replicated := *e
		replicated.Outcome = NotApplied
		replicated.Field = "" // a remembered answer has none either
		if replicated.Code == "" {
			replicated.Code = Failed
		}
		return &replicated
	}
	return &Error{Code: Failed, Message: err.Error()}
}

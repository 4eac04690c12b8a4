// Package quorate makes a Go struct with one method a replicated, durable,
// linearizable operation.
//
// It is the language in which a service is written and called, and nothing
// else: no network, no disk, no goroutine. There are few words in it:
//
//   - A Command changes the state. It is a struct whose exported fields are
//     its arguments and whose Apply method does the work inside a Tx.
//   - A Query reads the state through a View.
//   - A Service is a name and a list of commands and queries, made by Define.
//   - An Executor runs calls: a node in this process, or a client of one.
//     Do and Ask send one typed command or query through it.
//
// Commands run in the order of the replicated log, one after the other, on
// every node, and must come to the same result on each: all that a command
// may know of the world is its arguments and its Tx. A command that returns an
// error or panics leaves no trace in the state; its error is a result like any
// other.
package quorate

import (
	"context"
	"reflect"
	"time"
)

// Command is an operation that may change the state. Its exported fields are
// its arguments. Apply must be deterministic: no clock, no map order, no
// random numbers but Tx.Rand, no input or output.
type Command[R any] interface {
	// Apply does the work and returns the result. An error undoes every
	// write of this command and goes to the caller as the answer.
	Apply(tx *Tx) (R, error)
}

// Query is an operation that only reads. Its exported fields are its
// arguments.
type Query[R any] interface {
	// Read returns the result as of one moment of the state.
	Read(view *View) (R, error)
}

// Checker is what a command or query may add to be checked before it is
// replicated. Check sees the arguments only; its error goes to the caller as
// an invalid call and nothing reaches the log.
type Checker interface {
	Check() error
}

// CallID names one call for ever: a retry under the same id takes effect
// once. It is chosen by the caller, at most CallIDBytesMax bytes, and random
// enough never to be chosen twice.
//
// The answer is remembered for a window of log time, and the number of answers
// that are remembered is bounded. A caller who makes many calls makes a session
// of them, as SessionID describes, and says as it goes which are Settled.
type CallID string

// Consistency says how old the state that a read sees may be. Zero asks for
// a linearizable read: it sees every write acknowledged before it began.
type Consistency time.Duration

// Call is one operation on its way to the state.
type Call struct {
	// Name is the name under which the operation stands in its service.
	Name string
	// Args are the arguments by position, in the form that Operation
	// describes. A nil argument is one that was left out.
	Args [][]byte
	// ID, if not empty, makes the call take effect once.
	ID CallID
	// Settled, with an ID that belongs to a session, says that all calls of the
	// session with a number below it were answered and will not be sent again.
	// Their answers are forgotten, and what of them arrives late is refused.
	Settled uint64
	// Read is the age of the state that a read tolerates.
	Read Consistency

	// kind is the Go type of a command given to Do or Ask. A service that
	// knows the type uses it before the name.
	kind reflect.Type
}

// Reply is the answer to one Call.
type Reply struct {
	// Value is the result; of kind None if there was an error.
	Value Value
	// Index is where in the log the call took effect, or up to where the
	// state that was read reflects the log. Zero if it did not get there.
	Index uint64
	// Age is how old the state may be that a read saw which tolerates age:
	// it reflects all that was acknowledged this long before the answer.
	// Zero for all others.
	Age time.Duration
	// Err is nil, or an *Error.
	Err error
}

// Executor runs calls and answers each of them, reply i to call i. Calls of
// one slice take effect in their order; reads in a slice that also writes see
// the writes before them. Execute returns when all are answered or ctx ends.
//
// A slice is not a transaction: other calls may take effect in between, and
// some of its calls may fail while others succeed.
type Executor interface {
	Execute(ctx context.Context, calls []Call) []Reply
}

// Do runs a command and returns once a majority has stored it and it was
// applied. If OutcomeUnknown(err), the command may still take effect; a retry
// through Once is safe.
func Do[R any](ctx context.Context, on Executor, cmd Command[R]) (R, error) {
	return run[R](ctx, on, cmd)
}

// Ask runs a query. Unless on was made by Stale, the answer reflects every
// write that was acknowledged before Ask was called.
func Ask[R any](ctx context.Context, on Executor, q Query[R]) (R, error) {
	return run[R](ctx, on, q)
}

// run sends one typed operation through an executor and decodes its result.
func run[R any](ctx context.Context, on Executor, operation any) (R, error) {
	var result R
	call, err := NewCall(operation)
	if err != nil {
		return result, err
	}
	replies := on.Execute(ctx, []Call{call})
	if len(replies) != 1 {
		return result, &Error{Code: Internal, Outcome: Unknown, Message: "the executor did not answer"}
	}
	if replies[0].Err != nil {
		return result, replies[0].Err
	}
	err = replies[0].Value.Into(&result)
	return result, err
}

// NewCall makes the call of a command or query. Its name is that of the Go
// type in upper case; a service that knows the type by another name finds it
// all the same.
func NewCall(operation any) (Call, error) {
	if txn, ok := operation.(Txn); ok {
		return txn.call()
	}
	value := reflect.ValueOf(operation)
	for value.Kind() == reflect.Pointer && !value.IsNil() {
		value = value.Elem()
	}
	if value.Kind() != reflect.Struct {
		return Call{}, Errorf(Invalid, "a command or query is a struct, not %T", operation)
	}
	shape, err := shapeOf(value.Type())
	if err != nil {
		return Call{}, Errorf(Invalid, "%v", err)
	}
	args, err := shape.args(value)
	if err != nil {
		return Call{}, err
	}
	return Call{Name: shape.name, Args: args, kind: value.Type()}, nil
}

// Once gives the calls that go through it an id: retries under id take effect
// once, and each gets the first answer. A slice of several calls gets the ids
// id/0, id/1 and so on. An empty id changes nothing.
func Once(on Executor, id CallID) Executor { return once{on, id} }

// Stale lets queries that go through it be answered from the nearest copy if
// that is at most atMost old, which needs no round to other nodes most of the
// time. If the copy is older and news cannot be had at once, they fail with
// TooOld. Reply.Age says how old it was.
func Stale(on Executor, atMost time.Duration) Executor {
	return stale{on, Consistency(max(atMost, 1))}
}

// CallIDBytesMax bounds a CallID: room for two UUIDs in text and a position.
const CallIDBytesMax = 96

// Package quorate makes a Go struct with one method a replicated, durable, linearizable
// operation. It is the language of services, without network, disk or goroutine.
//
//   - A Command changes the state: its fields are arguments, its Apply does the
//     work inside a Tx. A Query reads the state through a View.
//   - A Service is a name and a list of commands and queries, made by Define.
//   - An Executor runs calls: a node in this process, or a client of one.
//     Do and Ask send one typed command or query through it.
//
// Commands run in the order of the replicated log, one after the other, on every
// node, and must come to the same result on each. One that returns an error or
// panics leaves no trace in the state; its error is a result like any other.
package quorate

import (
	"context"
	"reflect"
	"time"
)

// Command is an operation that may change the state, with exported fields as its
// arguments. Apply is deterministic: it goes by these and tx, and nothing else.
type Command[R any] interface {
	Apply(tx *Tx) (R, error) // an error undoes what was written, and is the answer
}

// Query is an operation that only reads. Its exported fields are arguments.
type Query[R any] interface {
	Read(view *View) (R, error)
}

// Checker is what a command or query implements to refuse arguments early:
// before they are replicated. An error without a code is Invalid.
type Checker interface {
	Check() error
}

// CallID names one call for ever, random enough never to be chosen twice: a retry under
// it takes effect once. Answers are remembered for an hour of log time, a million of them.
type CallID string

// Call is one operation on its way to the state.
type Call struct {
	Name    string        // under which the operation stands in its service
	Args    [][]byte      // by position, as NewCall makes them; nil is one that was left out
	ID      CallID        // if not empty, the call takes effect once
	Read    time.Duration // the age of the state that a read tolerates
	Settled uint64        // below which number the calls of the session of ID were answered

	// kind is the Go type of a command given to Do or Ask. A service that
	// knows the type uses it before the name.
	kind reflect.Type
}

// Reply is the answer to one Call.
type Reply struct {
	Value Value         // the result; of kind None if there was an error
	Index uint64        // where in the log it took effect, or where what was read stands; 0: neither
	Age   time.Duration // how old the state may be that a read saw which tolerates age
	Err   error         // nil, or an *Error
}

// Executor runs calls and answers each of them, reply i to call i, until ctx ends.
// Calls of one slice take effect in their order, and reads in it see the writes
// before them. It is no transaction: others may come in between, and some fail.
type Executor interface {
	Execute(ctx context.Context, calls []Call) []Reply
}

// Do runs a command and returns once a majority has stored it and it was applied. If
// OutcomeUnknown(err), it may still take effect; a retry through Once is safe.
func Do[R any](ctx context.Context, on Executor, cmd Command[R]) (R, error) {
	return run[R](ctx, on, cmd)
}

// Ask runs a query. It sees all that was acknowledged before; see Stale.
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

// NewCall makes the call of a command or query, by its Go type: a service finds it under
// whatever name.
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

// Once gives calls an id: retries take effect once, and each gets the first answer.
// Several calls of a slice get id/0, id/1 and so on. An empty id changes nothing.
func Once(on Executor, id CallID) Executor { return once{on, id} }

// Stale lets queries be answered from the nearest copy if that is at most atMost old,
// or can be at once; else they fail with TooOld. Reply.Age says how old it was.
func Stale(on Executor, atMost time.Duration) Executor {
	return stale{on, max(atMost, 1)}
}

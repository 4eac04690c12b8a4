// Package engine is what the rooms that run a service need of the language, and
// those who write one do not: the state behind a Tx, where in the log a command
// runs, and the inside of a Service.
//
// It keeps one rule: it decides nothing. Package quorate, which this package cannot
// name because it is imported there, fills in the functions of an Access and hands
// it out as quorate.Engine.
package engine

import (
	"encoding/json"
	"iter"
	"reflect"
	"time"
)

// PositionMax is more than any Position.
const PositionMax = 1 << 16

// ResultsBytesMax bounds what the commands and queries come to that one command
// runs inside of itself, all together: a node can pass it on.
const ResultsBytesMax = 12 << 20

// ReadState is an ordered space of keys as a query sees it. What it returns
// must not be modified and stays valid.
type ReadState interface {
	// Get is the value under key, and whether there is one.
	Get(key []byte) (value []byte, found bool)
	// Scan yields keys and values in order from start, up to but without
	// end. A nil end is the end of the space.
	Scan(start, end []byte) iter.Seq2[[]byte, []byte]
	// End is when what is under key ends; zero if it stays for good or if
	// nothing is there.
	End(key []byte) time.Time
}

// State is an ordered space of keys that can be written. It keeps the slices
// that are given to Set.
//
// A scan shows the newest value of a key that is written while it runs, and
// does not show a key that was added while it runs, nor one that was deleted
// and added again.
type State interface {
	ReadState
	// Set stores a value that stays for good.
	Set(key, value []byte)
	// Replace stores a value that ends when the one before it would have.
	Replace(key, value []byte)
	// SetEnd says when what is under key ends; zero if it is to stay for good.
	// There is something under key.
	SetEnd(key []byte, end time.Time)
	// Delete removes a key and its end.
	Delete(key []byte)
	// Save returns what takes back all that was written since. Of several that
	// are open, only the newest is called.
	Save() (restore func())
}

// Moment is where in the log a command or query runs.
type Moment struct {
	Index    uint64    // of the log entry, or of the last one the state reflects
	Position int       // of the call in its entry, below PositionMax
	Time     time.Time // log time: stamped by the leader, it never goes back
	Seed     uint64    // for Rand
	// Due is a time before which nothing in the state ends; zero if nothing
	// in it ends.
	Due time.Time
	// Clock is what log time would be if an entry were stamped now. A query
	// must not show what has ended by then. Zero for commands.
	Clock time.Time
	// Visits is how many keys scans may yet show, and counts down; nil if that
	// is not bounded. Several calls can share it.
	Visits *int
}

// Argument is one argument of an operation, as a person is told of it.
type Argument[Value any] struct {
	Name     string       // in JSON
	Type     reflect.Type // of the value, or of each one of a List
	Optional bool         // it may be left out
	List     bool         // it takes all arguments that remain
	Default  Value        // what it is where it is left out; None if nothing
	Doc      string       // the tag of its field
}

// Access is the inside of the language. Its parameters are the types of these
// names in package quorate.
type Access[Service, Operation, Call, Value, Tx, View any] struct {
	// Check says why a call may not go to the log, or nil. It returns the
	// operation too.
	Check func(*Service, Call) (*Operation, error)
	// Lookup finds the operation of a call: by its type if Do or Ask made it, and
	// else by its name.
	Lookup func(*Service, Call) (*Operation, bool)

	// ArgsFromJSON makes arguments from a JSON object whose fields are those of
	// the operation. Its errors are of code Invalid and name the field.
	ArgsFromJSON func(o *Operation, body []byte) ([][]byte, error)
	// ArgsFromText makes arguments from what a person typed, by position, where
	// nil is one that was left out. Text that reads as an integer is one where the
	// argument may be either. Its errors are of code Invalid and name the argument.
	ArgsFromText func(o *Operation, text [][]byte) ([][]byte, error)
	// Usage lists the arguments, as an error shows them.
	Usage func(*Operation) string
	// Arguments is the arguments in their order. TXN has none of this form.
	Arguments func(*Operation) []Argument[Value]
	// Schema is the JSON Schema, of the edition 2020-12, of the arguments that
	// ArgsFromJSON takes and of the result as JSON shows it. A type of an argument
	// that reads JSON in its own way has a method JSONSchema() string for it.
	Schema func(*Operation) (arguments, result json.RawMessage)
	// Newer says that a call in the log needs a newer program: it has more
	// arguments than this one knows. Such a call must stop a node, for it cannot
	// know what the others make of it.
	Newer func(o *Operation, args [][]byte) bool

	// Apply runs a command on the state behind tx. The caller drops what it wrote
	// if there is an error. A panic of the command is an error of code Panicked,
	// whose cause is the panic with its stack.
	Apply func(o *Operation, tx *Tx, args [][]byte) (Value, error)
	// Read runs a query on view. Errors are as for Apply.
	Read func(o *Operation, view *View, args [][]byte) (Value, error)
	// ResetTx makes tx, which may be the zero one, the transaction of a command, in
	// the memory of one that was answered.
	ResetTx func(tx *Tx, state State, at Moment)
	// ResetView makes view, which may be the zero one, the view of a query, in the
	// memory of one that was answered.
	ResetView func(view *View, state ReadState, at Moment)
	// Room is an empty slice for size bytes, in which a key or a value of the state
	// can be put together. It is nobody else's, as if made, and costs less: many
	// come out of one piece of memory.
	Room func(view *View, size int) []byte
	// Overdue says that the query met a key whose end has come by the clock of the
	// leader, but not yet by log time. What it found must not be shown: another
	// leader, whose clock is slower, could show the key again after it was seen to
	// be gone. It is to be run again once log time is there.
	Overdue func(*View) bool
}

// NewTx makes the transaction of a command.
func (a *Access[Service, Operation, Call, Value, Tx, View]) NewTx(state State, at Moment) *Tx {
	tx := new(Tx)
	a.ResetTx(tx, state, at)
	return tx
}

// NewView makes the view of a query.
func (a *Access[Service, Operation, Call, Value, Tx, View]) NewView(state ReadState, at Moment) *View {
	view := new(View)
	a.ResetView(view, state, at)
	return view
}

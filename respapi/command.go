package respapi

import (
	"context"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/resp"
)

// Table is the Redis commands that a service has beside its operations. What
// stands in it comes before an operation of the same name. The zero Table has
// none: the operations of the service are callable by their names all the same.
type Table struct {
	Commands []Command
	// Watch is a query whose result changes whenever what is under a key does:
	// WATCH asks it, and EXEC makes it a condition. Without it there is no WATCH.
	Watch func(key []byte) quorate.Call
	// Keys counts the keys for INFO. Without it INFO has no keyspace.
	Keys func(ctx context.Context, on quorate.Executor) (keys, expiring int64, err error)
}

// Command is how one Redis command is a call of the service.
type Command struct {
	// Name is in upper case.
	Name string
	// Docs is what COMMAND tells of it.
	Docs Docs
	// Call makes the call that the arguments, without the name, stand for. Their
	// number was checked against the arity in Docs. An error that is a Refusal is
	// answered as it is. The arguments must not be modified; the call may keep
	// them.
	Call func(args [][]byte) (quorate.Call, error)
	// Reply makes the answer of what the call came to. An error that it does not
	// know is made an answer by Failure.
	Reply func(args [][]byte, reply quorate.Reply) resp.Value
	// Run, if there is one, answers a command that is not one call, and is used
	// instead of Call and Reply outside of MULTI. A command without Call cannot
	// be queued in MULTI.
	Run func(ctx context.Context, on quorate.Executor, args [][]byte) resp.Value
}

// Refusal is an error as Redis words it: a prefix such as ERR, and a text.
type Refusal struct{ Prefix, Text string }

// Error is the line that is answered, without the dash in front.
func (r *Refusal) Error() string { return r.Prefix + " " + r.Text }

// Docs is what Redis tells of a command.
type Docs struct {
	// Info is the element of COMMAND INFO, an array: name, arity, flags, place
	// of the keys, and so on.
	Info resp.Value
	// Text is the map that COMMAND DOCS has under the name.
	Text resp.Value
}

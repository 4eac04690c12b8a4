// Package respapi is the Redis door of a service: the protocol of Redis in both
// versions, calls to an Executor, and the commands that are about the connection
// and the server.
//
// It keeps two rules. What a client sends goes down as one Execute for as many
// calls as stand behind each other in its pipeline and tolerate the same age, and
// their answers come back in one write. And what this server does not do it
// refuses with a sentence: there is no list, no script and no channel that seems
// to be there.
//
//	GET hits                        a command of the Table
//	TAKE queue                      an operation of the service, by its name
//	ONCE 7f3a INCRBY hits 5         retries under this id take effect once
//	STALE 500 GET hits              the answer may be 500 ms old
//	WATCH … MULTI … EXEC            one transaction, one call in the log
//	PING CLIENT CONFIG INFO …       the connection and the server
//	QUORATE STATUS                  how the node sees itself, as JSON
//	QUORATE EXECUTE <ms> <calls>    calls of any kind in the bytes of package
//	                                entry, answered the same way
//
// A name is looked for in this order: commands of this package, of the Table,
// operations of the service. An error begins with a word for programs. Beside
// those of Redis there are four, and the last is the only one behind which the
// call may have taken effect:
//
//	TRYAGAIN  nothing was done, and the same may work in a moment
//	STALE     the copy is older than the read tolerates
//	IDREUSED  the id belongs to another call
//	UNKNOWN   nobody knows: a retry is safe only behind ONCE
//
// In a transaction ONCE stands before EXEC, and not together with WATCH: a
// retry would find the keys changed by what it retries. Commands about the
// connection and the server are answered in their place when EXEC has run the
// others; QUORATE EXECUTE, STALE, and commands that are more than one call
// cannot be queued.
//
// Two things are not as in Redis on purpose. WAIT does not wait: a write is
// answered when a majority has it, so the answer is how many others that are.
// And a client that sends on without ever reading its answers is not waited for
// for ever, nor kept in memory: its connection is closed.
package respapi

import (
	"context"
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/quorate/quorate"
)

// Config says what a Server serves. Service and Executor are required.
type Config struct {
	// Service is whose operations can be called by their names.
	Service *quorate.Service
	// Executor runs the calls. It checks arguments and remembers ids.
	Executor quorate.Executor
	// Table is the Redis commands of the service.
	Table Table
	// TLS, if not nil, makes each connection one of TLS.
	TLS *tls.Config
	// Password, if not empty, is what clients must know, as user default.
	Password string
	// MaxClients bounds the connections that are open. Default: 10,000.
	MaxClients int
	// Timeout bounds how long a call may take. Default: 5 s.
	Timeout time.Duration
	// IdleTimeout is how long a client may say nothing. Default: for ever.
	IdleTimeout time.Duration
	// Status is what QUORATE STATUS and INFO tell of the node; it becomes a
	// JSON object. Without it they tell nothing.
	Status func(context.Context) any
	// Voters counts the nodes of which a majority stores each write. Default: 1.
	Voters func() int
	// Version is that of the program.
	Version string
	// Log gets a line for what is the fault of this process, and at debug
	// level for clients that misbehave. Default: nothing.
	Log *slog.Logger
}

// Limits of one connection, and of all. What a client may send at once is
// bounded in package resp.
const (
	// clientsMax is the default of Config.MaxClients. One that is silent
	// costs about 7 KiB, 70 MiB in all, and one of TLS as much as its last
	// messages were long.
	clientsMax = 10_000
	// timeoutDefault is that of Config.Timeout, as at the other doors.
	timeoutDefault = 5 * time.Second
	// timeoutMax bounds what QUORATE EXECUTE may ask for.
	timeoutMax = time.Minute

	// handshakeTimeout bounds the greeting of TLS.
	handshakeTimeout = 10 * time.Second
	// arrivalTimeout bounds a call from its first byte to its last: the largest,
	// of 8 MiB, needs 2.2 Mbit/s.
	arrivalTimeout = 30 * time.Second
	// writeTimeout bounds how long a client lets its answers lie. A connection
	// over which nothing has gone for half of it may be closed.
	writeTimeout = 30 * time.Second
	// idleGrace is how long a silent connection keeps its buffers.
	idleGrace = time.Second

	// outputBytesMax is how many bytes of answers wait before they are written
	// although the pipeline goes on. One more answer fits behind.
	outputBytesMax = 1 << 20
	// frameBytesMax bounds the calls of QUORATE EXECUTE: arguments of 1 MiB in a
	// call beside others, and what is around them.
	frameBytesMax = 2 << 20
)

const _ = uint(frameBytesMax - quorate.ArgsBytesMax - quorate.ArgsMax*8) // the largest call fits a frame

// withDefaults fills in what was left out.
func (config Config) withDefaults() Config {
	if config.MaxClients <= 0 {
		config.MaxClients = clientsMax
	}
	if config.Timeout <= 0 {
		config.Timeout = timeoutDefault
	}
	if config.Voters == nil {
		config.Voters = func() int { return 1 }
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	return config
}

package respapi

import (
	"context"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/invariant"
	"github.com/quorate/quorate/internal/resp"
)

// Limits of one transaction.
const (
	// queueBytesMax bounds the arguments that wait between MULTI and EXEC. More
	// do not fit into one call.
	queueBytesMax = quorate.ArgsBytesMax
	// queueCallsMax bounds the commands: in the log each has its name and the
	// number of its arguments beside them.
	queueCallsMax = quorate.ArgsMax / 4
	// queueArgsMax bounds the arguments of all, the names counted, because one
	// that is empty costs memory too: in the log each stands beside the name and
	// the number of those of its command, so fewer than these fit into one call.
	queueArgsMax = 2 * quorate.ArgsMax
	// watchedMax bounds the keys of WATCH: of 4 KiB each they are 4 MiB.
	watchedMax = 1024
)

// What waits costs memory beside its bytes.
const (
	// argumentBytes is the header of a slice.
	argumentBytes = 24
	// commandBytes is a queued, with room for as many again, and what two
	// allocations of small size are rounded up by.
	commandBytes = 2*32 + 2*16
	// queueMemoryMax bounds all that waits, with an eighth for allocations of
	// large size.
	queueMemoryMax = 8 << 20
)

const _ = uint(queueMemoryMax*8/9 - queueBytesMax - queueArgsMax*argumentBytes - queueCallsMax*commandBytes)

// queue is the commands between MULTI and EXEC.
type queue struct {
	calls []queued
	// args and bytes are those of all calls.
	args   int
	bytes  int
	broken bool // EXEC answers that it runs nothing
}

// queued is one of them.
type queued struct {
	cmd  *command
	args [][]byte // with the names
}

// watch is a key and what was found under it.
type watch struct {
	key  string
	seen quorate.Condition
}

// transactionCommands are MULTI and what belongs to it.
func transactionCommands(config Config) map[string]*command {
	all := map[string]*command{
		"MULTI":   {own: multi, atOnce: true},
		"EXEC":    {own: func(c *conn, _ [][]byte) { c.exec("") }, atOnce: true},
		"DISCARD": {own: discard, atOnce: true},
	}
	if config.Table.Watch != nil {
		all["WATCH"] = &command{own: watchKeys, atOnce: true}
		all["UNWATCH"] = &command{own: func(c *conn, _ [][]byte) {
			c.forgetWatched()
			c.ok()
		}}
	}
	return all
}

func multi(c *conn, _ [][]byte) {
	if c.queue != nil {
		c.value(Failure(refusal("MULTI calls can not be nested")))
		return
	}
	c.queue = new(queue)
	c.noteTransaction()
	c.ok()
}

func discard(c *conn, _ [][]byte) {
	if c.queue == nil {
		c.value(Failure(refusal("DISCARD without MULTI")))
		return
	}
	c.endTransaction()
	c.ok()
}

// noteTransaction tells CLIENT LIST.
func (c *conn) noteTransaction() {
	queued := -1
	if c.queue != nil {
		queued = len(c.queue.calls)
	}
	c.label.transacts(queued, len(c.watched))
}

// endTransaction forgets all of MULTI and WATCH.
func (c *conn) endTransaction() {
	c.queue, c.watched = nil, nil
	c.noteTransaction()
}

func (c *conn) forgetWatched() {
	c.watched = nil
	c.noteTransaction()
}

// enqueue puts a command where it waits for EXEC.
func (c *conn) enqueue(cmd *command, args [][]byte) {
	q := c.queue
	q.args += len(args)
	for _, arg := range args {
		q.bytes += len(arg)
	}
	if q.bytes > queueBytesMax || q.args > queueArgsMax || len(q.calls) == queueCallsMax {
		q.broken, q.calls = true, nil
		c.value(Failure(refusal("the transaction is over the limit of %d bytes, %d arguments or %d commands", queueBytesMax, queueArgsMax, queueCallsMax)))
		return
	}
	if !q.broken {
		q.calls = append(q.calls, queued{cmd, keep(args)})
	}
	c.noteTransaction()
	c.simple("QUEUED")
}

// keep copies arguments, which share memory with all of their pipeline. One
// that is empty stays apart from one that was left out.
func keep(args [][]byte) [][]byte {
	size := 0
	for _, arg := range args {
		size += len(arg)
	}
	kept, bytes := make([][]byte, len(args)), make([]byte, 0, size)
	for i, arg := range args {
		begin := len(bytes)
		bytes = append(bytes, arg...)
		kept[i] = bytes[begin:len(bytes):len(bytes)]
	}
	return kept
}

// watchKeys answers WATCH: it asks what is under the keys now, and EXEC makes
// that a condition.
func watchKeys(c *conn, args [][]byte) {
	if c.queue != nil {
		c.value(Failure(refusal("WATCH inside MULTI is not allowed")))
		return
	}
	known := make(map[string]bool)
	for _, w := range c.watched {
		known[w.key] = true
	}
	var added []watch
	var calls []quorate.Call
	for _, key := range args[1:] {
		if known[string(key)] {
			continue // what was seen first counts
		}
		known[string(key)] = true
		call := c.server.config.Table.Watch([]byte(string(key)))
		calls = append(calls, call)
		added = append(added, watch{string(key), quorate.Condition{Call: call}})
	}
	if len(c.watched)+len(added) > watchedMax {
		c.value(Failure(refusal("more than %d keys cannot be watched", watchedMax)))
		return
	}
	for i, reply := range c.execute(calls) {
		if reply.Err != nil && !stands(quorate.CodeOf(reply.Err)) {
			c.value(Failure(ofQuery(reply.Err)))
			return
		}
		added[i].seen.Equals, added[i].seen.Fails = reply.Value, quorate.CodeOf(reply.Err)
	}
	c.watched = append(c.watched, added...)
	c.noteTransaction()
	c.ok()
}

// stands says that a code is about what is under a key, and stays the same as
// long as that does.
func stands(code quorate.Code) bool {
	switch code {
	case quorate.NotFound, quorate.WrongType, quorate.Conflict, quorate.Overflow, quorate.Failed:
		return true
	}
	return false
}

// exec answers EXEC: all that is queued is one call. What a command of its own
// is about is not in the log, and is answered when the call is over.
func (c *conn) exec(id quorate.CallID) {
	q, watched := c.queue, c.watched
	if q == nil {
		c.value(Failure(refusal("EXEC without MULTI")))
		return
	}
	c.endTransaction()
	switch {
	case q.broken:
		c.refuse("EXECABORT", "Transaction discarded because of previous errors.")
		return
	case id != "" && len(watched) > 0:
		// A retry finds the keys changed by what it retries, and would have to
		// ask for something else under the same id.
		c.value(Failure(refusal("ONCE and WATCH do not go together")))
		return
	}
	ones, txn := c.server.transaction(q.calls, watched)
	result, err := c.server.transact(txn, id)
	switch {
	case err != nil:
		c.value(Failure(err))
		return
	case !result.Held:
		c.value(resp.NullArrayValue())
		return
	}
	invariant.Must(len(result.Results) == len(txn.Then), "a transaction answers each call")
	c.answerEach(q.calls, ones, result.Results)
}

// transaction makes the one call of what is queued. A command whose arguments
// are refused stands outside of it, and so do those of this package.
func (s *Server) transaction(calls []queued, watched []watch) ([]single, quorate.Txn) {
	txn := quorate.Txn{Each: true}
	for _, w := range watched {
		txn.If = append(txn.If, w.seen)
	}
	ones := make([]single, len(calls))
	for i, call := range calls {
		if !call.cmd.replicated() {
			continue
		}
		one := s.prepare(call.cmd, call.args[1:])
		if one.refused == nil {
			_, one.refused = quorate.Engine().Check(s.config.Service, one.call)
		}
		if one.refused == nil {
			txn.Then = append(txn.Then, one.call)
		}
		ones[i] = one
	}
	return ones, txn
}

// replicated says that the command is a part of the call that EXEC makes.
func (cmd *command) replicated() bool {
	return cmd.operation != nil || cmd.table != nil
}

// transact runs the call, if there is anything to run.
func (s *Server) transact(txn quorate.Txn, id quorate.CallID) (quorate.TxnResult, error) {
	if len(txn.If)+len(txn.Then) == 0 {
		return quorate.TxnResult{Held: true}, nil
	}
	ctx, cancel := context.WithTimeout(s.base, s.config.Timeout)
	defer cancel()
	return quorate.Do(ctx, quorate.Once(s.config.Executor, id), txn)
}

// answerEach answers a transaction that was run.
func (c *conn) answerEach(calls []queued, ones []single, results []quorate.TxnReply) {
	if !c.mute.muted() {
		c.out.bytes = resp.AppendArray(c.out.room(), len(calls))
	}
	for i, call := range calls {
		switch {
		case !call.cmd.replicated():
			call.cmd.own(c, call.args)
		case ones[i].refused != nil:
			c.value(Failure(ones[i].refused))
		default:
			reply := quorate.Reply{Value: results[0].Value}
			if results[0].Err != nil {
				reply.Err = results[0].Err
			}
			results = results[1:]
			c.value(ones[i].answer(reply))
		}
	}
}

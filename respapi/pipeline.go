package respapi

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/invariant"
	"github.com/quorate/quorate/internal/resp"
)

// portionMin and portionMax bound the calls that one Execute runs. A client
// whose answers are small, as nearly all are, gets there in four steps from one
// to the other; one that reads 1 MiB with each call is held at the lower, so
// that its answers are 64 MiB in memory and not a gigabyte.
const (
	portionMin = 64
	portionMax = 1024
	// answerBytesSmall is the mean up to which answers are small: 1,024 of them
	// are 4 MiB.
	answerBytesSmall = 4 << 10
)

// portionAfter is how many calls the next Execute may run, at most so many, if
// the answers to those of this one were so many bytes.
func portionAfter(portion, calls, bytes, most int) int {
	switch {
	case calls == 0:
		return portion
	case bytes > answerBytesSmall*calls:
		return portionMin
	}
	return min(most, max(portion, 2*calls))
}

// pipeline is the calls that wait to be run together. Either there are singles
// or frames.
type pipeline struct {
	// list is room that singles come from, and go to when they are answered; nil
	// while there are none.
	list    *list
	singles []single
	// age is what all of the singles tolerate: a node takes the least for all, so
	// that an exact one would have none answered where there is no leader.
	age time.Duration
	// portion is how many singles the next Execute may run; 0 at first.
	portion int
	frames  frames
}

// single is a command that is one call, and its place among the answers.
type single struct {
	cmd    *command
	args   [][]byte // without the names
	call   quorate.Call
	writes bool
	// refused is why there is no call, or nil.
	refused error
	muted   bool
}

// list is room for singles, which connections share: one that is not at work
// needs none.
type list struct{ singles []single }

// options are what stands before a command.
type options struct {
	id   quorate.CallID
	read time.Duration
}

// gather takes a command that is one call, to be run with what follows it.
func (c *conn) gather(cmd *command, args [][]byte, with options) {
	p := &c.pipeline
	// One client sees its calls in their order: those of another age come after.
	aged := len(p.singles) > 0 && p.age != with.read
	if len(p.frames.list) > 0 || aged || len(p.singles) >= max(portionMin, p.portion) {
		c.run()
	}
	one := c.server.prepare(cmd, args[1:])
	one.muted = c.mute.muted()
	if one.refused == nil {
		one.refused = one.with(with)
	}
	if p.singles == nil {
		p.list, p.age = c.server.singles.Get().(*list), with.read
		p.singles = p.list.singles
	}
	p.singles = append(p.singles, one)
}

// prepare makes the call of a command. Arguments are without the name.
func (s *Server) prepare(cmd *command, args [][]byte) single {
	one := single{cmd: cmd, args: args}
	if cmd.operation != nil {
		one.call.Name, one.writes = cmd.operation.Name(), cmd.operation.Writes()
		one.call.Args, one.refused = quorate.Engine().ArgsFromText(cmd.operation, args)
		return one
	}
	if one.call, one.refused = cmd.table.Call(args); one.refused != nil {
		return one
	}
	if op, ok := quorate.Engine().Lookup(s.config.Service, one.call); ok {
		one.writes = op.Writes()
	}
	return one
}

// with gives the call what stands before it, or says why it cannot.
func (one *single) with(o options) error {
	if o.read > 0 && one.writes {
		return refusal("%s writes: STALE is for commands that read", one.cmd.name)
	}
	if one.writes {
		one.call.ID = o.id // a query has no effect that could be there twice
	}
	one.call.Read = o.read
	return nil
}

// answer makes the answer of what the call came to.
func (one *single) answer(reply quorate.Reply) resp.Value {
	if one.refused != nil {
		return Failure(one.refused)
	}
	if !one.writes {
		reply.Err = ofQuery(reply.Err)
	}
	if one.cmd.operation != nil {
		return Answer(reply)
	}
	return one.cmd.table.Reply(one.args, reply)
}

// ofQuery is the error of a query, which changes nothing, however it ends.
func ofQuery(err error) error {
	e, ok := errors.AsType[*quorate.Error](err)
	if !ok || e.Outcome == quorate.NotApplied {
		return err
	}
	sure := *e
	sure.Outcome = quorate.NotApplied
	return &sure
}

// run runs what was gathered and answers it.
func (c *conn) run() {
	if len(c.pipeline.singles) > 0 {
		c.runSingles()
	}
	if len(c.pipeline.frames.list) > 0 {
		c.runFrames()
	}
}

func (c *conn) runSingles() {
	p := &c.pipeline
	calls := make([]quorate.Call, 0, len(p.singles))
	for i := range p.singles {
		if p.singles[i].refused == nil {
			calls = append(calls, p.singles[i].call)
		}
	}
	replies := c.execute(calls)
	bytes, next := 0, 0
	for i := range p.singles {
		one := &p.singles[i]
		var reply quorate.Reply
		if one.refused == nil {
			reply = replies[next]
			replies[next] = quorate.Reply{}
			next++
		}
		if one.muted {
			continue
		}
		before := len(c.out.bytes)
		c.append(one.answer(reply))
		bytes += max(len(c.out.bytes)-before, before-len(c.out.bytes))
	}
	p.portion = portionAfter(p.portion, len(p.singles), bytes, portionMax)
	clear(p.singles) // what they hold must not outlive them
	p.list.singles = p.singles[:0]
	c.server.singles.Put(p.list)
	p.list, p.singles = nil, nil
}

// execute runs calls, if there are any, for as long as calls may take.
func (c *conn) execute(calls []quorate.Call) []quorate.Reply {
	if len(calls) == 0 {
		return nil
	}
	s := c.server
	ctx, done := s.deadlines.Within(s.base, s.config.Timeout)
	defer done()
	return s.execute(ctx, calls)
}

// execute runs calls until ctx ends.
func (s *Server) execute(ctx context.Context, calls []quorate.Call) []quorate.Reply {
	replies := s.config.Executor.Execute(ctx, calls)
	invariant.Must(len(replies) == len(calls), "an executor answers each call")
	return replies
}

// aloneTimeout is how long a command may take that is many calls, such as one
// that deletes a million keys.
const aloneTimeout = time.Minute

// runAlone answers a command of the table that is not one call.
func (c *conn) runAlone(cmd *Command, args [][]byte) {
	ctx, cancel := context.WithTimeout(c.server.base, max(c.server.config.Timeout, aloneTimeout))
	defer cancel()
	c.value(cmd.Run(ctx, c.server.config.Executor, args[1:]))
}

// staleMax bounds the age that a read tolerates, as at the other doors.
const staleMax = time.Hour

// qualified answers ONCE and STALE: it takes them, in either order, from the front
// of a command and gathers the command.
func qualified(c *conn, args [][]byte) {
	var with options
	for {
		cmd, err := c.behind(&with, args)
		switch args = args[2:]; {
		case err != nil:
			c.run()
			c.failed(cmd, err)
		case cmd.qualifies():
			continue
		case cmd.name == "exec":
			c.run()
			c.exec(with.id)
		default:
			c.gather(cmd, args, with)
		}
		return
	}
}

// behind takes one of ONCE and STALE, and finds the command behind it, or why
// there is none that it can stand before.
func (c *conn) behind(with *options, args [][]byte) (*command, error) {
	if err := with.take(args); err != nil {
		return nil, err
	}
	cmd, err := c.server.find(args[2:], c.known)
	if err == nil {
		err = c.allowed(cmd, args[2:])
	}
	switch {
	case err != nil:
		return cmd, err
	case cmd.qualifies(), cmd.name == "exec" && with.read == 0:
		return cmd, nil
	case !cmd.single():
		return nil, refusal("ONCE and STALE stand before a command that is one call, and %s is not", cmd.name)
	case c.queue != nil:
		return nil, refusal("between MULTI and EXEC there is no ONCE and no STALE: ONCE may stand before EXEC")
	}
	return cmd, nil
}

// qualifies says that the command stands before another.
func (cmd *command) qualifies() bool { return cmd.name == "once" || cmd.name == "stale" }

// take reads one of ONCE and STALE, behind which there are two arguments.
func (o *options) take(args [][]byte) error {
	var room [nameBytesMax]byte
	if string(upper(&room, args[0])) == "ONCE" {
		switch {
		case o.id != "":
			return refusal("ONCE stands there twice")
		case len(args[1]) == 0 || len(args[1]) > quorate.CallIDBytesMax:
			return refusal("an id has %d bytes, not 1 to %d", len(args[1]), quorate.CallIDBytesMax)
		}
		o.id = quorate.CallID(args[1])
		return nil
	}
	ms, err := strconv.ParseUint(string(args[1]), 10, 32)
	age := time.Duration(ms) * time.Millisecond
	switch {
	case o.read != 0:
		return refusal("STALE stands there twice")
	case err != nil || age == 0 || age > staleMax:
		return refusal("an age is a number of milliseconds from 1 to %d", staleMax.Milliseconds())
	}
	o.read = time.Duration(age)
	return nil
}

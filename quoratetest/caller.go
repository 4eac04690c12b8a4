package quoratetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/repeat"
)

const (
	// attemptMax bounds one attempt at a call: about an election timeout.
	attemptMax = 400 * time.Millisecond
	// attemptsMax is how often a call with an id is sent again while it is not known
	// what became of it: with the pauses in between, until long after the faults.
	attemptsMax = 250
	// thinkMax is how long a caller waits between two calls.
	thinkMax = 5 * time.Millisecond
	// staleMax is the greatest age that a stale query tolerates.
	staleMax = 2 * time.Second
	// doubtsMax is how many commands of a part may be in doubt before all others
	// there carry an id, so that it can be found out what became of them.
	doubtsMax = 3
)

// caller makes calls, one after the other.
type caller struct {
	*round
	number int
	random *rand.Rand
	made   int
}

// call calls until quit ends.
func (c *caller) call(quit context.Context) {
	for quit.Err() == nil && c.calls.Add(1) <= callsMax {
		rest(quit, time.Millisecond+time.Duration(c.random.Int64N(int64(thinkMax))))
		c.one()
	}
}

// one makes one call, and sends it again under its id until it is known what
// became of it.
func (c *caller) one() {
	made, call := mustGenerate(c.verdicts, c.trial.service, c.trial.generator, c.random)
	op, _ := quorate.Engine().Lookup(c.trial.service, call)
	o := &operation{
		caller: c.number, call: made, text: repeat.Describe(op.Name(), call.Args),
		part: c.trial.model.part(made), writes: op.Writes(),
	}
	c.made++
	// Drawn in any case, so that what comes next does not go by it.
	nameless, aged, age := c.random.IntN(8) == 0, c.random.IntN(3) == 0, c.random.Int64N(int64(staleMax))
	switch {
	case !o.writes && aged:
		o.stale, call.Read = true, time.Duration(1+age)
	case o.writes && (!nameless || c.history.doubted(o.part) >= doubtsMax):
		call.ID = quorate.CallID(fmt.Sprintf("%d-%d", c.number, c.made))
	}
	c.history.begin(o, call)
	doubt := false
	for range attemptsMax {
		reply := c.attempt(call)
		switch {
		case ofTheState(reply):
			c.history.finish(o, reply, true)
			return
		case quorate.OutcomeUnknown(reply.Err):
			doubt = true
		case !doubt:
			// Surely not applied, at any attempt.
			c.history.drop(o)
			return
		}
		if call.ID == "" {
			break
		}
		rest(c.over, thinkMax)
	}
	c.history.finish(o, quorate.Reply{}, false)
}

// attempt sends a call through some node that runs, if one does.
func (c *caller) attempt(call quorate.Call) quorate.Reply {
	all := c.nodes.all
	first := c.random.IntN(len(all))
	n := all[first]
	for i := range all {
		if other := all[(first+i)%len(all)]; other.running() != nil {
			n = other
			break
		}
	}
	ctx, cancel := context.WithTimeout(c.over, attemptMax)
	defer cancel()
	return n.Execute(ctx, []quorate.Call{call})[0]
}

// rest waits, or less if ctx ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

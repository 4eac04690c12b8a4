package quoratetest

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/repeat"
)

// timesEach is how often each call runs on the same state. Of runs that go
// through a map of two keys two show the same order half of the time, and four
// one time in eight: over a hundred calls that is never.
const timesEach = 4

// CheckDeterminism runs calls that generator makes of random numbers, each several
// times on the same state, and then all of them once more on a second copy of the
// service, a second later, whose state is moved in between as a snapshot is. It
// fails t where a command or query does not come to the same each time, and names
// it and what differs.
//
// A generator returns commands and queries of the service, as they are given to
// quorate.Do and quorate.Ask.
//
// What it cannot find is what the calls do not show: a clock that is read in
// minutes, or a variable that changes after more calls. It goes by what a command
// writes and returns; a Check method may go by what it likes.
func CheckDeterminism(t testing.TB, service *quorate.Service, generator func(r *rand.Rand) any, options ...Option) {
	t.Helper()
	e := effortOf(t, options)
	calls := make([]quorate.Call, e.calls)
	random := source(e.seed, "calls")
	for i := range calls {
		_, calls[i] = mustGenerate(t, service, generator, random)
	}
	failed := false
	now := 0
	fail := func(err error) {
		failed = true
		t.Errorf("call %d of %d: %v\n%s", now+1, len(calls), err, again(t, e.seed))
	}
	g, l := newGuard(timesEach, fail), newLedger()
	first := newCopy(t, service, g.watched(l, "the first copy", always))
	defer first.close()
	replies := make([]repeat.Result, len(calls))
	for now = range calls {
		if replies[now] = first.again(g, calls[now]); failed {
			return
		}
	}
	// So that also a clock that is read in seconds has moved on.
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
	second := newCopy(t, service, g.watched(l, "the second copy", always))
	defer func() { second.close() }()
	for now = range calls {
		if now == len(calls)/2 {
			second.move()
		}
		op, _ := quorate.Engine().Lookup(service, calls[now])
		result := second.again(g, calls[now])
		g.tell(op, repeat.Compare(op, calls[now].Args, replies[now], result, "on one copy", "on another that had run the same calls"))
		if failed {
			return
		}
	}
	if one, other := first.machine.Meta().Hash, second.machine.Meta().Hash; one != other {
		t.Errorf("two copies that ran the same %d calls came to the states %016x and %016x\n%s", len(calls), one, other, again(t, e.seed))
	}
}

func always() bool { return true }

// mustGenerate makes a call of the service.
func mustGenerate(t testing.TB, service *quorate.Service, generator func(r *rand.Rand) any, random *rand.Rand) (operation any, call quorate.Call) {
	t.Helper()
	operation = generator(random)
	call, err := quorate.NewCall(operation)
	if err != nil {
		t.Fatalf("the generator returned a %T: %v", operation, err)
	}
	op, err := quorate.Engine().Check(service, call)
	if err != nil {
		t.Fatalf("the generator returned %+v, which service %s refuses before the log: %v", operation, service.Name(), err)
	}
	call.Name = op.Name()
	return operation, call
}

// again runs a call: a command by an entry of the log, where the guard sees it, and
// a query several times on the state as it is.
func (c *Copy) again(g *guard, call quorate.Call) repeat.Result {
	op, _ := quorate.Engine().Lookup(c.service, call)
	if op.Writes() {
		reply := c.apply(call)[0]
		return repeat.Result{Value: reply.Value, Err: reply.Err}
	}
	state := c.machine.View()
	result, err := repeat.Query(op, state, momentOf(state, c.now), call.Args, g.times)
	g.tell(op, err)
	mustClose(c.t, errors.Join(state.Err(), state.Close()))
	return result
}

package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/values"
)

var (
	notApplied = refusing(quorate.Unavailable, quorate.NotApplied, "no leader")
	unknown    = refusing(quorate.Unavailable, quorate.Unknown, "no majority")
	atFault    = refusing(quorate.Internal, quorate.Unknown, "at fault")
)

func TestWriteWhoseAnswerIsLostIsRetriedAndTakesEffectOnce(t *testing.T) {
	for name, lost := range map[string]struct {
		deed  deed
		reply quorate.Reply
	}{
		"the connection breaks":             {deed: hangUp},
		"the answer is cut":                 {deed: cut},
		"the answer is not one":             {deed: babble},
		"the answer is of another kind":     {deed: misuse},
		"the outcome is unknown":            {reply: unknown},
		"the node is at fault":              {reply: atFault},
		"the node lost the leader for sure": {reply: notApplied},
	} {
		t.Run(name, func(t *testing.T) {
			state := &counter{plan: func(i int) quorate.Reply {
				if i < 3 {
					return lost.reply
				}
				return quorate.Reply{}
			}}
			node := mustStart(t, &wire{executor: state, deed: func(n int) deed {
				if n < 3 {
					return lost.deed
				}
				return serve
			}})
			got := run(t, "", "inc", "hits", "--addr", node.addr)
			calls, effects := state.counts()
			if got.exit != 0 || got.out != "1\n" || got.log != "" || calls != 4 || effects != 1 {
				t.Errorf("exit %d, output %q, errors %q after %d calls with %d effects", got.exit, got.out, got.log, calls, effects)
			}
		})
	}
}

func TestWriteThatHangsIsRetriedElsewhereUnderTheSameID(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	deeds := func(int) deed {
		if asked.Add(1) == 1 {
			return hang
		}
		return serve
	}
	one, other := &counter{}, &counter{}
	a := mustStart(t, &wire{executor: one, deed: deeds})
	b := mustStart(t, &wire{executor: other, deed: deeds})
	got := run(t, "", "inc", "hits", "--addr", a.addr+","+b.addr, "--timeout", "3s")
	if got.exit != 0 || got.out != "1\n" {
		t.Fatalf("exit %d, output %q, errors %q", got.exit, got.out, got.log)
	}
	if x, y := one.ids(), other.ids(); len(x) != 1 || len(y) != 1 || x[0] != y[0] {
		t.Errorf("the ids are %q and %q", x, y)
	}
}

func TestEachWriteHasAnIDOfItsOwn(t *testing.T) {
	state := &counter{}
	node := mustServe(t, state)
	for want := range int64(3) {
		if got := run(t, "", "inc", "hits", "--addr", node); got.out != fmt.Sprintln(want+1) {
			t.Errorf("exit %d, output %q, errors %q", got.exit, got.out, got.log)
		}
	}
	for _, id := range state.ids() {
		if len(id) != 26 || strings.Trim(string(id), "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
			t.Errorf("the id %q is not 130 printed random bits", id)
		}
	}
	if ids := state.ids(); len(ids) != 3 {
		t.Errorf("three calls have the ids %q", ids)
	}
}

// Whichever of two nodes is asked first does not serve a call, and the other
// one would.
func TestWhetherTheNextAddressIsTried(t *testing.T) {
	refuse := func(code quorate.Code) quorate.Reply { return refusing(code, quorate.NotApplied, "no") }
	for _, c := range []struct {
		name  string
		deed  deed
		reply quorate.Reply
		want  bool
	}{
		{"the call was surely not applied", serve, notApplied, true},
		{"the queue is full", serve, refuse(quorate.Overloaded), true},
		{"the copy is too old", serve, refuse(quorate.TooOld), true},
		{"the outcome is unknown", serve, unknown, true},
		{"the node is at fault", serve, atFault, true},
		{"the connection breaks", hangUp, quorate.Reply{}, true},
		{"no answer comes", hang, quorate.Reply{}, true},
		{"the answer is not that of a node", babble, quorate.Reply{}, true},
		{"the answer is cut", cut, quorate.Reply{}, true},
		{"there is nothing under the key", serve, refuse(quorate.NotFound), false},
		{"the call is invalid", serve, refuse(quorate.Invalid), false},
		{"the operation is not known", serve, refuse(quorate.UnknownOperation), false},
		{"the id was used before", serve, refuse(quorate.IDReused), false},
		{"the state is another", serve, conflict(values.Int(5)), false},
		{"the command panics", serve, refuse(quorate.Panicked), false},
	} {
		for _, verb := range []string{"inc", "get"} {
			t.Run(verb+" where "+c.name, func(t *testing.T) {
				t.Parallel()
				var calls, frames atomic.Int64
				executor := memory.Func(func(_ context.Context, all []quorate.Call) []quorate.Reply {
					if calls.Add(1) == 1 && c.reply.Err != nil {
						return []quorate.Reply{c.reply}
					}
					return []quorate.Reply{done}
				})
				deeds := func(int) deed {
					if frames.Add(1) == 1 {
						return c.deed
					}
					return serve
				}
				a := mustStart(t, &wire{executor: executor, deed: deeds})
				b := mustStart(t, &wire{executor: executor, deed: deeds})
				got := run(t, "", verb, "k", "--addr", a.addr+","+b.addr, "--timeout", "3s")
				if tried := a.asked() == 1 && b.asked() == 1; tried != c.want || a.asked()+b.asked() > 2 {
					t.Errorf("the nodes were asked %d and %d times, want the next one asked: %v (exit %d, %s)",
						a.asked(), b.asked(), c.want, got.exit, got.log)
				}
				if served := got.exit == 0 && got.out == "1\n"; served != c.want {
					t.Errorf("exit %d, output %q, errors %q", got.exit, got.out, got.log)
				}
			})
		}
	}
}

func TestAddressAtWhichNothingListensIsPassedOver(t *testing.T) {
	node := mustServe(t, &fake{reply: done})
	for range 4 { // which one is tried first is drawn
		for _, verb := range []string{"inc", "get"} {
			if got := run(t, "", verb, "k", "--addr", nobody(t)+","+node); got.exit != 0 || got.out != "1\n" {
				t.Errorf("%s: exit %d, output %q, errors %q", verb, got.exit, got.out, got.log)
			}
		}
	}
}

func TestWriteOfUnknownOutcomeSaysSoAndNamesItsID(t *testing.T) {
	for name, w := range map[string]*wire{
		"it does not answer":       {deed: always(hang)},
		"it hangs up":              {deed: always(hangUp)},
		"it says so":               {executor: &fake{reply: unknown}},
		"it answers half":          {deed: always(cut)},
		"it answers what is none":  {deed: always(babble)},
		"it answers another thing": {deed: always(misuse)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if w.executor == nil {
				w.executor = &fake{reply: done}
			}
			node := mustStart(t, w)
			got := run(t, "", "inc", "k", "--addr", node.addr, "--timeout", "500ms", "--id", "mine")
			want := "; it may have been applied: repeat the command with --id mine, under which it takes effect once\n"
			if got.exit != 4 || !strings.HasSuffix(got.log, want) || strings.Count(got.log, "\n") != 1 || strings.Contains(got.log, "not known") {
				t.Errorf("exit %d, errors %q", got.exit, got.log)
			}
			got = run(t, "", "inc", "k", "--addr", node.addr, "--timeout", "500ms", "-o", "json")
			var told struct{ Outcome, ID, Error string }
			if err := json.Unmarshal([]byte(got.log), &told); err != nil || got.exit != 4 || told.Outcome != "unknown" || len(told.ID) != 26 {
				t.Errorf("in JSON: exit %d, errors %q, %v", got.exit, got.log, err)
			}
			if !strings.Contains(told.Error, "--id "+told.ID+",") {
				t.Errorf("the sentence %q does not name the id %q", told.Error, told.ID)
			}
		})
	}
}

func TestIDOfAnUnknownOutcomeIsEnoughToAskAgain(t *testing.T) {
	var up atomic.Bool
	state := &counter{}
	node := mustStart(t, &wire{executor: state, deed: func(int) deed {
		if up.Load() {
			return serve
		}
		return hangUp
	}})
	got := run(t, "", "inc", "hits", "--addr", node.addr, "--timeout", "500ms", "-o", "json")
	var told struct{ ID string }
	calls, _ := state.counts()
	if err := json.Unmarshal([]byte(got.log), &told); err != nil || got.exit != 4 || calls < 2 {
		t.Fatalf("exit %d, errors %q after %d calls, %v", got.exit, got.log, calls, err)
	}
	up.Store(true)
	got = run(t, "", "inc", "hits", "--addr", node.addr, "--id", told.ID)
	if _, effects := state.counts(); got.exit != 0 || got.out != "1\n" || effects != 1 {
		t.Errorf("exit %d, output %q, errors %q, %d effects", got.exit, got.out, got.log, effects)
	}
}

// The first attempt may have been applied. What a second one is told settles
// that only if it comes from what is remembered under the id, which has an
// index.
func TestRefusalAfterAnUnknownOutcomeLeavesItUnknown(t *testing.T) {
	t.Parallel()
	reused := quorate.Reply{Index: 17, Err: &quorate.Error{Code: quorate.IDReused, Message: "other content"}}
	for _, c := range []struct {
		reply quorate.Reply
		exit  int
		log   string
	}{
		{conflict(values.Int(7)), 6, "not as expected: it is 7\n"},
		{reused, 1, "other content\n"},
		{notApplied, 4, "no leader; it may have been applied: "},
		{refusing(quorate.Overloaded, quorate.NotApplied, "full"), 4, "full; it may have been applied: "},
		{refusing(quorate.Invalid, quorate.NotApplied, "too new"), 4, "too new; it may have been applied: "},
		{refusing(quorate.UnknownOperation, quorate.NotApplied, "too new"), 4, "too new; it may have been applied: "},
		{refusing(quorate.TooLarge, quorate.NotApplied, "too new"), 4, "too new; it may have been applied: "},
	} {
		node := mustStart(t, &wire{executor: &fake{reply: c.reply}, deed: func(n int) deed {
			if n == 0 {
				return hangUp
			}
			return serve
		}})
		got := run(t, "", "inc", "k", "--addr", node.addr, "--timeout", "1s")
		if got.exit != c.exit || !strings.Contains(got.log, c.log) || node.asked() < 2 {
			t.Errorf("%v: exit %d, errors %q after %d frames", c.reply.Err, got.exit, got.log, node.asked())
		}
	}
}

func TestNodeThatRefusesForSureIsNotCalledUnknownAtTheDeadline(t *testing.T) {
	t.Parallel()
	node := &fake{reply: notApplied}
	got := run(t, "", "inc", "k", "--addr", mustServe(t, node), "--timeout", "700ms", "-o", "json")
	want := `{"error":"no leader","code":"unavailable","outcome":"not_applied"}` + "\n"
	if got.exit != 4 || got.log != want || len(node.seen()) < 2 {
		t.Errorf("exit %d, errors %q after %d calls", got.exit, got.log, len(node.seen()))
	}
}

func TestNodeThatComesBackServesTheCallThatWaitsForIt(t *testing.T) {
	addr := nobody(t)
	var once sync.Once
	busy := mustServe(t, memory.Func(func(context.Context, []quorate.Call) []quorate.Reply {
		once.Do(func() { serveAt(t, mustListen(t, addr), &fake{reply: done}) })
		return []quorate.Reply{notApplied}
	}))
	if got := run(t, "", "get", "k", "--addr", addr+","+busy); got.exit != 0 || got.out != "1\n" {
		t.Errorf("exit %d, output %q, errors %q", got.exit, got.out, got.log)
	}
}

func TestInterruptedWriteThatWasSentIsOfUnknownOutcome(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	node := mustStart(t, &wire{executor: &fake{reply: done}, deed: func(int) deed {
		interrupt()
		return hang
	}})
	began := time.Now()
	got := runUntil(ctx, "", "inc", "k", "--id", "x", "--addr", node.addr, "--timeout", "1m")
	if got.exit != 4 || got.log != "interrupted; it may have been applied: repeat the command with --id x, under which it takes effect once\n" {
		t.Errorf("exit %d, errors %q", got.exit, got.log)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}

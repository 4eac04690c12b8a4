package machine_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/machine"
	"github.com/quorate/quorate/kv"
)

// feed applies entries of calls to one copy.
type feed struct {
	t    testing.TB
	copy *copied
	at   time.Time
}

func newFeed(t testing.TB, service *quorate.Service, limits machine.Limits) *feed {
	t.Helper()
	c := newCopy(t, service, limits)
	t.Cleanup(func() { c.close(t) })
	return &feed{t, c, time.Unix(1_700_000_000, 0)}
}

func (f *feed) apply(calls ...quorate.Call) []quorate.Reply {
	f.t.Helper()
	f.copy.index++
	data := entry.Append(nil, entry.Header{Time: f.at, Seed: f.copy.index}, calls)
	replies, err := f.copy.machine.Apply([]machine.Entry{{Index: f.copy.index, Term: 1, Data: data}})
	must(f.t, err)
	return replies[0]
}

func callOf(name string, args ...string) quorate.Call {
	call := quorate.Call{Name: name}
	for _, arg := range args {
		call.Args = append(call.Args, []byte(arg))
	}
	return call
}

// repeated is a call n times.
func repeated(n int, call quorate.Call) []quorate.Call {
	calls := make([]quorate.Call, n)
	for i := range calls {
		calls[i] = call
	}
	return calls
}

// mustEnd checks that the first replies are answers and all behind them, some at
// least, are refused with a code.
func mustEnd(t *testing.T, replies []quorate.Reply, code quorate.Code, atMost int) {
	t.Helper()
	answered := 0
	for answered < len(replies) && replies[answered].Err == nil {
		answered++
	}
	for i, reply := range replies[answered:] {
		if quorate.CodeOf(reply.Err) != code || quorate.OutcomeUnknown(reply.Err) {
			t.Fatalf("reply %d: %v, want code %s", answered+i, reply.Err, code)
		}
	}
	if answered == 0 || answered > atMost || answered == len(replies) {
		t.Errorf("%d of %d calls are answered, want at most %d", answered, len(replies), atMost)
	}
}

// What one entry is answered is in the memory of every node, each time it is
// applied.
func TestAnswersOfOneEntryAreBounded(t *testing.T) {
	f := newFeed(t, kv.Service, machine.DefaultLimits)
	f.apply(callOf("PUT", "large", strings.Repeat("x", 1<<20-10)))
	get := callOf("GET", "large")
	replies := f.apply(append([]quorate.Call{callOf("INC", "n")}, repeated(200, get)...)...)
	mustEnd(t, replies, quorate.Overloaded, 90)

	args := []string{"each", "0", "200"}
	for range 200 {
		args = append(args, "GET", "1", "large")
	}
	txn := f.apply(callOf("TXN", args...))[0]
	var result quorate.TxnResult
	if err := errors.Join(txn.Err, txn.Value.Into(&result)); err != nil {
		t.Fatal(err)
	}
	inside := make([]quorate.Reply, len(result.Results))
	for i, r := range result.Results {
		if inside[i].Value = r.Value; r.Err != nil {
			inside[i].Err = r.Err
		}
	}
	mustEnd(t, inside, quorate.TooLarge, 17)
	args[0] = "all"
	if reply := f.apply(callOf("TXN", args...))[0]; quorate.CodeOf(reply.Err) != quorate.TooLarge {
		t.Errorf("all or nothing: %v", reply.Err)
	}

	alone, _ := f.copy.machine.Read(repeated(200, get), time.Time{})
	mustEnd(t, alone, quorate.Overloaded, 90)
}

// Other entries wait while the scans of one go on.
func TestKeysThatOneEntryLooksAtAreBounded(t *testing.T) {
	f := newFeed(t, kv.Service, machine.DefaultLimits)
	const keys, each, whole = 21_000, 5_250, 1_000_000 / 21_000
	for i := 0; i < keys; i += each {
		pairs := []string{"0"}
		for k := range each {
			pairs = append(pairs, fmt.Sprintf("key%06d", i+k), "1")
		}
		must(t, f.apply(callOf("MPUT", pairs...))[0].Err)
	}
	replies := f.apply(repeated(200, callOf("SIZE"))...)
	last := replies[whole:]
	for _, reply := range replies[:whole] {
		must(t, reply.Err)
	}
	if quorate.CodeOf(last[0].Err) != quorate.TooLarge {
		t.Errorf("the call whose scan is cut off: %v", last[0].Err)
	}
	for _, reply := range last[1:] {
		if quorate.CodeOf(reply.Err) != quorate.Overloaded {
			t.Fatalf("a call behind it: %v", reply.Err)
		}
	}
	args := []string{"each", "0", "200"}
	for range 200 {
		args = append(args, "SIZE", "0")
	}
	began := time.Now()
	txn := f.apply(callOf("TXN", args...))[0]
	var result quorate.TxnResult
	if err := errors.Join(txn.Err, txn.Value.Into(&result)); err != nil || result.Results[whole-1].Err != nil || result.Results[whole].Err == nil {
		t.Errorf("%v, %+v", err, result.Results[whole])
	}
	t.Logf("a transaction that looks at all it may took %v", time.Since(began))
	must(t, f.apply(callOf("INC", "n"))[0].Err)
}

// One call that settles many others forgets a part of them, and takes nothing
// from the calls behind it.
func TestOneCallForgetsABoundedNumber(t *testing.T) {
	f := newFeed(t, kv.Service, machine.DefaultLimits)
	const answers, each = 20_000, 5_000
	session := strings.Repeat("s", 80)
	for i := 0; i < answers; i += each {
		calls := repeated(each, callOf("INC", "n"))
		for j := range calls {
			calls[j].ID, calls[j].Settled = quorate.CallID(engine.SessionID(session, uint64(i+j+1))), 1
		}
		f.apply(calls...)
	}
	far := callOf("INC", "n")
	for step := 1; ; step++ {
		far.ID, far.Settled = quorate.CallID(engine.SessionID(session, uint64(answers+step))), uint64(answers+step)
		before := f.copy.machine.Meta().Sessions
		replies := f.apply(far, callOf("INC", "other"))
		if err := errors.Join(replies[0].Err, replies[1].Err); err != nil {
			t.Fatal(err)
		}
		after := f.copy.machine.Meta().Sessions
		if before-after > 1100 {
			t.Fatalf("one call has forgotten %d answers", before-after)
		}
		if after < 100 {
			t.Logf("%d answers took %d calls", answers, step)
			break
		}
		if step > 30 {
			t.Fatalf("after %d calls %d are left", step, after)
		}
	}
	late := callOf("INC", "n")
	late.ID, late.Settled = quorate.CallID(engine.SessionID(session, 7)), 1
	if reply := f.apply(late)[0]; quorate.CodeOf(reply.Err) != quorate.IDReused || !quorate.OutcomeUnknown(reply.Err) {
		t.Errorf("what was settled comes again: %v", reply.Err)
	}
}

func TestCallsOfNewSessionsAreRefusedWithoutATrace(t *testing.T) {
	f := newFeed(t, kv.Service, machine.Limits{Window: time.Hour, RememberedMax: 10})
	for i := range 100 {
		call := callOf("INC", "n")
		call.ID, call.Settled = quorate.CallID(engine.SessionID(fmt.Sprint("s", i), 1)), 1
		f.apply(call)
	}
	if left := f.copy.machine.Meta().Sessions; left > 11 {
		t.Errorf("refused calls have left %d keys", left-10)
	}
}

// An answer that is too large to be remembered is given, where the call changed
// nothing, and is not given anew.
func TestALargeAnswerOfAQueryIsGivenOnce(t *testing.T) {
	f := newFeed(t, kv.Service, machine.DefaultLimits)
	f.apply(callOf("PUT", "a", strings.Repeat("x", 1<<20-10)))
	both := []quorate.Call{callOf("MGET", "a", "a"), callOf("PUT", "a", "1")}
	both[0].ID, both[1].ID = "q", "p"
	first := f.apply(both...)
	if err := errors.Join(first[0].Err, first[1].Err); err != nil || len(first[0].Value.List()) != 2 {
		t.Fatal(err)
	}
	again := f.apply(both...)
	if quorate.CodeOf(again[0].Err) != quorate.TooLarge || again[1].Err != nil {
		t.Errorf("again: %v and %v", again[0].Err, again[1].Err)
	}
}

func TestPanicInsideOfACommandIsLogged(t *testing.T) {
	f := newFeed(t, service, machine.DefaultLimits)
	f.apply(callOf("TXN", "all", "0", "1", "BOOM", "1", "a"))
	if log := f.copy.log.Bytes(); !bytes.Contains(log, []byte("panicked")) || !bytes.Contains(log, []byte("service_test.go")) {
		t.Errorf("the log says\n%s", log)
	}
}

// TestSessionsEndInPartsTheSameEverywhere has sessions with more answers than one
// entry forgets end, come back and settle. One copy goes on, another one moves
// to another node after each entry.
func TestSessionsEndInPartsTheSameEverywhere(t *testing.T) {
	rng := random(t)
	limits := machine.Limits{Window: 100 * time.Second, RememberedMax: 20_000}
	one, moving := newFeed(t, kv.Service, limits), newFeed(t, kv.Service, limits)
	next := make(map[string]uint64)
	for i := range 60 {
		calls := sessionCalls(rng, next)
		one.at = one.at.Add(time.Duration([]int{0, 1, 10, 101, 300}[rng.IntN(5)]) * time.Second)
		moving.at = one.at
		want, got := one.apply(calls...), moving.apply(calls...)
		for j := range want {
			if !bytes.Equal(entry.AppendReply(nil, want[j]), entry.AppendReply(nil, got[j])) {
				t.Fatalf("entry %d: %+v and %+v", i, want[j], got[j])
			}
		}
		moving.copy.move(t)
		if a, b := one.copy.outcome(t, nil), moving.copy.outcome(t, nil); a.meta != b.meta || a.content != b.content {
			t.Fatalf("entry %d: %+v with %x\n%+v with %x", i, a.meta, a.content, b.meta, b.content)
		}
	}
	for range 60 {
		one.at = one.at.Add(101 * time.Second)
		one.apply()
	}
	if m := one.copy.machine.Meta(); m.Sessions+m.Remembered != 0 {
		t.Errorf("when all is over %+v is left", m)
	}
}

func sessionCalls(rng *rand.Rand, next map[string]uint64) (calls []quorate.Call) {
	for range []int{0, 1, 3, 700, 1500}[rng.IntN(5)] {
		session := "s" + strconv.Itoa(rng.IntN(2))
		next[session]++
		number, settled := next[session], uint64(1)
		if rng.IntN(10) == 0 {
			number = 1 + rng.Uint64N(number)
		}
		if rng.IntN(200) == 0 {
			settled = 1 + rng.Uint64N(number)
		}
		call := callOf("INC", "n")
		call.ID, call.Settled = quorate.CallID(engine.SessionID(session, number)), settled
		calls = append(calls, call)
		if rng.IntN(20) == 0 {
			plain := callOf("INC", "m")
			plain.ID = quorate.CallID(fmt.Sprint("p", rng.IntN(500)))
			calls = append(calls, plain)
		}
	}
	return calls
}

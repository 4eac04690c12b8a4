package quoratetest

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/repeat"
	"github.com/quorate/quorate/values"
)

// add and read are the calls of a counter, and counter its model.
type (
	add  struct{ N int64 }
	read struct{}
)

var counter = Model[int64]{
	Step: func(n int64, call any, got Answer) (int64, bool) {
		switch c := call.(type) {
		case add:
			return n + c.N, got.Is(n + c.N)
		}
		return n, got.Is(n)
	},
}.explained()

// told is an operation of a history.
func told(call any, called, returned, value int64) *operation {
	_, writes := call.(add)
	return &operation{call: call, writes: writes, called: called, returned: returned, answer: Answer{known: true, value: values.Int(value)}}
}

// doubtful is a command whose outcome is unknown.
func doubtful(n, called int64) *operation {
	return &operation{call: add{n}, writes: true, called: called, returned: math.MaxInt64}
}

func TestHistoryTellsWhatCannotBe(t *testing.T) {
	stale := told(read{}, 5, 6, 0)
	stale.stale = true
	dropped := doubtful(5, 1)
	dropped.void = true
	for _, c := range []struct {
		name string
		all  []*operation
		fine bool
	}{
		{"one after the other", []*operation{told(add{1}, 1, 2, 1), told(read{}, 3, 4, 1)}, true},
		{"a read of what is over", []*operation{told(add{1}, 1, 2, 1), told(read{}, 3, 4, 0)}, false},
		{"a read beside a write", []*operation{told(add{1}, 1, 4, 1), told(read{}, 2, 3, 0)}, true},
		{"a stale read of what is over", []*operation{told(add{1}, 1, 2, 1), stale}, true},
		{"a write counted twice", []*operation{told(add{1}, 1, 2, 1), told(read{}, 3, 4, 2)}, false},
		{"a write in doubt that took effect", []*operation{doubtful(1, 1), told(read{}, 3, 4, 1)}, true},
		{"a write in doubt that did not", []*operation{doubtful(1, 1), told(read{}, 3, 4, 0)}, true},
		{"a write in doubt that came and went", []*operation{doubtful(1, 1), told(read{}, 3, 4, 1), told(read{}, 5, 6, 0)}, false},
		{"a write in doubt that came before it was called", []*operation{told(read{}, 1, 2, 1), doubtful(1, 3)}, false},
		{"a write that was surely not applied", []*operation{dropped, told(read{}, 3, 4, 5)}, false},
	} {
		h := newHistory()
		h.all = c.all
		if err := h.linearizable(counter); (err == nil) != c.fine {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// logged is a ledger of commands that add, one in each entry from index 1 on.
func logged(h *history, results ...int64) *ledger {
	l := newLedger()
	for i, result := range results {
		sum := sumOf("ADD", [][]byte{{byte(i)}})
		h.made[sum] = add{1}
		l.done[place{index: uint64(i + 1)}] = effect{call: "ADD", sum: sum, result: repeat.Result{Value: values.Int(result)}}
	}
	return l
}

func TestStaleReadIsHeldAgainstTheStateAtItsIndex(t *testing.T) {
	for index, value := range []int64{0, 1, 2} {
		for _, says := range []int64{0, 1, 2} {
			h := newHistory()
			o := told(read{}, 90, 91, says)
			o.stale, o.index, o.text = true, uint64(index), "READ"
			h.all = []*operation{o}
			err := h.inLogOrder(counter, logged(h, 1, 2))
			if (err == nil) != (says == value) {
				t.Errorf("at index %d there was %d, and a stale read of %d: %v", index, value, says, err)
			}
		}
	}
}

func TestAnswerIsHeldAgainstTheModelInTheOrderOfTheLog(t *testing.T) {
	h := newHistory()
	err := h.inLogOrder(counter, logged(h, 1, 3))
	if err == nil || !strings.Contains(err.Error(), "ADD at index 2 of the log was answered with 3, which the model does not allow in the state 1") {
		t.Errorf("1 and 1 are 3: %v", err)
	}
	delete(h.made, sumOf("ADD", [][]byte{{1}}))
	if err := h.inLogOrder(counter, logged(newHistory(), 1)); err != nil {
		t.Logf("another history: %v", err)
	}
	l := logged(h, 1)
	h.made = nil
	if err := h.inLogOrder(counter, l); err == nil || !strings.Contains(err.Error(), "nobody called it") {
		t.Errorf("a command that nobody called: %v", err)
	}
}

func TestAnswersAreComparedAsCallersSeeThem(t *testing.T) {
	number := Answer{known: true, value: values.Uint(7)}
	failure := Answer{known: true, err: quorate.Errorf("closed", "it is closed")}
	var into int64
	for _, c := range []struct {
		name string
		got  bool
		want bool
	}{
		{"a number is itself", number.Is(7), true},
		{"a number is no other", number.Is(8), false},
		{"a number is no text", number.Is("7"), false},
		{"a number is no failure", number.Fails("closed"), false},
		{"a failure is no result", failure.Is(nil), false},
		{"a failure has its code", failure.Fails("closed"), true},
		{"a failure has no other code", failure.Fails("open"), false},
		{"what is unknown may be anything", Answer{}.Is(7) && Answer{}.Fails("closed"), true},
		{"what is unknown has no result", Answer{}.Into(&into), false},
		{"a failure has no result", failure.Into(&into), false},
		{"nothing is nothing", Answer{known: true}.Is(nil), true},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v", c.name, c.got)
		}
	}
	if result := uint64(0); !number.Into(&result) || result != 7 {
		t.Errorf("the result is %d", result)
	}
}

func TestPartsKnowNothingOfEachOther(t *testing.T) {
	m := counter
	m.part = func(call any) string {
		if c, ok := call.(add); ok && c.N > 10 {
			return "large"
		}
		return "small"
	}
	h := newHistory()
	h.all = []*operation{told(add{1}, 1, 2, 1), told(add{11}, 3, 4, 11), told(add{1}, 5, 6, 2)}
	for _, o := range h.all {
		o.part = m.part(o.call)
	}
	if err := h.linearizable(m); err != nil {
		t.Error(err)
	}
	if err := h.linearizable(counter); err != nil {
		t.Logf("as one part: %v", err)
	}
}

func TestLedgerFindsAnswersThatCannotBe(t *testing.T) {
	write, readOp := testOperations.Operations()[0], testOperations.Operations()[1]
	l := newLedger()
	began := l.ask()
	answer := func(index uint64) quorate.Reply { return quorate.Reply{Index: index} }
	if err := l.heard(&write, quorate.Call{}, answer(5), began, false); err != nil {
		t.Error(err)
	}
	late := l.ask()
	old := asked{at: time.Now().Add(-time.Hour), floor: 0}
	soon := asked{at: time.Now().Add(time.Hour), floor: 5}
	for _, c := range []struct {
		name  string
		op    *quorate.Operation
		call  quorate.Call
		reply quorate.Reply
		when  asked
		stale bool
		want  string
	}{
		{"a read that is older than what was heard", &readOp, quorate.Call{}, answer(4), late, false, "saw the state at index 4"},
		{"a read that began before that", &readOp, quorate.Call{}, answer(4), began, false, ""},
		{"a read that is as new", &readOp, quorate.Call{}, answer(5), late, false, ""},
		{"a write at the index of an answer before it", &write, quorate.Call{}, answer(5), late, false, "took effect at index 5"},
		{"a repeated answer", &write, quorate.Call{ID: "a"}, answer(5), late, false, ""},
		{"a refusal", &write, quorate.Call{}, quorate.Reply{Err: quorate.Errorf(quorate.Unavailable, "")}, late, false, ""},
		{"a stale read that is old enough", &readOp, quorate.Call{Read: 10}, quorate.Reply{Index: 4, Age: 10}, old, true, ""},
		{"a stale read that is older than it says", &readOp, quorate.Call{Read: 10}, quorate.Reply{Index: 4, Age: 10}, soon, true, "was heard longer ago"},
		{"a stale read that is older than is tolerated", &readOp, quorate.Call{Read: 10}, quorate.Reply{Index: 9, Age: 11}, old, true, "tolerates an age of 10ns"},
	} {
		err := l.heard(c.op, c.call, c.reply, c.when, c.stale)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if got := l.top(); got != 5 {
		t.Errorf("the newest answer is from %d", got)
	}
}

func TestLedgerFindsNodesThatDidNotDoTheSame(t *testing.T) {
	op := &testOperations.Operations()[0]
	at := engine.Moment{Index: 7}
	result := func(n int64) repeat.Result { return repeat.Result{Value: values.Int(n)} }
	for _, c := range []struct {
		name   string
		on     string
		args   string
		result int64
		want   string
	}{
		{"the same", "n2", "a", 1, ""},
		{"the same once more", "n1", "a", 1, ""},
		{"another result", "n2", "a", 2, `command PUT "a" is not deterministic: on the same state it returned 1 on n1 and 2 on n2`},
		{"another result on the same node", "n1", "a", 2, "returned 1 on n1 and 2 when it ran there again"},
		{"another call", "n2", "b", 1, `at index 7 of the log n1 ran PUT "a", and n2 ran PUT "b"`},
	} {
		l := newLedger()
		if err := l.ran("n1", op, at, [][]byte{[]byte("a")}, result(1)); err != nil {
			t.Fatal(err)
		}
		err := l.ran(c.on, op, at, [][]byte{[]byte(c.args)}, result(c.result))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

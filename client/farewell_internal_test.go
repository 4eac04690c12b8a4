package client

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/machine"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/kv"
)

// state is a machine, as a node has one, that runs what a ledger admits.
type state struct {
	t       *testing.T
	machine *machine.Machine
	index   uint64
}

// startState makes a machine that remembers at most so many answers.
func startState(t *testing.T, remembered uint64) *state {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	opened, err := store.Open(store.Options{FS: vfs.NewMem(), Dir: "s", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	limits := machine.Limits{Window: time.Hour, RememberedMax: remembered}
	s := &state{t: t, machine: machine.New(machine.Config{Service: kv.Service, Store: opened, Limits: limits, Log: log})}
	t.Cleanup(func() { _ = s.machine.Close() })
	return s
}

// run applies calls at 50,000 a second. None may fail.
func (s *state) run(calls []quorate.Call) {
	s.t.Helper()
	s.index++
	at := time.Unix(1_700_000_000, 0).Add(time.Duration(s.index) * 80 * time.Millisecond)
	replies, err := s.machine.Apply([]machine.Entry{{Index: s.index, Term: 1, Data: entry.Append(nil, entry.Header{Time: at}, calls)}})
	if err != nil {
		s.t.Fatal(err)
	}
	for i, r := range replies[0] {
		if r.Err != nil {
			s.t.Fatalf("%s %s, and the state knows %d answers: %v", calls[i].ID, calls[i].Name, s.machine.Meta().Sessions, r.Err)
		}
	}
}

// mustAdmit is a pass for calls, and the calls with their ids.
func mustAdmit(t *testing.T, l *ledger, name string, n int) (pass, []quorate.Call) {
	t.Helper()
	calls := make([]quorate.Call, n)
	for i := range calls {
		calls[i] = quorate.Call{Name: name, Args: [][]byte{[]byte("n")}}
	}
	p, err := l.admit(calls)
	if err != nil {
		t.Fatal(err)
	}
	return p, calls
}

// farewells is what the nodes would be told now.
func farewells(l *ledger) (calls []quorate.Call) {
	for {
		finished := l.takeFinished()
		if len(finished) == 0 {
			return calls
		}
		for _, s := range finished {
			calls = append(calls, slices.Repeat([]quorate.Call{s.farewell()}, s.farewells())...)
		}
	}
}

// A slow call, be it a query, in each session, and all others answered: the
// nodes remember what the last slice left to the next call, and no session.
func TestSlowCallsDoNotFillTheMemoryOfTheNodes(t *testing.T) {
	const slice = 4096
	var l ledger
	s := startState(t, 2*sessionSpan)
	for range 2 {
		slow, _ := mustAdmit(t, &l, "SIZE", 1)
		for l.session == slow.session {
			p, calls := mustAdmit(t, &l, "INC", slice)
			s.run(calls)
			l.release(p)
		}
		if !l.release(slow) {
			t.Fatal("nobody is to tell the nodes that the session is finished")
		}
		s.run(farewells(&l))
		if known := s.machine.Meta().Sessions; known > 2*slice {
			t.Fatalf("the state knows %d answers, and the caller of each call has his own", known)
		}
	}
}

// A client that goes idle, or ends, behind a large slice says that it is
// settled, though no call comes that could.
func TestLargeSliceIsSettledWithoutACallBehindIt(t *testing.T) {
	var l ledger
	s := startState(t, 4*sessionSpan)
	p, calls := mustAdmit(t, &l, "INC", sessionSpan)
	s.run(calls)
	if !l.release(p) {
		t.Fatal("nobody is to tell the nodes that the slice is settled")
	}
	s.run(farewells(&l))
	// The session and its farewell.
	if known := s.machine.Meta().Sessions; known != 2 {
		t.Errorf("the state knows %d answers, want 2", known)
	}
	if p, _ := mustAdmit(t, &l, "INC", 1); p.first != 1 {
		t.Errorf("the next call has number %d of a session that is finished", p.first)
	}
}

// Few answers are left to the next call: a farewell to each would be one more
// write for each call of a caller who is alone.
func TestFewAnswersAreNoReasonToFinishASession(t *testing.T) {
	var l ledger
	for range 3 * sessionSpan / 64 {
		p, _ := mustAdmit(t, &l, "INC", 64)
		if l.release(p) {
			t.Fatalf("the session is finished at %d", p.last)
		}
	}
}

func TestOneTellsTheNodesAtATime(t *testing.T) {
	var l ledger
	finish := func() bool {
		p, _ := mustAdmit(t, &l, "INC", sessionSpan)
		return l.release(p)
	}
	if first, second := finish(), finish(); !first || second {
		t.Errorf("two sessions are finished; to tell the nodes begin: the first %v, the second %v", first, second)
	}
	if n := len(l.takeFinished()); n != 2 {
		t.Errorf("%d sessions are told of, want 2", n)
	}
	if finish() {
		t.Error("another one begins, and the first has not seen that nothing is left")
	}
	if n := len(l.takeFinished()); n != 1 {
		t.Errorf("%d sessions are told of, want 1", n)
	}
	if n := len(l.takeFinished()); n != 0 {
		t.Errorf("%d sessions are told of twice", n)
	}
	if !finish() {
		t.Error("nobody begins, and nobody is at it")
	}
}

func TestOnlySoManyFinishedSessionsAreKept(t *testing.T) {
	var l ledger
	for i := range finishedMax + 3 {
		l.finish(&session{name: fmt.Sprint("s", i), next: 2, told: 1})
	}
	kept := l.takeFinished()
	if len(kept) != finishedMax || kept[0].name != "s3" {
		t.Errorf("%d are kept, the oldest is %s; want %d from s3 on", len(kept), kept[0].name, finishedMax)
	}
}

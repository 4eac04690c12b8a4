package client

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
)

func TestSettledIsTheLowestNumberWithoutAnAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l ledger
		open := make(map[int]pass)
		for step := range rapid.IntRange(1, 200).Draw(t, "steps") {
			if len(open) == 0 || rapid.Bool().Draw(t, "call") {
				n := rapid.IntRange(1, 4).Draw(t, "calls")
				calls := make([]quorate.Call, n)
				p, err := l.admit(calls)
				if err != nil {
					t.Fatal(err)
				}
				open[step] = p
				mustBeNumbered(t, calls, p, open)
				continue
			}
			which := rapid.SampledFrom(slices.Sorted(maps.Keys(open))).Draw(t, "answered")
			l.release(open[which])
			delete(open, which)
		}
		for _, p := range open {
			l.release(p)
		}
		if l.calls != 0 || l.bytes != 0 || len(l.session.done) != 0 || l.session.settled != l.session.next {
			t.Fatalf("when all are answered: %+v, session %+v", l.calls, l.session)
		}
	})
}

// mustBeNumbered checks that ids are new and that what the calls say is settled
// has no caller who waits.
func mustBeNumbered(t *rapid.T, calls []quorate.Call, p pass, open map[int]pass) {
	lowest := p.last
	for _, other := range open {
		lowest = min(lowest, other.first)
	}
	for i, call := range calls {
		session, number, ok := engine.Session(string(call.ID))
		if !ok || session != p.session.name || number != p.first+uint64(i) {
			t.Fatalf("call %d of the slice from %d on has id %q", i, p.first, call.ID)
		}
		if call.Settled != lowest && !(call.Settled == 0 && lowest == 1) {
			t.Fatalf("%q says that what is below %d is settled, and %d is the lowest without an answer", call.ID, call.Settled, lowest)
		}
	}
}

func TestSlowCallDoesNotHoldBackTheOthersForEver(t *testing.T) {
	var l ledger
	slow, err := l.admit(make([]quorate.Call, 1))
	if err != nil {
		t.Fatal(err)
	}
	sessions := make(map[string]bool)
	for range 3 * sessionSpan {
		calls := make([]quorate.Call, 1)
		p, err := l.admit(calls)
		if err != nil {
			t.Fatal(err)
		}
		sessions[p.session.name] = true
		l.release(p)
		if kept := len(p.session.done); kept > sessionSpan {
			t.Fatalf("%d answered calls are kept", kept)
		}
	}
	if len(sessions) != 2 {
		t.Errorf("%d sessions, want that of the slow call and one more", len(sessions))
	}
	l.release(slow)
	if s := slow.session; len(s.done) != 0 || s.settled != s.next {
		t.Errorf("the session of the slow call is %d of %d when all is answered", s.settled, s.next)
	}
}

func TestShareLeavesTimeForOtherAttempts(t *testing.T) {
	for _, c := range []struct {
		left    time.Duration
		attempt int
		want    time.Duration
	}{
		{10 * time.Millisecond, 0, 10 * time.Millisecond},
		{120 * time.Millisecond, 0, 120 * time.Millisecond},
		{200 * time.Millisecond, 0, 100 * time.Millisecond},
		{3 * time.Second, 0, time.Second},
		{time.Minute, 0, 2 * time.Second},
		{time.Minute, 2, 8 * time.Second},
		{30 * time.Minute, 4, 32 * time.Second},
		{30 * time.Minute, 1000, 32 * time.Second},
	} {
		t.Run(fmt.Sprint(c.left, " attempt ", c.attempt), func(t *testing.T) {
			if got := share(c.left, c.attempt); got != c.want {
				t.Errorf("share is %v, want %v", got, c.want)
			}
		})
	}
}

func TestPausesAreBounded(t *testing.T) {
	var longest time.Duration
	for attempts := range 2000 {
		pause := pauseAfter(attempts)
		if pause < 0 || pause > pauseMax || attempts <= 1 && pause > pauseMin {
			t.Fatalf("the pause after %d attempts is %v", attempts, pause)
		}
		longest = max(longest, pause)
	}
	if longest < pauseMax/2 {
		t.Errorf("the longest pause is %v", longest)
	}
}

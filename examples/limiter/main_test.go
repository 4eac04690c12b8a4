package main

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/quoratetest"
)

// mustAsk asks to let something through.
func mustAsk(t *testing.T, on quorate.Executor, ask Allow) Verdict {
	t.Helper()
	got, err := quorate.Do(t.Context(), on, ask)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestLimitMayPassAtOnceAndNoMore(t *testing.T) {
	on := quoratetest.Local(t, service)
	three := Allow{Key: "ann", Limit: 3, Per: 3000, Cost: 1}
	for want := range []int{2, 1, 0} {
		if got := mustAsk(t, on, three); !got.Allowed || got.Remaining != int64(2-want) {
			t.Errorf("call %d: %+v", want+1, got)
		}
	}
	if got, want := mustAsk(t, on, three), (Verdict{RetryMs: 1000}); got != want {
		t.Errorf("the fourth call: %+v, want %+v", got, want)
	}
	if got := mustAsk(t, on, Allow{Key: "bob", Limit: 3, Per: 3000, Cost: 3}); !got.Allowed || got.Remaining != 0 {
		t.Errorf("another key: %+v", got)
	}
	on.Advance(time.Second)
	if got, want := mustAsk(t, on, three), (Verdict{Allowed: true}); got != want {
		t.Errorf("a third of the period later: %+v, want %+v", got, want)
	}
}

func TestKeyThatRestsIsForgotten(t *testing.T) {
	on := quoratetest.Local(t, service)
	mustAsk(t, on, Allow{Key: "ann", Limit: 3, Per: 3000, Cost: 2})
	on.Advance(2 * time.Second)
	on.Look(func(view *quorate.View) {
		for key, until := range paid.Range(view) {
			t.Errorf("%q is still there, until %v", key, until)
		}
	})
}

func TestLimitThatBecameSmallerShowsNothingNegative(t *testing.T) {
	on := quoratetest.Local(t, service)
	mustAsk(t, on, Allow{Key: "ann", Limit: 100, Per: 10_000, Cost: 100})
	if got := mustAsk(t, on, Allow{Key: "ann", Limit: 1, Per: 1000, Cost: 1}); got.Allowed || got.Remaining != 0 || got.RetryMs != 10_000 {
		t.Errorf("%+v", got)
	}
}

func TestWhatMakesNoSenseIsRefused(t *testing.T) {
	on := quoratetest.Local(t, service)
	for _, ask := range []Allow{
		{Limit: 0, Per: 1, Cost: 1}, {Limit: limitMax + 1, Per: 1, Cost: 1},
		{Limit: 1, Per: 0, Cost: 1}, {Limit: 1, Per: perMax.Milliseconds() + 1, Cost: 1},
		{Limit: 1, Per: 1, Cost: 0}, {Limit: 5, Per: 1, Cost: 6},
	} {
		if got, err := quorate.Do(t.Context(), on, ask); quorate.CodeOf(err) != quorate.Invalid {
			t.Errorf("%+v: %+v, %v", ask, got, err)
		}
	}
}

// passed is what was let through.
type passed struct {
	at   time.Time
	cost int64
}

// Between any two moments no more passes than the limit and what the time
// between them earned; and what is said to remain, and of when to come again, holds.
func TestNoWindowLetsMoreThrough(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(1, seed))
		on := quoratetest.Local(t, service)
		limit, per := 1+r.Int64N(20), 1+r.Int64N(5000)
		if seed == 0 {
			limit, per = 600_000, 1 // where one is worth less than two nanoseconds
		}
		var all []passed
		for range 150 {
			ask := Allow{Key: "ann", Limit: limit, Per: per, Cost: 1 + r.Int64N(limit)}
			got := mustAsk(t, on, ask)
			if !got.Allowed && r.IntN(4) == 0 {
				on.Advance(time.Duration(got.RetryMs) * time.Millisecond)
				if got = mustAsk(t, on, ask); !got.Allowed {
					t.Errorf("seed %d: %+v is refused after the time that was told", seed, ask)
				}
			}
			if got.Allowed {
				all = append(all, passed{on.Now(), ask.Cost})
			}
			if got.Remaining > 0 && r.IntN(8) == 0 {
				all = append(all, passed{on.Now(), got.Remaining})
				if next := mustAsk(t, on, Allow{Key: "ann", Limit: limit, Per: per, Cost: got.Remaining}); !next.Allowed || next.Remaining != 0 {
					t.Errorf("seed %d: %d were to remain, and then %+v", seed, got.Remaining, next)
				}
			}
			on.Advance(time.Duration(r.Int64N(2 * per * int64(time.Millisecond) / 3)))
		}
		checkWindows(t, seed, all, limit, time.Duration(per)*time.Millisecond)
	}
}

// checkWindows looks at each window from one passage to another.
func checkWindows(t *testing.T, seed uint64, all []passed, limit int64, period time.Duration) {
	t.Helper()
	for i, first := range all {
		var sum int64
		for _, p := range all[i:] {
			sum += p.cost
			earned := float64(limit) * float64(p.at.Sub(first.at)) / float64(period)
			if float64(sum) > float64(limit)+earned+1e-6 {
				t.Errorf("seed %d: %d passed in %v, with a limit of %d in %v", seed, sum, p.at.Sub(first.at), limit, period)
				return
			}
		}
	}
}

func TestLimiterIsTheSameOnEveryNode(t *testing.T) {
	quoratetest.CheckDeterminism(t, service, func(r *rand.Rand) any {
		return Allow{Key: []string{"ann", "bob"}[r.IntN(2)], Limit: 1 + r.Int64N(9), Per: 1 + r.Int64N(90), Cost: 1}
	})
}

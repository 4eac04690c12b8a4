package loop_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/bench/internal/loop"
)

var errBusy = errors.New("busy")

// opening readies callers that all call the same.
func opening(call loop.Call) func(int) (loop.Call, func(), error) {
	return func(int) (loop.Call, func(), error) { return call, nil, nil }
}

// taking is a call that is answered after some time.
func taking(d time.Duration) loop.Call {
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestOnlyTheWindowCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var began, ended time.Duration
		got, err := loop.Run(t.Context(), loop.Plan{
			Callers: 3, Warmup: time.Second, Duration: 2 * time.Second,
			Open:  opening(taking(3 * time.Millisecond)),
			Began: func() { began = time.Since(start) },
			Ended: func() { ended = time.Since(start) },
		})
		if err != nil {
			t.Fatal(err)
		}
		// Answers come at 3, 6, 9 … ms: from 1002 to 2997 ms in the window.
		if want := int64(3 * 666); got.Answered != want {
			t.Errorf("%d calls were answered, want %d", got.Answered, want)
		}
		// A histogram knows 3 digits.
		if got.P50.Round(10*time.Microsecond) != 3*time.Millisecond || got.P99 != got.P50 || got.Elapsed != 2*time.Second {
			t.Errorf("got %+v", got)
		}
		if got.Rate() != 999 || got.Err() != nil {
			t.Errorf("rate %v, error %v", got.Rate(), got.Err())
		}
		if began != time.Second || ended != 3*time.Second {
			t.Errorf("the window was open from %v to %v", began, ended)
		}
	})
}

func TestRefusalsAreNoAnswersAndNoFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls int
		got, err := loop.Run(t.Context(), loop.Plan{
			Callers: 1, Duration: time.Second,
			Refused: func(err error) bool { return errors.Is(err, errBusy) },
			Open: opening(func(ctx context.Context) error {
				if calls++; calls%2 == 0 {
					return errBusy
				}
				return taking(time.Millisecond)(ctx)
			}),
		})
		if err != nil || got.Err() != nil {
			t.Fatal(err, got.Err())
		}
		// An answer takes a millisecond, and the pause after a refusal another.
		if got.Answered != 500 || got.Refused != 499 && got.Refused != 500 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestFailureVoidsTheResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, err := loop.Run(t.Context(), loop.Plan{
			Callers: 1, Duration: time.Second,
			Open: opening(func(context.Context) error { return errBusy }),
		})
		if err != nil {
			t.Fatal(err)
		}
		if got.Err() == nil || !strings.Contains(got.Err().Error(), errBusy.Error()) {
			t.Errorf("the result of failed calls is %v", got.Err())
		}
	})
}

func TestSilenceIsNoResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, err := loop.Run(t.Context(), loop.Plan{Callers: 1, Duration: time.Second, Open: opening(taking(time.Hour))})
		if err != nil {
			t.Fatal(err)
		}
		if got.Err() == nil {
			t.Error("no call was answered, and that is a result")
		}
	})
}

func TestEndOfTheContextEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := loop.Run(ctx, loop.Plan{Callers: 5, Duration: time.Hour, Open: opening(taking(time.Minute))})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestCallersThatWereReadiedAreEnded(t *testing.T) {
	var ended int
	_, err := loop.Run(t.Context(), loop.Plan{Callers: 3, Open: func(i int) (loop.Call, func(), error) {
		if i == 2 {
			return nil, nil, errBusy
		}
		return taking(0), func() { ended++ }, nil
	}})
	if !errors.Is(err, errBusy) || ended != 2 {
		t.Errorf("%v, and %d of 2 callers were ended", err, ended)
	}
}

package load_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/load"
)

func TestStallShowsInTheOpenLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A tenth of the calls is meant to begin while the server stalls, and waits
		// for up to a second: 9 % of all wait for longer than 100 ms.
		began := time.Now()
		s := &server{takes: time.Millisecond, stall: began.Add(5 * time.Second), resumes: began.Add(6 * time.Second)}
		got := mustRun(t, t.Context(), load.Plan{Callers: 50, Rate: 1000, Duration: 10 * time.Second, Open: s.open})
		if got.Answered != 10_000 || got.Waiting != 0 || got.Failures() != 0 {
			t.Errorf("answered %d, waiting %d, failed %d", got.Answered, got.Waiting, got.Failures())
		}
		if p50 := got.Percentile(50); !near(p50, time.Millisecond) {
			t.Errorf("p50 is %v", p50)
		}
		if p99 := got.Percentile(99); p99 < 890*time.Millisecond || p99 > 930*time.Millisecond {
			t.Errorf("p99 is %v", p99)
		}
		if worst := got.Max(); worst < time.Second || worst > 1010*time.Millisecond {
			t.Errorf("the longest is %v", worst)
		}
	})
}

func TestStallHidesInTheClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := &server{takes: time.Millisecond, stall: began.Add(5 * time.Second), resumes: began.Add(6 * time.Second)}
		got := mustRun(t, t.Context(), load.Plan{Callers: 50, Duration: 10 * time.Second, Open: s.open})
		if p99 := got.Percentile(99); !near(p99, time.Millisecond) {
			t.Errorf("p99 is %v", p99)
		}
		if worst := got.Max(); !near(worst, 1001*time.Millisecond) {
			t.Errorf("the longest is %v", worst)
		}
		// Nine seconds of 50 callers, and for each the call that was held up.
		if want := int64(9*50*1000 + 50); got.Answered < want-100 || got.Answered > want+100 {
			t.Errorf("answered %d, want about %d", got.Answered, want)
		}
	})
}

func TestRateIsThatOfAllCallersTogether(t *testing.T) {
	for _, c := range []struct {
		callers, depth int
		rate           float64
		want           int64
	}{
		{1, 1, 100, 300},
		{7, 1, 100, 300},
		{64, 1, 3000, 9000},
		{4, 16, 1600, 4800}, // 100 times a second 16 calls
		{2, 3, 10, 30},      // a time between calls that is no whole number
		{3, 1, 0.5, 1},      // at 0 s, in the warm-up; at 2 s; and at 4 s, which is the end
		{200, 1, 9_999, 29_997},
	} {
		t.Run(fmt.Sprintf("%v by %d times %d", c.rate, c.callers, c.depth), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{takes: time.Microsecond}
				got := mustRun(t, t.Context(), load.Plan{
					Callers: c.callers, Depth: c.depth, Rate: c.rate, Warmup: time.Second, Duration: 3 * time.Second, Open: s.open,
				})
				if got.Answered != c.want || got.Waiting != 0 {
					t.Errorf("answered %d, waiting %d, want %d", got.Answered, got.Waiting, c.want)
				}
				if elapsed := got.Elapsed; elapsed < 3*time.Second || elapsed > 3*time.Second+time.Millisecond {
					t.Errorf("it took %v", elapsed)
				}
				if rate := got.Rate(); rate < float64(c.want)/3*0.999 || rate > float64(c.want)/3*1.001 {
					t.Errorf("the rate is %v, want %v", rate, float64(c.want)/3)
				}
			})
		})
	}
}

func TestWarmupIsNotMeasured(t *testing.T) {
	for _, rate := range []float64{0, 1000} {
		synctest.Test(t, func(t *testing.T) {
			warm := time.Now().Add(2 * time.Second)
			cold := quorate.Errorf(quorate.Unavailable, "cold")
			got := mustRun(t, t.Context(), load.Plan{
				Callers: 1, Rate: rate, Warmup: 2 * time.Second, Duration: time.Second,
				Open: each(func(ctx context.Context) []error {
					rest(ctx, time.Millisecond)
					if !time.Now().After(warm) {
						return []error{cold}
					}
					return nil
				}),
			})
			if got.Answered != 1000 || got.Failures() != 0 || got.Elapsed < time.Second || got.Elapsed > 1001*time.Millisecond {
				t.Errorf("rate %v: answered %d, failed %d in %v", rate, got.Answered, got.Failures(), got.Elapsed)
			}
		})
	}
}

func TestRateThatCannotBeKeptLeavesABacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Ten callers can make 1,000 calls a second, and 5,000 are asked for. After
		// the 4 s there is another one to catch up.
		s := &server{takes: 10 * time.Millisecond}
		got := mustRun(t, t.Context(), load.Plan{Callers: 10, Rate: 5000, Duration: 4 * time.Second, Open: s.open})
		if total := got.Answered + got.Waiting; total != 20_000 {
			t.Errorf("answered %d and waiting %d, which is not each call of the schedule", got.Answered, got.Waiting)
		}
		if got.Answered < 4980 || got.Answered > 5010 || got.Backlog < 14_900 || got.Backlog > got.Waiting {
			t.Errorf("answered %d, waiting %d, of which %d had not begun", got.Answered, got.Waiting, got.Backlog)
		}
		// Call n of the schedule is answered after n ms and was meant to begin after
		// n/5 ms: those that are answered took 0 to 4 s. At 5 s all others are given
		// up, which is three in four; they have waited for 1 to 4 s.
		if p50 := got.Percentile(50); p50 < 2350*time.Millisecond || p50 > 2450*time.Millisecond {
			t.Errorf("p50 is %v: those that wait are left out", p50)
		}
		if rate := got.Rate(); rate < 990 || rate > 1010 {
			t.Errorf("the rate is %v", rate)
		}
	})
}

func TestBacklogOfTheWarmupIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The warm-up alone leaves more behind than can be done in the whole run.
		s := &server{takes: 10 * time.Millisecond}
		got := mustRun(t, t.Context(), load.Plan{Callers: 1, Rate: 1000, Warmup: time.Minute, Duration: time.Second, Open: s.open})
		if got.Answered < 195 || got.Answered > 201 || got.Answered+got.Waiting != 1000 {
			t.Errorf("answered %d, waiting %d", got.Answered, got.Waiting)
		}
	})
}

func TestCallsWithoutAnAnswerAreGivenUpAndCounted(t *testing.T) {
	for _, c := range []struct {
		rate    float64
		waiting int64
		backlog int64
	}{
		{0, 3, 0},
		{100, 100, 97},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			s := &server{takes: time.Millisecond, stall: began.Add(2 * time.Second), resumes: began.Add(time.Hour)}
			got := mustRun(t, t.Context(), load.Plan{Callers: 3, Rate: c.rate, Duration: 3 * time.Second, Open: s.open})
			if got.Waiting != c.waiting || got.Backlog != c.backlog || got.Failures() != 0 {
				t.Errorf("rate %v: waiting %d, backlog %d, failed %d", c.rate, got.Waiting, got.Backlog, got.Failures())
			}
			if took := time.Since(began); took != 4*time.Second {
				t.Errorf("rate %v: it ended after %v", c.rate, took)
			}
			if got.Elapsed != 3*time.Second || !near(got.Max(), 2*time.Second) {
				t.Errorf("rate %v: elapsed %v, the longest is %v", c.rate, got.Elapsed, got.Max())
			}
		})
	}
}

func TestFailuresAreCountedByOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unknown := &quorate.Error{Code: quorate.Unavailable, Outcome: quorate.Unknown, Message: "lost"}
		answers := [][]error{
			nil,
			{quorate.Errorf(quorate.Overloaded, "full"), unknown},
			{fmt.Errorf("call: %w", unknown)},
			{errors.New("nonsense"), errors.New("more of it")},
			{quorate.Errorf(quorate.Overloaded, "full again")},
		}
		n := 0
		got := mustRun(t, t.Context(), load.Plan{
			Callers: 1, Depth: 2, Duration: 5 * time.Second,
			Open: each(func(ctx context.Context) []error {
				rest(ctx, time.Second)
				n++
				return answers[n-1]
			}),
		})
		if got.Answered != 4 || got.Failures() != 6 {
			t.Errorf("answered %d, failed %d", got.Answered, got.Failures())
		}
		for outcome, want := range map[load.Outcome]string{load.NotApplied: "2 full", load.Unknown: "2 lost", load.Other: "2 nonsense"} {
			if f := got.Failed[outcome]; fmt.Sprint(f.Calls, " ", f.First) != want {
				t.Errorf("%v: %d, the first of them %q, want %s", outcome, f.Calls, f.First, want)
			}
		}
		if !near(got.Max(), time.Second) {
			t.Errorf("the longest latency is %v", got.Max())
		}
	})
}

func TestTheFirstMessageIsThatOfAllCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := mustRun(t, t.Context(), load.Plan{
			Callers: 70, Duration: time.Second,
			Open: func(_ context.Context, caller int) (load.Worker, error) {
				return worker{do: func(ctx context.Context) []error {
					rest(ctx, time.Duration(200-caller)*time.Millisecond)
					return []error{fmt.Errorf("caller %d", caller)}
				}}, nil
			},
		})
		if first := got.Failed[load.Other].First; fmt.Sprint(first) != "caller 69" {
			t.Errorf("the first error is %v", first)
		}
	})
}

func TestHistogramsOfAllCallersAreMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Each makes one call, which takes 5 ms longer than that of the caller before.
		got := mustRun(t, t.Context(), load.Plan{
			Callers: 100, Duration: time.Millisecond,
			Open: func(_ context.Context, caller int) (load.Worker, error) {
				return worker{do: func(ctx context.Context) []error {
					rest(ctx, time.Duration(caller+1)*5*time.Millisecond)
					return nil
				}}, nil
			},
		})
		if got.Answered != 100 || !near(got.Mean(), 252500*time.Microsecond) || !near(got.Max(), 500*time.Millisecond) {
			t.Errorf("answered %d, mean %v, max %v", got.Answered, got.Mean(), got.Max())
		}
		for percent, want := range map[float64]time.Duration{1: 5, 50: 250, 90: 450, 99: 495, 100: 500} {
			want *= time.Millisecond
			if p := got.Percentile(percent); !near(p, want) {
				t.Errorf("p%v is %v, want %v", percent, p, want)
			}
		}
	})
}

func TestInterruptReportsWhatWasMeasured(t *testing.T) {
	for _, rate := range []float64{0, 10, 1000} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			began := time.Now()
			time.AfterFunc(3*time.Second+time.Millisecond/2, cancel)
			s := &server{takes: time.Millisecond}
			got := mustRun(t, ctx, load.Plan{Callers: 1, Rate: rate, Warmup: time.Second, Duration: time.Hour, Open: s.open})
			if took := time.Since(began); took > 3010*time.Millisecond {
				t.Errorf("rate %v: it went on until %v", rate, took)
			}
			want := int64(2000)
			if rate > 0 {
				want = int64(2 * rate)
			}
			if !got.Interrupted || got.Answered != want || got.Failures() != 0 || got.Backlog != 0 || got.Waiting > 1 {
				t.Errorf("rate %v: interrupted %v, answered %d, failed %d, waiting %d", rate, got.Interrupted, got.Answered, got.Failures(), got.Waiting)
			}
			if got.Elapsed < 2*time.Second || got.Elapsed > 2001*time.Millisecond {
				t.Errorf("rate %v: elapsed %v", rate, got.Elapsed)
			}
		})
	}
}

func TestInterruptInTheWarmupMeasuresNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		s := &server{takes: time.Millisecond}
		got := mustRun(t, ctx, load.Plan{Callers: 2, Rate: 50, Warmup: time.Second, Duration: time.Hour, Open: s.open})
		if !got.Interrupted || got.Answered+got.Waiting != 0 || got.Elapsed != 0 || got.Rate() != 0 || got.Measured() {
			t.Errorf("%+v", got)
		}
	})
}

func TestWorkerThatCannotBeOpenedEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{takes: time.Millisecond}
		refused := errors.New("refused")
		var opened atomic.Int64
		_, err := load.Run(t.Context(), load.Plan{
			Callers: 200, Duration: time.Hour,
			Open: func(ctx context.Context, caller int) (load.Worker, error) {
				if caller == 130 {
					return nil, refused
				}
				if caller > 130 {
					<-ctx.Done() // it would wait for ever
					return nil, ctx.Err()
				}
				opened.Add(1)
				return s.open(ctx, caller)
			},
		})
		if !errors.Is(err, refused) {
			t.Errorf("the error is %v", err)
		}
		if closed := s.closed.Load(); closed == 0 || closed != opened.Load() || s.calls.Load() != 0 {
			t.Errorf("%d of %d workers were closed, and %d calls made", closed, opened.Load(), s.calls.Load())
		}
	})
}

func TestEveryWorkerIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{takes: time.Millisecond}
		mustRun(t, t.Context(), load.Plan{Callers: 100, Duration: time.Second, Open: s.open})
		if closed := s.closed.Load(); closed != 100 {
			t.Errorf("%d of 100 workers were closed", closed)
		}
	})
}

func TestPlanThatCannotBeIsRefused(t *testing.T) {
	s := &server{}
	for _, p := range []load.Plan{
		{Duration: 1, Open: s.open},
		{Callers: 1, Open: s.open},
		{Callers: 1, Duration: 1},
		{Callers: 1, Duration: 1, Rate: -1, Open: s.open},
		{Callers: 1, Duration: 1, Rate: 1e10, Open: s.open},
		{Callers: 1, Duration: 1, Warmup: -1, Open: s.open},
	} {
		if _, err := load.Run(t.Context(), p); !errors.Is(err, load.ErrPlan) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func TestSamplesTellHowItGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []load.Sample
		s := &server{takes: time.Millisecond}
		mustRun(t, t.Context(), load.Plan{
			Callers: 5, Rate: 100, Warmup: time.Second, Duration: 2 * time.Second, Open: s.open,
			Watch: func(s load.Sample) { seen = append(seen, s) },
		})
		var lines []string
		for _, s := range seen {
			lines = append(lines, fmt.Sprint(s.Warming, s.Left, int(s.Rate/10+0.5)*10, s.P99.Round(time.Millisecond), s.Failed))
		}
		want := "true 2.5s 0 0s 0, true 2s 0 0s 0, false 1.5s 100 1ms 0, false 1s 100 1ms 0, false 500ms 100 1ms 0"
		if got := strings.Join(lines, ", "); !strings.HasPrefix(got, want) {
			t.Errorf("samples: %s", got)
		}
	})
}

func TestDistributionIsWhatThePlotterReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{takes: 2 * time.Millisecond}
		got := mustRun(t, t.Context(), load.Plan{Callers: 1, Rate: 10, Duration: time.Second, Open: s.open})
		var text strings.Builder
		if err := got.WriteDistribution(&text); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"Percentile", "       2.000     0.000000           10         1.00\n", "#[Mean    =        2.000", "Total count    =           10]"} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("no %q in:\n%s", want, text.String())
			}
		}
	})
}

func TestTimerWaitsAtLeastForItsTime(t *testing.T) {
	timer, err := load.NewTimer()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []time.Duration{-1, 0, 1, time.Microsecond, 100 * time.Microsecond, 2 * time.Millisecond} {
		began := time.Now()
		timer.Sleep(d)
		if took := time.Since(began); took < d {
			t.Errorf("it waited for %v instead of %v", took, d)
		}
	}
	if err := timer.Close(); err != nil {
		t.Error(err)
	}
	began := time.Now()
	timer.Sleep(2 * time.Millisecond)
	if took := time.Since(began); took < 2*time.Millisecond {
		t.Errorf("closed, it waited for %v", took)
	}
}

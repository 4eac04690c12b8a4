// Package loop has callers call as fast as they are answered, and measures how
// often and how long that takes.
//
// The loop is closed: each caller makes its next call when the last one was
// answered. A call counts if its answer came inside of the window that is
// measured, so that neither the beginning nor the end of a run shows.
package loop

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Call makes one call and returns when it was answered. Only its own caller
// uses it.
type Call func(ctx context.Context) error

// Plan says what is measured.
type Plan struct {
	// Callers is how many call at a time.
	Callers int
	// Warmup goes before the window that is measured, which lasts Duration.
	Warmup, Duration time.Duration
	// Open readies one of the callers. It returns what ends it, too, or nil.
	Open func(caller int) (call Call, end func(), err error)
	// Refused says of an error that the system asks to be called later. Such
	// calls are counted apart, and the caller pauses before the next one.
	// Default: none is.
	Refused func(error) bool
	// Began and Ended are called when the window opens and closes. Default:
	// nothing.
	Began, Ended func()
}

// Result is what came out. Latencies are those of answered calls.
type Result struct {
	// Answered, Refused and Failed are calls inside of the window.
	Answered, Refused, Failed int64
	// Error is the first of those that failed, or empty.
	Error string `json:",omitempty"`
	// Elapsed is how long the window was.
	Elapsed time.Duration
	// P50, P99 and Max are latencies, to 3 digits.
	P50, P99, Max time.Duration
}

// Rate is the calls answered in a second.
func (r Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Answered) / r.Elapsed.Seconds()
}

const (
	// refusedPause is how long a caller waits after it was refused. Without
	// it, refusals keep a core busy that the answers need.
	refusedPause = time.Millisecond
	// latencyMax is the longest latency that is told apart from longer ones.
	latencyMax    = time.Minute
	latencyDigits = 3
	// shards is how many histograms callers share. One for each of 4096
	// callers would be 600 MiB.
	shards = 16
)

// Run measures. It fails if a caller cannot be readied, or if ctx ends.
func Run(ctx context.Context, plan Plan) (Result, error) {
	calls := make([]Call, plan.Callers)
	for i := range calls {
		call, end, err := plan.Open(i)
		if err != nil {
			return Result{}, fmt.Errorf("ready caller %d of %d: %w", i+1, plan.Callers, err)
		}
		if end != nil {
			defer end()
		}
		calls[i] = call
	}
	return newRun(plan).measure(ctx, calls)
}

// run is one measurement under way.
type run struct {
	plan            Plan
	opens, closes   time.Time
	shards          [shards]shard
	refused, failed atomic.Int64
	firstError      atomic.Pointer[error]
}

// shard is the latencies of some of the callers.
type shard struct {
	mu        sync.Mutex
	latencies *hdrhistogram.Histogram // in microseconds; guarded by mu
	longer    int64                   // than latencyMax; guarded by mu
}

func newRun(plan Plan) *run {
	r := &run{plan: plan}
	for i := range r.shards {
		r.shards[i].latencies = newHistogram()
	}
	return r
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, latencyMax.Microseconds(), latencyDigits)
}

func (r *run) measure(ctx context.Context, calls []Call) (Result, error) {
	calling, quit := context.WithCancel(ctx)
	defer quit()
	r.opens = time.Now().Add(r.plan.Warmup)
	r.closes = r.opens.Add(r.plan.Duration)
	var callers sync.WaitGroup
	for i, call := range calls {
		callers.Go(func() { r.call(calling, call, &r.shards[i%shards]) })
	}
	waitUntil(ctx, r.opens)
	if r.plan.Began != nil {
		r.plan.Began()
	}
	waitUntil(ctx, r.closes)
	if r.plan.Ended != nil {
		r.plan.Ended()
	}
	quit()
	callers.Wait()
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	return r.result(), nil
}

func waitUntil(ctx context.Context, t time.Time) {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// call is the loop of one caller.
func (r *run) call(ctx context.Context, call Call, in *shard) {
	for ctx.Err() == nil {
		began := time.Now()
		err := call(ctx)
		ended := time.Now()
		if !ended.Before(r.closes) {
			return
		}
		if !ended.Before(r.opens) {
			r.count(err, ended.Sub(began), in)
		}
		if err != nil {
			waitUntil(ctx, ended.Add(refusedPause))
		}
	}
}

func (r *run) count(err error, latency time.Duration, in *shard) {
	switch {
	case err == nil:
		in.record(latency)
	case r.plan.Refused != nil && r.plan.Refused(err):
		r.refused.Add(1)
	default:
		r.failed.Add(1)
		r.firstError.CompareAndSwap(nil, &err)
	}
}

func (s *shard) record(latency time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.latencies.RecordValue(latency.Microseconds()); err != nil {
		s.longer++
	}
}

func (r *run) result() Result {
	all := newHistogram()
	result := Result{Refused: r.refused.Load(), Failed: r.failed.Load(), Elapsed: r.plan.Duration}
	for i := range r.shards {
		// Every caller has ended: nobody holds a lock.
		all.Merge(r.shards[i].latencies)
		_ = all.RecordValues(latencyMax.Microseconds(), r.shards[i].longer) // within its range
	}
	result.Answered = all.TotalCount()
	micros := func(v int64) time.Duration { return time.Duration(v) * time.Microsecond }
	result.P50, result.P99, result.Max = micros(all.ValueAtQuantile(50)), micros(all.ValueAtQuantile(99)), micros(all.Max())
	if err := r.firstError.Load(); err != nil {
		result.Error = (*err).Error()
	}
	return result
}

// Err is why a result tells nothing, or nil: a call failed, or none was
// answered.
func (r Result) Err() error {
	switch {
	case r.Failed > 0:
		return fmt.Errorf("%d calls failed beside %d that were answered, the first with: %s", r.Failed, r.Answered, r.Error)
	case r.Answered == 0:
		return errors.New("no call was answered")
	}
	return nil
}

// Package load keeps a system busy and measures how it answers. It does not
// know what a call is: a Worker makes them.
//
// There are two ways to do that, and a figure means nothing without the one it
// was measured in.
//
//   - In an open loop calls begin by a schedule that waits for nobody, as those
//     of independent users do. The latency of a call counts from the moment it
//     was meant to begin: while the system stalls for a second at 1,000 calls a
//     second, a thousand calls are late, and all of them show it.
//   - In a closed loop each caller begins a call when its last one was answered.
//     It finds how much the system can do. Its latencies are those of callers
//     who wait patiently: the same stall delays one call for each of them.
//
// The rule it keeps: each call that was meant to begin within the time that is
// measured is counted once, as answered, as failed, or as waiting when the run
// ended. Those that wait are in the latencies with the time that they have
// waited for: a run cannot look good by ending early. Those that failed are not.
package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Worker makes the calls of one caller. It is used by one goroutine at a time.
type Worker interface {
	// Do makes Plan.Depth calls at once. It returns when all were answered, or
	// soon after ctx ends, with an error for each that failed. The outcome of a
	// *quorate.Error is counted; other errors have none. A worker that cannot
	// even try waits a little before it says so, for it is asked again at once.
	Do(ctx context.Context) []error
	// Close gives back what the worker holds.
	Close() error
}

// Plan says how much is to be done, and for how long.
type Plan struct {
	// Callers is how many workers there are. At least 1.
	Callers int
	// Depth is how many calls a worker makes at once. Default 1.
	Depth int
	// Rate is how many calls a second are meant to begin, over all callers. 0 is
	// a closed loop.
	Rate float64
	// Warmup passes before anything is measured.
	Warmup time.Duration
	// Duration is how long is measured. Over 0.
	Duration time.Duration
	// Open makes the worker of a caller, counted from 0. Several are opened at
	// the same time.
	Open func(ctx context.Context, caller int) (Worker, error)
	// Watch, if not nil, is told about twice a second how it goes, by one
	// goroutine.
	Watch func(Sample)
	// Sleep, if not nil, waits for the next call of the schedule, never for more
	// than a few milliseconds. Default time.Sleep; see Timer.
	Sleep func(time.Duration)
}

// ErrPlan is what all errors are that a Plan itself is the reason of.
var ErrPlan = errors.New("this load cannot be made")

const (
	// drainMax is how long what was meant to begin in time may take after the
	// end. It measures a stall that begins shortly before the end, and is short
	// enough to wait for when nothing is answered any more.
	drainMax = time.Second
	// openingMax bounds how many workers are opened at the same time: a server
	// has room for 128 connections that it has not accepted yet, or more.
	openingMax = 64
	// recordersMax bounds the recorders. Each takes 140 KiB, and its lock is held
	// for some 50 ns in a call: shared by 16 callers it is all but free.
	recordersMax = 64
)

func (p *Plan) check() error {
	p.Depth = max(p.Depth, 1)
	if p.Sleep == nil {
		p.Sleep = time.Sleep
	}
	switch {
	case p.Callers < 1:
		return fmt.Errorf("%w: %d callers", ErrPlan, p.Callers)
	case p.Duration <= 0 || p.Warmup < 0:
		return fmt.Errorf("%w: it is to last %v after a warm-up of %v", ErrPlan, p.Duration, p.Warmup)
	case !(p.Rate >= 0 && p.Rate <= rateMax):
		return fmt.Errorf("%w: %v calls a second", ErrPlan, p.Rate)
	case p.Open == nil:
		return fmt.Errorf("%w: there is nothing that makes workers", ErrPlan)
	}
	return nil
}

// Run opens the workers, keeps them busy and says what came of it. If ctx ends
// before the time does, the result is that of the time until then. The error is
// that of a worker which could not be opened, or of the plan.
func Run(ctx context.Context, p Plan) (*Result, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	workers, err := p.open(ctx)
	defer closeAll(workers)
	if err != nil {
		return nil, err
	}
	return newRun(p, time.Now()).run(ctx, workers), nil
}

// open makes all workers. Those that are there belong to the caller also if
// there is an error.
func (p *Plan) open(ctx context.Context) ([]Worker, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	workers := make([]Worker, p.Callers)
	room := make(chan struct{}, openingMax)
	var opening sync.WaitGroup
	for i := range workers {
		room <- struct{}{}
		opening.Go(func() {
			defer func() { <-room }()
			if ctx.Err() != nil {
				return
			}
			w, err := p.Open(ctx, i)
			if err != nil {
				cancel(err) // the first is the reason of the others
				return
			}
			workers[i] = w
		})
	}
	opening.Wait()
	return workers, context.Cause(ctx)
}

func closeAll(workers []Worker) {
	var closing sync.WaitGroup
	for _, w := range workers {
		if w != nil {
			closing.Go(func() { _ = w.Close() }) // all that it was for is measured
		}
	}
	closing.Wait()
}

// run is one run of a plan.
type run struct {
	plan Plan
	// start is when the first call begins, from when it is measured, and end
	// when no more calls are meant to begin.
	start, from, end time.Time
	schedule         *schedule // nil is a closed loop
	recorders        []*recorder
}

func newRun(p Plan, now time.Time) *run {
	r := &run{plan: p, start: now, from: now.Add(p.Warmup)}
	r.end = r.from.Add(p.Duration)
	if p.Rate > 0 {
		r.schedule = newSchedule(now, r.from, r.end, p.Rate/float64(p.Depth), p.Sleep)
	}
	for range min(p.Callers, recordersMax) {
		r.recorders = append(r.recorders, newRecorder())
	}
	return r
}

func (r *run) run(told context.Context, workers []Worker) *Result {
	// The context has no deadline: a worker would take that for the one of its
	// calls.
	ctx, cancel := context.WithCancel(told)
	defer cancel()
	defer time.AfterFunc(time.Until(r.end)+drainMax, cancel).Stop()

	var calling sync.WaitGroup
	for i, w := range workers {
		calling.Go(func() { r.call(ctx, w, r.recorders[i%len(r.recorders)]) })
	}
	stopWatch := r.watch()
	calling.Wait()
	stopWatch()
	return r.result(time.Now(), told.Err() != nil)
}

// call makes one call after the other.
func (r *run) call(ctx context.Context, w Worker, rec *recorder) {
	for {
		began, ok := r.next(ctx)
		if !ok {
			return
		}
		failed := w.Do(ctx)
		now := time.Now()
		if began.Before(r.from) {
			continue
		}
		rec.answered(now, now.Sub(began), r.plan.Depth-len(failed))
		if ctx.Err() != nil {
			// They were given up because the run ended, and not before.
			rec.waiting(now.Sub(began), len(failed))
			continue
		}
		rec.failed(now, failed)
	}
}

// next is the moment from which the latency of the next call counts.
func (r *run) next(ctx context.Context) (time.Time, bool) {
	if r.schedule != nil {
		return r.schedule.next(ctx)
	}
	now := time.Now()
	return now, now.Before(r.end) && ctx.Err() == nil
}

// result is what the run came to, which ended at a moment.
func (r *run) result(stopped time.Time, interrupted bool) *Result {
	all := newRecorder()
	for _, rec := range r.recorders {
		rec.addTo(all)
	}
	end := r.end
	if interrupted && stopped.Before(end) {
		end = stopped
	}
	var backlog int64
	if r.schedule != nil {
		backlog = r.schedule.backlog(end, stopped, r.plan.Depth, all)
	}
	last := end
	if all.last.After(last) {
		last = all.last
	}
	return &Result{
		Answered:    all.calls,
		Failed:      all.failures,
		Waiting:     all.unanswered,
		Backlog:     backlog,
		Elapsed:     max(last.Sub(r.from), 0),
		Interrupted: interrupted && end.Before(r.end),
		latency:     all.latency,
	}
}

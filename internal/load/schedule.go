package load

import (
	"context"
	"math"
	"time"
)

const (
	// rateMax bounds the calls a second. Above it the moments of two calls would
	// be one nanosecond.
	rateMax = 1e9
	// sleepMax is how long the precise clock is waited for. Before that a timer
	// is, which an interrupt ends; it is late by up to a millisecond on Linux.
	sleepMax = 2 * time.Millisecond
	// backlogRecordsMax bounds how often a backlog is recorded: 20 ns for each
	// are 20 ms. Of a longer one several calls next to each other are one record.
	backlogRecordsMax = 1_000_000
)

// schedule gives out the moments at which calls are meant to begin, in their
// order, each to the next caller that is free. The moments do not depend on how
// fast that is. A backlog is a number and takes no memory.
type schedule struct {
	// start is the first moment, from is when the measuring begins, and all
	// moments are before end.
	start, from, end time.Time
	perSecond        float64
	sleep            func(time.Duration)
	// turn holds the number of the next moment. Who has it waits for that
	// moment, and hands it on; so there is one who sleeps and no more.
	turn chan int64
}

func newSchedule(start, from, end time.Time, perSecond float64, sleep func(time.Duration)) *schedule {
	s := &schedule{start: start, from: from, end: end, perSecond: perSecond, sleep: sleep, turn: make(chan int64, 1)}
	s.turn <- 0
	return s
}

// moment is when number n is meant to begin.
func (s *schedule) moment(n int64) time.Time {
	return s.start.Add(time.Duration(float64(n) / s.perSecond * float64(time.Second)))
}

// before is how many moments lie before one: the smallest n whose moment does
// not.
func (s *schedule) before(t time.Time) int64 {
	n := max(int64(math.Floor(t.Sub(s.start).Seconds()*s.perSecond))-1, 0)
	for s.moment(n).Before(t) { // what rounding took or gave: two or three steps
		n++
	}
	return n
}

// next waits for the next moment and returns it. Of a moment that has passed it
// is told at once. There is none when the schedule is over, or ctx is.
func (s *schedule) next(ctx context.Context) (time.Time, bool) {
	var n int64
	select {
	case n = <-s.turn:
	case <-ctx.Done():
		return time.Time{}, false
	}
	at := s.moment(n)
	if at.Before(s.from) && !time.Now().Before(s.from) {
		// What the warm-up has left undone is nobody's to measure, and would be
		// done before what is.
		n = s.before(s.from)
		at = s.moment(n)
	}
	if !at.Before(s.end) || !s.wait(ctx, at) {
		s.turn <- n
		return time.Time{}, false
	}
	s.turn <- n + 1
	return at, true
}

// wait waits until a moment comes. It is false if ctx ends first.
func (s *schedule) wait(ctx context.Context, at time.Time) bool {
	if left := time.Until(at) - sleepMax; left > 0 {
		timer := time.NewTimer(left)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return false
		}
	}
	if left := time.Until(at); left > 0 {
		s.sleep(left)
	}
	return ctx.Err() == nil
}

// backlog is how many of the calls that are measured were meant to begin before
// a moment and were not given out. It records how long they have waited when the
// run stopped. Nobody may call next any more.
func (s *schedule) backlog(end, stopped time.Time, depth int, to *recorder) (calls int64) {
	taken := <-s.turn
	s.turn <- taken
	first, last := max(taken, s.before(s.from)), s.before(end)
	step := (last-first)/backlogRecordsMax + 1
	for n := first; n < last; n += step {
		k := min(step, last-n) * int64(depth)
		to.waiting(stopped.Sub(s.moment(n)), int(k))
		calls += k
	}
	return calls
}

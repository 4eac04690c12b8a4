package load

import (
	"sync"
	"time"
)

// sampleEvery is how often Plan.Watch is told how it goes.
const sampleEvery = 500 * time.Millisecond

// Sample is how a run goes.
type Sample struct {
	// Warming says that nothing is measured yet; Left is all else that is known.
	Warming bool
	// Left is how much of the time is left, the warm-up with it.
	Left time.Duration
	// Rate is how many calls a second were answered since the last sample.
	Rate float64
	// P99 is the latency that 99 percent have not exceeded since the measuring
	// began.
	P99 time.Duration
	// Failed is how many calls have failed since then.
	Failed int64
}

// watch tells Plan.Watch how it goes until it is stopped.
func (r *run) watch() (stop func()) {
	if r.plan.Watch == nil {
		return func() {}
	}
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		ticker := time.NewTicker(sampleEvery)
		defer ticker.Stop()
		last := reading{at: r.from}
		for {
			select {
			case <-done:
				return
			case now := <-ticker.C:
				last = r.sample(now, last)
			}
		}
	})
	return func() {
		close(done)
		watching.Wait()
	}
}

// reading is how many calls were answered by a moment.
type reading struct {
	at    time.Time
	calls int64
}

func (r *run) sample(now time.Time, last reading) reading {
	s := Sample{Left: max(r.end.Sub(now), 0)}
	if !now.After(r.from) {
		s.Warming = true
		r.plan.Watch(s)
		return last
	}
	all := newRecorder()
	for _, rec := range r.recorders {
		rec.addTo(all)
	}
	seen := Result{Failed: all.failures, latency: all.latency}
	s.P99, s.Failed = seen.Percentile(99), seen.Failures()
	s.Rate = float64(all.calls-last.calls) / now.Sub(last.at).Seconds()
	r.plan.Watch(s)
	return reading{now, all.calls}
}

package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/quorate/quorate/internal/invariant"
)

// What a histogram tells apart: three digits of a latency from a microsecond to
// a minute. What is beyond counts as the bound.
const (
	latencyUnit   = time.Microsecond
	latencyMax    = time.Minute
	latencyDigits = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(latencyMax/latencyUnit), latencyDigits)
}

// recorder counts what became of the calls of some callers.
type recorder struct {
	// mu guards what follows.
	mu         sync.Mutex
	latency    *hdrhistogram.Histogram
	calls      int64 // that were answered
	unanswered int64
	failures   [outcomes]Failures
	last       time.Time // when the last answer came
}

func newRecorder() *recorder { return &recorder{latency: newHistogram()} }

// answered records calls that were answered at a moment.
func (r *recorder) answered(now time.Time, latency time.Duration, calls int) {
	if calls == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls += int64(calls)
	r.last = now
	r.record(latency, calls)
}

// waiting records calls that have waited for so long and have no answer.
func (r *recorder) waiting(waited time.Duration, calls int) {
	if calls == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unanswered += int64(calls)
	r.record(waited, calls)
}

func (r *recorder) record(d time.Duration, calls int) {
	err := r.latency.RecordValues(int64(min(max(d, latencyUnit), latencyMax)/latencyUnit), int64(calls))
	invariant.Must(err == nil, "the latency is within the bounds of the histogram")
}

// failed records calls that came to nothing.
func (r *recorder) failed(now time.Time, errs []error) {
	if len(errs) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, err := range errs {
		r.failures[outcomeOf(err)].add(Failures{Calls: 1, First: err, at: now})
	}
}

// addTo adds everything to another recorder, which nobody else uses.
func (r *recorder) addTo(all *recorder) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all.latency.Merge(r.latency) // of the same bounds: nothing is dropped
	all.calls += r.calls
	all.unanswered += r.unanswered
	for i := range r.failures {
		all.failures[i].add(r.failures[i])
	}
	if r.last.After(all.last) {
		all.last = r.last
	}
}

package load

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/quorate/quorate"
)

// Outcome is what is known of the effect of a call that failed.
type Outcome uint8

// The outcomes.
const (
	NotApplied Outcome = iota // it surely had none
	Unknown                   // it may have had one
	Other                     // the error does not speak of effects
	outcomes   = iota
)

// String is the outcome as doors write it.
func (o Outcome) String() string { return [...]string{"not_applied", "unknown", "other"}[o] }

func outcomeOf(err error) Outcome {
	e, ok := errors.AsType[*quorate.Error](err)
	switch {
	case !ok:
		return Other
	case e.Outcome == quorate.NotApplied:
		return NotApplied
	}
	return Unknown
}

// Failures is the calls that failed with one outcome.
type Failures struct {
	Calls int64
	// First is the error that came first; nil if there are none.
	First error
	at    time.Time // when it came
}

func (f *Failures) add(g Failures) {
	if f.First == nil || g.First != nil && g.at.Before(f.at) {
		f.First, f.at = g.First, g.at
	}
	f.Calls += g.Calls
}

// Result is what came of a run.
type Result struct {
	// Answered is how many calls were answered.
	Answered int64
	// Failed is the calls that failed, by their Outcome.
	Failed [outcomes]Failures
	// Waiting is how many calls had no answer when the run ended, and Backlog how
	// many of these had not even begun: the callers could not keep the rate.
	Waiting, Backlog int64
	// Elapsed is how long was measured, until the last answer. 0 if the run was
	// interrupted before anything was measured.
	Elapsed time.Duration
	// Interrupted says that the run ended before its time.
	Interrupted bool

	latency *hdrhistogram.Histogram
}

// Failures is how many calls failed.
func (r *Result) Failures() (calls int64) {
	for _, f := range r.Failed {
		calls += f.Calls
	}
	return calls
}

// Rate is how many calls were answered in a second.
func (r *Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Answered) / r.Elapsed.Seconds()
}

// Measured says that there are latencies.
func (r *Result) Measured() bool { return r.latency.TotalCount() > 0 }

// Percentile is the latency that so many percent of the calls did not exceed.
func (r *Result) Percentile(percent float64) time.Duration {
	return time.Duration(r.latency.ValueAtPercentile(percent)) * latencyUnit
}

// Max is the longest latency.
func (r *Result) Max() time.Duration { return time.Duration(r.latency.Max()) * latencyUnit }

// Mean is the mean of the latencies.
func (r *Result) Mean() time.Duration {
	return time.Duration(r.latency.Mean() * float64(latencyUnit))
}

// ticksPerHalf is how many lines of a distribution there are for each half of
// what is left of it: the default of HdrHistogram.
const ticksPerHalf = 5

// WriteDistribution writes the latencies in milliseconds, in the text that the
// plotter of HdrHistogram reads.
func (r *Result) WriteDistribution(w io.Writer) error {
	if _, err := r.latency.PercentilesPrint(w, ticksPerHalf, float64(time.Millisecond/latencyUnit)); err != nil {
		return fmt.Errorf("write the distribution: %w", err)
	}
	return nil
}

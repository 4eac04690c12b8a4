package differ

import (
	"errors"
	"slices"
	"time"
)

// again is how a sequence is tried on two servers. One that took too long is
// tried anew: a busy machine does not make it shorter.
func again(redis, ours server, r *rules) func(sequence) *difference {
	return func(s sequence) *difference {
		for range 5 {
			if d, err := run(redis, ours, s, r); !errors.Is(err, errVoid) {
				return d
			}
		}
		return nil
	}
}

// shrinkMax bounds how long a sequence is made shorter.
const shrinkMax = 30 * time.Second

// shrink drops what it can of a sequence that shows a difference, as long as the
// same command shows one.
func shrink(s sequence, found *difference, try func(sequence) *difference) (sequence, *difference) {
	deadline := time.Now().Add(shrinkMax)
	keep := func(shorter sequence) bool {
		if time.Now().After(deadline) || len(shorter.steps) == 0 {
			return false
		}
		d := try(shorter)
		if d == nil || d.call.name() != found.call.name() {
			return false
		}
		s, found = shorter, d
		return true
	}
	// What comes behind the difference is not needed.
	cut := s
	cut.steps = s.steps[:found.step+1]
	keep(cut)
	for size := max(1, len(s.steps)/2); ; size /= 2 {
		for at := len(s.steps) - size; at >= 0; at -= size {
			keep(s.without(at, min(size, len(s.steps)-at)))
			at = min(at, len(s.steps))
		}
		if size <= 1 {
			break
		}
	}
	for i := len(s.steps) - 1; i >= 0; i-- {
		for j := len(s.steps[i].calls) - 1; j >= 0 && i < len(s.steps); j-- {
			keep(s.withoutCall(i, j))
		}
	}
	for i := len(s.steps) - 1; i >= 0; i-- {
		keep(s.without(i, 1))
	}
	return s, found
}

// without is the sequence without some of its steps.
func (s sequence) without(at, n int) sequence {
	s.steps = slices.Delete(slices.Clone(s.steps), at, at+n)
	return s
}

// withoutCall is the sequence without one call of a step that has others. A
// step with calls that get no answer stays as it is.
func (s sequence) withoutCall(i, j int) sequence {
	if s.steps[i].answers > 0 || len(s.steps[i].calls) == 1 {
		return sequence{}
	}
	s.steps = slices.Clone(s.steps)
	s.steps[i].calls = slices.Delete(slices.Clone(s.steps[i].calls), j, j+1)
	return s
}

package cli

import (
	"testing"
	"time"
)

func TestPausesGrowToTheirBoundAndAreDrawnFromZeroOn(t *testing.T) {
	longest := func(n int64) int64 { return n - 1 }
	none := func(int64) int64 { return 0 }
	for attempt, want := range map[int]time.Duration{
		0: 10 * time.Millisecond, 1: 20 * time.Millisecond, 5: 320 * time.Millisecond,
		6: 500 * time.Millisecond, 7: 500 * time.Millisecond, 1 << 40: 500 * time.Millisecond,
	} {
		if got := pauseAfter(attempt, longest); got != want {
			t.Errorf("after attempt %d the longest pause is %v, want %v", attempt, got, want)
		}
		if got := pauseAfter(attempt, none); got != 0 {
			t.Errorf("after attempt %d the shortest pause is %v", attempt, got)
		}
	}
}

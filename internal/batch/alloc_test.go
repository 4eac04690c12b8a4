//go:build !race

// With the race detector on, a pool of memory forgets some of it on purpose.

package batch_test

import (
	"testing"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/batch"
)

// A call that waits allocates its answer; an entry, its bytes and the list of
// those who wait.
func TestACallAloneAllocatesThreeTimes(t *testing.T) {
	answers := make([]quorate.Reply, 1)
	b := batch.New(func([]byte) ([]quorate.Reply, error) { return answers, nil }, stamp)
	defer b.Close()
	one := calls("a")
	got := testing.AllocsPerRun(1000, func() {
		if r := b.Do(t.Context(), one); r[0].Err != nil {
			t.Error(r[0].Err)
		}
	})
	if got > 3 {
		t.Errorf("a call allocates %v times, want 3", got)
	}
}

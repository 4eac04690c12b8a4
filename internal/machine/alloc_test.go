//go:build !race

// With the race detector on, a pool of memory forgets some of it on purpose.

package machine_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/machine"
)

// What a call takes beside what the store takes for what it writes: next to
// nothing. The limits have room for the store: it takes one allocation for a new
// key of a batch, and few for a batch.
func TestCallsAreAppliedWithFewAllocations(t *testing.T) {
	const calls = 500
	for _, c := range []struct {
		name string
		most float64 // for one call
		call func(i int) quorate.Call
	}{
		{"puts", 1.5, func(i int) quorate.Call {
			return quorate.Call{Name: "PUT", Args: [][]byte{benchKey(i), []byte("value")}}
		}},
		{"increments of one key", 0.5, func(int) quorate.Call {
			return quorate.Call{Name: "INC", Args: [][]byte{benchKey(1)}}
		}},
		// Three keys are written, and two looked up on the disk.
		{"increments of one key with ids", 5, func(i int) quorate.Call {
			return quorate.Call{Name: "INC", ID: quorate.CallID(benchKey(i)), Args: [][]byte{benchKey(1)}}
		}},
	} {
		m := benchMachine(t, machine.DefaultLimits)
		index := uint64(0)
		apply := func(data []byte) {
			index++
			binary.LittleEndian.PutUint64(data[2:], index*uint64(time.Millisecond))
			_, err := m.Apply([]machine.Entry{{Index: index, Term: 1, Data: data}})
			must(t, err)
		}
		// Made before they are counted, each with ids of its own.
		const entries = 10
		var all [entries + 2][]byte
		for n := range all {
			list := make([]quorate.Call, calls)
			for i := range list {
				list[i] = c.call(n*calls + i)
			}
			all[n] = entry.Append(nil, entry.Header{}, list)
		}
		apply(all[entries+1])
		n := 0
		got := testing.AllocsPerRun(entries, func() {
			apply(all[n])
			n++
		})
		if got > c.most*calls {
			t.Errorf("%s: %.2f allocations for a call, want at most %.2f", c.name, got/calls, c.most)
		}
	}
}

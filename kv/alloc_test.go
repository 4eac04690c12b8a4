//go:build !race

// With the race detector on, a pool of memory forgets some of it on purpose.

package kv_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/kv"
)

// The operations that are called most are checked and run without allocating, but
// for what an option or an answer takes.
func TestOperationsAllocateLittle(t *testing.T) {
	most := map[string]float64{"PUT_TTL": 1, "INCR": 1, "MPUT": 2, "GET": 1}
	for _, c := range benchCalls {
		got := testing.AllocsPerRun(1000, func() {
			if _, err := quorate.Engine().Check(kv.Service, c.call); err != nil {
				t.Error(err)
			}
		})
		if got > most[c.name] {
			t.Errorf("%s is checked with %v allocations, want at most %v", c.name, got, most[c.name])
		}
		op, _ := quorate.Engine().Lookup(kv.Service, c.call)
		state := &oneKey{value: []byte{0x01, 7, 0, 0, 0, 0, 0, 0, 0}}
		at := engine.Moment{Index: 1, Time: time.Unix(1, 0)}
		var tx quorate.Tx
		if got = testing.AllocsPerRun(1000, func() {
			if err := run(op, &tx, state, at, c.call.Args); err != nil {
				t.Error(err)
			}
		}); got > most[c.name] {
			t.Errorf("%s is run with %v allocations, want at most %v", c.name, got, most[c.name])
		}
	}
}

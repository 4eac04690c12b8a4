//go:build !race

// With the race detector on, a pool of memory forgets some of it on purpose.

package quorate_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/values"
)

// leanKey and leanRow are of what needs no memory of its own.
type (
	leanKey struct {
		Number uint32
		Name   string
		At     time.Time
	}
	leanRow struct {
		Balance int64
		Owner   uint64
		Changed time.Time
		Part    struct{ Ratio float64 }
		Any     quorate.Value
	}
)

func TestTablesWriteAndReadWithoutAllocating(t *testing.T) {
	counters, table := quorate.NewCounters("hits"), quorate.NewTable[leanKey, leanRow]("accounts")
	key := leanKey{7, "a\x00b", goldenMoment}
	row := leanRow{Balance: 300, Owner: 1, Changed: goldenMoment, Any: values.Int(7)}
	row.Part.Ratio = 1.5
	_, value := stored(table, key, row)
	count, account := engine.State(constant{value: []byte("\x01\x02")}), engine.State(constant{value: []byte(value)})
	var tx quorate.Tx
	for _, c := range []struct {
		name  string
		state engine.State
		run   func() bool
	}{
		{"counters add", count, func() bool { n, err := counters.Add(&tx, "visa", 1); return n == 2 && err == nil }},
		{"counters value", count, func() bool { return counters.Value(&tx, "visa") == 1 }},
		{"table put", account, func() bool { table.Put(&tx, key, row); return true }},
		{"table get", account, func() bool {
			got, found := table.Get(&tx, key)
			return found && got.Balance == row.Balance && got.Part == row.Part && got.Any.Equal(row.Any)
		}},
	} {
		// Room hands out pieces of memory of which each lasts for many keys.
		if got := testing.AllocsPerRun(1000, func() {
			quorate.Engine().ResetTx(&tx, c.state, engine.Moment{Index: 1})
			if !c.run() {
				t.Errorf("%s comes to something else", c.name)
			}
		}); got != 0 {
			t.Errorf("%s allocates %v times, want none", c.name, got)
		}
	}
}

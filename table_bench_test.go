package quorate_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/memory"
)

// constant is a state that holds the same under every key, and keeps nothing.
type constant struct {
	memory.State
	value []byte
}

func (c constant) Get(_ []byte) ([]byte, bool) { return c.value, true }
func (c constant) Set(_, _ []byte)             {}

// benchAccount is a row as many programs have them.
type benchAccount struct {
	Owner   string
	Balance int64
	Opened  time.Time
	Tags    []string
	Limits  map[string]int64
}

// BenchmarkTables writes and reads through tables, without a state behind them.
func BenchmarkTables(b *testing.B) {
	counters := quorate.NewCounters("hits")
	numbers := quorate.NewTable[string, int64]("numbers")
	accounts := quorate.NewTable[ledgerKey, benchAccount]("accounts")
	key := ledgerKey{Account: "account/000042", Place: keyPlace{"eu", 7}, Number: -1, Note: "note"}
	row := benchAccount{"eve", 300, time.Unix(1764_000_000, 0), []string{"new", "small"}, map[string]int64{"day": 100, "month": 1000}}
	_, number := stored(numbers, "k", 300)
	_, account := stored(accounts, key, row)
	var tx quorate.Tx
	for _, c := range []struct {
		name  string
		value string
		run   func() bool
	}{
		{"counters_add", "\x01\x02", func() bool { n, err := counters.Add(&tx, "counter/000042", 1); return n == 2 && err == nil }},
		{"number_put", number, func() bool { numbers.Put(&tx, "counter/000042", 300); return true }},
		{"number_get", number, func() bool { n, _ := numbers.Get(&tx, "counter/000042"); return n == 300 }},
		{"account_put", account, func() bool { accounts.Put(&tx, key, row); return true }},
		{"account_get", account, func() bool { got, _ := accounts.Get(&tx, key); return got.Balance == 300 }},
	} {
		b.Run(c.name, func(b *testing.B) {
			state := engine.State(constant{value: []byte(c.value)})
			b.ReportAllocs()
			for b.Loop() {
				quorate.Engine().ResetTx(&tx, state, engine.Moment{Index: 1})
				if !c.run() {
					b.Fatal("it came to something else")
				}
			}
		})
	}
}

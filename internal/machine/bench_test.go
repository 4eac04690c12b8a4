package machine_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/machine"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/kv"
)

func benchMachine(b *testing.B, limits machine.Limits) *machine.Machine {
	b.Helper()
	log := slog.New(slog.DiscardHandler)
	s, err := store.Open(store.Options{FS: vfs.Default, Dir: b.TempDir(), Log: log})
	must(b, err)
	m := machine.New(kv.Service, s, limits, log)
	b.Cleanup(func() { must(b, m.Close()) })
	return m
}

const callsEach = 64

// BenchmarkApply applies entries of 64 increments of 100,000 counters. With
// ids, the window is such that forgetting goes on all the time.
func BenchmarkApply(b *testing.B) {
	for _, ids := range []bool{false, true} {
		b.Run(map[bool]string{false: "plain", true: "ids"}[ids], func(b *testing.B) {
			m := benchMachine(b, machine.Limits{Window: time.Second, RememberedMax: 1 << 20})
			calls := make([]quorate.Call, callsEach)
			index := uint64(0)
			b.ReportAllocs()
			for b.Loop() {
				index++
				for i := range calls {
					n := int(index)*callsEach + i
					calls[i] = quorate.Call{Name: "INC", Args: [][]byte{fmt.Appendf(nil, "counter/%06d", n*7919%100_000)}}
					if ids {
						calls[i].ID = quorate.CallID(fmt.Sprintf("%032d", n))
					}
				}
				// A thousand entries a second.
				data := entry.Append(nil, entry.Header{Time: time.UnixMilli(int64(index))}, calls)
				_, err := m.Apply([]machine.Entry{{Index: index, Term: 1, Data: data}})
				must(b, err)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*callsEach), "ns/call")
		})
	}
}

// BenchmarkRead answers queries of one key, alone and 64 in a slice.
func BenchmarkRead(b *testing.B) {
	m := benchMachine(b, machine.DefaultLimits)
	for index := uint64(1); index <= 1000; index++ {
		calls := make([]quorate.Call, 100)
		for i := range calls {
			calls[i] = quorate.Call{Name: "PUT", Args: [][]byte{fmt.Appendf(nil, "key/%06d", int(index-1)*100+i), []byte("value")}}
		}
		_, err := m.Apply([]machine.Entry{{Index: index, Term: 1, Data: entry.Append(nil, entry.Header{}, calls)}})
		must(b, err)
	}
	must(b, m.Flush())
	for _, n := range []int{1, callsEach} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			calls := make([]quorate.Call, n)
			b.ReportAllocs()
			at := 0
			for b.Loop() {
				for i := range calls {
					at = (at + 7919) % 100_000
					calls[i] = quorate.Call{Name: "GET", Args: [][]byte{fmt.Appendf(nil, "key/%06d", at)}}
				}
				if replies, _ := m.Read(calls, time.Time{}); replies[n-1].Err != nil {
					b.Fatal(replies[n-1].Err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/call")
		})
	}
}

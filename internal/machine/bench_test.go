package machine_test

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/machine"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/kv"
)

func benchMachine(b testing.TB, limits machine.Limits) *machine.Machine {
	b.Helper()
	log := slog.New(slog.DiscardHandler)
	s, err := store.Open(store.Options{FS: vfs.Default, Dir: b.TempDir(), Log: log})
	must(b, err)
	m := machine.New(machine.Config{Service: kv.Service, Store: s, Limits: limits, Log: log})
	b.Cleanup(func() { must(b, m.Close()) })
	return m
}

const callsEach = 64

// benchEntries is entries of n calls each, to be applied over and over: an entry
// is a header, which holds its time, and its calls.
func benchEntries(n int, call func(i int) quorate.Call) [][]byte {
	const keys = 100_000
	entries := make([][]byte, max(keys/n, 1))
	for i := range entries {
		calls := make([]quorate.Call, n)
		for j := range calls {
			calls[j] = call((i*n + j) * 7919 % keys)
		}
		entries[i] = entry.Append(nil, entry.Header{Seed: 1}, calls)
	}
	return entries
}

func benchKey(i int) []byte { return fmt.Appendf(nil, "counter/%06d", i) }

// BenchmarkApply applies entries of puts and increments to 100,000 keys or to
// one, a thousand entries a second.
func BenchmarkApply(b *testing.B) {
	work := []struct {
		name string
		call func(i int) quorate.Call
	}{
		{"put", func(i int) quorate.Call {
			return quorate.Call{Name: "PUT", Args: [][]byte{benchKey(i), []byte("value")}}
		}},
		{"inc", func(i int) quorate.Call { return quorate.Call{Name: "INC", Args: [][]byte{benchKey(i)}} }},
		{"hot", func(int) quorate.Call { return quorate.Call{Name: "INC", Args: [][]byte{benchKey(1)}} }},
	}
	for _, w := range work {
		for _, n := range []int{1, callsEach, 1000} {
			b.Run(fmt.Sprintf("%s/%d", w.name, n), func(b *testing.B) {
				m := benchMachine(b, machine.DefaultLimits)
				entries := benchEntries(n, w.call)
				index := uint64(0)
				b.ReportAllocs()
				for b.Loop() {
					data := entries[index%uint64(len(entries))]
					index++
					binary.LittleEndian.PutUint64(data[2:], index*uint64(time.Millisecond))
					_, err := m.Apply([]machine.Entry{{Index: index, Term: 1, Data: data}})
					must(b, err)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/call")
			})
		}
	}
}

// BenchmarkOnce applies entries of 64 increments with an id, of a session or
// alone. The window is such that forgetting goes on all the time.
func BenchmarkOnce(b *testing.B) {
	for _, session := range []bool{false, true} {
		b.Run(map[bool]string{false: "alone", true: "session"}[session], func(b *testing.B) {
			m := benchMachine(b, machine.Limits{Window: time.Second, RememberedMax: 1 << 20})
			calls := make([]quorate.Call, callsEach)
			data, index := []byte(nil), uint64(0)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				index++
				for i := range calls {
					n := index*callsEach + uint64(i)
					calls[i] = quorate.Call{Name: "INC", Args: [][]byte{benchKey(int(n) * 7919 % 100_000)}}
					if session {
						calls[i].ID, calls[i].Settled = quorate.CallID(engine.SessionID("0123456789abcdef", n)), n-callsEach+1
					} else {
						calls[i].ID = quorate.CallID(fmt.Sprintf("%032d", n))
					}
				}
				data = entry.Append(data[:0], entry.Header{Time: time.UnixMilli(int64(index))}, calls)
				b.StartTimer()
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

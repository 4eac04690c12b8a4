package store_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/store"
)

// BenchmarkAmplification writes four million values under random ones of so many
// keys, and reads then: what is not gathered in level 0 is compacted again and
// again, and what is gathered there is read through. It counts processor time,
// that of compactions among it, and not the time that passes.
func BenchmarkAmplification(b *testing.B) {
	for _, keys := range []int{1_000_000, 10_000_000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			for b.Loop() {
				amplify(b, keys)
			}
		})
	}
}

func amplify(b *testing.B, keys int) {
	s := benchStore(b)
	rng := rand.New(rand.NewPCG(1, 1))
	index := uint64(0)
	write := func(writes int, number func(i int) int) {
		const each = 1000
		for i := 0; i < writes; i += each {
			index++
			batch := s.Begin()
			batch.BeginEntry(index, index)
			for j := range each {
				batch.Set(store.Data, fmt.Appendf(nil, "key:%08d", number(i+j)), make([]byte, 16))
				batch.Keep()
			}
			must(b, batch.Commit(store.Meta{Index: index}))
		}
	}
	write(keys, func(i int) int { return i })
	const writes, reads = 4_000_000, 300_000
	began := processor(b)
	write(writes, func(int) int { return rng.IntN(keys) })
	b.ReportMetric(float64(processor(b)-began)/writes, "cpu-ns/write")
	v := s.View()
	began = processor(b)
	for range reads {
		if _, found := v.Get(fmt.Appendf(nil, "key:%08d", rng.IntN(keys))); !found {
			b.Fatal("a key is not there")
		}
	}
	b.ReportMetric(float64(processor(b)-began)/reads, "cpu-ns/get")
	began = processor(b)
	seen := 0
	for range v.Scan(nil, nil) {
		if seen++; seen == reads {
			break
		}
	}
	b.ReportMetric(float64(processor(b)-began)/reads, "cpu-ns/scanned")
	must(b, v.Close())
}

// processor is the processor time that this process has had.
func processor(b *testing.B) time.Duration {
	var used syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

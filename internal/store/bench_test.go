package store_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate/internal/store"
)

func benchStore(b *testing.B) *store.Store {
	b.Helper()
	o := options(vfs.Default)
	o.Dir = b.TempDir()
	s, err := store.Open(o)
	must(b, err)
	b.Cleanup(func() { mustClose(b, s) })
	return s
}

// BenchmarkCommit commits small values under keys of a few kinds: one after the
// other, at random, and always the same.
func BenchmarkCommit(b *testing.B) {
	for _, kind := range []struct {
		name   string
		writes int
		key    func(rng *rand.Rand, n int) int
	}{
		{"64", 64, func(_ *rand.Rand, n int) int { return n % 100_000 }},
		{"1000", 1000, func(_ *rand.Rand, n int) int { return n % 100_000 }},
		{"random of 100000", 1000, func(rng *rand.Rand, _ int) int { return rng.IntN(100_000) }},
		{"random of 10000000", 1000, func(rng *rand.Rand, _ int) int { return rng.IntN(10_000_000) }},
		{"one", 1, func(*rand.Rand, int) int { return 0 }},
	} {
		b.Run(kind.name, func(b *testing.B) {
			s := benchStore(b)
			rng := rand.New(rand.NewPCG(1, 1))
			value := make([]byte, 16)
			key := make([]byte, 0, 32)
			b.ReportAllocs()
			index := uint64(0)
			for b.Loop() {
				index++
				batch := s.Begin()
				batch.BeginEntry(index, index)
				for i := range kind.writes {
					key = fmt.Appendf(key[:0], "key:%012d", kind.key(rng, int(index)*kind.writes+i))
					batch.Set(store.Data, key, value)
					batch.Keep()
				}
				must(b, batch.Commit(store.Meta{Index: index}))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*kind.writes), "ns/write")
		})
	}
}

// filled is a store of n values of 100 bytes.
func filled(b *testing.B, n int) *store.Store {
	s := benchStore(b)
	rng := random(b)
	for at := uint64(0); at < uint64(n); at += 1000 {
		batch := s.Begin()
		for i := at; i < at+1000; i++ {
			batch.Set(store.Data, fmt.Appendf(nil, "key/%08d", i), value(rng, 100))
		}
		batch.Keep()
		must(b, batch.Commit(store.Meta{Index: at + 1}))
	}
	must(b, s.Flush())
	return s
}

func BenchmarkGet(b *testing.B) {
	s := filled(b, 100_000)
	batch := s.Begin()
	for name, form := range map[string]string{"hit": "key/%08d", "miss": "key/%08d/"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				_, ok := batch.Get(store.Data, fmt.Appendf(nil, form, (i*7919)%100_000))
				if ok != (name == "hit") {
					b.Fatal(name)
				}
			}
		})
	}
}

// BenchmarkView takes a view, reads one key and gives it back, as a read on
// its own does: of a key that was written just now, and of one that is on the
// disk.
func BenchmarkView(b *testing.B) {
	s := filled(b, 100_000)
	mustPut(b, s, 1<<20, "key", "value")
	for name, key := range map[string]string{"new": "key", "old": "key/00077777"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v := s.View()
				if _, ok := v.Get([]byte(key)); !ok {
					b.Fatal("the key is not there")
				}
				mustClose(b, v)
			}
		})
	}
}

// BenchmarkTurns writes 100 keys and looks for the first of a few that end, as
// an entry does while something ends: the scan is small, the writes are many.
func BenchmarkTurns(b *testing.B) {
	for _, space := range []store.Space{store.Queue, store.Data} {
		b.Run(string(rune(space)), func(b *testing.B) {
			s := benchStore(b)
			rng := rand.New(rand.NewPCG(1, 1))
			var from []byte
			b.ReportAllocs()
			for index := uint64(1); b.Loop(); index++ {
				batch := s.Begin()
				for range 100 {
					batch.Set(store.Data, fmt.Appendf(nil, "key:%012d", rng.IntN(100_000)), []byte("value"))
				}
				for i := range 10 {
					batch.Set(store.Queue, fmt.Appendf(nil, "%012d/%d", index+100, i), nil)
				}
				for key := range batch.Scan(space, from, nil) {
					if space == store.Queue {
						batch.Delete(space, key)
						from = key // as Expire does
					}
					break
				}
				batch.Keep()
				must(b, batch.Commit(store.Meta{Index: index}))
			}
		})
	}
}

func BenchmarkStream(b *testing.B) {
	s := filled(b, 200_000)
	var size int64
	b.ReportAllocs()
	for b.Loop() {
		stream, err := s.View().Stream(1)
		must(b, err)
		_, err = io.Copy(io.Discard, stream)
		must(b, err)
		mustClose(b, stream)
		size = 200_000 * 113
	}
	b.SetBytes(size)
}

func BenchmarkReceive(b *testing.B) {
	data := mustStream(b, filled(b, 200_000), 1)
	b.SetBytes(200_000 * 113)
	for b.Loop() {
		o := options(vfs.Default)
		o.Dir = b.TempDir()
		s, _, err := store.Receive(o, 1, bytes.NewReader(data))
		must(b, err)
		mustClose(b, s)
	}
}

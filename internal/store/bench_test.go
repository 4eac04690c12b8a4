package store_test

import (
	"bytes"
	"fmt"
	"io"
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

func BenchmarkCommit(b *testing.B) {
	for _, writes := range []int{64, 1000} {
		b.Run(fmt.Sprint(writes), func(b *testing.B) {
			s := benchStore(b)
			value := make([]byte, 16)
			b.ReportAllocs()
			index := uint64(0)
			for b.Loop() {
				index++
				batch := s.Begin()
				batch.BeginEntry(index, index)
				for i := range writes {
					batch.Set(store.Data, fmt.Appendf(nil, "key/%06d", (int(index)*writes+i)%100_000), value)
					batch.Keep()
				}
				must(b, batch.Commit(store.Meta{Index: index}))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*writes), "ns/write")
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
// its own does.
func BenchmarkView(b *testing.B) {
	s := filled(b, 100_000)
	mustPut(b, s, 1<<20, "key", "value")
	b.ReportAllocs()
	for b.Loop() {
		v := s.View()
		if _, ok := v.Get([]byte("key")); !ok {
			b.Fatal("the key is not there")
		}
		mustClose(b, v)
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

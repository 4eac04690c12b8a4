package wal_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate/internal/wal"
)

// BenchmarkAppend measures durable appends. The front is cut as a snapshot
// would, so that segments are used again.
func BenchmarkAppend(b *testing.B) {
	for _, disk := range []string{"disk", "memory"} {
		for _, load := range []struct{ entries, size int }{{1, 128}, {16, 4 << 10}} {
			b.Run(fmt.Sprintf("%s/%dx%d", disk, load.entries, load.size), func(b *testing.B) {
				o := wal.Options{FS: vfs.NewMem(), Dir: dir}
				if disk == "disk" {
					o.FS, o.Dir = vfs.Default, filepath.Join(b.TempDir(), "wal")
				}
				benchmarkAppend(b, o, load.entries, load.size)
			})
		}
	}
}

func benchmarkAppend(b *testing.B, o wal.Options, n, size int) {
	l := mustOpen(b, o)
	defer mustClose(b, l)
	data := make([]byte, size)
	batch := make([]wal.Entry, n)
	b.SetBytes(int64(n * size))
	b.ReportAllocs()
	next := uint64(1)
	for b.Loop() {
		for i := range batch {
			batch[i] = wal.Entry{Index: next, Term: 1, Data: data}
			next++
		}
		mustAppend(b, l, batch...)
		if l.Bytes() > 64<<20 {
			must(b, l.TruncateFront(next-next/4))
		}
	}
}

// BenchmarkEntry reads entries that are in memory, and such that are not.
func BenchmarkEntry(b *testing.B) {
	for name, cacheBytes := range map[string]int64{"recent": 32 << 20, "disk": 1} {
		b.Run(name, func(b *testing.B) {
			l := mustOpen(b, wal.Options{FS: vfs.Default, Dir: filepath.Join(b.TempDir(), "wal"), CacheBytes: cacheBytes})
			defer mustClose(b, l)
			mustAppend(b, l, entries(1, 1000, 1, 4096)...)
			b.ReportAllocs()
			i := uint64(0)
			for b.Loop() {
				if _, err := l.Entry(i%1000 + 1); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

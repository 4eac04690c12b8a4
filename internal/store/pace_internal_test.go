package store

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// slowFile is a file of which each write takes a while.
type slowFile struct {
	vfs.File
	takes time.Duration
}

func (f slowFile) Write(p []byte) (int, error) {
	time.Sleep(f.takes)
	return len(p), nil
}

func TestACompactionRestsUnlessSomebodyWaits(t *testing.T) {
	for _, c := range []struct {
		name     string
		takes    time.Duration // each of 100 writes
		hurried  bool
		inAll    time.Duration
		atATimes time.Duration // the most that one write may take
	}{
		{"calm", 2 * time.Millisecond, false, 600 * time.Millisecond, 6 * time.Millisecond},
		{"hurried", 2 * time.Millisecond, true, 200 * time.Millisecond, 2 * time.Millisecond},
		{"little work", 100 * time.Microsecond, false, 30 * time.Millisecond, 2200 * time.Microsecond},
		{"a slow disk", time.Second, false, 102 * time.Second, time.Second + restMax},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &pacedFile{File: slowFile{takes: c.takes}, hurried: func() bool { return c.hurried }, began: time.Now()}
				began := time.Now()
				for range 100 {
					at := time.Now()
					if n, err := f.Write(make([]byte, 7)); n != 7 || err != nil {
						t.Fatal(n, err)
					}
					if took := time.Since(at); took > c.atATimes {
						t.Fatalf("a write took %v, want at most %v", took, c.atATimes)
					}
				}
				if took := time.Since(began); took != c.inAll {
					t.Errorf("100 writes took %v, want %v", took, c.inAll)
				}
			})
		})
	}
}

// What Pebble says of the files of a compaction is what they are paced by.
func TestFilesOfCompactionsArePaced(t *testing.T) {
	paced := 0
	fs := guardedFS{vfs.NewMem(), newFailure(nil), func() bool { paced++; return true }}
	file, err := fs.Create("x", compactionCategory)
	if err != nil {
		t.Fatal(err)
	}
	file.(*pacedFile).began = time.Now().Add(-time.Second)
	if _, err := file.Write([]byte("x")); err != nil || paced != 1 {
		t.Errorf("asked %d times whether somebody waits, %v", paced, err)
	}
	if err := file.Close(); err != nil {
		t.Error(err)
	}
}

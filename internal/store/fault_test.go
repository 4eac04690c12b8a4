package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/store"
)

// faulty is a store on a disk that fails when it is told to.
type faulty struct {
	*store.Store
	fs       vfs.FS
	broken   atomic.Bool
	reported chan error
}

var errDisk = errors.New("the disk is broken")

// mustOpenFaulty opens a store whose disk fails the operations of one kind
// once it is broken.
func mustOpenFaulty(t *testing.T, under vfs.FS, kind errorfs.OpReadWrite) *faulty {
	t.Helper()
	f := &faulty{reported: make(chan error, 10)}
	f.fs = errorfs.Wrap(under, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if f.broken.Load() && op.Kind.ReadOrWrite() == kind {
			return errDisk
		}
		return nil
	}))
	o := options(f.fs)
	o.Failed = func(err error) { f.reported <- err }
	var err error
	f.Store, err = store.Open(o)
	must(t, err)
	return f
}

// patience is for what must not take for ever; it takes no time where all is
// well.
const patience = 10 * time.Second

// soon fails the test where run does not come back.
func soon(t *testing.T, what string, run func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		run()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s does not come back", what)
	}
}

// mustHaveFailed checks that a failure was reported once and is what the
// store says, and that nothing hangs.
func (f *faulty) mustHaveFailed(t *testing.T) {
	t.Helper()
	select {
	case err := <-f.reported:
		if !strings.Contains(err.Error(), errDisk.Error()) {
			t.Errorf("reported %v", err)
		}
	case <-time.After(patience):
		t.Fatal("a broken disk is not reported")
	}
	if f.Err() == nil {
		t.Error("Err() is nil on a broken disk")
	}
	soon(t, "Flush", func() {
		if f.Flush() == nil {
			t.Error("Flush says that the state is durable")
		}
	})
	soon(t, "Commit", func() {
		if f.Begin().Commit(store.Meta{Index: 1 << 40}) == nil {
			t.Error("a state that failed was committed to")
		}
	})
	soon(t, "a view", func() {
		v := f.View()
		if _, ok := v.Get([]byte("a")); ok || v.Err() == nil {
			t.Errorf("a view of a state that failed answers; Err() = %v", v.Err())
		}
		mustClose(t, v)
	})
	soon(t, "Close", func() { mustClose(t, f.Store) })
	select {
	case err := <-f.reported:
		t.Errorf("reported again: %v", err)
	default:
	}
}

func TestAFlushThatFailsIsReported(t *testing.T) {
	f := mustOpenFaulty(t, vfs.NewMem(), errorfs.OpIsWrite)
	mustPut(t, f.Store, 1, "a", "1")
	must(t, f.Flush())
	mustPut(t, f.Store, 2, "a", "2")
	f.broken.Store(true)
	soon(t, "Flush", func() {
		if f.Flush() == nil {
			t.Error("Flush says that the state is durable")
		}
	})
	f.mustHaveFailed(t)
}

// TestAWriteThatWaitsForAFlushIsGivenUp commits until Pebble has no room
// left, on a disk that takes nothing.
func TestAWriteThatWaitsForAFlushIsGivenUp(t *testing.T) {
	f := mustOpenFaulty(t, vfs.NewMem(), errorfs.OpIsWrite)
	f.broken.Store(true)
	soon(t, "Commit", func() {
		value := make([]byte, 1<<20)
		for i := uint64(1); ; i++ {
			b := f.Begin()
			b.Set(store.Data, fmt.Append(nil, i), value)
			b.Keep()
			if b.Commit(store.Meta{Index: i}) != nil {
				return
			}
		}
	})
	f.mustHaveFailed(t)
}

func TestADiskThatBreaksInOpenIsAnError(t *testing.T) {
	for at := range 60 {
		inject := errorfs.OnIndex(int32(at))
		fs := errorfs.Wrap(vfs.NewMem(), errorfs.Any(inject))
		o := options(fs)
		soon(t, fmt.Sprintf("Open with an error at %d", at), func() {
			s, err := store.Open(o)
			if err == nil {
				mustPut(t, s, 1, "a", "1")
				if v, ok := s.Begin().Get(store.Data, []byte("a")); s.Err() == nil && (!ok || string(v) != "1") {
					t.Errorf("error at %d: Get = %q, %v", at, v, ok)
				}
				_ = s.Close()
			}
		})
	}
}

// TestAReadThatFailsIsNeverAnAnswer reads a state that is on the disk alone,
// with an error at each place in turn.
func TestAReadThatFailsIsNeverAnAnswer(t *testing.T) {
	value := string(bytes.Repeat([]byte("v"), 3000))
	var pairs []string
	for i := range 200 {
		pairs = append(pairs, fmt.Sprintf("%03d", i), value)
	}
	var want uint64
	onDisk := func() vfs.FS {
		mem := vfs.NewMem()
		s := mustOpen(t, mem)
		defer mustClose(t, s)
		mustPut(t, s, 1, pairs...)
		must(t, s.Flush())
		want = mustHash(t, s)
		return mem
	}

	for name, read := range map[string]func(*faulty) bool{
		"Get": func(f *faulty) bool {
			got, ok := f.Begin().Get(store.Data, []byte("077"))
			return ok && string(got) == value
		},
		"absent": func(f *faulty) bool {
			_, ok := f.Begin().Get(store.Data, []byte("0775"))
			return !ok
		},
		"Scan": func(f *faulty) bool { return len(scanned(f.Begin().Scan(store.Data, nil, nil))) == len(pairs) },
		"view": func(f *faulty) bool {
			v := f.View()
			defer mustClose(t, v)
			got, ok := v.Get([]byte("077"))
			return ok && string(got) == value && len(scanned(v.Scan(nil, nil))) == len(pairs)
		},
		"ContentHash": func(f *faulty) bool {
			v := f.View()
			defer mustClose(t, v)
			hash, err := v.ContentHash()
			return err == nil && hash == want
		},
		"Stream": func(f *faulty) bool {
			stream, err := f.View().Stream(1)
			if err != nil {
				return false
			}
			_, err = io.ReadAll(stream)
			_ = stream.Close()
			return err == nil
		},
	} {
		f := mustOpenFaulty(t, onDisk(), errorfs.OpIsRead)
		if !read(f) || f.Err() != nil {
			t.Errorf("%s: a disk that is well does not answer: %v", name, f.Err())
		}
		mustClose(t, f.Store)

		f = mustOpenFaulty(t, onDisk(), errorfs.OpIsRead)
		f.broken.Store(true)
		answered := read(f)
		f.broken.Store(false)
		switch {
		case f.Err() != nil:
			f.mustHaveFailed(t)
		case answered && name == "absent":
			// The filter of the table was in memory. It is right.
			mustClose(t, f.Store)
		default:
			t.Errorf("%s: a broken disk answers, and rightly: %v", name, answered)
		}
	}
}

// TestDamageOnTheDiskIsNeverAnAnswer flips a bit in the middle of a table.
func TestDamageOnTheDiskIsNeverAnAnswer(t *testing.T) {
	mem := vfs.NewMem()
	s := mustOpen(t, mem)
	mustPut(t, s, 1, "a", string(bytes.Repeat([]byte("v"), 10_000)))
	must(t, s.Flush())
	mustClose(t, s)
	names, err := mem.List(dir)
	must(t, err)
	for _, name := range names {
		if mem.PathBase(name)[max(0, len(name)-4):] != ".sst" {
			continue
		}
		file, err := mem.OpenReadWrite(mem.PathJoin(dir, name), vfs.WriteCategoryUnspecified)
		must(t, err)
		_, err = file.WriteAt([]byte{0x55}, 20)
		must(t, errors.Join(err, file.Close()))
	}
	f := mustOpenFaulty(t, mem, errorfs.OpIsRead)
	if v, ok := f.Begin().Get(store.Data, []byte("a")); ok || f.Err() == nil {
		t.Errorf("it answers with %d bytes; Err() = %v", len(v), f.Err())
	}
	soon(t, "Close", func() { mustClose(t, f.Store) })
}

func TestADiskThatBreaksWhileASnapshotIsReceivedIsAnError(t *testing.T) {
	from := mustOpenMem(t)
	rng := random(t)
	for i := range uint64(20) {
		mustPut(t, from, i+1, fmt.Sprint(i), string(value(rng, quorate.ArgsBytesMax/2)))
	}
	data := mustStream(t, from, 1)
	for _, after := range []int64{0, 2, 5} { // writes that succeed
		var written atomic.Int64
		var reached atomic.Bool
		fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpFileWrite && reached.Load() && written.Add(1) > after {
				return errDisk
			}
			return nil
		}))
		soon(t, "Receive", func() {
			r := io.TeeReader(bytes.NewReader(data), writerFunc(func([]byte) { reached.Store(true) }))
			if s, _, err := store.Receive(options(fs), 1, r); err == nil {
				t.Errorf("a state at %d was received by a disk that broke", s.Meta().Index)
			}
		})
	}
}

// writerFunc is an io.Writer made of a function.
type writerFunc func([]byte)

func (w writerFunc) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

package wal_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate/internal/wal"
)

// heldFS is a file system on which a sync waits until it is told how to end.
type heldFS struct {
	vfs.FS
	held chan error // nil until syncs are held
}

func (h *heldFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := h.FS.Create(name, category)
	return heldFile{f, h}, err
}

func (h *heldFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, options ...vfs.OpenOption) (vfs.File, error) {
	f, err := h.FS.OpenReadWrite(name, category, options...)
	return heldFile{f, h}, err
}

type heldFile struct {
	vfs.File
	fs *heldFS
}

func (f heldFile) SyncData() error {
	if f.fs.held != nil {
		if err := <-f.fs.held; err != nil {
			return err
		}
	}
	return f.File.SyncData()
}

// begun is a log of the entries 1 to 3 in which 4 and 5 are begun.
func begun(t *testing.T) (*wal.Log, *heldFS) {
	fs := &heldFS{FS: vfs.NewMem()}
	l := mustOpen(t, wal.Options{FS: fs, Dir: dir, Group: 1})
	mustAppend(t, l, entries(1, 3, 1, 100)...)
	fs.held = make(chan error)
	if err := l.Begin(entries(4, 5, 1, 100)); err != nil {
		t.Fatal(err)
	}
	return l, fs
}

func TestWhatWasBegunIsReadBeforeItIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, fs := begun(t)
		if last, durable := l.LastIndex(), l.Durable(5); last != 5 || durable != 3 {
			t.Errorf("the last entry is %d, durable are those up to %d; want 5 and 3", last, durable)
		}
		if e, err := l.Entry(5); err != nil || !sameEntry(e, entry(5, 1, 100)) {
			t.Errorf("Entry(5) = %v, %v", e, err)
		}
		if err := l.WaitDurable(3); err != nil {
			t.Error(err)
		}
		durable, appended := false, false
		go func() { durable = l.WaitDurable(4) == nil }()
		go func() { appended = l.Append(entries(6, 6, 1, 100)) == nil }()
		synctest.Wait()
		if durable || appended || l.LastIndex() != 5 {
			t.Errorf("while the sync is on its way: durable %v, the next is appended %v, last %d", durable, appended, l.LastIndex())
		}
		fs.held <- nil // of 4 and 5
		fs.held <- nil // of 6
		synctest.Wait()
		if !durable || !appended || l.Durable(6) != 6 {
			t.Errorf("after it: durable %v, the next is appended %v, durable are those up to %d", durable, appended, l.Durable(6))
		}
		close(fs.held)
		mustClose(t, l)
	})
}

func TestWhatWasBegunIsNeverDurableAfterAFailedSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, fs := begun(t)
		broken := errors.New("broken")
		fs.held <- broken
		if err := l.WaitDurable(5); !errors.Is(err, broken) {
			t.Errorf("WaitDurable(5) = %v", err)
		}
		if err := l.WaitDurable(3); err != nil {
			t.Errorf("what was durable before is not any more: %v", err)
		}
		if l.Durable(5) != 3 || !errors.Is(l.Err(), broken) {
			t.Errorf("durable are the entries up to %d, the log failed with %v", l.Durable(5), l.Err())
		}
		if err := l.Begin(entries(6, 6, 1, 100)); !errors.Is(err, broken) {
			t.Errorf("Begin on a log that has failed: %v", err)
		}
		close(fs.held)
		if err := l.Close(); !errors.Is(err, broken) {
			t.Errorf("Close: %v", err)
		}
	})
}

// Where one segment follows another, Open takes the end of the first for damage
// if it does not check. So none follows before it surely does.
func TestNoSegmentIsMadeBehindWhatIsNotDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := &heldFS{FS: vfs.NewMem()}
		l := mustOpen(t, wal.Options{FS: fs, Dir: dir, Group: 1, SegmentBytes: 4 << 10})
		fs.held = make(chan error)
		if err := l.Begin(entries(1, 1, 1, 3000)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := segments(t, fs); n != 1 {
			t.Errorf("there are %d segments while the first holds nothing durable", n)
		}
		close(fs.held)
		synctest.Wait()
		if n := segments(t, fs); n != 2 {
			t.Errorf("there are %d segments when the first is more than half full, want 2", n)
		}
		mustClose(t, l)
	})
}

func segments(t *testing.T, fs vfs.FS) (n int) {
	names, err := fs.List(dir)
	must(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, ".wal") {
			n++
		}
	}
	return n
}

package store

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// failure keeps the first error of the disk.
type failure struct {
	once   sync.Once
	failed chan struct{} // closed when err is set
	err    error
	report func(error) // may be nil
}

func newFailure(report func(error)) *failure {
	return &failure{failed: make(chan struct{}), report: report}
}

// set keeps an error of the disk, if it is the first, and reports it.
func (f *failure) set(err error) {
	first := false
	f.once.Do(func() {
		first, f.err = true, err
		close(f.failed)
	})
	if first && f.report != nil {
		f.report(err)
	}
}

func (f *failure) get() error {
	select {
	case <-f.failed:
		return f.err
	default:
		return nil
	}
}

// check keeps an error of reading, if there is one. That the store was closed
// meanwhile is none of the disk.
func (f *failure) check(err error) {
	if err != nil && !errors.Is(err, errClosed) {
		f.set(fmt.Errorf("read state: %w", err))
	}
}

// aside runs what may never come back from Pebble once the disk has failed: a
// write that waits for a flush, a flush that is tried for ever, or a goroutine
// that Fatalf ends. The caller goes on then; what runs is left behind. Where
// Pebble panics, as it does when a directory cannot be synced, the store has
// failed too: a broken disk must not end a process that is not ours.
func (f *failure) aside(run func() error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				f.set(fmt.Errorf("write state: pebble panicked: %v", p))
			}
		}()
		done <- run()
	}()
	select {
	case err := <-done:
		return err
	case <-f.failed:
		return f.err
	}
}

// logger gives what Pebble says to slog.
type logger struct {
	log  *slog.Logger
	fail *failure
}

func (l logger) Infof(string, ...any) {}

func (l logger) Errorf(format string, args ...any) {
	l.log.Debug("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf must not return, and must not end a process that is not ours. The
// goroutine ends, the store has failed, and the node stops because of it.
func (l logger) Fatalf(format string, args ...any) {
	l.fail.set(fmt.Errorf("write state: "+format, args...))
	runtime.Goexit()
}

// guardedFS is a file system on which a directory that cannot be synced fails
// the store. Pebble panics there, on goroutines of its own.
//
// And on it a marker, which is a name that says which manifest counts, is
// durable after the manifest and before the marker that it replaces is removed.
// Pebble syncs the directory only after all three, which is enough where
// changes of a directory last in order; elsewhere a loss of power could leave
// a state without a manifest, or without a marker, which to Pebble is a new and
// empty one.
//
// And on it compactions are paced: see pace.go.
type guardedFS struct {
	vfs.FS
	fail *failure
	// hurried says that compactions are not to be paced.
	hurried func() bool
}

// markerPrefix begins the names of markers.
const markerPrefix = "marker."

// Create implements vfs.FS.
func (g guardedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if category == compactionCategory {
		file, err := g.FS.Create(name, category)
		if err != nil {
			return nil, err
		}
		return &pacedFile{File: file, hurried: g.hurried, began: time.Now()}, nil
	}
	if !strings.HasPrefix(g.PathBase(name), markerPrefix) {
		return g.FS.Create(name, category)
	}
	if err := g.syncNames(g.PathDir(name)); err != nil {
		return nil, err
	}
	file, err := g.FS.Create(name, category)
	if err != nil {
		return nil, err
	}
	if err := g.syncNames(g.PathDir(name)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// syncNames makes the names in a directory durable.
func (g guardedFS) syncNames(name string) error {
	dir, err := g.OpenDir(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// OpenDir implements vfs.FS.
func (g guardedFS) OpenDir(name string) (vfs.File, error) {
	dir, err := g.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return guardedDir{dir, g.fail}, nil
}

// guardedDir is a directory of a guardedFS.
type guardedDir struct {
	vfs.File
	fail *failure
}

// Sync implements vfs.File. It does not return where it fails, as Fatalf does
// not: Pebble asks for a goroutine that ends.
func (d guardedDir) Sync() error {
	if err := d.File.Sync(); err != nil {
		d.fail.set(fmt.Errorf("write state: sync directory: %w", err))
		runtime.Goexit()
	}
	return nil
}

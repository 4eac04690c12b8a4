package sim_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// dataDir is where a node lives on its disk, and logDir its log.
const (
	dataDir = "data"
	logDir  = dataDir + "/wal"
)

var errDisk = errors.New("the disk is broken")

// disk is the disk of one incarnation of a node: a memory file system that
// shows what of the log becomes durable, and on which the log can be slow or
// fail.
//
// Only the log: Pebble works under locks, and a sleeper that holds a lock stops
// virtual time; and Pebble leaves goroutines behind when its files fail.
type disk struct {
	vfs.FS
	mem *vfs.MemFS
	// synced is told each record of the log that became durable, in order.
	synced func(mark)
	// strange is told of writes to the log that are no records.
	strange func(error)
	// faulted says that the disk has failed once.
	faulted atomic.Bool

	// mu guards what follows.
	mu sync.Mutex
	// slow is how long a sync takes at most; random says how long each does.
	slow   time.Duration
	random *rand.Rand
	// failing says what fails from the next operation of its kind on.
	failing failure
}

// failure is how a disk fails.
type failure struct {
	syncs, writes bool
	// once says that only one operation fails and later ones succeed.
	once bool
}

func newDisk(mem *vfs.MemFS, random *rand.Rand) *disk {
	return &disk{FS: mem, mem: mem, random: random}
}

// slowDown makes every sync of the log take up to d.
func (d *disk) slowDown(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slow = by
}

// fail makes the log fail as f says; the zero value mends the disk.
func (d *disk) fail(f failure) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failing = f
}

// pause is how long the next sync takes.
func (d *disk) pause() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.slow <= 0 {
		return 0
	}
	return time.Duration(d.random.Int64N(int64(d.slow)))
}

// broken says that an operation fails.
func (d *disk) broken(sync bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if sync && !d.failing.syncs || !sync && !d.failing.writes {
		return nil
	}
	if d.failing.once {
		d.failing = failure{}
	}
	d.faulted.Store(true)
	return errDisk
}

// isLog says that a file belongs to the log.
func isLog(name string) bool { return strings.Contains(name, logDir) }

// Create implements vfs.FS.
func (d *disk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, category)
	return d.wrap(name, f, err)
}

// OpenReadWrite implements vfs.FS.
func (d *disk) OpenReadWrite(name string, category vfs.DiskWriteCategory, options ...vfs.OpenOption) (vfs.File, error) {
	f, err := d.FS.OpenReadWrite(name, category, options...)
	return d.wrap(name, f, err)
}

func (d *disk) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil || !isLog(name) {
		return f, err
	}
	return &logFile{File: f, disk: d, segment: strings.HasSuffix(name, ".wal")}, nil
}

// logFile is an open file of the log.
type logFile struct {
	vfs.File
	disk    *disk
	segment bool

	mu sync.Mutex
	// pending is what was written and not synced.
	pending []mark
}

// Write implements vfs.File.
func (f *logFile) Write(b []byte) (int, error) {
	if err := f.disk.broken(false); err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

// WriteAt implements vfs.File.
func (f *logFile) WriteAt(b []byte, offset int64) (int, error) {
	if err := f.disk.broken(false); err != nil {
		return 0, err
	}
	var marks []mark
	if f.segment {
		var err error
		if marks, err = readMarks(b); err != nil {
			f.disk.strange(err)
		}
	}
	n, err := f.File.WriteAt(b, offset)
	if err == nil {
		f.mu.Lock()
		f.pending = append(f.pending, marks...)
		f.mu.Unlock()
	}
	return n, err
}

// Sync implements vfs.File.
func (f *logFile) Sync() error { return f.sync(f.File.Sync) }

// SyncData implements vfs.File.
func (f *logFile) SyncData() error { return f.sync(f.File.SyncData) }

func (f *logFile) sync(inner func() error) error {
	if wait := f.disk.pause(); wait > 0 {
		time.Sleep(wait)
	}
	f.mu.Lock()
	pending := f.pending
	f.pending = nil
	f.mu.Unlock()
	// What a failed sync did not write is forgotten: the next one succeeds
	// without it.
	if err := f.disk.broken(true); err != nil {
		return err
	}
	if err := inner(); err != nil {
		return err
	}
	for _, m := range pending {
		f.disk.synced(m)
	}
	return nil
}

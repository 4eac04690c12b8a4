// Package memdisk is a disk in memory for tests: it remembers every operation,
// and shows what a loss of power after any of them could leave.
//
// The noun is Disk. It is a vfs.FS, and a test uses it as one. Then After makes
// the disk that somebody finds who comes when the power is back: the bytes that
// were synced are there, and of the others what a Loss says, by files or by
// sectors. Names are bytes of their directory: they last when it was synced.
//
// It keeps one rule: what After leaves out, a real disk could have left out. It
// does not show the mixtures of two writes to one sector that were synced
// together, and it lets a rename happen as a whole or not at all. Changes of a
// directory are lost in any order, as POSIX has it; most file systems lose only
// a tail of them.
package memdisk

import (
	"errors"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// kind is what an operation does.
type kind uint8

const (
	writes    kind = iota // data to file at offset
	syncs                 // the bytes of file
	names                 // file: path
	renames               // file: path becomes target
	removes               // path
	makes                 // the directory path
	syncNames             // the directory path
)

// operation is one change of the disk, or a sync.
type operation struct {
	kind         kind
	file         int
	path, target string
	offset       int64
	data         []byte
}

// Disk is a disk. Its methods may be called from any goroutine.
type Disk struct {
	// FS is the disk as a program sees it whose power is on.
	vfs.FS

	// mu guards what follows, and makes the order of operations that of FS.
	mu         sync.Mutex
	operations []operation
	// files is the file under each path.
	files map[string]int
	// count is the number of files there ever were.
	count int
}

var _ vfs.FS = (*Disk)(nil)

// New makes an empty disk.
func New() *Disk { return &Disk{FS: vfs.NewMem(), files: make(map[string]int)} }

// Len is the number of operations so far.
func (d *Disk) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.operations)
}

// do does one operation, and remembers it when it succeeded.
func (d *Disk) do(run func() error, o operation) error {
	if err := run(); err != nil {
		return err
	}
	d.operations = append(d.operations, o)
	return nil
}

// born gives the file under path a number. The caller holds mu.
func (d *Disk) born(path string) int {
	d.count++
	d.files[path] = d.count
	d.operations = append(d.operations, operation{kind: names, file: d.count, path: path})
	return d.count
}

// Create implements vfs.FS.
func (d *Disk) Create(path string, category vfs.DiskWriteCategory) (vfs.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, err := d.FS.Create(path, category)
	if err != nil {
		return nil, err
	}
	return &file{File: f, disk: d, number: d.born(path)}, nil
}

// OpenReadWrite implements vfs.FS.
func (d *Disk) OpenReadWrite(path string, category vfs.DiskWriteCategory, _ ...vfs.OpenOption) (vfs.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, err := d.FS.OpenReadWrite(path, category)
	if err != nil {
		return nil, err
	}
	number, ok := d.files[path]
	if !ok {
		number = d.born(path)
	}
	return &file{File: f, disk: d, number: number}, nil
}

// OpenDir implements vfs.FS.
func (d *Disk) OpenDir(path string) (vfs.File, error) {
	f, err := d.FS.OpenDir(path)
	if err != nil {
		return nil, err
	}
	return &directory{File: f, disk: d, path: path}, nil
}

// ReuseForWrite implements vfs.FS.
func (d *Disk) ReuseForWrite(source, target string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.Rename(source, target); err != nil {
		return nil, err
	}
	return d.OpenReadWrite(target, category)
}

// Rename implements vfs.FS.
func (d *Disk) Rename(source, target string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	number := d.files[source]
	o := operation{kind: renames, file: number, path: source, target: target}
	if err := d.do(func() error { return d.FS.Rename(source, target) }, o); err != nil {
		return err
	}
	delete(d.files, source)
	d.files[target] = number
	return nil
}

// Link implements vfs.FS.
func (d *Disk) Link(source, target string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	number := d.files[source]
	if err := d.do(func() error { return d.FS.Link(source, target) }, operation{kind: names, file: number, path: target}); err != nil {
		return err
	}
	d.files[target] = number
	return nil
}

// Remove implements vfs.FS.
func (d *Disk) Remove(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.do(func() error { return d.FS.Remove(path) }, operation{kind: removes, path: path}); err != nil {
		return err
	}
	delete(d.files, path)
	return nil
}

// RemoveAll implements vfs.FS. It is refused: nobody needs it yet, and what is
// not remembered would make After wrong.
func (d *Disk) RemoveAll(string) error { return errors.ErrUnsupported }

// MkdirAll implements vfs.FS.
func (d *Disk) MkdirAll(path string, mode os.FileMode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var missing []string
	for at := path; ; at = d.PathDir(at) {
		if _, err := d.Stat(at); err == nil || d.PathDir(at) == at {
			break
		}
		missing = append(missing, at)
	}
	if err := d.FS.MkdirAll(path, mode); err != nil {
		return err
	}
	for _, at := range slices.Backward(missing) {
		d.operations = append(d.operations, operation{kind: makes, path: at})
	}
	return nil
}

// Lock implements vfs.FS.
func (d *Disk) Lock(path string) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	lock, err := d.FS.Lock(path)
	if err == nil {
		d.born(path)
	}
	return lock, err
}

// file is an open file of a Disk.
type file struct {
	vfs.File
	disk   *Disk
	number int
	// position is where Write goes on.
	position int64
}

// Write implements vfs.File.
func (f *file) Write(p []byte) (int, error) {
	d := f.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	o := operation{kind: writes, file: f.number, offset: f.position, data: slices.Clone(p)}
	err := d.do(func() error { _, err := f.File.Write(p); return err }, o)
	if err != nil {
		return 0, err
	}
	f.position += int64(len(p))
	return len(p), nil
}

// WriteAt implements vfs.File.
func (f *file) WriteAt(p []byte, offset int64) (int, error) {
	d := f.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	o := operation{kind: writes, file: f.number, offset: offset, data: slices.Clone(p)}
	if err := d.do(func() error { _, err := f.File.WriteAt(p, offset); return err }, o); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Sync implements vfs.File.
func (f *file) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return f.disk.do(f.File.Sync, operation{kind: syncs, file: f.number})
}

// SyncData implements vfs.File.
func (f *file) SyncData() error { return f.Sync() }

// SyncTo implements vfs.File. It promises nothing, as it may.
func (f *file) SyncTo(int64) (bool, error) { return false, nil }

// directory is an open directory of a Disk.
type directory struct {
	vfs.File
	disk *Disk
	path string
}

// Sync implements vfs.File.
func (f *directory) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return f.disk.do(f.File.Sync, operation{kind: syncNames, path: f.path})
}

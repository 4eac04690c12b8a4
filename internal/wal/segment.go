package wal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// segment is an open segment file.
type segment struct {
	sequence uint64
	path     string
	file     vfs.File
	// seed is where the checksums of its records begin.
	seed uint32
	// limit is where its batches end, but for a record that is larger.
	limit int64
	// marked says that the marks behind its batches mean something.
	marked bool
	// readers counts the reads under way; Log.mu guards it. The file is not
	// closed, renamed or removed while there are any.
	readers int
}

// close closes the file.
func (s *segment) close() error {
	if err := s.file.Close(); err != nil {
		return fmt.Errorf("close %s: %w", s.path, err)
	}
	return nil
}

// read reads the entry with the given index from s and checks all of it.
func (s slot) read(index uint64) (Entry, error) {
	// The length comes from a record that checked when it was written or
	// replayed, so it is within payloadMax.
	b := make([]byte, s.length)
	if err := readFull(s.segment.file, b, int64(s.offset)); err != nil {
		return Entry{}, fmt.Errorf("read entry %d of %s at offset %d: %w", index, s.segment.path, s.offset, err)
	}
	r, payload, ok := parseWhole(b, s.segment.seed)
	if !ok || r.kind != recordEntry || r.index != index {
		return Entry{}, damaged(s.segment.path, int64(s.offset), "entry "+strconv.FormatUint(index, 10)+" does not read back as written")
	}
	return r.entry(payload), nil
}

// readFull fills b from off. A file that ends early is an error.
func readFull(f io.ReaderAt, b []byte, off int64) error {
	n, err := f.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// damaged is the error for bytes that are not what was written. It says where
// they are and what an operator can do.
func damaged(path string, offset int64, what string) error {
	return fmt.Errorf("%s at offset %d: %s: %w; cutting it here would lose acknowledged entries: "+
		"restore the file, or remove this node and let it join again with an empty data directory",
		path, offset, what, ErrCorrupt)
}

const (
	segmentSuffix = ".wal"
	// spareSuffix marks a file that waits to become a segment. Its bytes mean
	// nothing.
	spareSuffix = ".spare"
)

// parseName returns the sequence number in a file name with the suffix.
func parseName(name, suffix string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	sequence, err := strconv.ParseUint(digits, 16, 64)
	return sequence, err == nil && fmt.Sprintf("%016x", sequence) == digits
}

// folder is the directory of a log.
type folder struct {
	fs  vfs.FS
	dir string
}

// path is the path of the file with the given sequence number and suffix.
func (d folder) path(sequence uint64, suffix string) string {
	return d.fs.PathJoin(d.dir, fmt.Sprintf("%016x%s", sequence, suffix))
}

// create makes the directory and those above it that are missing, each durable
// before the next. So only the lowest that exists may be one whose name a
// killed process left in doubt.
func (d folder) create() error {
	lowest, missing, err := d.missing()
	if err != nil {
		return err
	}
	// A directory above that may not be opened is not one this user made.
	if err := d.above(lowest).sync(); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	for _, dir := range slices.Backward(missing) {
		if err := d.fs.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("create log directory: %w", err)
		}
		if err := d.above(dir).sync(); err != nil {
			return err
		}
	}
	return nil
}

// above is the directory that holds the name dir.
func (d folder) above(dir string) folder { return folder{d.fs, d.fs.PathDir(dir)} }

// missing returns the lowest directory on the way to d that exists, and the
// ones below it, which do not, from d upwards.
func (d folder) missing() (lowest string, missing []string, err error) {
	for lowest = d.dir; ; lowest = d.fs.PathDir(lowest) {
		_, err := d.fs.Stat(lowest)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", nil, fmt.Errorf("look for log directory: %w", err)
		}
		if err == nil || d.fs.PathDir(lowest) == lowest {
			return lowest, missing, nil
		}
		missing = append(missing, lowest)
	}
}

// sync makes durable which names the directory holds. On Windows it does
// nothing: NTFS keeps the order of such changes in its journal.
func (d folder) sync() error {
	f, err := d.fs.OpenDir(d.dir)
	if err != nil {
		return fmt.Errorf("sync directory %s: %w", d.dir, err)
	}
	err = f.Sync()
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("sync directory %s: %w", d.dir, err)
	}
	return nil
}

// renameTries and renamePause get a rename past a virus scanner or an indexer
// that has the file open on Windows; such a look lasts some 10 ms.
const (
	renameTries = 8
	renamePause = 20 * time.Millisecond
)

// rename gives a closed file another name and makes that durable.
func (d folder) rename(source, target string) error {
	err := d.fs.Rename(source, target)
	for try := 1; err != nil && runtime.GOOS == "windows" && try < renameTries; try++ {
		time.Sleep(renamePause)
		err = d.fs.Rename(source, target)
	}
	if err != nil {
		return fmt.Errorf("rename %s: %w", source, err)
	}
	return d.sync()
}

// remove removes a closed file and makes that durable: of two segments the
// older must not come back alone.
func (d folder) remove(path string) error {
	if err := d.fs.Remove(path); err != nil {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return d.sync()
}

// zerosBytes is what a spare is filled with at a time: as much as a write takes
// without holding up the syncs of the log for long.
const zerosBytes = 256 << 10

// fill makes a file of zeros, durable with its size, so that later writes into
// it change no metadata and a data sync is enough.
func (d folder) fill(path string, size int64) error {
	f, err := d.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	err = writeZeros(f, size)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("fill %s: %w", path, err)
	}
	return nil
}

func writeZeros(f io.Writer, size int64) error {
	zeros := make([]byte, min(size, zerosBytes))
	for size > 0 {
		// A file system may modify what it is given.
		clear(zeros)
		n, err := f.Write(zeros[:min(size, zerosBytes)])
		if err != nil {
			return err
		}
		size -= int64(n)
	}
	return nil
}

// dress turns the spare at path into the segment h and opens it. The header
// and the whole file are durable before the name exists: what a header says of
// the size of its file must be true after any crash.
func (d folder) dress(path string, h segmentHeader) (*segment, error) {
	f, err := d.fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	header, seed := h.encode()
	size, err := fileSize(f)
	if err == nil && size != int64(h.size) {
		err = fmt.Errorf("the spare has %d bytes and not %d", size, h.size)
	}
	if err == nil {
		_, err = f.WriteAt(append(header, make([]byte, markBytes)...), 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("write segment header of %s: %w", path, err)
	}
	s := &segment{
		sequence: h.sequence, path: d.path(h.sequence, segmentSuffix),
		seed: seed, limit: int64(h.size) - markBytes, marked: true,
	}
	if err := d.rename(path, s.path); err != nil {
		return nil, err
	}
	s.file, err = d.fs.OpenReadWrite(s.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("open segment %s: %w", s.path, err)
	}
	return s, nil
}

// newSalt tells the records of a segment from those of a former use.
func newSalt() uint64 { return rand.Uint64() }

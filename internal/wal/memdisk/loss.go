package memdisk

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// sectorBytes is what a disk writes as a whole.
const sectorBytes = 512

// Loss says which bytes and names that were not synced are there after a loss
// of power.
type Loss struct {
	// name says whether a change of a directory is there, file whether all
	// that was written to a file is, sector whether one sector is. A file is
	// asked about first.
	name, file, sector func() bool
}

func never() bool  { return false }
func always() bool { return true }

// Worst is the loss of everything that was not synced.
func Worst() Loss { return Loss{name: never, file: never, sector: never} }

// None is a loss of nothing: the process ended, and the disk has all it wrote.
func None() Loss { return Loss{name: always, file: always, sector: always} }

// Files is a loss of some names and of all that was written to some files.
func Files(rng *rand.Rand) Loss {
	half := func() bool { return rng.IntN(2) == 0 }
	return Loss{name: half, file: half, sector: never}
}

// Sectors is a loss of some names and some sectors.
func Sectors(rng *rand.Rand) Loss {
	percent := 1 + rng.IntN(99)
	some := func() bool { return rng.IntN(100) < percent }
	return Loss{name: some, file: never, sector: some}
}

// content is the bytes of a file.
type content struct {
	now, synced []byte
}

// folder is the names in a directory.
type folder struct {
	synced map[string]int
	// changes are those since the last sync.
	changes []operation
}

// platter is what the operations make of an empty disk.
type platter struct {
	files   map[int]*content
	folders map[string]*folder
}

// folderNumber stands for a directory among the numbers of files.
const folderNumber = -1

// After is the disk that the first n operations and then a loss of power
// leave.
func (d *Disk) After(n int, loss Loss) (*vfs.MemFS, error) {
	d.mu.Lock()
	operations := slices.Clone(d.operations[:n])
	d.mu.Unlock()
	p := platter{files: make(map[int]*content), folders: map[string]*folder{".": {synced: map[string]int{}}}}
	for _, o := range operations {
		p.play(o)
	}
	fs := vfs.NewMem()
	return fs, p.write(fs, ".", loss)
}

// play does one operation.
func (p *platter) play(o operation) {
	switch o.kind {
	case writes:
		c := p.content(o.file)
		if grow := int(o.offset) + len(o.data) - len(c.now); grow > 0 {
			c.now = append(c.now, make([]byte, grow)...)
		}
		copy(c.now[o.offset:], o.data)
	case syncs:
		c := p.content(o.file)
		c.synced = slices.Clone(c.now)
	case syncNames:
		f := p.folder(clean(o.path))
		f.synced = f.names(None())
		f.changes = nil
	case makes:
		p.folders[clean(o.path)] = &folder{synced: map[string]int{}}
		p.change(o.path, o)
	default:
		p.change(o.path, o)
	}
}

// clean is a path below ".", as the disk has no other root.
func clean(name string) string { return path.Clean("./" + path.Join("/", name)[1:]) }

// change puts a change of names where it belongs. Nothing here is renamed from
// one directory to another.
func (p *platter) change(name string, o operation) {
	f := p.folder(path.Dir(clean(name)))
	f.changes = append(f.changes, o)
}

func (p *platter) content(file int) *content {
	if p.files[file] == nil {
		p.files[file] = &content{}
	}
	return p.files[file]
}

func (p *platter) folder(name string) *folder {
	if p.folders[name] == nil {
		p.folders[name] = &folder{synced: map[string]int{}}
	}
	return p.folders[name]
}

// names are those that the loss leaves.
func (f *folder) names(loss Loss) map[string]int {
	now := maps.Clone(f.synced)
	for _, o := range f.changes {
		if !loss.name() {
			continue
		}
		name := path.Base(clean(o.path))
		switch o.kind {
		case names:
			now[name] = o.file
		case makes:
			now[name] = folderNumber
		case removes:
			delete(now, name)
		case renames:
			delete(now, name)
			now[path.Base(clean(o.target))] = o.file
		}
	}
	return now
}

// bytes are those of the file with what the loss leaves.
func (c *content) bytes(loss Loss) []byte {
	if loss.file() {
		return c.now
	}
	left := slices.Clone(c.synced)
	for i := 0; i < len(c.now); i += sectorBytes {
		end := min(i+sectorBytes, len(c.now))
		if end <= len(c.synced) && slices.Equal(c.now[i:end], c.synced[i:end]) || !loss.sector() {
			continue
		}
		if grow := end - len(left); grow > 0 {
			left = append(left, make([]byte, grow)...)
		}
		copy(left[i:], c.now[i:end])
	}
	return left
}

// write puts the directory on fs.
func (p *platter) write(fs vfs.FS, dir string, loss Loss) error {
	found := p.folder(dir).names(loss)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		target := path.Join(dir, name)
		if found[name] == folderNumber {
			if err := errors.Join(fs.MkdirAll(target, 0o755), p.write(fs, target, loss)); err != nil {
				return err
			}
			continue
		}
		if err := put(fs, target, p.content(found[name]).bytes(loss)); err != nil {
			return fmt.Errorf("put %s on the disk: %w", target, err)
		}
	}
	return nil
}

// put makes a file.
func put(fs vfs.FS, name string, data []byte) error {
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(slices.Clone(data))
	return errors.Join(err, f.Close())
}

package sim_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate/node"
)

// ruin destroys what a node has promised on its disk. The place is out of the
// cluster for ever: what is left must not take part as if nothing had happened.
func (w *world) ruin(k kind, p *place, dice *rand.Rand) {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	l := p.running()
	if l == nil || !w.formed() {
		return
	}
	p.crash(l, 0)
	damaged := p.image
	switch k {
	case wipe:
		damaged = vfs.NewCrashableMem()
	case loseLog:
		if err := damaged.RemoveAll(logDir); err != nil {
			w.fail("simulator", "remove the log of n%d: %v", p.index, err)
		}
	case corrupt:
		where, err := flip(damaged, dice)
		if err != nil {
			w.fail("simulator", "flip a bit of n%d: %v", p.index, err)
		}
		if where == "" {
			p.start() // there is nothing in the log that a flip would surely show
			return
		}
		w.note("n%d: a bit is flipped in %s", p.index, where)
	}
	w.tally.fault(k)
	// The journal stays as it was: an answer that is on its way now was
	// durable on this disk too when it was given.
	p.mu.Lock()
	p.out = string(k)
	p.mu.Unlock()
	p.ghost(k, damaged)
}

// formed says that every node was seen in the cluster.
func (w *world) formed() bool {
	return !slices.ContainsFunc(w.places, func(p *place) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return !p.formed
	})
}

// ghost starts a node on a damaged disk, as an operator might who knows
// nothing. A directory without its log, or with a damaged one, must be refused;
// an empty one is a new node, which is no member.
func (p *place) ghost(k kind, image *vfs.MemFS) {
	w := p.world
	d := newDisk(image, source(w.plan.Seed, "ghost"))
	d.synced, d.strange = func(mark) {}, func(error) {}
	h := w.net.Host(host(p.index))
	n, err := node.Start(service, w.config(p, d, h))
	if err != nil {
		h.PowerOff()
		if k == wipe {
			w.fail("restart", "n%d does not start on an empty disk: %v", p.index, err)
		}
		return
	}
	if k != wipe {
		w.fail("refuse", "n%d starts on a disk without what it promised (%s)", p.index, k)
	}
	w.lives.Go(func() {
		select {
		case <-n.Done():
		case <-w.calm.Done():
		}
		if s := (&life{node: n}).status(); s.AppliedIndex > 0 || s.Role == node.Leader || s.Role == node.Candidate {
			w.fail("refuse", "n%d lost all it had promised and is %s at %d", p.index, s.Role, s.AppliedIndex)
		}
		n.Close(done())
		h.PowerOff()
	})
}

// spot is where a record of the log lies.
type spot struct {
	path          string
	offset, bytes int64
	batch         uint64
}

// flip flips a bit of a log on a disk: of a record with another batch behind
// it, for damage to the last batch looks as if it had never been whole. It says
// where, or nothing if there is no such record.
func flip(fs vfs.FS, dice *rand.Rand) (string, error) {
	spots, err := spotsOf(fs)
	if err != nil || len(spots) == 0 {
		return "", err
	}
	last := spots[len(spots)-1].batch
	spots = slices.DeleteFunc(spots, func(s spot) bool { return s.batch == last })
	if len(spots) == 0 {
		return "", nil
	}
	s := spots[dice.IntN(len(spots))]
	at, bit := s.offset+dice.Int64N(s.bytes), dice.IntN(8)
	return fmt.Sprintf("%s at %d", s.path, at), flipBit(fs, s.path, at, bit)
}

// spotsOf is the records of a log in their order.
func spotsOf(fs vfs.FS) (spots []spot, err error) {
	names, err := fs.List(logDir)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".wal") })
	slices.Sort(names)
	for _, name := range names {
		path := logDir + "/" + name
		data, err := readAll(fs, path)
		if err != nil {
			return nil, err
		}
		for offset := segmentHeadBytes; offset+recordBytes <= len(data); {
			b := data[offset:]
			size := recordBytes + (int(binary.LittleEndian.Uint32(b[8:]))+7)&^7
			batch := binary.LittleEndian.Uint64(b[24:])
			if b[16] < recordEntry || b[16] > recordMarkMax || size > len(b) {
				break
			}
			if n := len(spots); n > 0 && batch != spots[n-1].batch && batch != spots[n-1].batch+1 {
				break // of a former use of the file
			}
			spots = append(spots, spot{path, int64(offset), int64(size), batch})
			offset += size
		}
	}
	return spots, nil
}

func flipBit(fs vfs.FS, path string, at int64, bit int) error {
	file, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	_, err = file.ReadAt(b, at)
	b[0] ^= 1 << bit
	if err == nil {
		_, err = file.WriteAt(b, at)
	}
	return errors.Join(err, file.Sync(), file.Close())
}

func readAll(fs vfs.FS, path string) ([]byte, error) {
	file, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(file)
	return data, errors.Join(err, file.Close())
}

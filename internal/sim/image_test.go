package sim_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate/internal/wal"
)

// inspect looks at the disk that a node will start from: what was durable must
// be there. It works on a copy.
func (p *place) inspect(image *vfs.MemFS) {
	copied := image.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(0, 0))})
	found, err := readLog(copied, p.world.plan.SegmentBytes)
	if err != nil {
		p.world.fail("restart", "the log on the disk of n%d cannot be opened: %v", p.index, err)
		return
	}
	for i, r := range found {
		found[i] = p.world.meet(p, r)
	}
	covered, err := noteIndex(copied)
	if err != nil {
		p.world.fail("restart", "the snapshot on the disk of n%d cannot be read: %v", p.index, err)
		return
	}
	if lost, ok := p.durableLog().restart(found, covered); !ok {
		p.world.fail("durability", "n%d had synced %v, and it is not on its disk", p.index, lost)
	}
}

// readLog reads all entries of the log on a disk, which it may change.
func readLog(fs vfs.FS, segmentBytes int64) (found []record, err error) {
	if names, err := fs.List(logDir); errors.Is(err, os.ErrNotExist) || len(names) == 0 {
		return nil, nil
	}
	log, err := wal.Open(wal.Options{FS: fs, Dir: logDir, Group: 1, SegmentBytes: segmentBytes})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if log.LastIndex() == 0 {
		return nil, nil
	}
	for i := log.FirstIndex(); i <= log.LastIndex(); i++ {
		e, err := log.Entry(i)
		if err != nil {
			return nil, err
		}
		found = append(found, newRecord(e.Index, e.Term, e.Kind, e.Data, e.Extensions))
	}
	return found, nil
}

// noteIndex is where the snapshot on a disk stands, 0 if there is none. The
// file is drawn in internal/consensus.
func noteIndex(fs vfs.FS) (uint64, error) {
	file, err := fs.Open(dataDir + "/snapshot")
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	data, err := io.ReadAll(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return 0, err
	}
	if len(data) < 24 || string(data[:7]) != "QRTNOTE" {
		return 0, fmt.Errorf("%d bytes are no note", len(data))
	}
	return binary.LittleEndian.Uint64(data[16:]), nil
}

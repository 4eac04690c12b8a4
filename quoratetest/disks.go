package quoratetest

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/wal"
)

// image is a disk as it would be found after a loss of power.
type image struct {
	node string
	disk *vfs.MemFS
	// covered is up to where a snapshot of the node reflects the log.
	covered uint64
}

// image takes the image of the disk of a node: nothing survives that was not
// synced.
func (l *life) image(node string) image {
	// The snapshot first: what it covers then it covers on the disk.
	covered := l.status().SnapshotIndex
	return image{node, l.disk.CrashClone(vfs.CrashCloneCfg{}), covered}
}

// lost says which acknowledged command does not stand on a majority of disks, or
// nil. Without images it knows nothing.
func lost(told []acknowledgement, images []image) error {
	if len(images) == 0 || len(told) == 0 {
		return nil
	}
	logs := make([]durable, len(images))
	for i, disk := range images {
		var err error
		if logs[i], err = disk.log(); err != nil {
			return fmt.Errorf("read the log that %s would find after a loss of power: %w", disk.node, err)
		}
	}
	for _, command := range told {
		holders := 0
		for _, log := range logs {
			if log.holds(command) {
				holders++
			}
		}
		if holders <= len(logs)/2 {
			return fmt.Errorf("%s was acknowledged at index %d, and is lost: after a loss of power it would stand on %d of %d disks",
				command.call, command.index, holders, len(logs))
		}
	}
	return nil
}

// durable is what of a log is on a disk.
type durable struct {
	// first is the oldest entry that was not cut, or the first that would come.
	first uint64
	// calls is what the entries hold.
	calls map[uint64]map[sum]bool
}

// holds says that a command stands in the log, or that the log was cut behind it:
// a node cuts what its state on the disk reflects.
func (d durable) holds(command acknowledgement) bool {
	return command.index < d.first || d.calls[command.index][command.sum]
}

// kindCalls is the type of a record in the log that holds calls: what raft calls a
// command. The others are its own.
const kindCalls = 0

// log reads the log on the disk, which it may change.
func (m image) log() (d durable, err error) {
	log, err := wal.Open(wal.Options{FS: m.disk, Dir: logDir, Group: 1, SegmentBytes: segmentBytes})
	if err != nil {
		return durable{}, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	d = durable{first: m.covered + 1, calls: make(map[uint64]map[sum]bool)}
	if log.LastIndex() == 0 {
		return d, nil
	}
	d.first = log.FirstIndex()
	for i := d.first; i <= log.LastIndex(); i++ {
		e, err := log.Entry(i)
		if err != nil {
			return d, err
		}
		if e.Kind != kindCalls {
			continue
		}
		// What is no list of calls holds no command.
		_, calls, _ := entry.Decode(e.Data)
		d.calls[i] = make(map[sum]bool)
		for _, call := range calls {
			d.calls[i][sumOf(call.Name, call.Args)] = true
		}
	}
	return d, nil
}

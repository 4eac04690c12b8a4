package wal

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Open opens the log in o.Dir, or begins one there if the directory is empty.
//
// A batch that a crash cut short was never acknowledged; Open drops it. It
// fails with ErrCorrupt where acknowledged data is damaged or missing.
func Open(o Options) (*Log, error) {
	o, err := o.ready()
	if err != nil {
		return nil, err
	}
	l := &Log{
		options:  o,
		folder:   folder{o.FS, o.Dir},
		writing:  make(chan struct{}, 1),
		voting:   make(chan struct{}, 1),
		closed:   make(chan struct{}),
		failed:   make(chan struct{}),
		finished: make(chan struct{}),
		recent:   cache{bytesMax: o.CacheBytes},
	}
	l.changed.L = &l.mu
	if err := l.open(); err != nil {
		// What is open holds no state that could be lost by closing it.
		for _, s := range l.supply.all() {
			err = errors.Join(err, s.close())
		}
		if l.votes != nil {
			err = errors.Join(err, l.votes.file.Close())
		}
		return nil, fmt.Errorf("open log %s: %w", o.Dir, err)
	}
	return l, nil
}

// open does the work of Open. What it opens is in supply and votes, also when
// it fails.
func (l *Log) open() error {
	if err := l.folder.create(); err != nil {
		return err
	}
	// A process killed between a rename and its sync leaves a name that a power
	// failure could still take back.
	if err := l.folder.sync(); err != nil {
		return err
	}
	found, err := l.folder.list()
	if err != nil {
		return err
	}
	if err := l.openVotes(found); err != nil {
		return err
	}
	if l.supply.spares, err = l.folder.tidy(found, l.options.SegmentBytes); err != nil {
		return err
	}
	if err := l.openSegments(found.segments); err != nil {
		return err
	}
	if !l.votes.block.begun {
		block := l.votes.block
		block.begun = true
		block.sequence++
		if err := l.votes.write(block); err != nil {
			return err
		}
	}
	return l.begin()
}

// contents are the files of a log directory.
type contents struct {
	// segments are the sequence numbers in order.
	segments []uint64
	spares   []string
	vote     bool
}

// list reads the directory. Names that no log gives are left alone.
func (d folder) list() (contents, error) {
	names, err := d.fs.List(d.dir)
	if err != nil {
		return contents{}, fmt.Errorf("list files: %w", err)
	}
	var c contents
	for _, name := range names {
		if sequence, ok := parseName(name, segmentSuffix); ok {
			c.segments = append(c.segments, sequence)
		} else if _, ok := parseName(name, spareSuffix); ok {
			c.spares = append(c.spares, d.fs.PathJoin(d.dir, name))
		} else if name == voteName {
			c.vote = true
		}
	}
	slices.Sort(c.segments)
	slices.Sort(c.spares)
	return c, nil
}

// tidy keeps a few spares of the right size and removes the others, such as
// one whose zeros a crash cut short.
func (d folder) tidy(found contents, size int64) ([]string, error) {
	var keep []string
	for _, path := range found.spares {
		info, err := d.fs.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("look at spare: %w", err)
		}
		if info.Size() == size && len(keep) < sparesMax {
			keep = append(keep, path)
		} else if err := d.remove(path); err != nil {
			return nil, err
		}
	}
	return keep, nil
}

// openVotes opens the vote file, and makes it where a log begins.
func (l *Log) openVotes(found contents) (err error) {
	if !found.vote {
		if n := len(found.segments); n > 0 {
			return fmt.Errorf("%w: %d segments, but no file %q: this node could vote twice in a term: "+
				"restore the file, or remove this node and let it join again with an empty data directory",
				ErrCorrupt, n, voteName)
		}
		if err := l.folder.createVote(l.options.Group); err != nil {
			return err
		}
	}
	if l.votes, err = l.folder.openVote(l.options.Group); err != nil {
		return err
	}
	if l.votes.block.begun && len(found.segments) == 0 {
		return fmt.Errorf("%w: the vote file is there, but no segment: the log was removed; "+
			"restore it, or remove this node and let it join again with an empty data directory", ErrCorrupt)
	}
	l.vote = l.votes.block.vote
	return nil
}

// openSegments opens the chain of segments, or makes its first one.
func (l *Log) openSegments(sequences []uint64) error {
	if len(sequences) == 0 {
		// The spare may be this very segment, whose making a crash cut short.
		first, err := l.folder.makeSegment(l.supply.takeSpare(), l.options, 1)
		if err != nil {
			return err
		}
		l.supply.live = []*segment{first}
		return nil
	}
	for i, sequence := range sequences {
		if want := sequences[0] + uint64(i); sequence != want {
			return damaged(l.folder.path(want, segmentSuffix), 0, "the file is missing")
		}
		s, err := l.folder.openSegment(sequence, l.options.Group)
		if err != nil {
			return err
		}
		l.supply.live = append(l.supply.live, s)
	}
	return nil
}

// openSegment opens a segment file and checks its header.
func (d folder) openSegment(sequence, group uint64) (*segment, error) {
	path := d.path(sequence, segmentSuffix)
	file, err := d.fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("open segment %s: %w", path, err)
	}
	s := &segment{sequence: sequence, path: path, file: file}
	if err := s.check(group); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// check reads the header of the segment.
func (s *segment) check(group uint64) error {
	info, err := s.file.Stat()
	if err != nil {
		return fmt.Errorf("read %s: %w", s.path, err)
	}
	if info.Size() < headerBytes {
		return damaged(s.path, info.Size(), "the segment header is cut short")
	}
	b := make([]byte, headerBytes)
	if err := readFull(s.file, b, 0); err != nil {
		return fmt.Errorf("read %s: %w", s.path, err)
	}
	h, seed, err := parseSegmentHeader(b)
	switch {
	case err != nil:
		return damaged(s.path, 0, err.Error())
	case h.group != group:
		return fmt.Errorf("%s belongs to group %d, not %d", s.path, h.group, group)
	case h.sequence != s.sequence:
		return damaged(s.path, 0, fmt.Sprintf("the header says segment %d", h.sequence))
	case info.Size() < int64(h.size):
		return damaged(s.path, info.Size(), fmt.Sprintf("the file is cut short, it had %d bytes", h.size))
	}
	s.seed, s.limit, s.marked = seed, int64(h.size)-markBytes, h.size > 0
	if !s.marked {
		s.limit = info.Size() - markBytes
	}
	return nil
}

// begin plays the stream and starts a session at its end.
func (l *Log) begin() error {
	oldest := l.supply.live[0]
	p := replay{live: &l.live, whole: oldest.sequence == 1, anchor: oldest}
	if err := p.play(l.supply.live); err != nil {
		return err
	}
	tail := l.supply.live[p.tail]
	if p.tail+1 < len(l.supply.live) {
		l.supply.next = l.supply.live[p.tail+1]
		l.supply.live = l.supply.live[:p.tail+1]
	}
	// After the crash of a process alone, the last batch may stand in the page
	// cache. It must be durable before a later one is written: otherwise a
	// power failure could leave the later one and tear the earlier, which
	// would look like damage.
	if err := tail.file.SyncData(); err != nil {
		return fmt.Errorf("sync %s: %w", tail.path, err)
	}
	l.stream = stream{segment: tail, offset: p.offset, limit: tail.limit, batch: p.last}
	if t := p.torn; t.bytes > 0 {
		l.options.Log.Warn("the log ended in a batch that is not whole, and was cut there; "+
			"nobody was promised it, unless it was damaged since",
			"file", t.path, "offset", t.offset, "bytes", t.bytes, "last", l.live.lastIndex())
	}

	go l.runSupply()
	// The open record takes the number of the batch that a crash may have torn,
	// and lies where it began. So its remains can never be taken for a part of
	// the stream again: all later batches have higher numbers.
	if err := l.writeMark(record{kind: recordOpen}); err != nil {
		l.retreat()
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doom(p.anchor)
	return nil
}

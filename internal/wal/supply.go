package wal

import (
	"errors"
	"fmt"
	"slices"

	"github.com/quorate/quorate/internal/invariant"
)

// supply is the chain of segment files: those in use, the one that comes next,
// and those on their way out. Log.mu guards it; the goroutine runSupply does
// the work, so that an append waits neither for zeros nor for a rename.
type supply struct {
	// live are the segments of the stream, oldest first. The last is the one
	// being written.
	live []*segment
	// next follows the last of live; nil until it is wanted and made.
	next *segment
	// wanted asks for next.
	wanted bool
	// doomed are segments that nobody needs, oldest first. They leave in this
	// order, so that what is on disk is at any time a chain without a gap.
	doomed []*segment
	// spares are paths of files that can become a segment.
	spares []string
}

// sparesMax bounds the files kept for reuse. One replaces next while a
// snapshot frees many segments at a time; a second covers the moment between.
const sparesMax = 2

// all are the segments whose files are open.
func (s *supply) all() []*segment {
	all := append(append([]*segment{}, s.doomed...), s.live...)
	if s.next != nil {
		all = append(all, s.next)
	}
	return all
}

// doom gives up the segments before oldest.
func (s *supply) doom(oldest *segment) {
	n := slices.Index(s.live, oldest)
	invariant.Must(n >= 0, "segment %d is in use", oldest.sequence)
	s.doomed = append(s.doomed, s.live[:n]...)
	s.live = append([]*segment{}, s.live[n:]...)
}

// doom gives up the segments that hold neither a live entry nor anything from
// anchor on. anchor holds a durable record that cut the front or left nothing,
// so that the stream without them still stands for the whole log. The caller
// holds mu.
func (l *Log) doom(anchor *segment) {
	s := &l.supply
	oldest := anchor
	if !l.live.empty() && l.live.slots[0].segment.sequence < anchor.sequence {
		oldest = l.live.slots[0].segment
	}
	s.doom(oldest)
	if len(s.doomed) > 0 {
		l.changed.Broadcast()
	}
}

// runSupply does what is due until the log fails or closes.
func (l *Log) runSupply() {
	defer close(l.finished)
	for work := l.due(); work != nil; work = l.due() {
		if err := work(); err != nil {
			l.fail(err)
		}
	}
}

// due waits for the next piece of work; nil is the end.
func (l *Log) due() func() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closing && l.err == nil {
		if l.supply.wanted && l.supply.next == nil {
			return l.makeNext
		}
		if doomed := l.supply.doomed; len(doomed) > 0 && doomed[0].readers == 0 {
			return l.retire
		}
		l.changed.Wait()
	}
	return nil
}

// makeNext makes the segment that follows the last one.
func (l *Log) makeNext() error {
	l.mu.Lock()
	s := &l.supply
	sequence := s.live[len(s.live)-1].sequence + 1
	spare := s.takeSpare()
	l.mu.Unlock()

	next, err := l.folder.makeSegment(spare, l.options, sequence)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.next, s.wanted = next, false
	l.changed.Broadcast()
	return nil
}

// takeSpare takes a spare away, "" when there is none.
func (s *supply) takeSpare() string {
	if len(s.spares) == 0 {
		return ""
	}
	spare := s.spares[0]
	s.spares = s.spares[1:]
	return spare
}

// makeSegment makes a segment from the spare, or from a new file if there is
// none.
func (d folder) makeSegment(spare string, o Options, sequence uint64) (*segment, error) {
	if spare == "" {
		spare = d.path(sequence, spareSuffix)
		if err := d.fill(spare, o.SegmentBytes); err != nil {
			return nil, err
		}
	}
	return d.dress(spare, segmentHeader{group: o.Group, sequence: sequence, salt: newSalt(), size: uint32(o.SegmentBytes)})
}

// retire puts the oldest doomed segment aside for reuse, or removes it.
func (l *Log) retire() error {
	l.mu.Lock()
	s := l.supply.doomed[0]
	l.supply.doomed = l.supply.doomed[1:]
	keep := len(l.supply.spares) < sparesMax
	l.mu.Unlock()

	// Its entries have left the index, so nobody can begin to read it.
	info, err := s.file.Stat()
	if err := errors.Join(err, s.close()); err != nil {
		return fmt.Errorf("retire %s: %w", s.path, err)
	}
	// A segment of another size was made for one large record, or under
	// another option.
	keep = keep && info.Size() == l.options.SegmentBytes
	if !keep {
		return l.folder.remove(s.path)
	}
	spare := l.folder.path(s.sequence, spareSuffix)
	if err := l.folder.rename(s.path, spare); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// A spare that a crash left may have had this name, and is gone now.
	if !slices.Contains(l.supply.spares, spare) {
		l.supply.spares = append(l.supply.spares, spare)
	}
	return nil
}

// want asks for the next segment. The caller holds mu.
func (l *Log) want() {
	if l.supply.next == nil && !l.supply.wanted {
		l.supply.wanted = true
		l.changed.Broadcast()
	}
}

// takeNext waits for the next segment and makes it the last one.
func (l *Log) takeNext() (*segment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.supply
	for s.next == nil && l.err == nil {
		l.want()
		l.changed.Wait()
	}
	if l.err != nil {
		return nil, l.err
	}
	next := s.next
	invariant.Must(next.sequence == s.live[len(s.live)-1].sequence+1,
		"segment %d follows %d", next.sequence, s.live[len(s.live)-1].sequence)
	s.next = nil
	s.live = append(s.live, next)
	return next, nil
}

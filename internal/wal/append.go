package wal

import (
	"fmt"

	"github.com/quorate/quorate/internal/invariant"
)

// stream is the end of the record stream. The holder of Log.writing owns it.
type stream struct {
	segment *segment
	// offset is where the next record goes.
	offset int64
	// limit is that of the segment; only a record that is larger than a whole
	// segment raises it.
	limit int64
	// batch is the number of the last batch written.
	batch uint64
	// buffer holds the batch being written. What is in it belongs to the file
	// system, which may modify it.
	buffer []byte
}

// bufferKept bounds the memory that a large batch leaves behind: 16 entries of
// the usual maximum of 256 KiB.
const bufferKept = 4 << 20

// checkEntries finds what a program error would make of the log. payloadMax is
// 256 times the usual maximum of an entry: whoever passes it has made a
// mistake, and a record of that size still fits a read in one piece.
func checkEntries(entries []Entry) error {
	for i, e := range entries {
		if want := entries[0].Index + uint64(i); e.Index != want || e.Index == 0 {
			return fmt.Errorf("append to log: entry %d where %d should be", e.Index, want)
		}
		if size := len(e.Data) + len(e.Extensions); size > payloadMax {
			return fmt.Errorf("append to log: entry %d has %d bytes, the maximum is %d", e.Index, size, payloadMax)
		}
	}
	return nil
}

// Append puts entries behind the log and returns when they are durable. Their
// indexes must follow each other. If the first one leaves a gap behind
// LastIndex, all older entries are dropped and the log begins there; if it is
// not behind LastIndex, nothing is done and an error returned: TruncateBack
// comes first. After a crash during Append any number of the entries may be
// there, from the first on.
//
// The log keeps the bytes of entries; they may not be modified any more.
func (l *Log) Append(entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	if err := l.enterWith(entries); err != nil {
		return err
	}
	defer l.leaveWriting()
	_, err := l.put(entries, false)
	return err
}

// enterWith takes the token of writing, for entries.
func (l *Log) enterWith(entries []Entry) error {
	if err := checkEntries(entries); err != nil {
		return err
	}
	return l.enter(l.writing)
}

// put puts entries behind the log, durably. With ahead the last batch of them is
// only written: it is pending.
func (l *Log) put(entries []Entry, ahead bool) (*pending, error) {
	first, last := entries[0].Index, l.LastIndex()
	if first <= last {
		return nil, fmt.Errorf("append to log: entry %d is there, the last is %d", first, last)
	}
	gap := last != 0 && first > last+1
	for len(entries) > 0 {
		n, start, err := l.writeBatch(entries, gap)
		if err != nil {
			return nil, err
		}
		// With a gap the older entries go with the batch, which they must not
		// before it is durable.
		if ahead && !gap && n == len(entries) {
			p := &pending{first: entries[0].Index, done: make(chan struct{})}
			l.admit(entries, start, false, p)
			return p, nil
		}
		if err := l.sync(); err != nil {
			return nil, err
		}
		l.admit(entries[:n], start, gap, nil)
		entries, gap = entries[n:], false
	}
	return nil, nil
}

func (l *Log) leaveWriting() {
	if cap(l.stream.buffer) > bufferKept {
		l.stream.buffer = nil
	}
	<-l.writing
}

// writeBatch writes the first entries of the slice as one batch, and returns
// how many they are and where they begin. With gap, it drops what is in the log
// in the same batch.
func (l *Log) writeBatch(entries []Entry, gap bool) (count int, start int64, err error) {
	before := int64(0)
	if gap {
		before = recordBytes
	}
	n, err := l.room(entries, before)
	if err != nil {
		return 0, 0, err
	}
	entries = entries[:n]
	s := &l.stream
	b := s.buffer[:0]
	if gap {
		cut := record{kind: recordCutFront, batch: s.batch + 1, index: entries[0].Index, term: l.LastIndex()}
		b = appendRecord(b, cut, nil, nil, s.segment.seed)
	}
	for i, e := range entries {
		r := record{
			kind: recordEntry, final: i == n-1, entryKind: e.Kind,
			batch: s.batch + 1, index: e.Index, term: e.Term, time: e.Time,
		}
		b = appendRecord(b, r, e.Data, e.Extensions, s.segment.seed)
	}
	start = s.offset + before
	return n, start, l.write(b)
}

// admit shows entries, which are written from offset on, to the readers. They
// are durable, or p says when they are.
func (l *Log) admit(entries []Entry, offset int64, gap bool, p *pending) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = p
	if gap {
		l.live.cutFront(entries[0].Index)
	}
	for _, e := range entries {
		size := entryBytes(e)
		// Without arguments, which would be two allocations for each entry.
		next := l.live.add(e.Index, slot{l.stream.segment, uint32(offset), uint32(size)})
		invariant.Must(next, "an entry follows the last one")
		l.recent.add(e)
		offset += size
	}
	invariant.Must(offset == l.stream.offset, "the entries end where the stream does")
	if gap {
		l.doom(l.stream.segment)
	}
	if p == nil {
		l.prepare()
	}
}

// prepare asks for the next segment in time. The zeros of it take a while: half
// a segment ahead is early enough, and a log that rests does not need them. All
// that was written is durable, for where a segment follows Open takes nothing
// before it for the torn tail. The caller holds mu and the token of writing.
func (l *Log) prepare() {
	if l.stream.offset > l.stream.limit/2 {
		l.want()
	}
}

// room makes room at the end of the stream and returns how many of the
// entries go there in one batch, with before bytes in front of them. A batch
// that fits into one segment is not divided, because each part would cost a
// sync.
func (l *Log) room(entries []Entry, before int64) (int, error) {
	total := before
	for _, e := range entries {
		total += entryBytes(e)
	}
	least := before + entryBytes(entries[0])
	here, fresh := l.stream.limit-l.stream.offset, l.options.SegmentBytes-headerBytes-markBytes
	if here < least || (here < total && total <= fresh) {
		if err := l.rotate(least); err != nil {
			return 0, err
		}
	}
	n, used := 1, least
	for n < len(entries) && l.stream.offset+used+entryBytes(entries[n]) <= l.stream.limit {
		used += entryBytes(entries[n])
		n++
	}
	return n, nil
}

// rotate goes on to the next segment, which gets room for at least the given
// bytes. All that was written to the last one is durable, and the last one says
// so that the next one may not be missing.
func (l *Log) rotate(least int64) error {
	next, err := l.takeNext()
	if err != nil {
		return err
	}
	s := &l.stream
	if err := l.writeAt([]byte(goesOn), s.offset); err != nil {
		return err
	}
	if err := l.sync(); err != nil {
		return err
	}
	s.segment, s.offset = next, headerBytes
	s.limit = max(next.limit, headerBytes+least)
	return nil
}

// write writes b as the next batch, with a mark behind it. It is durable only
// after sync.
func (l *Log) write(b []byte) error {
	s := &l.stream
	end := s.offset + int64(len(b))
	invariant.Must(s.offset%alignment == 0 && end <= s.limit, "a batch fits its segment")
	b = append(b, make([]byte, markBytes)...)
	if err := l.writeAt(b, s.offset); err != nil {
		return err
	}
	s.buffer = b
	s.offset = end
	s.batch++
	return nil
}

// writeAt writes b to the segment at the end of the stream.
func (l *Log) writeAt(b []byte, offset int64) error {
	s := l.stream.segment
	if _, err := s.file.WriteAt(b, offset); err != nil {
		return l.fail(fmt.Errorf("write %d bytes to %s at offset %d: %w", len(b), s.path, offset, err))
	}
	return nil
}

// sync makes durable what was written to the segment at the end of the stream.
func (l *Log) sync() error {
	s := l.stream.segment
	if err := s.file.SyncData(); err != nil {
		return l.fail(fmt.Errorf("sync %s: %w", s.path, err))
	}
	return nil
}

// writeMark writes a record without payload as a batch of its own.
func (l *Log) writeMark(r record) error {
	s := &l.stream
	if s.limit-s.offset < recordBytes {
		if err := l.rotate(recordBytes); err != nil {
			return err
		}
	}
	r.batch, r.final = s.batch+1, true
	if err := l.write(appendRecord(s.buffer[:0], r, nil, nil, s.segment.seed)); err != nil {
		return err
	}
	return l.sync()
}

// TruncateBack drops every entry behind last, durably. A last at or behind
// LastIndex drops nothing.
func (l *Log) TruncateBack(last uint64) error {
	if err := l.enter(l.writing); err != nil {
		return err
	}
	defer l.leaveWriting()
	first, newest := l.bounds()
	if last >= newest {
		return nil
	}
	if err := l.writeMark(record{kind: recordCutBack, index: last, term: first}); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.live.cutBack(last)
	l.recent.cutBack(last)
	return nil
}

// TruncateFront drops every entry before first, durably, and gives back the
// segments that held nothing else. LastIndex+1 empties the log. A first at or
// before FirstIndex drops nothing.
func (l *Log) TruncateFront(first uint64) error {
	if err := l.enter(l.writing); err != nil {
		return err
	}
	defer l.leaveWriting()
	oldest, newest := l.bounds()
	if oldest == 0 || first <= oldest {
		return nil
	}
	if first > newest+1 {
		return fmt.Errorf("truncate front of log: %d is more than one behind the last entry %d", first, newest)
	}
	if err := l.writeMark(record{kind: recordCutFront, index: first, term: newest}); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.live.cutFront(first)
	l.recent.cutFront(first)
	l.doom(l.stream.segment)
	return nil
}

// bounds are FirstIndex and LastIndex at one moment.
func (l *Log) bounds() (first, last uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.live.firstIndex(), l.live.lastIndex()
}

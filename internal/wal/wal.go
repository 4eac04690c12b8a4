// Package wal keeps the log of one raft group, and its {term, vote} record,
// on disk.
//
// The log is one stream of records over a chain of segment files; playing the
// stream from its oldest segment gives the entries. One Append is one batch:
// one write and one sync. Dropping entries is a record in the same stream, so
// its order among the appends is never in doubt. The vote is a file of its
// own, because it is overwritten in place.
//
// The rules it keeps:
//
//   - What a call has acknowledged survives a crash. A batch is written only
//     after the one before it is durable, so a crash can damage the last
//     batch alone. Begin acknowledges nothing; WaitDurable does.
//   - A torn tail and damage in the middle are told apart: the first, which
//     nobody was promised, is cut; the second makes Open refuse.
//   - A failed write or sync stops the log for good. The kernel may drop the
//     pages of a failed sync and report success to the next one, so nothing is
//     ever tried again.
//   - No lock is held while the file system works.
//
// What it cannot tell: the last batch of a log that was not closed, when it does
// not check, is one that a crash tore, or one that was acknowledged and damaged
// since; the bytes are the same. It is cut, and Open says so to its Log. That
// is at most one batch: every earlier one has a later one behind it, a closed
// log has the record of its close there, and a newest file that is missing, or
// shorter than it was made, is refused. A cut that leaves nothing of the batch, to the last
// byte of its first eight and of every record header, is not even noticed.
//
// It does not know what entries mean, takes no snapshots, and does not guard
// its directory against a second process: the owner of the data directory
// does.
package wal

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Errors that callers tell apart. All others are failures of the file system
// or of the caller.
var (
	// ErrNotFound is returned by Entry for an index outside
	// FirstIndex..LastIndex.
	ErrNotFound = errors.New("entry not found")
	// ErrCorrupt is returned by Open, and later by a read, when bytes on disk
	// are not what was written there.
	ErrCorrupt = errors.New("log is damaged")
	// ErrClosed is returned by every call after Close.
	ErrClosed = errors.New("log is closed")
)

const (
	// segmentBytesDefault makes a segment last for about 60 entries of the
	// usual maximum of 256 KiB, and its zeros take a slow disk of 100 MB/s a
	// sixth of a second in the background.
	segmentBytesDefault = 16 << 20
	// segmentBytesMin is one page: less would not hold a header and a record.
	segmentBytesMin = 4 << 10
	// segmentBytesMax keeps every offset far below the 4 GiB of a slot, and
	// the memory that Open needs for one segment bearable.
	segmentBytesMax = 1 << 30
	// cacheBytesDefault holds two default segments: a follower that lags by
	// less is served without reading the disk.
	cacheBytesDefault = 32 << 20
)

// Options say where a log lies and how large its parts are.
type Options struct {
	// FS is the file system; it must be set.
	FS vfs.FS
	// Dir is the directory of the log, which owns it alone. It is created
	// when missing.
	Dir string
	// Group stands in the header of every file; a file of another group is
	// refused.
	Group uint64
	// SegmentBytes is the size of a segment file, 16 MiB when 0. It is rounded
	// up to 4 KiB and may change from one Open to the next.
	SegmentBytes int64
	// CacheBytes bounds the newest entries held in memory, 32 MiB when 0.
	CacheBytes int64
	// Log is told what Open cuts off. Nobody is when it is nil.
	Log *slog.Logger
}

// ready fills in the defaults and checks the rest.
func (o Options) ready() (Options, error) {
	if o.FS == nil || o.Dir == "" {
		return o, errors.New("log options: FS and Dir must be set")
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = segmentBytesDefault
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = cacheBytesDefault
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.SegmentBytes < segmentBytesMin || o.SegmentBytes > segmentBytesMax {
		return o, fmt.Errorf("log options: SegmentBytes %d is not within %d and %d",
			o.SegmentBytes, segmentBytesMin, segmentBytesMax)
	}
	if o.CacheBytes < 0 {
		return o, fmt.Errorf("log options: CacheBytes %d is negative", o.CacheBytes)
	}
	o.SegmentBytes = (o.SegmentBytes + segmentBytesMin - 1) / segmentBytesMin * segmentBytesMin
	return o, nil
}

// Entry is one entry of the raft log.
//
// Its bytes are shared: Append keeps Data and Extensions for later reads, and
// Entry hands out what others hold too. Nobody may modify them; they stay
// valid for ever.
type Entry struct {
	Index, Term uint64
	// Kind is the raft type of the entry; the log does not interpret it.
	Kind uint8
	Data []byte
	// Time is the moment in unix nanoseconds at which the leader appended the
	// entry; the log does not interpret it.
	Time       int64
	Extensions []byte
}

// Log is an open log. Its methods may be called from any goroutine.
type Log struct {
	options Options
	folder  folder

	// writing holds a token while somebody writes to the stream; voting, while
	// somebody writes to the vote file. They are channels and not mutexes
	// because their holder waits for the disk. Close keeps both tokens.
	writing, voting chan struct{}
	// stream belongs to the holder of writing.
	stream stream
	// votes is written by the holder of voting.
	votes *voteFile

	// closed is closed when Close begins, failed when the log stops, finished
	// when the supply goroutine has ended.
	closed, failed, finished chan struct{}

	// mu guards everything below. It is never held across I/O.
	mu sync.Mutex
	// changed is signalled when supply, err, closing or the number of a
	// segment's readers changes.
	changed sync.Cond
	live    index
	recent  cache
	pending *pending // nil while all that is in the log is durable
	supply  supply
	vote    Vote
	err     error
	closing bool
}

// FirstIndex is the index of the oldest entry, 0 when there is none.
func (l *Log) FirstIndex() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.live.firstIndex()
}

// LastIndex is the index of the newest entry, 0 when there is none.
func (l *Log) LastIndex() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.live.lastIndex()
}

// Bytes is the room that the entries FirstIndex..LastIndex take on disk.
func (l *Log) Bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.live.bytes
}

// Err is the error that stopped the log, nil while it works.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Failed is closed when an error stops the log; Err is set by then.
func (l *Log) Failed() <-chan struct{} { return l.failed }

// fail stops the log with the first error it is given, which it returns.
func (l *Log) fail(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
		close(l.failed)
		l.changed.Broadcast()
	}
	return err
}

// stopped is the error for calls that come after the log has failed.
func (l *Log) stopped() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		return nil
	}
	return fmt.Errorf("log stopped by an earlier error: %w", l.err)
}

// enter takes a token, unless the log is closed or has failed.
func (l *Log) enter(slot chan struct{}) error {
	select {
	case slot <- struct{}{}:
	case <-l.closed:
		return ErrClosed
	}
	if err := l.stopped(); err != nil {
		<-slot
		return err
	}
	return nil
}

// Entry reads the entry at index, or returns ErrNotFound. An entry that does
// not read back as it was written stops the log.
func (l *Log) Entry(index uint64) (Entry, error) {
	l.mu.Lock()
	if l.closing {
		l.mu.Unlock()
		return Entry{}, ErrClosed
	}
	if e, ok := l.recent.entry(index); ok {
		l.mu.Unlock()
		return e, nil
	}
	s, ok := l.live.slot(index)
	if !ok {
		l.mu.Unlock()
		return Entry{}, ErrNotFound
	}
	s.segment.readers++
	l.mu.Unlock()

	e, err := s.read(index)
	l.release(s.segment)
	if err != nil {
		return Entry{}, l.fail(err)
	}
	return e, nil
}

// release ends a read of the segment; its file may go when it was the last.
func (l *Log) release(s *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.readers--
	if s.readers == 0 {
		l.changed.Broadcast()
	}
}

// Close ends the log with a record that says so, and gives back its files. It
// returns the error that stopped the log, if one did. No other call may be
// made after it; calls under way end first or return ErrClosed.
func (l *Log) Close() error {
	select {
	case l.writing <- struct{}{}:
	case <-l.closed:
		return nil
	}
	close(l.closed)
	l.voting <- struct{}{}

	err := l.stopped()
	if err == nil {
		err = l.writeMark(record{kind: recordClose})
	}
	open := l.retreat()
	if err == nil {
		err = l.stopped() // what the supply goroutine was at may have failed meanwhile
	}
	for _, s := range open {
		err = errors.Join(err, s.close())
	}
	return errors.Join(err, l.votes.file.Close())
}

// retreat ends the supply goroutine, waits for the readers, and returns the
// segments whose files are open.
func (l *Log) retreat() []*segment {
	l.mu.Lock()
	l.closing = true
	l.changed.Broadcast()
	l.mu.Unlock()
	<-l.finished

	l.mu.Lock()
	defer l.mu.Unlock()
	open := l.supply.all()
	for _, s := range open {
		for s.readers > 0 {
			l.changed.Wait()
		}
	}
	return open
}

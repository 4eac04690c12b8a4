package consensus

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/wal"
)

// logStore is the log as raft wants it.
//
// An error of the disk stops the node: raft goes on after a failed write with
// a memory that does not match the disk, and panics where a committed entry
// cannot be read. Once raft runs, its goroutine ends here instead, and the
// group stops because the log says that it failed.
type logStore struct {
	log     *wal.Log
	running *atomic.Bool
	// snapshot is index and term of the newest snapshot, 0 before the first.
	snapshot func() (index, term uint64)
	// ahead says that commands need not be durable when StoreLogs returns.
	ahead func() bool
}

// termOnly is the type of an entry of which nothing else is known. It is never
// sent.
const termOnly raft.LogType = 255

// FirstIndex implements raft.LogStore.
func (l *logStore) FirstIndex() (uint64, error) { return l.log.FirstIndex(), nil }

// LastIndex implements raft.LogStore.
func (l *logStore) LastIndex() (uint64, error) { return l.log.LastIndex(), nil }

// GetLog implements raft.LogStore.
//
// A log that begins right behind a snapshot that was installed does not hold
// the entry at the snapshot, and raft asks for it when a leader's entries
// conflict with all that is there: only its term, which is known. Without an
// answer the leader would go back for ever.
func (l *logStore) GetLog(index uint64, into *raft.Log) error {
	e, err := l.log.Entry(index)
	if errors.Is(err, wal.ErrNotFound) {
		if last, term := l.snapshot(); index == last && index > 1 { // entry 1 is sent without one before it
			*into = raft.Log{Index: index, Term: term, Type: termOnly}
			return nil
		}
		return raft.ErrLogNotFound // raft compares with ==
	}
	if err != nil {
		return l.failed(fmt.Errorf("read entry %d: %w", index, err))
	}
	*into = raft.Log{
		Index: e.Index, Term: e.Term, Type: raft.LogType(e.Kind),
		Data: e.Data, Extensions: e.Extensions, AppendedAt: moment(e.Time),
	}
	return nil
}

// StoreLog implements raft.LogStore.
func (l *logStore) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

// StoreLogs implements raft.LogStore.
func (l *logStore) StoreLogs(logs []*raft.Log) error {
	entries := make([]wal.Entry, len(logs))
	for i, e := range logs {
		entries[i] = wal.Entry{
			Index: e.Index, Term: e.Term, Kind: uint8(e.Type),
			Data: e.Data, Extensions: e.Extensions, Time: nanos(e.AppendedAt),
		}
	}
	if commands(logs) && l.ahead() {
		return l.log.Begin(entries)
	}
	return l.log.Append(entries)
}

// DeleteRange implements raft.LogStore: it deletes from either end, or all.
func (l *logStore) DeleteRange(from, to uint64) error {
	first, last := l.log.FirstIndex(), l.log.LastIndex()
	switch {
	case last == 0 || to < first || from > last:
		return nil
	case from <= first:
		return l.log.TruncateFront(min(to, last) + 1)
	case to >= last:
		return l.log.TruncateBack(from - 1)
	}
	return fmt.Errorf("entries %d to %d are in the middle of the log, %d to %d", from, to, first, last)
}

// failed returns err to whoever starts raft, and does not return to raft once
// it runs.
func (l *logStore) failed(err error) error {
	if l.running.Load() && l.log.Err() != nil {
		runtime.Goexit()
	}
	return err
}

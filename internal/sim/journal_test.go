package sim_test

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"sync"
)

// record is one log entry as it stands on a disk.
type record struct {
	index, term uint64
	kind        uint8
	data        []byte
	sum         uint64
}

func (r record) String() string {
	return fmt.Sprintf("entry %d of term %d, type %d, %d bytes, hash %016x", r.index, r.term, r.kind, len(r.data), r.sum)
}

// same says that two records are the same entry.
func (r record) same(s record) bool { return r.index == s.index && r.term == s.term && r.sum == s.sum }

func newRecord(index, term uint64, kind uint8, data, extensions []byte) record {
	h := fnv.New64a()
	h.Write([]byte{kind})
	h.Write(data)
	h.Write(extensions)
	return record{index: index, term: term, kind: kind, data: data, sum: h.Sum64()}
}

// The types of log records, as the drawing in internal/wal has them. They are
// read here by other code than the product's.
const (
	segmentHeadBytes = 48
	recordBytes      = 56
	recordEntry      = 1
	recordCutBack    = 2
	recordCutFront   = 3
	recordMarkMax    = 5
)

// mark is one record of the stream of a log.
type mark struct {
	kind byte
	record
}

// readMarks decodes what is written to a segment at once: a header, or whole
// records.
func readMarks(b []byte) ([]mark, error) {
	if string(b[:min(8, len(b))]) == "quorwal\n" {
		return nil, nil
	}
	var marks []mark
	le := binary.LittleEndian
	for len(b) > 0 && !isTrailer(b) {
		if len(b) < recordBytes || b[16] < recordEntry || b[16] > recordMarkMax {
			return nil, fmt.Errorf("%d bytes that are no record", len(b))
		}
		payload, extensions := int(le.Uint32(b[8:])), int(le.Uint32(b[12:]))
		size := recordBytes + (payload+7)&^7
		if extensions > payload || size > len(b) {
			return nil, fmt.Errorf("a record of %d bytes in %d", size, len(b))
		}
		whole := append([]byte(nil), b[recordBytes:recordBytes+payload]...)
		m := mark{kind: b[16]}
		m.record = newRecord(le.Uint64(b[32:]), le.Uint64(b[40:]), b[18], whole[:payload-extensions], whole[payload-extensions:])
		marks, b = append(marks, m), b[size:]
	}
	return marks, nil
}

// isTrailer says that b is what stands behind the records of a batch: zeros, or
// that the stream goes on in the next segment.
func isTrailer(b []byte) bool {
	return string(b) == "goes on\n" || string(b) == string(make([]byte, 8))
}

// journal is what of the log of one node is durable, by what was written to
// its disk and synced. It knows nothing of what the node believes.
type journal struct {
	mu sync.Mutex
	// live is the entries that a node would find after a power failure.
	live map[uint64]record
	// first and last are the bounds of live; last is first-1 if it is empty.
	first, last uint64
	// covered is up to where the durable snapshot of the node goes, as it was
	// when the log last lost its beginning or began anew.
	covered uint64
}

func newJournal() *journal { return &journal{live: make(map[uint64]record), first: 1} }

// take makes a synced record part of the journal and returns the entries that
// it removed. snapshot reads up to where the durable snapshot goes.
func (j *journal) take(m mark, snapshot func() uint64) (removed []record, covered uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch m.kind {
	case recordEntry:
		if len(j.live) == 0 {
			j.first = m.index
			if m.index > j.covered+1 {
				j.covered = snapshot()
			}
		}
		j.live[m.index], j.last = m.record, m.index
	case recordCutBack:
		for i := m.index + 1; i <= j.last; i++ {
			removed = append(removed, j.live[i])
			delete(j.live, i)
		}
		j.last = min(j.last, m.index)
	case recordCutFront:
		for i := j.first; i < m.index && i <= j.last; i++ {
			removed = append(removed, j.live[i])
			delete(j.live, i)
		}
		j.first, j.last = m.index, max(j.last, m.index-1)
		j.covered = snapshot()
	}
	return removed, j.covered
}

// at is the entry at an index, and whether a snapshot covers it instead.
func (j *journal) at(index uint64) (r record, found, covered bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r, found = j.live[index]
	return r, found, index <= j.covered
}

// bounds is the first and last index.
func (j *journal) bounds() (first, last uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.first, j.last
}

// restart makes the journal what was found on a disk, and returns an entry
// that it held and that was not found.
func (j *journal) restart(found []record, covered uint64) (lost record, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	live := make(map[uint64]record)
	first, last := covered+1, covered
	for i, r := range found {
		live[r.index], last = r, r.index
		if i == 0 {
			first = r.index
		}
	}
	ok = true
	for i := j.first; i <= j.last && ok; i++ {
		// A log may be cut behind a snapshot and the cut not be durable yet,
		// or the other way round.
		if was, held := j.live[i]; held && i >= first && !was.same(live[i]) || held && i < first && i > covered {
			lost, ok = was, false
		}
	}
	j.live, j.first, j.last, j.covered = live, first, last, covered
	return lost, ok
}

package wal

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// replay plays the stream of a chain of segments.
//
// It takes batch after batch. Where the next one does not follow, it looks at
// all that comes behind. A batch is written only when the one before it is
// durable, so:
//
//   - a sound record of a later batch shows that the missing one was
//     acknowledged: the log is damaged;
//   - without one, the missing batch is the last that was written, and was
//     not acknowledged, or it is damaged beyond distinction: the stream ends
//     before it.
type replay struct {
	// live receives the entries.
	live *index
	// whole says that live is what the log was at this point. It is not so at
	// the start of a chain whose older segments were given up; a record that
	// says what was left makes it so.
	whole bool
	// anchor is the segment of the last record that cut the front or left
	// nothing, or the oldest: with the entries still live before it, the
	// stream from there on stands for the whole log.
	anchor *segment
	// last is the number of the last batch taken.
	last uint64
	// tail is the number in the chain of the segment where last ended, at
	// offset. It is 0 and headerBytes when there is no batch.
	tail   int
	offset int64
	// gap is where a batch was first found missing after last.
	gapPath   string
	gapOffset int64
	// torn is what there is of that batch.
	torn remains

	// batch holds the records of the batch being read.
	batch []placed
	// buffer holds the segment being read.
	buffer []byte
}

// remains are what is left of a batch that is not whole.
type remains struct {
	path          string
	offset, bytes int64
}

// placed is a record and where it lies.
type placed struct {
	record
	offset int64
}

// play plays the chain.
func (p *replay) play(chain []*segment) error {
	p.offset = headerBytes
	for i, s := range chain {
		data, err := p.load(s)
		if err != nil {
			return err
		}
		if i == 0 {
			p.last = firstBatch(data, s.seed, s.sequence == 1)
		}
		end, err := p.playSegment(i, s, data)
		if err != nil {
			return err
		}
		if err := p.search(s, data, end); err != nil {
			return err
		}
		if s.goesOn(data, end) && i+1 == len(chain) {
			return damaged(s.path, end, "the segment that follows is missing")
		}
	}
	// A segment is made when the one before it is in use, so only one may
	// stand ready behind the tail.
	if p.tail+2 < len(chain) {
		return damaged(p.gapPath, p.gapOffset, "no batch here, although two more segments follow")
	}
	if !p.whole {
		return damaged(chain[0].path, 0, "older segments are missing, and no record says that they may be")
	}
	return nil
}

// load reads the whole segment into the buffer: as much as the file has.
func (p *replay) load(s *segment) ([]byte, error) {
	size, err := fileSize(s.file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.path, err)
	}
	if int64(cap(p.buffer)) < size {
		p.buffer = make([]byte, size)
	}
	data := p.buffer[:size]
	if err := readFull(s.file, data, 0); err != nil {
		return nil, fmt.Errorf("read %s: %w", s.path, err)
	}
	return data, nil
}

func fileSize(f vfs.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// firstBatch is the number that the first batch of a chain follows: 0 at the
// beginning of a log, else whatever the first record says.
func firstBatch(data []byte, seed uint32, beginning bool) uint64 {
	r, ok := parseRecord(data[headerBytes:], seed)
	if beginning || !ok {
		return 0
	}
	return r.batch - 1
}

// playSegment takes the batches at the start of the segment, the i-th of the
// chain, and returns where the next one is missing.
func (p *replay) playSegment(i int, s *segment, data []byte) (int64, error) {
	p.batch = p.batch[:0]
	offset := int64(headerBytes)
	for {
		r, _, ok := parseWhole(data[offset:], s.seed)
		if !ok || !p.continues(r) {
			return offset, nil
		}
		p.batch = append(p.batch, placed{r, offset})
		offset += r.size()
		if !r.final {
			continue
		}
		for _, r := range p.batch {
			if err := p.apply(s, r); err != nil {
				return 0, err
			}
		}
		p.last = r.batch
		p.tail, p.offset = i, offset
		p.gapPath, p.torn = "", remains{}
		p.batch = p.batch[:0]
	}
}

// continues says that r belongs to the batch being read, or begins the one
// that follows the last.
func (p *replay) continues(r record) bool {
	if len(p.batch) > 0 {
		return r.batch == p.batch[0].batch
	}
	return r.batch == p.last+1
}

// search looks behind the end of the batches for records of later ones, and
// for what is left of the missing one.
func (p *replay) search(s *segment, data []byte, end int64) error {
	if p.gapPath == "" {
		p.gapPath, p.gapOffset = s.path, end
	}
	size := int64(len(data))
	start, last := end, end
	if len(p.batch) > 0 {
		start = p.batch[0].offset
	}
	if s.begun(data, end) {
		// Nothing else may show how long the record was.
		last = end + min(recordBytes, size-end)
	}
	for offset := end; offset+recordBytes <= size; offset += alignment {
		r, ok := parseRecord(data[offset:], s.seed)
		if ok && r.batch > p.last+1 {
			return damaged(p.gapPath, p.gapOffset, fmt.Sprintf(
				"batch %d does not check, although batch %d follows it in %s at offset %d",
				p.last+1, r.batch, s.path, offset))
		}
		if ok && r.batch == p.last+1 {
			last = min(offset+r.size(), size)
		}
	}
	if last > start && p.torn.bytes == 0 {
		p.torn = remains{s.path, start, last - start}
	}
	return nil
}

// mark is what stands behind the batches of s, which end at end. It is zero in
// a segment whose marks mean nothing.
func (s *segment) mark(data []byte, end int64) (mark [markBytes]byte) {
	if s.marked && end+markBytes <= int64(len(data)) {
		copy(mark[:], data[end:])
	}
	return mark
}

// goesOn says that the stream has gone on in the next segment.
func (s *segment) goesOn(data []byte, end int64) bool {
	return s.mark(data, end) == [markBytes]byte([]byte(goesOn))
}

// begun says that there is something of one more batch.
func (s *segment) begun(data []byte, end int64) bool {
	return s.mark(data, end) != [markBytes]byte{} && !s.goesOn(data, end)
}

// apply does to live what the record says. An error is a stream that no log
// writes.
func (p *replay) apply(s *segment, r placed) error {
	sound := true
	first, last := p.live.firstIndex(), p.live.lastIndex()
	switch r.kind {
	case recordEntry:
		sound = p.live.add(r.index, slot{s, uint32(r.offset), uint32(r.size())})
	case recordCutBack:
		sound = !p.whole || (first == r.term && last > r.index)
		p.live.cutBack(r.index)
		if r.index < r.term {
			p.whole, p.anchor = true, s // nothing was left
		}
	case recordCutFront:
		sound = !p.whole || (last == r.term && first < r.index)
		// Nothing was left, or just what live now holds.
		left := r.term < r.index || (last == r.term && first != 0 && first <= r.index)
		p.whole = p.whole || left
		p.live.cutFront(r.index)
		p.anchor = s
	}
	if !sound {
		return damaged(s.path, r.offset, fmt.Sprintf("record %d of type %d does not fit the entries %d to %d",
			r.index, r.kind, first, last))
	}
	return nil
}

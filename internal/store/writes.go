package store

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// writes is what a batch has written, and the memory for it: the next batch
// takes it again.
type writes struct {
	// slots finds the write of a key, by its place in all and one more.
	slots table
	all   []write
	// journal is what the writes since the last Keep replaced, in order.
	journal []undo
	// sorted is the first of all, as many as it is long, in order of their
	// keys. Only a scan needs it and makes it complete.
	sorted []int
	// names is the keys of all, one behind the other.
	names []byte
	// digest is the hash of what was kept, without what is in folded yet.
	digest *xxhash.Digest
	folded []byte
	key    []byte // scratch: a key with its space in front
}

// write is the newest value of one key.
type write struct {
	key   []byte // with its space in front
	value []byte
	// added is the step that set the key after the batch had deleted it; 0 if
	// none did.
	added   uint64
	slot    int // in all
	hash    uint32
	deleted bool
}

// undo is what a write replaced.
type undo struct {
	value   []byte
	added   uint64
	slot    int
	deleted bool
	first   bool // there was no write of this key before
}

func newWrites() *writes {
	w := &writes{digest: xxhash.New()}
	w.slots.init()
	return w
}

// The memory of a batch that the next one takes, at most: what a batch of a
// thousand calls needs.
const (
	writesKept  = 4 << 10
	journalKept = 1 << 10
	namesKept   = 256 << 10
)

// clear lets go of what was written.
func (w *writes) clear() {
	w.slots.clear()
	w.all = emptied(w.all, writesKept)
	w.journal = emptied(w.journal, journalKept)
	w.sorted = emptied(w.sorted, writesKept)
	w.names = emptied(w.names, namesKept)
	w.key = w.key[:0]
	w.folded = w.folded[:0]
}

// emptied is a slice without what it held, to be filled again if it is not
// larger than kept.
func emptied[E any](s []E, kept int) []E {
	if cap(s) > kept {
		return nil
	}
	clear(s)
	return s[:0]
}

// name puts a key with its space in front into key.
func (w *writes) name(space Space, key []byte) {
	w.key = append(append(w.key[:0], byte(space)), key...)
}

// find is the write of key, or nil.
func (w *writes) find(hash uint32) *write {
	p := w.slots.probe(hash)
	return w.seek(&p)
}

// seek is the write of key that a probe finds, or nil.
func (w *writes) seek(p *probe) *write {
	for {
		number := p.next()
		if number == 0 {
			return nil
		}
		if found := &w.all[number-1]; bytes.Equal(found.key, w.key) {
			return found
		}
	}
}

// add makes the first write of key.
func (w *writes) add(hash uint32) *write {
	from := len(w.names)
	w.names = append(w.names, w.key...)
	slot := len(w.all)
	w.all = append(w.all, write{key: w.names[from:len(w.names):len(w.names)], slot: slot, hash: hash})
	p := w.slots.probe(hash)
	for p.next() != 0 {
	}
	w.slots.add(&p, uint32(slot+1))
	return &w.all[slot]
}

// takeBack takes the newest writes back, down to a length of the journal.
func (w *writes) takeBack(to int) {
	before := len(w.all)
	for _, u := range slices.Backward(w.journal[to:]) {
		if u.first {
			before = u.slot
			w.drop(&w.all[u.slot])
			continue
		}
		was := &w.all[u.slot]
		was.value, was.added, was.deleted = u.value, u.added, u.deleted
	}
	if len(w.sorted) > before {
		w.sorted = slices.DeleteFunc(w.sorted, func(slot int) bool { return slot >= before })
	}
	clear(w.all[before:])
	w.all = w.all[:before]
	clear(w.journal[to:])
	w.journal = w.journal[:to]
}

// drop makes a write not to be found any more.
func (w *writes) drop(gone *write) {
	p := w.slots.probe(gone.hash)
	for number := p.next(); number != uint32(gone.slot+1); {
		number = p.next()
	}
	w.slots.remove(&p)
}

// forgetJournal empties the journal and lets go of what it held.
func (w *writes) forgetJournal() { w.journal = emptied(w.journal, journalKept) }

// foldedBytes is how much is hashed at once: to tell a digest of each small part
// would cost more than to hash it.
const foldedBytes = 4 << 10

func (w *writes) beginHash(before, index uint64) {
	w.digest.Reset()
	w.folded = binary.LittleEndian.AppendUint64(w.folded[:0], before)
	w.folded = binary.LittleEndian.AppendUint64(w.folded, index)
}

// fold takes one write into the hash.
func (w *writes) fold(one *write) {
	w.folded = binary.LittleEndian.AppendUint32(w.folded, uint32(len(one.key)))
	w.folded = binary.LittleEndian.AppendUint32(w.folded, uint32(len(one.value)))
	deleted := byte(0)
	if one.deleted {
		deleted = 1
	}
	w.folded = append(append(w.folded, deleted), one.key...)
	if len(one.value) > foldedBytes {
		w.digestFolded()
		// A Digest never fails to write.
		_, _ = w.digest.Write(one.value)
		return
	}
	if w.folded = append(w.folded, one.value...); len(w.folded) > foldedBytes {
		w.digestFolded()
	}
}

func (w *writes) digestFolded() {
	_, _ = w.digest.Write(w.folded)
	w.folded = w.folded[:0]
}

// hash is that of all that was folded.
func (w *writes) hash() uint64 {
	w.digestFolded()
	return w.digest.Sum64()
}

// walk goes through the keys that a batch had written in a range when the walk
// began.
type walk struct {
	writes *writes
	count  int    // of the writes there were
	upper  []byte // the first key behind the range
	from   []byte // the key where to go on, or behind which
	past   bool   // behind it
	at     int    // the place of that in sorted
	size   int    // of sorted when at was found
}

func (w *writes) walk(space Space, start, end []byte) *walk {
	w.order()
	lower, upper := bounds(space, start, end)
	k := &walk{writes: w, count: len(w.all), upper: upper, from: lower}
	k.seek()
	return k
}

func (k *walk) seek() {
	at, found := slices.BinarySearchFunc(k.writes.sorted, k.from, k.writes.compare)
	if found && k.past {
		at++
	}
	k.at, k.size = at, len(k.writes.sorted)
}

// peek is the next key, without its space.
func (k *walk) peek() ([]byte, bool) {
	w := k.writes
	if len(w.sorted) != k.size {
		// A scan inside this one has put later writes among the others.
		k.seek()
	}
	for ; k.at < len(w.sorted); k.at++ {
		slot := w.sorted[k.at]
		key := w.all[slot].key
		if bytes.Compare(key, k.upper) >= 0 {
			break
		}
		if slot < k.count {
			k.from, k.past = key, false
			return key[1:], true
		}
	}
	return nil, false
}

// skip goes behind the key that peek returned.
func (k *walk) skip() {
	k.past = true
	k.at++
}

func (w *writes) compare(slot int, key []byte) int { return bytes.Compare(w.all[slot].key, key) }

// insertMax is up to how many new keys are put where they belong one by one.
const insertMax = 16

// order makes sorted complete. One key at a time, as where commands scan and
// write in turns, it only moves what stands behind; many are sorted and merged.
func (w *writes) order() {
	first := len(w.sorted)
	if len(w.all)-first > insertMax {
		w.merge(first)
		return
	}
	for slot := first; slot < len(w.all); slot++ {
		at, _ := slices.BinarySearchFunc(w.sorted, w.all[slot].key, w.compare)
		w.sorted = slices.Insert(w.sorted, at, slot)
	}
}

// merge puts the writes from a slot on where they belong.
func (w *writes) merge(first int) {
	added := make([]int, len(w.all)-first)
	for i := range added {
		added[i] = first + i
	}
	slices.SortFunc(added, func(x, y int) int { return w.compare(x, w.all[y].key) })
	merged := make([]int, 0, len(w.all))
	for _, slot := range w.sorted {
		for len(added) > 0 && w.compare(added[0], w.all[slot].key) < 0 {
			merged, added = append(merged, added[0]), added[1:]
		}
		merged = append(merged, slot)
	}
	w.sorted = append(merged, added...)
}

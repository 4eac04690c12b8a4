package store

import (
	"encoding/binary"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/invariant"
)

// Batch is the writes of one or more entries before they are committed. What
// it reads is the state with these writes in it. One batch is open at a time.
//
// The writes since the last Keep can be taken back. Kept ones are folded into
// the hash of the state in the order in which they were made, so that the hash
// does not depend on how entries are grouped into batches.
type Batch struct {
	store *Store
	// slots finds the write of a key, its space in front.
	slots  map[string]int
	writes []write
	// journal is what the writes since the last Keep replaced, in order.
	journal []undo
	// sorted is the first of writes, as many as it is long, in order of their
	// keys. Only a scan needs it and makes it complete.
	sorted []int
	// steps counts the calls of Set and Delete.
	steps uint64
	// bytes is the keys and values of those that were not taken back.
	bytes int
	// endings is that of the state with the writes.
	endings Endings
	// kept is where the batch stood at the last Keep.
	kept   place
	digest *xxhash.Digest
	key    []byte // scratch
}

// write is the newest value of one key.
type write struct {
	key     string
	value   []byte
	deleted bool
	// added is the step that set the key after the batch had deleted it; 0 if
	// none did.
	added uint64
}

// undo is what a write replaced.
type undo struct {
	slot   int
	before write
	first  bool // there was no write of this key before
}

// place is where a batch stands, to go back to.
type place struct {
	writes  int // in the journal
	bytes   int
	endings Endings
}

// Begin opens a batch.
func (s *Store) Begin() *Batch {
	endings := s.Meta().Endings
	return &Batch{store: s, slots: make(map[string]int), digest: xxhash.New(), endings: endings, kept: place{endings: endings}}
}

// Get is the value under key in a space.
func (b *Batch) Get(space Space, key []byte) ([]byte, bool) {
	b.key = append(append(b.key[:0], byte(space)), key...)
	if slot, ok := b.slots[string(b.key)]; ok {
		w := &b.writes[slot]
		return w.value, !w.deleted
	}
	if b.store.enter() != nil {
		return nil, false
	}
	defer b.store.users.Done()
	return get(b.store.db, b.store.fail, b.key)
}

// Set stores value under key in a space. The batch keeps the value.
func (b *Batch) Set(space Space, key, value []byte) { b.put(space, key, value, false) }

// Delete removes a key of a space.
func (b *Batch) Delete(space Space, key []byte) { b.put(space, key, nil, true) }

func (b *Batch) put(space Space, key, value []byte, deleted bool) {
	// What is larger would fit the state, but no snapshot of it.
	invariant.Must(len(key) <= keyBytesMax && len(value) <= quorate.ValueBytesMax, "a write is within the limits")
	b.key = append(append(b.key[:0], byte(space)), key...)
	slot, ok := b.slots[string(b.key)]
	if !ok {
		slot = len(b.writes)
		name := string(b.key)
		b.slots[name] = slot
		b.writes = append(b.writes, write{key: name})
	}
	w := &b.writes[slot]
	b.journal = append(b.journal, undo{slot: slot, before: *w, first: !ok})
	b.steps++
	b.bytes += len(key) + len(value)
	if w.deleted && !deleted {
		w.added = b.steps
	}
	w.value, w.deleted = value, deleted
}

// Bytes is the keys and values that were set and deleted in this batch, all
// together, without those that were taken back.
func (b *Batch) Bytes() int { return b.bytes }

// Keep makes the writes since the last Keep stay.
func (b *Batch) Keep() {
	for i := range b.journal {
		b.fold(&b.writes[b.journal[i].slot])
	}
	b.forgetJournal()
	b.kept = place{bytes: b.bytes, endings: b.endings}
}

// journalKept is how many places of the journal are kept for the next command.
const journalKept = 1 << 10

// forgetJournal empties the journal and lets go of what it held.
func (b *Batch) forgetJournal() {
	if cap(b.journal) > journalKept {
		b.journal = nil
		return
	}
	clear(b.journal)
	b.journal = b.journal[:0]
}

// fold takes one write into the hash.
func (b *Batch) fold(w *write) {
	var head [9]byte
	binary.LittleEndian.PutUint32(head[:], uint32(len(w.key)))
	binary.LittleEndian.PutUint32(head[4:], uint32(len(w.value)))
	if w.deleted {
		head[8] = 1
	}
	// A Digest never fails to write.
	_, _ = b.digest.Write(head[:])
	_, _ = b.digest.WriteString(w.key)
	_, _ = b.digest.Write(w.value)
}

// Undo takes back the writes since the last Keep.
func (b *Batch) Undo() {
	b.undo(b.kept)
	b.forgetJournal()
}

// Save returns what takes back the writes since Save was called. It must not be
// called after Keep, after Undo, or after one that was saved before.
func (b *Batch) Save() (restore func()) {
	to := place{writes: len(b.journal), bytes: b.bytes, endings: b.endings}
	return func() { b.undo(to) }
}

func (b *Batch) undo(to place) {
	invariant.Must(to.writes <= len(b.journal), "a batch goes back to where it was since the last Keep")
	before := len(b.writes)
	for _, u := range slices.Backward(b.journal[to.writes:]) {
		if u.first {
			delete(b.slots, u.before.key)
			before = u.slot
			continue
		}
		b.writes[u.slot] = u.before
	}
	if len(b.sorted) > before {
		b.sorted = slices.DeleteFunc(b.sorted, func(slot int) bool { return slot >= before })
	}
	clear(b.writes[before:])
	b.writes = b.writes[:before]
	clear(b.journal[to.writes:])
	b.journal = b.journal[:to.writes]
	b.bytes, b.endings = to.bytes, to.endings
}

// BeginEntry starts the hash of an entry from that of the state before it.
func (b *Batch) BeginEntry(before, index uint64) {
	var head [16]byte
	binary.LittleEndian.PutUint64(head[:], before)
	binary.LittleEndian.PutUint64(head[8:], index)
	b.digest.Reset()
	_, _ = b.digest.Write(head[:])
}

// EntryHash is the hash of the state with all that was kept.
func (b *Batch) EntryHash() uint64 { return b.digest.Sum64() }

// Err is what failed under the batch. What it returned since is worth nothing
// and must not be committed.
func (b *Batch) Err() error { return b.store.Err() }

// Commit makes all that was kept the state, and m what it reflects, at once.
// The batch must not be used any more.
func (b *Batch) Commit(m Meta) error {
	if err := b.Err(); err != nil {
		return err
	}
	invariant.Must(len(b.journal) == 0, "a batch commits nothing that may be taken back")
	invariant.Must(m.Index >= b.store.Meta().Index, "the index of a state never decreases")
	batch := b.store.db.NewBatch()
	for i := range b.writes {
		w := &b.writes[i]
		if err := stage(batch, w); err != nil {
			return errors.Join(err, batch.Close())
		}
	}
	if err := batch.Set(metaKey, m.append(nil), nil); err != nil {
		return errors.Join(err, batch.Close())
	}
	return b.store.commit(batch, m)
}

func stage(batch *pebble.Batch, w *write) error {
	if w.deleted {
		return batch.Delete([]byte(w.key), nil)
	}
	return batch.Set([]byte(w.key), w.value, nil)
}

// Scan yields a space in order, from start up to but without end. It shows
// the newest value of a key that is written while it runs. It does not show a
// key that was added while it runs, also not one that was there before, was
// deleted and was added again: what it shows must not depend on what of the
// state is still in the batch.
func (b *Batch) Scan(space Space, start, end []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		if b.store.enter() != nil {
			return
		}
		defer b.store.users.Done()
		began := b.steps
		own := b.written(space, start, end)
		stored := open(b.store.db, space, start, end)
		// Also when yield panics.
		defer func() { b.store.fail.check(stored.close()) }()
		for {
			key, value, ok := step(own, stored)
			if !ok {
				return
			}
			if w, written := b.find(space, key); written {
				if value = w.value; w.deleted || w.added > began {
					continue
				}
			}
			if !yield(key, value) {
				return
			}
		}
	}
}

// step takes the next key from what is written and what is stored. The value
// is the stored one, and nil where only the batch has one.
func step(own *written, stored *cursor) (key, value []byte, ok bool) {
	name, ok := own.peek()
	switch {
	case !ok && !stored.valid:
		return nil, nil, false
	case ok && (!stored.valid || name < string(stored.key)):
		own.skip()
		return []byte(name), nil, true
	case ok && name == string(stored.key):
		own.skip()
	}
	key, value = stored.key, stored.value
	stored.next()
	return key, value, true
}

func (b *Batch) find(space Space, key []byte) (*write, bool) {
	b.key = append(append(b.key[:0], byte(space)), key...)
	slot, ok := b.slots[string(b.key)]
	if !ok {
		return nil, false
	}
	return &b.writes[slot], true
}

// written walks through the keys that the batch had written in a range when
// the walk began.
type written struct {
	batch *Batch
	count int    // of the writes there were
	upper string // the first key behind the range
	from  string // the key where to go on, or behind which
	past  bool   // behind it
	at    int    // the place of that in batch.sorted
	size  int    // of batch.sorted when at was found
}

func (b *Batch) written(space Space, start, end []byte) *written {
	b.order()
	lower, upper := bounds(space, start, end)
	w := &written{batch: b, count: len(b.writes), upper: string(upper), from: string(lower)}
	w.seek()
	return w
}

func (w *written) seek() {
	at, found := slices.BinarySearchFunc(w.batch.sorted, w.from, w.batch.compare)
	if found && w.past {
		at++
	}
	w.at, w.size = at, len(w.batch.sorted)
}

// peek is the next key, without its space.
func (w *written) peek() (string, bool) {
	b := w.batch
	if len(b.sorted) != w.size {
		// A scan inside this one has put later writes among the others.
		w.seek()
	}
	for ; w.at < len(b.sorted); w.at++ {
		slot := b.sorted[w.at]
		key := b.writes[slot].key
		if key >= w.upper {
			break
		}
		if slot < w.count {
			w.from, w.past = key, false
			return key[1:], true
		}
	}
	return "", false
}

// skip goes behind the key that peek returned.
func (w *written) skip() {
	w.past = true
	w.at++
}

func (b *Batch) compare(slot int, key string) int { return strings.Compare(b.writes[slot].key, key) }

// insertMax is up to how many new keys are put where they belong one by one.
const insertMax = 16

// order makes sorted complete. One key at a time, as where commands scan and
// write in turns, it only moves what stands behind; many are sorted and merged.
func (b *Batch) order() {
	first := len(b.sorted)
	if len(b.writes)-first > insertMax {
		b.merge(first)
		return
	}
	for slot := first; slot < len(b.writes); slot++ {
		at, _ := slices.BinarySearchFunc(b.sorted, b.writes[slot].key, b.compare)
		b.sorted = slices.Insert(b.sorted, at, slot)
	}
}

// merge puts the writes from a slot on where they belong.
func (b *Batch) merge(first int) {
	added := make([]int, len(b.writes)-first)
	for i := range added {
		added[i] = first + i
	}
	slices.SortFunc(added, func(x, y int) int { return b.compare(x, b.writes[y].key) })
	merged := make([]int, 0, len(b.writes))
	for _, slot := range b.sorted {
		for len(added) > 0 && b.writes[added[0]].key < b.writes[slot].key {
			merged, added = append(merged, added[0]), added[1:]
		}
		merged = append(merged, slot)
	}
	b.sorted = append(merged, added...)
}

// DataOf is the Data space of a batch as a quorate.State.
type DataOf struct{ *Batch }

// Get is the value under key.
func (d DataOf) Get(key []byte) ([]byte, bool) { return d.Batch.Get(Data, key) }

// Set stores value under key, for good.
func (d DataOf) Set(key, value []byte) {
	d.Batch.SetEnd(key, 0)
	d.Batch.Set(Data, key, value)
}

// Replace stores value under key, whose end stays as it is.
func (d DataOf) Replace(key, value []byte) { d.Batch.Set(Data, key, value) }

// Delete removes key and its end.
func (d DataOf) Delete(key []byte) {
	d.Batch.SetEnd(key, 0)
	d.Batch.Delete(Data, key)
}

// End is when what is under key ends.
func (d DataOf) End(key []byte) time.Time { return Time(d.Batch.End(key)) }

// SetEnd says when what is under key ends; zero for never.
func (d DataOf) SetEnd(key []byte, end time.Time) { d.Batch.SetEnd(key, nanos(end)) }

// Scan yields keys in order.
func (d DataOf) Scan(start, end []byte) iter.Seq2[[]byte, []byte] {
	return d.Batch.Scan(Data, start, end)
}

package store

import (
	"bytes"
	"iter"
	"time"

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
	// writes is nil when the batch was committed.
	*writes
	// steps counts the calls of Set and Delete.
	steps uint64
	// bytes is the keys and values of those that were not taken back.
	bytes int
	// endings is that of the state with the writes.
	endings Endings
	// kept is where the batch stood at the last Keep.
	kept place
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
	w := s.spare.Swap(nil)
	if w == nil {
		w = newWrites()
	}
	return &Batch{store: s, writes: w, endings: endings, kept: place{endings: endings}}
}

// Get is the value under key in a space.
func (b *Batch) Get(space Space, key []byte) ([]byte, bool) {
	b.name(space, key)
	if w := b.find(b.store.seed.hash(b.key)); w != nil {
		return w.value, !w.deleted
	}
	if b.store.Err() != nil {
		return nil, false
	}
	// First the layers, then Pebble: one that goes into it meanwhile is in both.
	if w, ok := b.store.now.Load().written(b.key, newest); ok {
		return w.found()
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
	b.name(space, key)
	hash := b.store.seed.hash(b.key)
	w := b.find(hash)
	first := w == nil
	if first {
		w = b.add(hash)
	}
	b.journal = append(b.journal, undo{value: w.value, added: w.added, slot: w.slot, deleted: w.deleted, first: first})
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
		b.fold(&b.all[b.journal[i].slot])
	}
	b.forgetJournal()
	b.kept = place{bytes: b.bytes, endings: b.endings}
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
	b.takeBack(to.writes)
	b.bytes, b.endings = to.bytes, to.endings
}

// BeginEntry starts the hash of an entry from that of the state before it.
func (b *Batch) BeginEntry(before, index uint64) { b.beginHash(before, index) }

// EntryHash is the hash of the state with all that was kept.
func (b *Batch) EntryHash() uint64 { return b.hash() }

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
	w := b.writes
	b.writes = nil
	if err := b.store.commit(w.all, m); err != nil {
		return err
	}
	w.clear()
	b.store.spare.Store(w)
	return nil
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
		own := b.walk(space, start, end)
		stored := open(b.store.now.Load().layers, b.store.db, newest, space, start, end)
		// Also when yield panics.
		defer func() { b.store.fail.check(stored.close()) }()
		for {
			key, value, ok := step(own, stored)
			if !ok {
				return
			}
			b.name(space, key)
			if w := b.find(b.store.seed.hash(b.key)); w != nil {
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
func step(own *walk, stored *cursor) (key, value []byte, ok bool) {
	name, ok := own.peek()
	if !ok && !stored.valid {
		return nil, nil, false
	}
	order := -1
	if !ok {
		order = 1
	} else if stored.valid {
		order = bytes.Compare(name, stored.key)
	}
	if order <= 0 {
		own.skip()
	}
	if order < 0 {
		return bytes.Clone(name), nil, true
	}
	key, value = bytes.Clone(stored.key), bytes.Clone(stored.value)
	stored.next()
	return key, value, true
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

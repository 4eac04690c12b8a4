package store

import (
	"bytes"
	"errors"
	"iter"

	"github.com/cockroachdb/pebble/v2"
)

// View is a state that stands still. It implements quorate.ReadState for the
// Data space and must be closed.
type View struct {
	store *Store
	*state
	// open says that the view is a user of the store and of the base. It is not
	// if the store had failed or was closed before.
	open bool
}

// View takes the state as it is now.
func (s *Store) View() *View {
	if s.enter() != nil {
		return &View{store: s, state: s.now.Load()}
	}
	for {
		// A base that is put away meanwhile is not the newest any more.
		if now := s.now.Load(); now.base.take() {
			return &View{store: s, state: now, open: true}
		}
	}
}

// Meta says up to where the view reflects the log.
func (v *View) Meta() Meta { return v.meta }

// Err is what failed under the view. What it returned since is worth nothing.
func (v *View) Err() error { return v.store.Err() }

// Get is the value under key in the Data space.
func (v *View) Get(key []byte) ([]byte, bool) {
	if v.Err() != nil {
		return nil, false
	}
	return v.get(Data, key)
}

// scratchBytes is how long a key may be that is put together without taking
// memory.
const scratchBytes = 128

func (v *View) get(space Space, key []byte) ([]byte, bool) {
	var scratch [scratchBytes]byte
	if w, ok := v.written(append(append(scratch[:0], byte(space)), key...), v.sequence); ok {
		return w.found()
	}
	return get(v.base, v.store.fail, join(space, key))
}

// found is the value of a record, which never changes: whoever keeps it keeps the
// chunk that it stands in.
func (w *record) found() ([]byte, bool) {
	if w.flags&flagDeleted != 0 {
		return nil, false
	}
	return w.value, true
}

// cursor walks through a range of a space.
func (v *View) cursor(space Space, start, end []byte) *cursor {
	return open(v.layers, v.base, v.sequence, space, start, end)
}

// Scan yields the Data space in order, from start up to but without end.
func (v *View) Scan(start, end []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		if v.Err() != nil {
			return
		}
		c := v.cursor(Data, start, end)
		// Also when yield panics.
		defer func() { v.store.fail.check(c.close()) }()
		for ; c.valid; c.next() {
			if !yield(bytes.Clone(c.key), bytes.Clone(c.value)) {
				return
			}
		}
	}
}

// Close gives the view back.
func (v *View) Close() error {
	if !v.open {
		return nil
	}
	v.open = false
	defer v.store.users.Done()
	return v.base.put()
}

func loadMeta(r pebble.Reader) (Meta, error) {
	data, closer, err := r.Get(metaKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return Meta{}, nil
	}
	if err != nil {
		return Meta{}, err
	}
	m, err := readMeta(data)
	return m, errors.Join(err, closer.Close())
}

// get reads one key and copies its value.
func get(r pebble.Reader, fail *failure, key []byte) ([]byte, bool) {
	value, closer, err := r.Get(key)
	if err != nil {
		if !errors.Is(err, pebble.ErrNotFound) {
			fail.check(err)
		}
		return nil, false
	}
	value = bytes.Clone(value)
	fail.check(closer.Close())
	return value, true
}

// join is a key of a space as it stands in Pebble.
func join(space Space, key []byte) []byte {
	joined := make([]byte, 0, 1+len(key))
	return append(append(joined, byte(space)), key...)
}

// Agreed is what stands in the space of that name; nil if nothing does.
func (v *View) Agreed() []byte {
	if v.Err() != nil {
		return nil
	}
	words, _ := v.get(Agreed, nil)
	return words
}

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
	// snapshot is nil if the store had failed or was closed before.
	snapshot *pebble.Snapshot
	meta     Meta
}

// View takes the state as it is now.
func (s *Store) View() *View {
	if s.enter() != nil {
		return &View{store: s, meta: s.Meta()}
	}
	before := s.meta.Load()
	v := &View{store: s, snapshot: s.db.NewSnapshot(), meta: *before}
	if s.coming.Load() != before {
		// A commit began since, and the snapshot may hold it. It says so itself.
		var err error
		v.meta, err = loadMeta(v.snapshot)
		s.fail.check(err)
	}
	return v
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
	return get(v.snapshot, v.store.fail, join(Data, key))
}

// Scan yields the Data space in order, from start up to but without end.
func (v *View) Scan(start, end []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		if v.Err() != nil {
			return
		}
		c := open(v.snapshot, Data, start, end)
		// Also when yield panics.
		defer func() { v.store.fail.check(c.close()) }()
		for ; c.valid; c.next() {
			if !yield(c.key, c.value) {
				return
			}
		}
	}
}

// Close gives the view back.
func (v *View) Close() error {
	if v.snapshot == nil {
		return nil
	}
	defer v.store.users.Done()
	snapshot := v.snapshot
	v.snapshot = nil
	return snapshot.Close()
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

// bounds is the first key of a range of a space, and the first behind it. A
// nil end is the end of the space.
func bounds(space Space, start, end []byte) (lower, upper []byte) {
	lower, upper = join(space, start), []byte{byte(space) + 1}
	if end != nil {
		upper = join(space, end)
	}
	return lower, upper
}

// cursor walks through keys in order. Its key has no space in front.
type cursor struct {
	iterator *pebble.Iterator // nil if there is nothing to walk through
	err      error
	valid    bool // there are a key and a value, and no error
	key      []byte
	value    []byte
}

func open(r pebble.Reader, space Space, start, end []byte) *cursor {
	lower, upper := bounds(space, start, end)
	c := &cursor{}
	if bytes.Compare(lower, upper) >= 0 {
		return c
	}
	if c.iterator, c.err = r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper}); c.err == nil {
		c.load(c.iterator.First())
	}
	return c
}

func (c *cursor) next() { c.load(c.iterator.Next()) }

// load copies where the iterator stands, for the caller may keep it.
func (c *cursor) load(valid bool) {
	c.valid = false
	if !valid {
		c.err = c.iterator.Error()
		return
	}
	value, err := c.iterator.ValueAndErr()
	if err != nil {
		c.err = err
		return
	}
	c.valid = true
	c.key = bytes.Clone(c.iterator.Key()[1:])
	c.value = bytes.Clone(value)
}

// close gives the iterator back and says what went wrong.
func (c *cursor) close() error {
	if c.iterator == nil {
		return c.err
	}
	return errors.Join(c.err, c.iterator.Close())
}

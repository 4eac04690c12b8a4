package store

import (
	"math"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// state is what the store holds at one time: what is in Pebble, and the newest
// writes in the layers above it. A state never changes; a commit, and a layer
// that begins to go into Pebble or is there, make another one of it.
type state struct {
	// meta is of the newest commit, sequence its number since the store was
	// opened.
	meta     Meta
	sequence uint64
	// layers are the newest first: the one that is written to, and maybe one
	// that is on its way into Pebble.
	layers []*layer
	base   *base
}

// active is the layer that is written to.
func (s *state) active() *layer { return s.layers[0] }

// frozen is the layer that is on its way into Pebble, or nil.
func (s *state) frozen() *layer {
	if len(s.layers) < 2 {
		return nil
	}
	return s.layers[1]
}

// written is what the layers say of a key up to a commit; ok is false if they
// say nothing.
func (s *state) written(key []byte, sequence uint64) (w record, ok bool) {
	for _, l := range s.layers {
		if w, ok = l.get(key, sequence); ok {
			return w, true
		}
	}
	return record{}, false
}

// newest is above all commits.
const newest = math.MaxUint64

// base is Pebble between two spills. It has no other changes, so one snapshot
// is enough for all views.
type base struct {
	*pebble.Snapshot
	// sequence is the newest commit in it.
	sequence uint64
	// users is the views that read it, and one more while it is the newest. It
	// is closed for good when that is 0.
	users atomic.Int64
}

func newBase(db *pebble.DB, sequence uint64) *base {
	b := &base{Snapshot: db.NewSnapshot(), sequence: sequence}
	b.users.Store(1)
	return b
}

// take makes the caller a user, if there is any yet.
func (b *base) take() bool {
	for {
		users := b.users.Load()
		if users == 0 || b.users.CompareAndSwap(users, users+1) {
			return users > 0
		}
	}
}

// put ends the use of the caller.
func (b *base) put() error {
	if b.users.Add(-1) > 0 {
		return nil
	}
	return b.Close()
}

// change makes another state of the one there is.
func (s *Store) change(make func(*state)) {
	s.changing.Lock()
	defer s.changing.Unlock()
	next := *s.now.Load()
	make(&next)
	s.now.Store(&next)
}

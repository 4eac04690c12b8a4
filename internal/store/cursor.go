package store

import (
	"bytes"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// bounds is the first key of a range of a space, and the first behind it. A
// nil end is the end of the space.
func bounds(space Space, start, end []byte) (lower, upper []byte) {
	lower, upper = join(space, start), []byte{byte(space) + 1}
	if end != nil {
		upper = join(space, end)
	}
	return lower, upper
}

// cursor walks through the keys of a space in order: those in memory and those
// in Pebble. Its key has no space in front. Key and value are there until it
// goes on.
type cursor struct {
	// sequence is the newest commit that the cursor sees.
	sequence uint64
	// sources have a key each. The one with the first key is the first, as in a
	// heap; where several have the same key, the newest of them.
	sources  []*source
	iterator *pebble.Iterator // nil if there is nothing to walk through
	err      error
	valid    bool // there are a key and a value, and no error
	key      []byte
	value    []byte
	name     []byte // the key with its space, of which key is a part
}

// source is keys in order: a run of a layer, or Pebble.
type source struct {
	key []byte // with its space in front
	age int    // 0 for the newest layer
	// layer and run, of which key is the first, are nil for Pebble.
	layer *layer
	run   run
}

// open walks through a range of a space. The layers are the newest first, and r
// is what lies beneath them.
func open(layers []*layer, r pebble.Reader, sequence uint64, space Space, start, end []byte) *cursor {
	lower, upper := bounds(space, start, end)
	c := &cursor{sequence: sequence}
	if bytes.Compare(lower, upper) >= 0 {
		return c
	}
	for age, l := range layers {
		for _, run := range l.runs(space) {
			if run = l.records.within(run, lower, upper); len(run) > 0 {
				c.push(&source{key: l.records.key(run[0]), age: age, layer: l, run: run})
			}
		}
	}
	if c.iterator, c.err = r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper}); c.err != nil {
		return c
	}
	if c.iterator.First() {
		c.push(&source{key: c.iterator.Key(), age: len(layers)})
	}
	c.err = c.iterator.Error()
	c.next()
	return c
}

// next goes to the next key that has a value.
func (c *cursor) next() {
	c.valid = false
	for !c.valid && len(c.sources) > 0 && c.err == nil {
		c.take()
	}
	c.valid = c.valid && c.err == nil
}

// take goes behind the first key. What the newest of its sources says that the
// cursor sees is what holds.
func (c *cursor) take() {
	c.name = append(c.name[:0], c.sources[0].key...)
	known := false
	for len(c.sources) > 0 && bytes.Equal(c.sources[0].key, c.name) {
		if !known {
			known = c.see(c.sources[0])
		}
		c.skip()
	}
	c.key = c.name[1:]
}

// see looks at what a source says about its key, and returns whether it says
// anything.
func (c *cursor) see(s *source) bool {
	if s.layer == nil {
		value, err := c.iterator.ValueAndErr()
		c.value = append(c.value[:0], value...)
		c.valid, c.err = true, err
		return true
	}
	w, ok := s.layer.get(s.key, c.sequence)
	if ok && w.flags&flagDeleted == 0 {
		c.value = append(c.value[:0], w.value...)
		c.valid = true
	}
	return ok
}

// skip takes the first source to its next key.
func (c *cursor) skip() {
	if !c.advance(c.sources[0]) {
		last := len(c.sources) - 1
		c.sources[0] = c.sources[last]
		c.sources = c.sources[:last]
	}
	c.sink()
}

// advance takes a source to its next key, if it has one.
func (c *cursor) advance(s *source) bool {
	if s.layer == nil {
		if !c.iterator.Next() {
			c.err = errors.Join(c.err, c.iterator.Error())
			return false
		}
		s.key = c.iterator.Key()
		return true
	}
	if s.run = s.run[1:]; len(s.run) == 0 {
		return false
	}
	s.key = s.layer.records.key(s.run[0])
	return true
}

// before says that a source stands before another one.
func (s *source) before(other *source) bool {
	order := bytes.Compare(s.key, other.key)
	return order < 0 || order == 0 && s.age < other.age
}

// push adds a source where it belongs.
func (c *cursor) push(s *source) {
	c.sources = append(c.sources, s)
	for at := len(c.sources) - 1; at > 0; {
		above := (at - 1) / 2
		if !c.sources[at].before(c.sources[above]) {
			break
		}
		c.sources[at], c.sources[above] = c.sources[above], c.sources[at]
		at = above
	}
}

// sink puts the first source where it belongs.
func (c *cursor) sink() {
	for at := 0; ; {
		first := at
		for below := 2*at + 1; below <= 2*at+2 && below < len(c.sources); below++ {
			if c.sources[below].before(c.sources[first]) {
				first = below
			}
		}
		if first == at {
			return
		}
		c.sources[at], c.sources[first] = c.sources[first], c.sources[at]
		at = first
	}
}

// close gives the iterator back and says what went wrong.
func (c *cursor) close() error {
	if c.iterator == nil {
		return c.err
	}
	return errors.Join(c.err, c.iterator.Close())
}

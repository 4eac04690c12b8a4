package quorate

import (
	"bytes"
	"fmt"
	"iter"
)

// Bound bounds a Range; the zero Bound does not.
type Bound[K any] struct {
	kind   boundKind
	key    K
	fields int // of key that count, for boundLeading
}

type boundKind uint8

const (
	unbounded boundKind = iota
	boundFrom
	boundAfter
	boundBelow
	boundPrefix
	boundLeading
)

// From bounds to key and what is behind it.
func From[K any](key K) Bound[K] { return Bound[K]{kind: boundFrom, key: key} }

// After bounds to what is behind key, as for the next page.
func After[K any](key K) Bound[K] { return Bound[K]{kind: boundAfter, key: key} }

// Below bounds to what is before key.
func Below[K any](key K) Bound[K] { return Bound[K]{kind: boundBelow, key: key} }

// Prefix bounds to the keys that begin with prefix.
func Prefix[K ~string | ~[]byte](prefix K) Bound[K] { return Bound[K]{kind: boundPrefix, key: prefix} }

// Leading bounds to the keys whose first so many fields are those of key.
func Leading[K any](key K, fields int) Bound[K] {
	return Bound[K]{kind: boundLeading, key: key, fields: fields}
}

// checkLeading refuses, by a panic, what is no part of a key of some fields: all
// fields are a key, for Get or From.
func (b *Bound[K]) checkLeading(fields int) {
	if b.kind == boundLeading && (b.fields < 1 || b.fields >= fields) {
		panic(fmt.Sprintf("quorate: the leading %d fields of a key of %d are not a part of it", b.fields, fields))
	}
}

// span is a part of the state: from start up to but without end.
type span struct{ start, end []byte }

// spanOf is all keys that begin with prefix.
func spanOf(prefix string) span { return span{[]byte(prefix), behind([]byte(prefix))} }

// narrow makes the span smaller by a bound, whose key stands at place.
func (s *span) narrow(kind boundKind, place []byte) {
	switch kind {
	case boundFrom:
		s.raise(place)
	case boundAfter:
		// Nothing can stand between a key and the same with a zero byte more.
		s.raise(append(place, 0))
	case boundBelow:
		s.lower(place)
	case boundPrefix, boundLeading:
		s.raise(place)
		s.lower(behind(place))
	}
}

func (s *span) raise(start []byte) {
	if bytes.Compare(start, s.start) > 0 {
		s.start = start
	}
}

func (s *span) lower(end []byte) {
	if bytes.Compare(end, s.end) < 0 {
		s.end = end
	}
}

// behind is the first key behind all that begin with prefix, which has a byte
// that is not 0xff.
func behind(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for end[len(end)-1] == 0xff {
		end = end[:len(end)-1]
	}
	end[len(end)-1]++
	return end
}

// scan yields what stands in the span.
func (s *span) scan(view *View) iter.Seq2[[]byte, []byte] {
	if bytes.Compare(s.start, s.end) >= 0 {
		return func(func([]byte, []byte) bool) {}
	}
	return view.Scan(s.start, s.end)
}

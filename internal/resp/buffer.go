package resp

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

const (
	// chunkBytesMin is what an idle connection costs once it has said something:
	// 4 KiB x 10,000 connections are 40 MiB.
	chunkBytesMin = 4 << 10
	// chunkBytesMax is the most that one read takes in: some 800 calls of 40
	// bytes. A busy connection keeps one chunk of it: 5,000 of them are 160 MiB.
	chunkBytesMax = 32 << 10
	// emptyReadsMax bounds how often a source may return nothing, not even an
	// error, before that is one.
	emptyReadsMax = 100
)

// place is a position in the chunks of a buffer.
type place struct {
	chunk, offset int
}

// buffer holds what has arrived and has not been handed out. It grows by
// chunks, so that nothing is copied when it grows, and a chunk is never much
// more than what has arrived before it.
//
//	chunks   [ . . s = = = m - ] [ - - - - - - n ] [ - - - _ _ _ ]
//	               │       │                   │           └ room
//	               │       │                   └ next: not scanned from here on
//	               │       └ mark: begin of what is not whole yet
//	               └ start: whole, but not handed out
type buffer struct {
	source io.Reader
	chunks [][]byte // only the last one has room behind its length

	// Invariant: start <= mark <= next.
	start, mark, next place

	// chunkBytes is the size of the next chunk. It doubles when one is full.
	chunkBytes int
	// err came from the source together with bytes, and is still to be told.
	err error
	// looked counts the bytes that the first look has gone over.
	looked int
}

func newBuffer(source io.Reader) buffer {
	return buffer{source: source, chunkBytes: chunkBytesMin}
}

// unscanned is what is not scanned of a chunk. It is empty only when all is
// scanned.
func (b *buffer) unscanned() []byte {
	for b.next.chunk < len(b.chunks) {
		if piece := b.chunks[b.next.chunk][b.next.offset:]; len(piece) > 0 {
			return piece
		}
		if b.next.chunk == len(b.chunks)-1 {
			break
		}
		b.next = place{chunk: b.next.chunk + 1}
	}
	return nil
}

// scanned notes that n bytes of what unscanned returned are scanned.
func (b *buffer) scanned(n int) {
	b.next.offset += n
	b.looked += n
}

// whole notes that what is scanned is whole.
func (b *buffer) whole() { b.mark = b.next }

// partial says that something has begun to arrive that is not whole.
func (b *buffer) partial() bool { return b.mark != b.next }

// empty says that all that has arrived was whole and is released.
func (b *buffer) empty() bool {
	return b.start == b.mark && !b.partial() && len(b.unscanned()) == 0 && b.err == nil
}

// shrink gives back the chunks of an empty buffer.
func (b *buffer) shrink() {
	b.chunks, b.start, b.mark, b.next = nil, place{}, place{}, place{}
	b.chunkBytes = chunkBytesMin
}

// release forgets what is whole. Slices of it must not be used any more.
func (b *buffer) release() {
	drop := b.mark.chunk
	b.mark.chunk -= drop
	b.next.chunk -= drop
	b.chunks = slices.Delete(b.chunks, 0, drop)
	b.start = b.mark
}

// fill waits for more bytes. An error of the source comes only when no bytes
// came before it.
func (b *buffer) fill() error {
	if err := b.err; err != nil {
		b.err = nil
		return b.ended(err)
	}
	b.makeRoom()
	last := &b.chunks[len(b.chunks)-1]
	for range emptyReadsMax {
		n, err := b.source.Read((*last)[len(*last):cap(*last)])
		*last = (*last)[:len(*last)+n]
		if n > 0 {
			b.err = err
			if len(*last) == cap(*last) {
				b.chunkBytes = min(2*b.chunkBytes, chunkBytesMax)
			}
			return nil
		}
		if err != nil {
			return b.ended(err)
		}
	}
	return io.ErrNoProgress
}

// ended tells an end between two calls or replies from an end within one.
func (b *buffer) ended(err error) error {
	if errors.Is(err, io.EOF) && b.partial() {
		return io.ErrUnexpectedEOF
	}
	return err
}

// makeRoom sees to it that the last chunk has room. It is called only when
// nothing is whole, so a byte is moved at most once: what stands at the front
// when it is called again was put there by the first time.
func (b *buffer) makeRoom() {
	if len(b.chunks) == 1 && b.start.offset > 0 {
		kept := copy(b.chunks[0], b.chunks[0][b.start.offset:])
		b.chunks[0] = b.chunks[0][:kept]
		b.next.offset -= b.start.offset
		b.start, b.mark = place{}, place{}
	}
	if len(b.chunks) == 1 && len(b.chunks[0]) == 0 && cap(b.chunks[0]) < b.chunkBytes {
		b.chunks = b.chunks[:0]
	}
	if n := len(b.chunks); n == 0 || len(b.chunks[n-1]) == cap(b.chunks[n-1]) {
		b.chunks = append(b.chunks, make([]byte, 0, b.chunkBytes))
	}
}

// from is a cursor at a place.
func (b *buffer) from(at place) cursor {
	return cursor{piece: b.chunks[at.chunk][at.offset:], more: b.chunks[at.chunk+1:]}
}

// cursor goes over bytes for the second time, when what it will ask for is
// known to be there.
type cursor struct {
	piece []byte // what follows, up to the end of a chunk
	more  [][]byte
}

// ahead is what follows, up to the end of a chunk, and at least a byte.
func (c *cursor) ahead() []byte {
	for len(c.piece) == 0 {
		c.piece, c.more = c.more[0], c.more[1:]
	}
	return c.piece
}

// number reads a line that is a sign and a number.
func (c *cursor) number() int64 {
	if n, size, ok := shortNumber(c.piece); ok {
		c.piece = c.piece[size:]
		return n
	}
	var h header
	for {
		n, done := h.take(c.ahead())
		c.piece = c.piece[n:]
		if done {
			value, _ := h.number()
			return value
		}
	}
}

// appendTo appends the next n bytes to dst.
func (c *cursor) appendTo(dst []byte, n int) []byte {
	for n > 0 {
		piece := c.ahead()
		piece = piece[:min(n, len(piece))]
		dst = append(dst, piece...)
		c.piece = c.piece[len(piece):]
		n -= len(piece)
	}
	return dst
}

// skip passes over the next n bytes.
func (c *cursor) skip(n int) {
	for n > 0 {
		size := min(n, len(c.ahead()))
		c.piece = c.piece[size:]
		n -= size
	}
}

// until is what follows up to the byte end, without it, or all there is. It is
// copied only where it goes across the end of a chunk.
func (c *cursor) until(end byte) []byte {
	if i := bytes.IndexByte(c.piece, end); i >= 0 {
		line := c.piece[:i]
		c.piece = c.piece[i+1:]
		return line
	}
	size, found := len(c.piece), false
	for _, piece := range c.more {
		i := bytes.IndexByte(piece, end)
		if found = i >= 0; found {
			size += i
			break
		}
		size += len(piece)
	}
	line := c.appendTo(make([]byte, 0, size), size)
	if found {
		c.skip(1)
	}
	return line
}

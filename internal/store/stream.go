package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/invariant"
)

// A state on its way to another node is a stream, numbers little-endian:
//
//	┌──────────────────────┬───────────┬──────┬───────┐
//	│ "QRTSNAP" u8 version │ group u64 │ Meta │ crc32 │   header
//	├─────────┬────────────┼───────────┴──────┴───────┤
//	│ raw u32 │ packed u32 │ crc32  zstd bytes        │   blocks
//	├─────────┴────────────┴───────┬──────────────────┤
//	│ 0 u32   0 u32   0 u32        │                  │   end of the blocks
//	├───────────┬──────────┬───────┴──────────────────┤
//	│ count u64 │ hash u64 │ crc32                    │   trailer
//	└───────────┴──────────┴──────────────────────────┘
//
// A block unpacks to records: uvarint length and key with its space in front,
// uvarint length and value. Keys are in order over the whole stream. The hash
// is xxhash over all records as they stand; every checksum is CRC32C of what
// stands before it in its part, in a block of the packed bytes.
//
// A program reads only streams whose spaces it knows: to leave one out would
// be to differ.

const (
	streamMagic   = "QRTSNAP"
	streamVersion = 2 // 1 has the first version of Meta in its header
	// blockBytes is when a block is full: large enough to pack well, small
	// enough to be a frame between nodes.
	blockBytes = 512 << 10
	// blockBytesMax bounds a block unpacked: full but for one byte, and then
	// the largest record there can be.
	blockBytesMax = blockBytes + keyBytesMax + quorate.ValueBytesMax + 1<<10

	headBytes    = len(streamMagic) + 1 + 8
	headerBytes  = headBytes + metaBytes + 4
	blockHead    = 12
	trailerBytes = 8 + 8 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Stream is a state as bytes, made while it is read. It must be closed.
type Stream struct {
	view     *View
	contents *contents
	packer   *zstd.Encoder
	sum      *summer
	raw      []byte       // of the block in the making
	packed   []byte       // scratch
	ready    bytes.Buffer // made and not yet read
	end      error        // what follows when all is read; nil while there is more
}

// summer counts and hashes records.
type summer struct {
	count uint64
	hash  *xxhash.Digest
}

// Stream makes the view a stream, which closes the view.
func (v *View) Stream(group uint64) (*Stream, error) {
	if err := v.Err(); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	packer, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, errors.Join(err, v.Close())
	}
	s := &Stream{view: v, contents: v.contents(), packer: packer, sum: &summer{hash: xxhash.New()}}
	s.header(group)
	return s, nil
}

// contents walks over all that a stream carries: every space but meta, which
// is the header of the stream.
type contents struct {
	view *View
	left []Space // behind the one where the cursor is
	*cursor
}

func (v *View) contents() *contents {
	c := &contents{view: v, left: spaces[:], cursor: &cursor{}}
	c.next()
	return c
}

// next goes to the next key.
func (c *contents) next() {
	if c.valid {
		c.cursor.next()
	}
	for !c.valid && c.err == nil && len(c.left) > 0 {
		if err := c.close(); err != nil {
			c.cursor = &cursor{err: err}
			return
		}
		c.cursor = c.view.cursor(c.left[0], nil, nil)
		c.left = c.left[1:]
	}
}

func (s *Stream) header(group uint64) {
	head := append([]byte(streamMagic), streamVersion)
	head = binary.LittleEndian.AppendUint64(head, group)
	head = s.view.meta.append(head)
	s.ready.Write(binary.LittleEndian.AppendUint32(head, crc32.Checksum(head, castagnoli)))
}

// Read implements io.Reader.
func (s *Stream) Read(p []byte) (int, error) {
	for s.ready.Len() == 0 && s.end == nil {
		if err := s.more(); err != nil {
			s.view.store.fail.check(err)
			s.end = fmt.Errorf("read state for a snapshot: %w", err)
		}
	}
	if s.ready.Len() == 0 {
		return 0, s.end
	}
	return s.ready.Read(p)
}

// more makes the next block, or the end.
func (s *Stream) more() error {
	if err := s.view.Err(); err != nil {
		return err
	}
	s.raw = s.raw[:0]
	for len(s.raw) < blockBytes && s.contents.valid {
		s.raw = appendRecord(s.raw, s.contents.name, s.contents.value)
		s.sum.count++
		s.contents.next()
	}
	if err := s.contents.err; err != nil {
		return err
	}
	if len(s.raw) == 0 {
		s.trailer()
		return nil
	}
	invariant.Must(len(s.raw) <= blockBytesMax, "a block is one that a receiver takes")
	s.sum.write(s.raw)
	s.packed = s.packer.EncodeAll(s.raw, s.packed[:0])
	packed := s.packed
	var head [blockHead]byte
	binary.LittleEndian.PutUint32(head[0:], uint32(len(s.raw)))
	binary.LittleEndian.PutUint32(head[4:], uint32(len(packed)))
	binary.LittleEndian.PutUint32(head[8:], crc32.Checksum(packed, castagnoli))
	s.ready.Write(head[:])
	s.ready.Write(packed)
	return nil
}

func (s *Stream) trailer() {
	s.end = io.EOF
	s.ready.Write(make([]byte, blockHead))
	tail := binary.LittleEndian.AppendUint64(nil, s.sum.count)
	tail = binary.LittleEndian.AppendUint64(tail, s.sum.hash.Sum64())
	s.ready.Write(binary.LittleEndian.AppendUint32(tail, crc32.Checksum(tail, castagnoli)))
}

// Close gives the view back.
func (s *Stream) Close() error {
	return errors.Join(s.packer.Close(), s.contents.close(), s.view.Close())
}

func (s *summer) write(raw []byte) {
	// A Digest never fails to write.
	_, _ = s.hash.Write(raw)
}

func appendRecord(dst, key, value []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(key)))
	dst = append(dst, key...)
	dst = binary.AppendUvarint(dst, uint64(len(value)))
	return append(dst, value...)
}

// ContentHash is a hash over every key and value of the view, found by
// reading them all. It is that of the trailer of a Stream.
func (v *View) ContentHash() (uint64, error) {
	if err := v.Err(); err != nil {
		return 0, err
	}
	sum := summer{hash: xxhash.New()}
	var raw []byte
	c := v.contents()
	for ; c.valid && v.Err() == nil; c.next() {
		raw = appendRecord(raw[:0], c.name, c.value)
		sum.write(raw)
	}
	err := errors.Join(c.close(), v.Err())
	v.store.fail.check(err)
	return sum.hash.Sum64(), err
}

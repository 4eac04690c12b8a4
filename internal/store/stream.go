package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"
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
	streamVersion = 1
	// blockBytes is when a block is full: large enough to pack well, small
	// enough to be a frame between nodes.
	blockBytes = 512 << 10
	// blockBytesMax bounds a block unpacked: full but for one byte, and then
	// the largest record there can be.
	blockBytesMax = blockBytes + quorate.KeyBytesMax + quorate.ValueBytesMax + 1<<10

	headerBytes  = len(streamMagic) + 1 + 8 + metaBytes + 4
	blockHead    = 12
	trailerBytes = 8 + 8 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Stream is a state as bytes, made while it is read. It must be closed.
type Stream struct {
	view     *View
	iterator *pebble.Iterator
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
	iterator, err := v.records()
	if err != nil {
		return nil, errors.Join(err, v.Close())
	}
	packer, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, errors.Join(err, iterator.Close(), v.Close())
	}
	s := &Stream{view: v, iterator: iterator, packer: packer, sum: &summer{hash: xxhash.New()}}
	s.iterator.First()
	s.header(group)
	return s, nil
}

// records walks over all that a stream carries: every space but meta, which
// is the header of the stream.
func (v *View) records() (*pebble.Iterator, error) {
	if err := v.Err(); err != nil {
		return nil, err
	}
	return v.snapshot.NewIter(&pebble.IterOptions{
		// meta stands between the spaces; a stream skips its one key.
		SkipPoint: func(key []byte) bool { return len(key) > 0 && key[0] == byte(meta) },
	})
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
	for len(s.raw) < blockBytes && s.iterator.Valid() {
		value, err := s.iterator.ValueAndErr()
		if err != nil {
			return err
		}
		s.raw = appendRecord(s.raw, s.iterator.Key(), value)
		s.sum.count++
		s.iterator.Next()
	}
	if err := s.iterator.Error(); err != nil {
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
	return errors.Join(s.packer.Close(), s.iterator.Close(), s.view.Close())
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
	iterator, err := v.records()
	if err != nil {
		return 0, err
	}
	sum := summer{hash: xxhash.New()}
	var raw, value []byte
	for more := iterator.First(); more && err == nil; more = iterator.Next() {
		if value, err = iterator.ValueAndErr(); err == nil {
			raw = appendRecord(raw[:0], iterator.Key(), value)
			sum.write(raw)
			err = v.Err()
		}
	}
	err = errors.Join(err, iterator.Close())
	v.store.fail.check(err)
	return sum.hash.Sum64(), err
}

// Receive makes a store in an empty directory from a stream. The store is
// durable when Receive returns; it holds all of the stream or there is an
// error. It returns how many bytes of r it read.
func Receive(o Options, group uint64, r io.Reader) (*Store, int64, error) {
	s, err := Open(o)
	if err != nil {
		return nil, 0, err
	}
	if s.Meta() != (Meta{}) {
		return nil, 0, errors.Join(fmt.Errorf("receive snapshot: there is a state in %s already", o.Dir), s.Close())
	}
	in := &receiver{in: r, store: s, sum: summer{hash: xxhash.New()}, spaces: make(map[Space]uint64)}
	if err := in.receive(group); err != nil {
		return nil, in.bytes, errors.Join(fmt.Errorf("receive snapshot: %w", err), s.Close())
	}
	return s, in.bytes, nil
}

// receiver takes a stream apart.
type receiver struct {
	in    io.Reader
	bytes int64 // read from in
	store *Store
	sum   summer
	last  []byte // key of the record before
	raw   []byte // scratch
	// spaces counts the records of each space.
	spaces map[Space]uint64
}

func (r *receiver) receive(group uint64) error {
	m, err := r.header(group)
	if err != nil {
		return err
	}
	unpacker, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(blockBytesMax))
	if err != nil {
		return err
	}
	defer unpacker.Close()
	for {
		raw, err := r.block(unpacker)
		if err != nil {
			return err
		}
		if raw == nil {
			break
		}
		if err := r.records(raw); err != nil {
			return err
		}
	}
	if err := r.trailer(); err != nil {
		return err
	}
	if n := r.spaces[Remembered]; n != m.Remembered || n != r.spaces[Ages] {
		return fmt.Errorf("it holds %d remembered calls and %d ages of them, and says that there are %d", n, r.spaces[Ages], m.Remembered)
	}
	// Meta comes last: a store without it is not opened.
	if err := r.store.Begin().Commit(m); err != nil {
		return err
	}
	return r.store.Flush()
}

// checked reads n bytes whose last four are the checksum of the others.
func (r *receiver) checked(n int) ([]byte, error) {
	part, err := r.read(n)
	if err != nil {
		return nil, err
	}
	body := part[:n-4]
	if binary.LittleEndian.Uint32(part[n-4:]) != crc32.Checksum(body, castagnoli) {
		return nil, errors.New("a checksum does not match")
	}
	return body, nil
}

// read reads exactly n bytes, n being a size that was checked.
func (r *receiver) read(n int) ([]byte, error) {
	part := make([]byte, n)
	got, err := io.ReadFull(r.in, part)
	r.bytes += int64(got)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return part, err
}

func (r *receiver) header(group uint64) (Meta, error) {
	head, err := r.checked(headerBytes)
	if err != nil {
		return Meta{}, err
	}
	if string(head[:len(streamMagic)]) != streamMagic || head[len(streamMagic)] != streamVersion {
		return Meta{}, errors.New("it is not a snapshot, or one of a newer version")
	}
	if got := binary.LittleEndian.Uint64(head[len(streamMagic)+1:]); got != group {
		return Meta{}, fmt.Errorf("it is of group %d and not of %d", got, group)
	}
	return readMeta(head[len(streamMagic)+9:])
}

// block is the records of the next block, nil at the end.
func (r *receiver) block(unpacker *zstd.Decoder) ([]byte, error) {
	head, err := r.read(blockHead)
	if err != nil {
		return nil, err
	}
	rawLen := binary.LittleEndian.Uint32(head[0:])
	packedLen := binary.LittleEndian.Uint32(head[4:])
	if [blockHead]byte(head) == [blockHead]byte{} {
		return nil, nil
	}
	if rawLen == 0 {
		return nil, errors.New("a block is empty")
	}
	// Bytes that do not pack grow by a few in each 128 KiB.
	if rawLen > blockBytesMax || packedLen > blockBytesMax+blockBytesMax/64 {
		return nil, fmt.Errorf("a block of %d bytes is over the limit of %d", max(rawLen, packedLen), blockBytesMax)
	}
	packed, err := r.read(int(packedLen))
	if err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(head[8:]) != crc32.Checksum(packed, castagnoli) {
		return nil, errors.New("the checksum of a block does not match")
	}
	if r.raw, err = unpacker.DecodeAll(packed, r.raw[:0]); err != nil {
		return nil, err
	}
	if len(r.raw) != int(rawLen) {
		return nil, fmt.Errorf("a block unpacks to %d bytes and not to %d", len(r.raw), rawLen)
	}
	r.sum.write(r.raw)
	return r.raw, nil
}

// records stores the records of one block.
func (r *receiver) records(raw []byte) error {
	batch := r.store.db.NewBatch()
	for len(raw) > 0 {
		var err error
		if raw, err = r.record(batch, raw); err != nil {
			return errors.Join(err, batch.Close())
		}
	}
	return r.store.commit(batch, Meta{})
}

// record stores the first of some records and returns the others.
func (r *receiver) record(batch *pebble.Batch, raw []byte) ([]byte, error) {
	key, raw, ok := cut(raw)
	if !ok || len(key) == 0 {
		return nil, errors.New("a record is damaged")
	}
	value, raw, ok := cut(raw)
	if !ok {
		return nil, errors.New("a record is damaged")
	}
	space := Space(key[0])
	if !slices.Contains(spaces[:], space) {
		return nil, fmt.Errorf("a record of kind %q is not known; a newer version may have written it", key[0])
	}
	if bytes.Compare(r.last, key) >= 0 {
		return nil, errors.New("a record is out of order")
	}
	r.last = append(r.last[:0], key...)
	r.sum.count++
	r.spaces[space]++
	return raw, batch.Set(key, value, nil)
}

// cut takes a uvarint length and as many bytes.
func cut(raw []byte) (part, rest []byte, ok bool) {
	n, size := binary.Uvarint(raw)
	if size <= 0 || n > uint64(len(raw)-size) {
		return nil, nil, false
	}
	return raw[size : size+int(n)], raw[size+int(n):], true
}

func (r *receiver) trailer() error {
	tail, err := r.checked(trailerBytes)
	if err != nil {
		return err
	}
	if count := binary.LittleEndian.Uint64(tail); count != r.sum.count {
		return fmt.Errorf("%d records came of %d", r.sum.count, count)
	}
	if binary.LittleEndian.Uint64(tail[8:]) != r.sum.hash.Sum64() {
		return errors.New("the hash of the records does not match")
	}
	return nil
}

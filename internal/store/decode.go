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
	"github.com/klauspost/compress/zstd"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/invariant"
)

// decoder takes a stream apart. Who made the stream is not trusted: the packed
// bytes of a block take memory as they arrive and not as they are announced,
// no more than twice as much and 64 KiB. Unpacked ones are in one buffer, which
// is made when the packed ones are there with the right checksum; it has the
// size that the block announces, at most blockBytesMax, and what unpacks to
// more is refused before it does.
type decoder struct {
	in    io.Reader
	bytes int64 // read from in
	sum   summer
	last  []byte // key of the record before
	// spaces counts the records of each space.
	spaces map[Space]uint64

	// unpacker is nil until a block has come.
	unpacker *zstd.Decoder
	// packed and raw are used for one block after the other.
	packed, raw []byte
}

const (
	// partBytes is how much memory a block takes before its first byte.
	partBytes = 32 << 10
	// packedBytesMax bounds a block packed: bytes that do not pack grow by a
	// few in each 128 KiB.
	packedBytesMax = blockBytesMax + blockBytesMax/64
)

func newDecoder(in io.Reader) *decoder {
	return &decoder{in: in, sum: summer{hash: xxhash.New()}, spaces: make(map[Space]uint64)}
}

// close gives back what the decoder has made. Nothing may be used after it.
func (d *decoder) close() {
	if d.unpacker != nil {
		d.unpacker.Close()
	}
}

// decode reads a whole stream. It gives the records of each block to store,
// which takes them with record and does not keep them.
func (d *decoder) decode(group uint64, store func(raw []byte) error) (Meta, error) {
	m, err := d.header(group)
	if err != nil {
		return Meta{}, err
	}
	for {
		raw, err := d.block()
		if err != nil {
			return Meta{}, err
		}
		if raw == nil {
			break
		}
		if err := store(raw); err != nil {
			return Meta{}, err
		}
	}
	if err := d.trailer(); err != nil {
		return Meta{}, err
	}
	if n, ages := d.spaces[Remembered], d.spaces[Ages]; n != m.Remembered || n > ages || n != ages && m.Sessions == 0 {
		return Meta{}, fmt.Errorf("it holds %d remembered calls and %d ages of them, and says that there are %d", n, ages, m.Remembered)
	}
	if n := d.spaces[Sessions]; n != m.Sessions {
		return Meta{}, fmt.Errorf("it holds %d keys of sessions, and says that there are %d", n, m.Sessions)
	}
	if n, queue := d.spaces[Ends], d.spaces[Queue]; n != m.Expiring || n != queue {
		return Meta{}, fmt.Errorf("it holds %d ends and %d of them in order, and says that there are %d", n, queue, m.Expiring)
	}
	return m, nil
}

// checked reads a part, of which the first bytes may be there already, and
// whose last four bytes are the checksum of the others.
func (d *decoder) checked(part []byte, there int) ([]byte, error) {
	if err := d.read(part[there:]); err != nil {
		return nil, err
	}
	body := part[:len(part)-4]
	if binary.LittleEndian.Uint32(part[len(body):]) != crc32.Checksum(body, castagnoli) {
		return nil, errors.New("a checksum does not match")
	}
	return body, nil
}

// read fills part.
func (d *decoder) read(part []byte) error {
	got, err := io.ReadFull(d.in, part)
	d.bytes += int64(got)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (d *decoder) header(group uint64) (Meta, error) {
	part := make([]byte, headerBytes)
	if err := d.read(part[:headBytes]); err != nil {
		return Meta{}, err
	}
	// What begins as no snapshot is told apart by its checksum first, as any
	// damage is.
	if part[len(streamMagic)] == 1 {
		part = part[:headerBytes-metaBytes+metaBytesV1]
	}
	head, err := d.checked(part, headBytes)
	if err != nil {
		return Meta{}, err
	}
	if version := head[len(streamMagic)]; string(head[:len(streamMagic)]) != streamMagic || version == 0 || version > streamVersion {
		return Meta{}, errors.New("it is not a snapshot, or one of a newer version")
	}
	if got := binary.LittleEndian.Uint64(head[len(streamMagic)+1:]); got != group {
		return Meta{}, fmt.Errorf("it is of group %d and not of %d", got, group)
	}
	return readMeta(head[headBytes:])
}

// block is the records of the next block, nil at the end.
func (d *decoder) block() ([]byte, error) {
	var head [blockHead]byte
	if err := d.read(head[:]); err != nil {
		return nil, err
	}
	if head == [blockHead]byte{} {
		return nil, nil
	}
	rawBytes := binary.LittleEndian.Uint32(head[0:])
	packedBytes := binary.LittleEndian.Uint32(head[4:])
	if rawBytes == 0 {
		return nil, errors.New("a block is empty")
	}
	if rawBytes > blockBytesMax || packedBytes > packedBytesMax {
		return nil, fmt.Errorf("a block of %d bytes is over the limit of %d", max(rawBytes, packedBytes), blockBytesMax)
	}
	if err := d.arrive(int(packedBytes)); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(head[8:]) != crc32.Checksum(d.packed, castagnoli) {
		return nil, errors.New("the checksum of a block does not match")
	}
	if err := d.unpack(int(rawBytes)); err != nil {
		return nil, err
	}
	d.sum.write(d.raw)
	return d.raw, nil
}

// arrive reads n bytes into packed. Where there is no room for them yet, they
// come in parts first, so that an announcement alone takes no memory.
func (d *decoder) arrive(n int) error {
	if n <= cap(d.packed) {
		d.packed = d.packed[:n]
		return d.read(d.packed)
	}
	var parts [][]byte
	for rest := n; rest > 0; {
		part := make([]byte, min(rest, partBytes))
		if err := d.read(part); err != nil {
			return err
		}
		parts = append(parts, part)
		rest -= len(part)
	}
	d.packed = slices.Concat(parts...)
	return nil
}

// unpack unpacks packed to raw, which must become n bytes.
func (d *decoder) unpack(n int) (err error) {
	if d.unpacker == nil {
		d.unpacker, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(blockBytesMax), zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return err
		}
	}
	if n > cap(d.raw) {
		// Twice as much as before, or blocks that grow by a byte each would
		// take a new buffer each.
		d.raw = make([]byte, 0, min(max(n, 2*cap(d.raw)), blockBytesMax))
	}
	raw, err := d.unpacker.DecodeAll(d.packed, d.raw[:0:n])
	if err != nil {
		return fmt.Errorf("unpack a block to %d bytes: %w", n, err)
	}
	if len(raw) != n {
		return fmt.Errorf("a block unpacks to %d bytes and not to %d", len(raw), n)
	}
	d.raw = d.raw[:n]
	invariant.Must(&raw[0] == &d.raw[0], "a block is unpacked where there is room for it")
	return nil
}

// record takes the first of some records, and returns the others as rest.
func (d *decoder) record(raw []byte) (key, value, rest []byte, err error) {
	key, rest, sound := cut(raw)
	if !sound || len(key) == 0 {
		return nil, nil, nil, errors.New("a record is damaged")
	}
	if value, rest, sound = cut(rest); !sound {
		return nil, nil, nil, errors.New("a record is damaged")
	}
	longest := 1 + quorate.KeyBytesMax
	if Space(key[0]) == Queue {
		longest += endBytes
	}
	if len(key) > longest || len(value) > quorate.ValueBytesMax {
		return nil, nil, nil, fmt.Errorf("a record with a key of %d bytes and a value of %d is over the limits", len(key)-1, len(value))
	}
	space := Space(key[0])
	if !slices.Contains(spaces[:], space) {
		return nil, nil, nil, fmt.Errorf("a record of kind %q is not known; a newer version may have written it", key[0])
	}
	if bytes.Compare(d.last, key) >= 0 {
		return nil, nil, nil, errors.New("a record is out of order")
	}
	d.last = append(d.last[:0], key...)
	d.sum.count++
	d.spaces[space]++
	return key, value, rest, nil
}

// cut takes a uvarint length and as many bytes.
func cut(raw []byte) (part, rest []byte, ok bool) {
	n, size := binary.Uvarint(raw)
	if size <= 0 || n > uint64(len(raw)-size) {
		return nil, nil, false
	}
	return raw[size : size+int(n)], raw[size+int(n):], true
}

func (d *decoder) trailer() error {
	tail, err := d.checked(make([]byte, trailerBytes), 0)
	if err != nil {
		return err
	}
	if count := binary.LittleEndian.Uint64(tail); count != d.sum.count {
		return fmt.Errorf("%d records came of %d", d.sum.count, count)
	}
	if binary.LittleEndian.Uint64(tail[8:]) != d.sum.hash.Sum64() {
		return errors.New("the hash of the records does not match")
	}
	return nil
}

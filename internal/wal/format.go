package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// # Segment
//
// A file NNNNNNNNNNNNNNNN.wal, named by its sequence number in hex:
//
//	+---------+----------+----------+-----+---------------------------------+
//	| header  | record   | record   | ... | zeros, or bytes of a former use |
//	+---------+----------+----------+-----+---------------------------------+
//	0         48
//
// The file name appears only after the header and the whole size of the file
// are durable, so a segment whose header does not check, or that is shorter
// than its header says, is damaged, never half made. One record that is larger
// than a segment makes it longer. All numbers are little-endian.
//
//	segment header (48 bytes)
//	 0  magic       8  "quorwal\n"
//	 8  version     1  1
//	 9  zero        7
//	16  group       8
//	24  sequence    8  1 for the first segment of a log, then without a gap
//	32  salt        8  random
//	40  size        4  of the file when it was made; 0 in one that an older
//	                   program made, whose marks mean nothing
//	44  checksum    4  CRC32C of bytes 0..44; the seed of all checksums below
//
// # Record
//
//	 0         4         8          12        16    17    18    19      24
//	+---------+---------+----------+---------+-----+-----+-----+-------+
//	| header  | payload | payload  | extens. |type |flags|kind | zero  |
//	| checksum| checksum| length   | length  |     |     |     |       |
//	+---------+---------+----------+---------+-----+-----+-----+-------+
//	 24                 32                   40                48      56
//	+-------------------+--------------------+-----------------+-------+
//	| batch             | index              | term            | time  |
//	+-------------------+--------------------+-----------------+-------+
//	 56
//	+-------------------+--------------------+-------------------------+
//	| data              | extensions         | zeros to 8 bytes        |
//	+-------------------+--------------------+-------------------------+
//
// The payload is data and extensions; its checksum covers the zeros behind it
// too. The header checksum covers bytes 4..56, and thereby the payload
// checksum. Both are CRC32C seeded with the checksum of the segment header,
// so that records of a former use of the file do not check.
//
// All records of a batch carry its number, and the last one the flag 1. A
// batch never crosses the end of a segment. Numbers rise by one from batch to
// batch over the whole life of the log.
//
// Behind the header of a segment and behind each batch stands a mark of eight
// bytes, for which there is always room. It is zeros, written with what is
// before them, until the next batch overwrites it; and "goes on\n" once the
// stream goes on in the next segment, which exists from then on. A record
// begins with such bytes once in 2^64, so anything else there is what is left
// of a batch that was begun.
//
//	type  index                     term                       meaning
//	1     index of the entry        term of the entry          entry; kind and time too
//	2     last entry that stays     first entry at that time   all later entries are gone
//	3     first entry that stays    last entry at that time    all earlier entries are gone
//	4     0                         0                          a session begins
//	5     0                         0                          the session ended cleanly
//
// # Example
//
// The entry {Index: 7, Term: 2, Kind: 0, Data: "inc hits", Time: 1000,
// Extensions: "x"}, alone in batch 5, in a segment of group 1 with sequence 1
// salt 0x1122334455667788 and 16 MiB (format_internal_test.go holds it to this):
//
// the segment header
//
//	00000000  71 75 6f 72 77 61 6c 0a  01 00 00 00 00 00 00 00  |quorwal.........|
//	00000010  01 00 00 00 00 00 00 00  01 00 00 00 00 00 00 00  |................|
//	00000020  88 77 66 55 44 33 22 11  00 00 00 01 d2 eb 08 40  |.wfUD3"........@|
//
// and the record
//
//	00000000  0f c3 4f f0 9c 28 d1 11  09 00 00 00 01 00 00 00  |..O..(..........|
//	00000010  01 01 00 00 00 00 00 00  05 00 00 00 00 00 00 00  |................|
//	00000020  07 00 00 00 00 00 00 00  02 00 00 00 00 00 00 00  |................|
//	00000030  e8 03 00 00 00 00 00 00  69 6e 63 20 68 69 74 73  |........inc hits|
//	00000040  78 00 00 00 00 00 00 00                           |x.......|
const (
	segmentMagic   = "quorwal\n"
	formatVersion  = 1
	headerBytes    = 48 // of a segment
	markBytes      = 8  // of the mark behind a batch
	goesOn         = "goes on\n"
	recordBytes    = 56 // of a record without payload
	alignment      = 8
	flagFinal      = 1
	payloadMax     = 64 << 20 // see checkEntries
	_              = uint(segmentBytesMin - headerBytes - recordBytes - markBytes)
	_              = uint(len(goesOn)-markBytes) + uint(markBytes-len(goesOn))
	_              = uint(1<<32 - 1 - segmentBytesMax - recordBytes - payloadMax)
	checksumOffset = headerBytes - 4
)

// recordKind is the type of a record.
type recordKind uint8

const (
	recordEntry    recordKind = 1
	recordCutBack  recordKind = 2
	recordCutFront recordKind = 3
	recordOpen     recordKind = 4
	recordClose    recordKind = 5
)

// record is a record header.
type record struct {
	kind       recordKind
	final      bool
	entryKind  uint8
	payload    uint32 // bytes of data and extensions
	extensions uint32 // never more than payload
	sum        uint32 // checksum of the payload
	batch      uint64
	index      uint64
	term       uint64
	time       int64
}

// castagnoli is the polynomial that processors compute in hardware.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// padded rounds a payload length up to the alignment.
func padded(n int64) int64 { return (n + alignment - 1) &^ (alignment - 1) }

// size is the number of bytes the record takes in its segment.
func (r record) size() int64 { return recordBytes + padded(int64(r.payload)) }

// entryBytes is the number of bytes that e takes in a segment.
func entryBytes(e Entry) int64 {
	return recordBytes + padded(int64(len(e.Data))+int64(len(e.Extensions)))
}

// appendRecord encodes r with its payload behind b. It fills in the lengths
// and checksums.
func appendRecord(b []byte, r record, data, extensions []byte, seed uint32) []byte {
	start := len(b)
	r.payload = uint32(len(data) + len(extensions))
	r.extensions = uint32(len(extensions))
	b = append(b, make([]byte, recordBytes)...)
	b = append(b, data...)
	b = append(b, extensions...)
	b = append(b, make([]byte, padded(int64(r.payload))-int64(r.payload))...)
	r.sum = crc32.Update(seed, castagnoli, b[start+recordBytes:])
	putRecord(b[start:start+recordBytes], r, seed)
	return b
}

// putRecord encodes the header r into b.
func putRecord(b []byte, r record, seed uint32) {
	le := binary.LittleEndian
	le.PutUint32(b[4:], r.sum)
	le.PutUint32(b[8:], r.payload)
	le.PutUint32(b[12:], r.extensions)
	b[16] = byte(r.kind)
	if r.final {
		b[17] = flagFinal
	}
	b[18] = r.entryKind
	le.PutUint64(b[24:], r.batch)
	le.PutUint64(b[32:], r.index)
	le.PutUint64(b[40:], r.term)
	le.PutUint64(b[48:], uint64(r.time))
	le.PutUint32(b[0:], crc32.Update(seed, castagnoli, b[4:recordBytes]))
}

// parseRecord decodes the header at the start of b. It is false when there is
// none that checks. The cheap tests come first: a scan for lost records asks
// at every eighth byte of a segment.
func parseRecord(b []byte, seed uint32) (record, bool) {
	if len(b) < recordBytes || b[16] < byte(recordEntry) || b[16] > byte(recordClose) ||
		b[17]&^flagFinal != 0 || b[19] != 0 || b[20]|b[21]|b[22]|b[23] != 0 {
		return record{}, false
	}
	le := binary.LittleEndian
	r := record{
		kind:       recordKind(b[16]),
		final:      b[17]&flagFinal != 0,
		entryKind:  b[18],
		sum:        le.Uint32(b[4:]),
		payload:    le.Uint32(b[8:]),
		extensions: le.Uint32(b[12:]),
		batch:      le.Uint64(b[24:]),
		index:      le.Uint64(b[32:]),
		term:       le.Uint64(b[40:]),
		time:       int64(le.Uint64(b[48:])),
	}
	if r.payload > payloadMax || r.extensions > r.payload {
		return record{}, false
	}
	return r, le.Uint32(b) == crc32.Update(seed, castagnoli, b[4:recordBytes])
}

// parseWhole decodes the record at the start of b with its payload, which it
// returns without the padding. It allocates nothing.
func parseWhole(b []byte, seed uint32) (record, []byte, bool) {
	r, ok := parseRecord(b, seed)
	if !ok || r.size() > int64(len(b)) {
		return record{}, nil, false
	}
	payload := b[recordBytes:r.size()]
	if r.sum != crc32.Update(seed, castagnoli, payload) {
		return record{}, nil, false
	}
	return r, payload[:r.payload], true
}

// entry is the entry that an entry record stands for. It shares payload.
func (r record) entry(payload []byte) Entry {
	split := r.payload - r.extensions
	e := Entry{Index: r.index, Term: r.term, Kind: r.entryKind, Time: r.time}
	if split > 0 {
		e.Data = payload[:split:split]
	}
	if r.extensions > 0 {
		e.Extensions = payload[split:]
	}
	return e
}

// segmentHeader is the part of a segment header that differs.
type segmentHeader struct {
	group, sequence, salt uint64
	// size is that of the file when it was made, 0 if it does not say.
	size uint32
}

// encode returns the header and the seed for the checksums of the records.
func (h segmentHeader) encode() ([]byte, uint32) {
	b := make([]byte, headerBytes)
	copy(b, segmentMagic)
	b[8] = formatVersion
	le := binary.LittleEndian
	le.PutUint64(b[16:], h.group)
	le.PutUint64(b[24:], h.sequence)
	le.PutUint64(b[32:], h.salt)
	le.PutUint32(b[40:], h.size)
	seed := crc32.Checksum(b[:checksumOffset], castagnoli)
	le.PutUint32(b[checksumOffset:], seed)
	return b, seed
}

// parseSegmentHeader decodes the header at the start of b and returns it with
// the seed. The error says what is wrong, without the name of the file.
func parseSegmentHeader(b []byte) (segmentHeader, uint32, error) {
	if len(b) < headerBytes || string(b[:8]) != segmentMagic {
		return segmentHeader{}, 0, errors.New("there is no segment header")
	}
	if b[8] != formatVersion {
		return segmentHeader{}, 0, fmt.Errorf("segment format %d, this program knows %d", b[8], formatVersion)
	}
	le := binary.LittleEndian
	seed := le.Uint32(b[checksumOffset:])
	if seed != crc32.Checksum(b[:checksumOffset], castagnoli) {
		return segmentHeader{}, 0, errors.New("the segment header does not check")
	}
	return segmentHeader{
		group:    le.Uint64(b[16:]),
		sequence: le.Uint64(b[24:]),
		salt:     le.Uint64(b[32:]),
		size:     le.Uint32(b[40:]),
	}, seed, nil
}

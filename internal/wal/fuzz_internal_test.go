package wal

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"runtime"
	"testing"
)

// TestDecodingAllocatesNothing bounds what a damaged length can cost.
func TestDecodingAllocatesNothing(t *testing.T) {
	b := appendRecord(nil, record{kind: recordEntry, batch: 1}, []byte("data"), nil, 0)
	for _, length := range []uint32{4, 5, 1 << 20, payloadMax, 1<<32 - 1} {
		binary.LittleEndian.PutUint32(b[8:], length)
		binary.LittleEndian.PutUint32(b, crc32.Update(0, castagnoli, b[4:recordBytes]))
		if n := testing.AllocsPerRun(10, func() { parseWhole(b, 0) }); n != 0 {
			t.Errorf("%v allocations at length %d", n, length)
		}
	}
}

// FuzzRecord decodes arbitrary bytes. The checksums are put right first, so
// that what stands behind them is reached. What decodes must encode to the
// same bytes.
func FuzzRecord(f *testing.F) {
	const seed = 0xfeedbeef
	f.Add([]byte{}, uint8(0))
	f.Add(make([]byte, recordBytes), uint8(3))
	for kind := recordEntry; kind <= recordClose; kind++ {
		r := record{kind: kind, final: true, entryKind: 2, batch: 3, index: 4, term: 5, time: -6}
		f.Add(appendRecord(nil, r, []byte("data"), []byte("extensions"), seed), uint8(0))
		f.Add(appendRecord(nil, r, nil, nil, seed), uint8(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, repair uint8) {
		if repair&1 != 0 && len(b) >= recordBytes {
			size := min(recordBytes+padded(int64(binary.LittleEndian.Uint32(b[8:]))), int64(len(b)))
			binary.LittleEndian.PutUint32(b[4:], crc32.Update(seed, castagnoli, b[recordBytes:size]))
		}
		if repair&2 != 0 && len(b) >= recordBytes {
			binary.LittleEndian.PutUint32(b, crc32.Update(seed, castagnoli, b[4:recordBytes]))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, payload, ok := parseWhole(b, seed)
		e := r.entry(payload)
		runtime.ReadMemStats(&after)
		// It allocates nothing; what else runs may, a little.
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10 {
			t.Fatalf("%d bytes made it allocate %d", len(b), n)
		}
		if !ok {
			return
		}
		again := appendRecord(nil, r, e.Data, e.Extensions, seed)
		// The bytes that fill up the payload are not part of the record's
		// meaning, though their checksum is kept.
		filled := int64(recordBytes) + int64(r.payload)
		if filled == r.size() && !bytes.Equal(again, b[:r.size()]) {
			t.Fatalf("%x decodes to %+v, which encodes to %x", b[:r.size()], r, again)
		}
		if int64(len(again)) != r.size() || !bytes.Equal(again[8:filled], b[8:filled]) {
			t.Fatalf("%x decodes to %+v, which encodes to %x", b[:r.size()], r, again)
		}
	})
}

// FuzzVoteBlock decodes arbitrary blocks whose checksum is right.
func FuzzVoteBlock(f *testing.F) {
	f.Add(voteBlock{group: 1, sequence: 2, begun: true, vote: Vote{3, 3, []byte("n1")}}.encode())
	f.Add(voteBlock{}.encode())
	f.Add([]byte(voteMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == voteBlockBytes {
			binary.LittleEndian.PutUint32(b[voteSumOffset:], crc32.Checksum(b[:voteSumOffset], castagnoli))
		}
		v, err := parseVoteBlock(b)
		if err != nil {
			return
		}
		again, err := parseVoteBlock(v.encode())
		if err != nil || !again.vote.equal(v.vote) || again.sequence != v.sequence || again.group != v.group || again.begun != v.begun {
			t.Fatalf("%+v became %+v: %v", v, again, err)
		}
	})
}

// FuzzSegment replays a segment with an arbitrary body in which one record was
// made to check. It may refuse, and must not panic.
func FuzzSegment(f *testing.F) {
	header, seed := segmentHeader{group: 1, sequence: 1, salt: 1}.encode()
	body := appendRecord(nil, record{kind: recordOpen, final: true, batch: 1}, nil, nil, seed)
	body = appendRecord(body, record{kind: recordEntry, batch: 2, index: 9}, []byte("nine"), nil, seed)
	body = appendRecord(body, record{kind: recordEntry, final: true, batch: 2, index: 10}, []byte("ten"), nil, seed)
	body = appendRecord(body, record{kind: recordCutFront, final: true, batch: 3, index: 10, term: 10}, nil, nil, seed)
	body = appendRecord(body, record{kind: recordCutBack, final: true, batch: 4, index: 9, term: 10}, nil, nil, seed)
	for at := 0; at < len(body); at += 8 {
		f.Add(body, uint16(at), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, at uint16, whole bool) {
		data := append(bytes.Clone(header), body...)
		if b := data[min(int(at)+headerBytes, len(data)):]; len(b) >= recordBytes {
			binary.LittleEndian.PutUint32(b, crc32.Update(seed, castagnoli, b[4:recordBytes]))
		}
		s := &segment{sequence: 1, path: "fuzz", seed: seed}
		p := replay{live: &index{}, whole: whole, anchor: s, offset: headerBytes}
		p.last = firstBatch(data, seed, whole)
		end, err := p.playSegment(0, s, data)
		if err == nil {
			err = p.search(s, data, end)
		}
		if err == nil && (p.offset > int64(len(data)) || end > int64(len(data))) {
			t.Fatalf("stream ends at %d and %d of %d", p.offset, end, len(data))
		}
	})
}

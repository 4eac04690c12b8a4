package store

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"
)

const (
	// decodeBytes is what a decoder may take beside twice its input.
	decodeBytes = 64 << 10
	// unpackerBytes is what unpacking takes once, beside the unpacked bytes:
	// the tables of zstd and its buffers for one block of its own of 128 KiB.
	unpackerBytes = 512 << 10
)

// drain decodes a stream and drops what it holds.
func drain(data []byte) (*decoder, error) {
	d := newDecoder(bytes.NewReader(data))
	defer d.close()
	_, err := d.decode(1, func(raw []byte) error {
		for len(raw) > 0 {
			var err error
			if _, _, raw, err = d.record(raw); err != nil {
				return err
			}
		}
		return nil
	})
	return d, err
}

// mustAllocateLittle decodes a stream and checks what it cost: twice the input
// and 64 KiB; and if a block was unpacked, the tables of zstd, and at most
// twice the largest block that was announced and came. Under the race detector
// the cost says nothing, for there sync.Pool drops what it is given at random.
func mustAllocateLittle(t *testing.T, data []byte) error {
	t.Helper()
	var allocated, limit uint64
	var failed error
	// The runtime allocates too, now and then.
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d, err := drain(data)
		runtime.ReadMemStats(&after)
		failed = err
		allocated, limit = after.TotalAlloc-before.TotalAlloc, 2*uint64(len(data))+decodeBytes
		if cap(d.raw) > blockBytesMax {
			t.Fatalf("a buffer of %d bytes, the maximum is %d", cap(d.raw), blockBytesMax)
		}
		if d.unpacker != nil {
			limit += unpackerBytes + 2*uint64(cap(d.raw))
		}
		if allocated <= limit || racing {
			return failed
		}
	}
	t.Fatalf("%d bytes made it allocate %d, the maximum is %d: %v", len(data), allocated, limit, failed)
	return nil
}

// hostile makes streams.
type hostile struct{ bytes.Buffer }

func newHostile() *hostile {
	h := &hostile{}
	head := append([]byte(streamMagic), streamVersion)
	head = binary.LittleEndian.AppendUint64(head, 1)
	head = Meta{Index: 1}.append(head)
	h.Write(binary.LittleEndian.AppendUint32(head, crc32.Checksum(head, castagnoli)))
	return h
}

// block adds a block with the right checksum, whatever it announces.
func (h *hostile) block(rawBytes, packedBytes int, packed []byte) *hostile {
	var head [blockHead]byte
	binary.LittleEndian.PutUint32(head[0:], uint32(rawBytes))
	binary.LittleEndian.PutUint32(head[4:], uint32(packedBytes))
	binary.LittleEndian.PutUint32(head[8:], crc32.Checksum(packed, castagnoli))
	h.Write(head[:])
	h.Write(packed)
	return h
}

// pack packs bytes. The frame does not say how many they are if size is false.
func pack(t testing.TB, raw []byte, size bool) []byte {
	t.Helper()
	var packed bytes.Buffer
	w, err := zstd.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	if size {
		return w.EncodeAll(raw, nil)
	}
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func TestAHostileStreamAllocatesLittle(t *testing.T) {
	bomb := make([]byte, 64<<20)
	sized, unsized := pack(t, bomb, true), pack(t, bomb, false)
	few := pack(t, []byte("\x02da\x01v"), true)
	for name, data := range map[string][]byte{
		"nothing":                         nil,
		"a header":                        newHostile().Bytes(),
		"4 GiB packed":                    newHostile().block(1, 1<<32-1, nil).Bytes(),
		"4 GiB unpacked":                  newHostile().block(1<<32-1, 1, []byte("x")).Bytes(),
		"the most packed, and nothing":    newHostile().block(1, packedBytesMax, nil).Bytes(),
		"the most packed, and little":     newHostile().block(1, packedBytesMax, make([]byte, 40<<10)).Bytes(),
		"the most packed, and half":       newHostile().block(1, packedBytesMax, make([]byte, packedBytesMax/2)).Bytes(),
		"the most packed, of zeros":       newHostile().block(1, packedBytesMax, make([]byte, packedBytesMax)).Bytes(),
		"the most unpacked of few":        newHostile().block(blockBytesMax, len(few), few).Bytes(),
		"a bomb that says so":             newHostile().block(blockBytesMax, len(sized), sized).Bytes(),
		"a bomb that does not say so":     newHostile().block(blockBytesMax, len(unsized), unsized).Bytes(),
		"a bomb announced as one byte":    newHostile().block(1, len(unsized), unsized).Bytes(),
		"two frames, announced as one":    newHostile().block(5, 2*len(few), append(few[:len(few):len(few)], few...)).Bytes(),
		"a window of the largest size":    newHostile().block(100, 6, []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0xff}).Bytes(),
		"a frame of the largest size":     newHostile().block(100, 14, []byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 255, 255, 255, 255, 255, 255, 255, 255, 1}).Bytes(),
		"a skippable frame of 4 GiB":      newHostile().block(100, 9, []byte{0x50, 0x2a, 0x4d, 0x18, 255, 255, 255, 255, 1}).Bytes(),
		"a record of 2^64-1 bytes":        newHostile().block(11, len(pack(t, []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01d"), true)), pack(t, []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01d"), true)).Bytes(),
		"blocks that grow by a byte each": growing(t),
	} {
		if err := mustAllocateLittle(t, data); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// growing is a stream of many blocks of one record, each a byte larger.
func growing(t *testing.T) []byte {
	h := newHostile()
	for i := range 1000 {
		raw := appendRecord(nil, binary.BigEndian.AppendUint32([]byte{byte(Data)}, uint32(i)), make([]byte, 1000+i))
		packed := pack(t, raw, true)
		h.block(len(raw), len(packed), packed)
	}
	return h.Bytes()
}

// FuzzStream decodes arbitrary bytes. Checksums are put right first, so that
// what stands behind them is reached. Nothing may panic or allocate much.
func FuzzStream(f *testing.F) {
	golden, err := os.ReadFile("testdata/stream-v1.bin")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden, false)
	golden = bytes.Clone(golden)
	golden[8] = 1 // the group
	f.Add(golden, true)
	f.Add(newHostile().Bytes(), true)
	few := pack(f, []byte("\x02da\x01v\x02db\x00"), true)
	f.Add(newHostile().block(9, len(few), few).block(9, len(few), few).Bytes(), true)
	bomb := pack(f, make([]byte, 1<<20), false)
	f.Add(newHostile().block(1<<20, len(bomb), bomb).Bytes(), true)
	f.Fuzz(func(t *testing.T, data []byte, repair bool) {
		if repair {
			data = repaired(data)
		}
		_ = mustAllocateLittle(t, data)
	})
}

// repaired is the stream with checksums that match.
func repaired(data []byte) []byte {
	data = bytes.Clone(data)
	fix := func(part []byte) {
		binary.LittleEndian.PutUint32(part[len(part)-4:], crc32.Checksum(part[:len(part)-4], castagnoli))
	}
	if len(data) < headerBytes {
		return data
	}
	fix(data[:headerBytes])
	rest := data[headerBytes:]
	for len(rest) >= blockHead {
		packed := int64(binary.LittleEndian.Uint32(rest[4:]))
		if [blockHead]byte(rest[:blockHead]) == [blockHead]byte{} {
			if tail := rest[blockHead:]; len(tail) >= trailerBytes {
				fix(tail[:trailerBytes])
			}
			return data
		}
		if packed > int64(len(rest)-blockHead) {
			return data
		}
		binary.LittleEndian.PutUint32(rest[8:], crc32.Checksum(rest[blockHead:blockHead+packed], castagnoli))
		rest = rest[blockHead+packed:]
	}
	return data
}

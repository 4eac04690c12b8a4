package entry_test

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
)

const (
	// amplification bounds what decoding allocates for each byte of input. A
	// value of one byte takes 56 bytes in memory, a call of three 80, and Go
	// rounds up.
	amplification = 72
	// allocatedAnyhow is for errors and the runtime.
	allocatedAnyhow = 64 << 10
)

// mustAllocateLittle runs decode and checks what it allocates. Another
// goroutine may allocate meanwhile, so the least of a few runs counts.
func mustAllocateLittle(t testing.TB, input []byte, decode func()) {
	t.Helper()
	bound := uint64(amplification*len(input) + allocatedAnyhow)
	var least uint64
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		decode()
		runtime.ReadMemStats(&after)
		if least = after.TotalAlloc - before.TotalAlloc; least <= bound {
			return
		}
	}
	t.Fatalf("%d bytes of input made it allocate %d bytes, the bound is %d", len(input), least, bound)
}

func TestHostileBytesMakeDecodingAllocateLittle(t *testing.T) {
	const size = 1 << 20
	uvarint := []byte{0xff, 0xff, 0x3f} // 1,048,575
	// lists claims as many values as there may be, in each of lists that stand
	// in each other.
	lists := []byte{0, 0}
	for range 31 {
		lists = append(append(lists, byte(quorate.List)), 0xf0, 0xff, 0x3f)
	}
	header := make([]byte, 18)
	header[0], header[1] = 1, 1
	for name, input := range map[string][]byte{
		"lists in lists":     slices.Concat([]byte{1}, lists, make([]byte, size)),
		"a list of nones":    slices.Concat([]byte{1, 0, 0, byte(quorate.List)}, uvarint, make([]byte, size)),
		"replies":            slices.Concat([]byte{0x80, 0x80, 0x04}, make([]byte, 3<<16)),
		"a text that is not": slices.Concat([]byte{1, 1, 0}, uvarint, []byte("short")),
		"calls":              slices.Concat(header, []byte{0x80, 0x80, 0x04}, make([]byte, 3<<16)),
		"arguments":          slices.Concat(header, []byte{1, 0, 0}, uvarint, make([]byte, size)),
	} {
		t.Run(name, func(t *testing.T) {
			mustAllocateLittle(t, input, func() { _, _, _ = entry.Decode(input) })
			mustAllocateLittle(t, input, func() { _, _ = entry.ReadReplies(input) })
		})
	}
}

// FuzzDecode decodes arbitrary bytes as an entry. What decodes must mean the
// same when it is encoded again.
func FuzzDecode(f *testing.F) {
	for name := range golden {
		f.Add(mustReadHex(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		mustAllocateLittle(t, data, func() { _, _, _ = entry.Decode(data) })
		header, calls, err := entry.Decode(data)
		if err != nil {
			return
		}
		again := entry.Append(nil, header, calls)
		header2, calls2, err := entry.Decode(again)
		if err != nil || !header2.Time.Equal(header.Time) || header2.Seed != header.Seed || len(calls2) != len(calls) {
			t.Fatalf("%x decodes to %v %+v, which does not decode again: %v", data, header, calls, err)
		}
		for i := range calls {
			mustBeSameCall(t, calls2[i], calls[i])
		}
	})
}

// FuzzReadReplies decodes arbitrary bytes as replies. What decodes must
// encode, pass Check, and mean the same.
func FuzzReadReplies(f *testing.F) {
	f.Add(mustReadHex(f, "replies.hex"))
	f.Add([]byte{1, 0, 0, byte(quorate.List), 1, byte(quorate.Map), 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		mustAllocateLittle(t, data, func() { _, _ = entry.ReadReplies(data) })
		replies, err := entry.ReadReplies(data)
		if err != nil {
			return
		}
		again, err := entry.ReadReplies(entry.AppendReplies(nil, replies))
		if err != nil {
			t.Fatalf("%x decodes to %+v, which does not decode again: %v", data, replies, err)
		}
		mustBeSame(t, again, replies)
		for _, reply := range replies {
			if err := entry.Check(reply); err != nil {
				t.Fatalf("%x was read and is refused: %v", data, err)
			}
		}
	})
}

// increments is n calls as a counter gets them.
func increments(n int) []quorate.Call {
	calls := make([]quorate.Call, n)
	for i := range calls {
		calls[i] = quorate.Call{Name: "INC", Args: [][]byte{[]byte("counter/0123456789"), []byte("1")}}
	}
	return calls
}

var sizes = map[string]int{"1": 1, "64": 64}

func BenchmarkAppend(b *testing.B) {
	for name, n := range sizes {
		b.Run(name, func(b *testing.B) {
			calls, header := increments(n), entry.Header{Time: time.Unix(1, 0), Seed: 2}
			var data []byte
			b.ReportAllocs()
			for b.Loop() {
				data = entry.Append(data[:0], header, calls)
			}
			b.SetBytes(int64(len(data)))
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, n := range sizes {
		b.Run(name, func(b *testing.B) {
			data := entry.Append(nil, entry.Header{Time: time.Unix(1, 0), Seed: 2}, increments(n))
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := entry.Decode(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

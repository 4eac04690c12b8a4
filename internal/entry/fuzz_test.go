package entry_test

import (
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/values"
)

// mustAllocateLittle runs decode, which returns how many bytes its result
// takes in memory, and checks what it allocates: no more than twice the input
// and 64 KiB beside the result. What is refused has no result. Another
// goroutine may allocate meanwhile, so the least of a few runs counts.
func mustAllocateLittle(t testing.TB, input []byte, decode func() (held int)) {
	t.Helper()
	var least, most uint64
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		held := decode()
		runtime.ReadMemStats(&after)
		// Go rounds up what is allocated, by a quarter at most.
		most = uint64(2*len(input) + 64<<10 + held + held/4)
		if least = after.TotalAlloc - before.TotalAlloc; least <= most {
			return
		}
	}
	t.Fatalf("%d bytes of input made it allocate %d bytes, want at most %d", len(input), least, most)
}

// decodeEntry, decodeCalls and the others decode and return what the result
// takes in memory, beside the bytes that it shares with its input.
func decodeEntry(data []byte) (held int) {
	_, calls, _ := entry.Decode(data)
	return heldByCalls(calls)
}

func decodeCalls(data []byte) (held int) {
	calls, _, _ := entry.ReadCalls(data)
	return heldByCalls(calls)
}

func decodeReplies(data []byte) (held int) {
	replies, _ := entry.ReadReplies(data)
	for _, reply := range replies {
		held += int(unsafe.Sizeof(reply)) + heldByReply(reply)
	}
	return held
}

func decodeReply(data []byte) (held int) {
	reply, _ := entry.ReadReply(data)
	return heldByReply(reply)
}

func heldByCalls(calls []quorate.Call) (held int) {
	for _, c := range calls {
		held += int(unsafe.Sizeof(c)) + len(c.Args)*int(unsafe.Sizeof(c.Args))
	}
	return held
}

func heldByReply(reply quorate.Reply) (held int) {
	if e, ok := errors.AsType[*quorate.Error](reply.Err); ok {
		return int(unsafe.Sizeof(*e)) + heldByValue(e.Value)
	}
	return heldByValue(reply.Value)
}

func heldByValue(v quorate.Value) (held int) {
	for _, element := range v.List() {
		held += int(unsafe.Sizeof(element)) + heldByValue(element)
	}
	return held
}

// hostile is inputs that claim more than they hold, or hold as many things as
// their bytes allow.
func hostile() map[string][]byte {
	const size = 1 << 20
	uvarint := []byte{0xff, 0xff, 0x3f} // 1,048,575
	// lists claims as many values as there may be, in each of lists that stand
	// in each other.
	lists := []byte{0, 0}
	for range 31 {
		lists = append(append(lists, byte(values.KindList)), 0xf0, 0xff, 0x3f)
	}
	header := make([]byte, 18)
	header[0], header[1] = 1, 1
	checked := make([]byte, 34)
	checked[0], checked[1] = 2, 1
	arguments := slices.Concat(header, []byte{1, 0, 0}, uvarint, make([]byte, size-1))
	nones := slices.Concat([]byte{1, 0, 0, byte(values.KindList)}, uvarint, make([]byte, size-1))
	return map[string][]byte{
		"nothing":                    nil,
		"lists in lists":             slices.Concat([]byte{1}, lists, make([]byte, size)),
		"a list of nones":            nones,
		"a list of nones, cut":       nones[:size],
		"a list of nones and a byte": append(slices.Clone(nones), 0),
		"replies":                    slices.Concat([]byte{0x80, 0x80, 0x04}, make([]byte, 3<<16)),
		"replies, cut":               slices.Concat([]byte{0x80, 0x80, 0x04}, make([]byte, 3<<16-1)),
		"a text that is not":         slices.Concat([]byte{1, 1, 0}, uvarint, []byte("short")),
		"calls":                      slices.Concat(header, []byte{0x80, 0x80, 0x04}, make([]byte, 3<<16)),
		"calls and a byte":           slices.Concat(header, []byte{0x80, 0x80, 0x04}, make([]byte, 3<<16+1)),
		"calls with a flag at last":  slices.Concat(header, []byte{0x80, 0x80, 0x04}, make([]byte, 3<<16-3), []byte{4, 0, 0}),
		"calls behind a check":       slices.Concat(checked, []byte{0x80, 0x80, 0x04}, make([]byte, 3<<16)),
		"a check, cut":               checked[:33],
		"a check and nothing":        checked,
		"arguments":                  arguments,
		"arguments, cut":             arguments[:size],
		"a long id":                  slices.Concat(header, []byte{1, 1, 0, 255}, make([]byte, 255), []byte{0}),
		"claims of all there is":     slices.Repeat([]byte{0xff}, size),
	}
}

func TestHostileBytesMakeDecodingAllocateLittle(t *testing.T) {
	for name, input := range hostile() {
		t.Run(name, func(t *testing.T) {
			mustAllocateLittle(t, input, func() int { return decodeEntry(input) })
			mustAllocateLittle(t, input, func() int { return decodeReplies(input) })
			if len(input) >= 18 {
				mustAllocateLittle(t, input, func() int { return decodeCalls(input[18:]) })
			}
			if len(input) > 0 {
				mustAllocateLittle(t, input, func() int { return decodeReply(input[1:]) })
			}
		})
	}
}

// FuzzDecode decodes arbitrary bytes as an entry. What decodes must mean the
// same when it is encoded again.
func FuzzDecode(f *testing.F) {
	for _, name := range goldenNames() {
		f.Add(mustReadHex(f, name))
	}
	var memory entry.Calls
	f.Fuzz(func(t *testing.T, data []byte) {
		mustDecodeTheSame(t, &memory, data)
		mustAllocateLittle(t, data, func() int { return decodeEntry(data) })
		mustAllocateLittle(t, data, func() int { return decodeCalls(data) })
		header, calls, err := entry.Decode(data)
		if err != nil {
			return
		}
		again := entry.Append(nil, header, calls)
		header2, calls2, err := entry.Decode(again)
		if err != nil || !sameHeader(header2, header) || len(calls2) != len(calls) {
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
	f.Add([]byte{1, 0, 0, byte(values.KindList), 1, byte(values.KindMap), 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		mustAllocateLittle(t, data, func() int { return decodeReplies(data) })
		mustAllocateLittle(t, data, func() int { return decodeReply(data) })
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

// BenchmarkCalls goes through an entry without keeping it.
func BenchmarkCalls(b *testing.B) {
	for name, n := range sizes {
		b.Run(name, func(b *testing.B) {
			data := entry.Append(nil, entry.Header{Time: time.Unix(1, 0), Seed: 2}, increments(n))
			var calls entry.Calls
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := calls.Open(data); err != nil {
					b.Fatal(err)
				}
				for calls.Left() > 0 {
					calls.Next()
				}
			}
		})
	}
}

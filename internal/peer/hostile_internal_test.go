package peer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"
)

// mustAllocateLittle runs read, which reads input, and checks what it
// allocates in all: twice the bytes that arrive, and 64 KiB for the buffer of a
// reader, one step of a body, and an error. Another goroutine may allocate
// meanwhile, so the least of a few runs counts.
func mustAllocateLittle(t testing.TB, input []byte, read func()) {
	t.Helper()
	most := uint64(2*len(input) + 64<<10)
	var least uint64
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		read()
		runtime.ReadMemStats(&after)
		if least = after.TotalAlloc - before.TotalAlloc; least <= most {
			return
		}
	}
	t.Fatalf("%d bytes of input made it allocate %d bytes, want at most %d", len(input), least, most)
}

func TestFramesMakeTheirReaderAllocateByWhatArrived(t *testing.T) {
	type hostile struct {
		name  string
		input []byte
		want  error // of the end
	}
	var inputs []hostile
	for _, arrived := range []int{0, 1, 1000, bodyStepBytes, bodyStepBytes + 1, 2 * bodyStepBytes, 1 << 20, 3<<20 + 7} {
		inputs = append(inputs,
			hostile{fmt.Sprintf("a claim of 12 MiB and %d bytes", arrived), append(claim(logBytesMax), make([]byte, arrived)...), io.ErrUnexpectedEOF},
			hostile{fmt.Sprintf("a whole body of %d bytes", arrived), appendFrame(nil, frame{form: formCall, body: make([]byte, arrived)}), io.EOF})
	}
	small := appendFrame(nil, frame{form: formCall, body: []byte("x")})
	inputs = append(inputs,
		hostile{"a claim above the limit", claim(logBytesMax + 1), errMalformed},
		hostile{"100,000 small frames", bytes.Repeat(small, 100_000), io.EOF},
		hostile{"100,000 pings", bytes.Repeat(appendFrame(nil, frame{form: formPing}), 100_000), io.EOF},
		hostile{"the largest frame", appendFrame(nil, frame{form: formCall, body: make([]byte, logBytesMax)}), io.EOF})
	for _, c := range inputs {
		t.Run(c.name, func(t *testing.T) {
			var err error
			mustAllocateLittle(t, c.input, func() {
				r := newFrameReader(bytes.NewReader(c.input), logBytesMax)
				for err = nil; err == nil; {
					_, err = r.next(nil)
				}
			})
			if !errors.Is(err, c.want) {
				t.Errorf("it ends with %v, want %v", err, c.want)
			}
		})
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(golden(f, "frame-1.hex"))
	f.Add(golden(f, "forms-1.hex"))
	f.Add(claim(logBytesMax))
	f.Add(claim(logBytesMax + 1))
	f.Add(append(claim(logBytesMax), make([]byte, bodyStepBytes)...))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: n1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		mustAllocateLittle(t, raw, func() {
			r := newFrameReader(bytes.NewReader(raw), logBytesMax)
			for {
				if _, err := r.next(nil); err != nil {
					return
				}
			}
		})
		frames, _ := readAll(raw, logBytesMax)
		var again []byte
		for _, f := range frames {
			again = appendFrame(again, f)
		}
		if !bytes.HasPrefix(raw, again) {
			t.Fatalf("read frames are\n% x, written again\n% x", raw, again)
		}
	})
}

// FuzzFrameBody gives a frame its right checksum, which a fuzzer does not find.
func FuzzFrameBody(f *testing.F) {
	f.Add(uint64(1), uint8(7), uint8(formCall), []byte("hi"), uint16(0))
	f.Add(uint64(0), uint8(0), uint8(formAbort), make([]byte, 3*bodyStepBytes), uint16(9))
	f.Fuzz(func(t *testing.T, id uint64, kind, how uint8, body []byte, cut uint16) {
		want := frame{id: id, kind: Kind(kind), form: form(how), body: body}
		raw := appendFrame(nil, want)
		got, err := readAll(raw, max(len(body), 1))
		if err != io.EOF || len(got) != 1 || got[0].id != id || got[0].kind != want.kind || got[0].form != want.form || !bytes.Equal(got[0].body, body) {
			t.Fatalf("%+v came back as %+v, %v", want, got, err)
		}
		raw = raw[:len(raw)-int(cut)%len(raw)]
		mustAllocateLittle(t, raw, func() { _, _ = newFrameReader(bytes.NewReader(raw), logBytesMax).next(nil) })
	})
}

func FuzzHandshake(f *testing.F) {
	for _, name := range []string{"preamble-1.hex", "probe-1.hex", "acceptance-1.hex", "accepted-1.hex"} {
		f.Add(golden(f, name), true)
	}
	f.Add([]byte("GET / HTTP/1.1\r\nHost: n1\r\n\r\n"), false)
	f.Add([]byte(magic+"\x02"), false)
	f.Fuzz(func(t *testing.T, raw []byte, seal bool) {
		if seal && len(raw) > 7 && len(raw) >= preambleFixedBytes {
			// With a right checksum, which a fuzzer does not find.
			raw = bytes.Clone(raw)
			for _, fixed := range []int{acceptanceFixedBytes, preambleFixedBytes} {
				if end := fixed + int(raw[6]); end+checksumBytes <= len(raw) {
					binary.LittleEndian.PutUint32(raw[end:], checksum(raw[:end]))
				}
			}
		}
		mustAllocateLittle(t, raw, func() {
			_, _ = readPreamble(bytes.NewReader(raw))
			_, _ = readAcceptance(bytes.NewReader(raw))
		})
		sameAgain := func(what string, again []byte, err error) {
			if err != nil || !bytes.HasPrefix(raw, again) {
				t.Fatalf("%s\n% x written again\n% x, %v", what, raw, again, err)
			}
		}
		if p, err := readPreamble(bytes.NewReader(raw)); err == nil {
			again, err := p.append(nil)
			sameAgain(fmt.Sprintf("preamble %+v", p), again, err)
		}
		if a, err := readAcceptance(bytes.NewReader(raw)); err == nil && a.version == protocolVersion {
			again, err := a.append(nil)
			sameAgain(fmt.Sprintf("acceptance %+v", a), again, err)
		}
	})
}

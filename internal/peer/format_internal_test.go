package peer

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// golden is what stands in testdata, one message per file, in hex.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return raw
}

func examplePreamble() preamble {
	return preamble{
		lane:    Control,
		group:   1,
		cluster: ClusterID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
		from:    Member{ID: "0102030405060708", Addr: "n1:7000"},
	}
}

func exampleAcceptance() acceptance {
	return acceptance{
		version: protocolVersion,
		status:  WrongNode,
		cluster: examplePreamble().cluster,
		node:    "1112131415161718",
		message: "moved",
	}
}

func TestGoldenBytesOfTheWire(t *testing.T) {
	must := func(raw []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	for name, got := range map[string][]byte{
		"frame-1.hex":      appendFrame(nil, frame{id: 1, kind: 7, form: formCall, body: []byte("hi")}),
		"preamble-1.hex":   must(examplePreamble().append(nil)),
		"acceptance-1.hex": must(exampleAcceptance().append(nil)),
	} {
		if want := golden(t, name); !bytes.Equal(got, want) {
			t.Errorf("%s:\n got % x\nwant % x", name, got, want)
		}
	}
}

func TestGoldenBytesAreRead(t *testing.T) {
	f, err := newFrameReader(bytes.NewReader(golden(t, "frame-1.hex")), probeBytesMax).next(nil)
	if err != nil || f.id != 1 || f.kind != 7 || f.form != formCall || string(f.body) != "hi" {
		t.Errorf("frame %+v, %v", f, err)
	}
	p, err := readPreamble(bytes.NewReader(golden(t, "preamble-1.hex")))
	if err != nil || p != examplePreamble() {
		t.Errorf("preamble %+v, %v", p, err)
	}
	a, err := readAcceptance(bytes.NewReader(golden(t, "acceptance-1.hex")))
	if err != nil || a != exampleAcceptance() {
		t.Errorf("acceptance %+v, %v", a, err)
	}
}

func TestEveryBrokenByteOfAFrameIsNoticed(t *testing.T) {
	good := golden(t, "frame-1.hex")
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			f, err := newFrameReader(bytes.NewReader(bad), probeBytesMax).next(nil)
			if err == nil {
				t.Errorf("byte %d bit %d: read %+v", i, bit, f)
			}
		}
	}
}

func TestEveryBrokenByteOfAPreambleIsNoticed(t *testing.T) {
	good := golden(t, "preamble-1.hex")
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if p, err := readPreamble(bytes.NewReader(bad)); err == nil {
			t.Errorf("byte %d: read %+v", i, p)
		}
	}
}

func TestFramesArriveWholeThroughSmallReads(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 20_000) // 320 KB: several steps of growth
	wire := appendFrame(nil, frame{id: 1, form: formCall, body: body})
	wire = appendFrame(wire, frame{id: 2, form: formCall})
	r := newFrameReader(iotest.HalfReader(bytes.NewReader(wire)), logBytesMax)
	for id := uint64(1); id <= 2; id++ {
		f, err := r.next(nil)
		if err != nil || f.id != id {
			t.Fatalf("frame %d: id %d, %v", id, f.id, err)
		}
		if id == 1 && !bytes.Equal(f.body, body) {
			t.Fatal("the body changed on its way")
		}
	}
	if _, err := r.next(nil); err != io.EOF {
		t.Fatalf("after the last frame: %v, want io.EOF", err)
	}
}

func TestEndWithinAFrameIsNoCleanEnd(t *testing.T) {
	good := golden(t, "frame-1.hex")
	for n := 1; n < len(good); n++ {
		_, err := newFrameReader(bytes.NewReader(good[:n]), probeBytesMax).next(nil)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

// claim is a frame header that declares a body of so many bytes.
func claim(bodyBytes int) []byte {
	header := appendFrame(nil, frame{id: 1, form: formCall})
	length := uint32(frameFixedBytes + bodyBytes)
	header[0], header[1], header[2], header[3] = byte(length), byte(length>>8), byte(length>>16), byte(length>>24)
	return header
}

// noiseBytes is what errors and the runtime may allocate meanwhile.
const noiseBytes = 16 << 10

// allocated is how many bytes work allocates.
func allocated(work func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	work()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestClaimAboveTheLimitOfTheLaneAllocatesNothing(t *testing.T) {
	for _, lane := range []Lane{Log, Control, Calls, Bulk, Probe} {
		for _, length := range []int{lane.bodyBytesMax() + 1, 1<<31 - 100, -1, -frameFixedBytes} {
			r := newFrameReader(bytes.NewReader(claim(length)), lane.bodyBytesMax())
			var err error
			got := allocated(func() { _, err = r.next(nil) })
			if !errors.Is(err, errMalformed) {
				t.Errorf("%s, claim of %d: %v", lane, length, err)
			}
			if got > noiseBytes {
				t.Errorf("%s, claim of %d: %d bytes allocated", lane, length, got)
			}
		}
	}
}

func TestClaimAllocatesByWhatArrived(t *testing.T) {
	for _, arrived := range []int{0, 1, 1000, bodyStepBytes, bodyStepBytes + 1, 1 << 20, 3<<20 + 7} {
		source := append(claim(logBytesMax), make([]byte, arrived)...)
		r := newFrameReader(bytes.NewReader(source), logBytesMax)
		var err error
		got := allocated(func() { _, err = r.next(nil) })
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%d bytes arrived: %v", arrived, err)
		}
		// The last buffer holds at most 2 x arrived or one step; those that it
		// grew from add up to less than it holds.
		if most := uint64(2*max(2*arrived, bodyStepBytes) + noiseBytes); got > most {
			t.Errorf("%d bytes arrived: %d allocated, want at most %d", arrived, got, most)
		}
	}
}

func TestSpareMemoryIsUsedAgain(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 100_000)
	wire := appendFrame(nil, frame{id: 1, form: formChunk, body: body})
	wire = appendFrame(wire, frame{id: 2, form: formChunk, body: body[:50_000]})
	r := newFrameReader(bytes.NewReader(wire), chunkBytesMax)
	first, err := r.next(nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := r.next(first.body)
	if err != nil || len(second.body) != 50_000 || &second.body[0] != &first.body[0] {
		t.Fatalf("the second body has %d bytes of its own, %v", len(second.body), err)
	}
}

func TestHandshakeIsJudged(t *testing.T) {
	ours, theirs := ClusterID{1}, ClusterID{2}
	self := identity{group: 1, cluster: ours, member: Member{ID: "00000000000000aa"}}
	young := identity{group: 1, member: self.member}
	const other NodeID = "00000000000000bb"
	for _, c := range []struct {
		self identity
		said preamble
		want Reason
	}{
		{self, preamble{lane: Log, group: 1, cluster: ours}, accepted},
		{self, preamble{lane: Log, group: 1, cluster: ours, wanted: self.member.ID}, accepted},
		{self, preamble{lane: Log, group: 1, cluster: ours, wanted: other}, WrongNode},
		{self, preamble{lane: Log, group: 1, cluster: theirs}, WrongCluster},
		{self, preamble{lane: Bulk, group: 1, cluster: theirs, wanted: other}, WrongCluster},
		{self, preamble{lane: Calls, group: 1}, NoCluster},
		{young, preamble{lane: Control, group: 1, cluster: ours}, NoCluster},
		{young, preamble{lane: Control, group: 1}, NoCluster},
		{self, preamble{lane: Log, group: 2, cluster: ours}, WrongGroup},
		{self, preamble{lane: Probe, group: 2, cluster: ours}, WrongGroup},
		{self, preamble{lane: Probe, group: 1, cluster: theirs}, accepted},
		{self, preamble{lane: Probe, group: 1}, accepted},
		{young, preamble{lane: Probe, group: 1}, accepted},
		{self, preamble{lane: Probe, group: 1, wanted: other}, WrongNode},
	} {
		if got := c.self.refusal(c.said); got != c.want {
			t.Errorf("node %+v, dialler %+v: %s, want %s", c.self, c.said, got, c.want)
		}
	}
}

func TestAnswerToAHandshakeIsJudgedToo(t *testing.T) {
	ours, theirs := ClusterID{1}, ClusterID{2}
	const wanted, other NodeID = "00000000000000aa", "00000000000000bb"
	said := preamble{lane: Log, cluster: ours, wanted: wanted}
	probe := preamble{lane: Probe, cluster: ours}
	for _, c := range []struct {
		said   preamble
		answer acceptance
		want   Reason
	}{
		{said, acceptance{version: 1, cluster: ours, node: wanted}, accepted},
		{said, acceptance{version: 1, cluster: theirs, node: wanted}, WrongCluster},
		{said, acceptance{version: 1, cluster: ours, node: other}, WrongNode},
		{said, acceptance{version: 2, cluster: ours, node: wanted}, WrongVersion},
		{said, acceptance{version: 1, status: NotAccepting, cluster: ours, node: wanted}, NotAccepting},
		{probe, acceptance{version: 1, cluster: theirs, node: other}, accepted},
	} {
		if got := c.said.verdict(c.answer); got != c.want {
			t.Errorf("dialler %+v, answer %+v: %s, want %s", c.said, c.answer, got, c.want)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(golden(f, "frame-1.hex"))
	f.Add(append(golden(f, "frame-1.hex"), golden(f, "frame-1.hex")...))
	f.Add(claim(probeBytesMax))
	f.Add(claim(probeBytesMax + 1))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: n1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := newFrameReader(bytes.NewReader(raw), probeBytesMax)
		var again []byte
		for {
			got, err := r.next(nil)
			if err != nil {
				break
			}
			if cap(got.body) > 2*len(raw)+bodyStepBytes {
				t.Fatalf("%d bytes held for %d that arrived", cap(got.body), len(raw))
			}
			again = appendFrame(again, got)
		}
		if !bytes.HasPrefix(raw, again) {
			t.Fatalf("read frames are\n% x, written again\n% x", raw, again)
		}
	})
}

func FuzzPreamble(f *testing.F) {
	f.Add(golden(f, "preamble-1.hex"))
	f.Add(golden(f, "acceptance-1.hex"))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: n1\r\n\r\n"))
	f.Add([]byte(magic + "\x02"))
	f.Fuzz(func(t *testing.T, raw []byte) {
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

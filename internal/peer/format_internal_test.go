package peer

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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

// exampleProbe is the preamble of a node that has no id and no cluster, to a
// node of which it knows the id.
func exampleProbe() preamble {
	return preamble{lane: Probe, group: 1, from: Member{Addr: "n2:7000"}, wanted: "1112131415161718"}
}

func exampleAccepted() acceptance {
	return acceptance{version: protocolVersion, status: accepted, cluster: examplePreamble().cluster, node: "1112131415161718"}
}

// exampleForms is one frame of each form.
func exampleForms() []frame {
	return []frame{
		{id: 1 << 63, kind: 255, form: formCall, body: []byte("header")},
		{id: 1 << 63, form: formAnswer, body: []byte{0}},
		{id: 2, form: formFailure, body: []byte("no")},
		{form: formPing},
		{form: formPong},
		{form: formChunk, body: []byte("chunk")},
		{form: formEnd},
		{form: formAbort, body: []byte("why")},
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
	var forms []byte
	for _, f := range exampleForms() {
		forms = appendFrame(forms, f)
	}
	for name, got := range map[string][]byte{
		"frame-1.hex":      appendFrame(nil, frame{id: 1, kind: 7, form: formCall, body: []byte("hi")}),
		"forms-1.hex":      forms,
		"preamble-1.hex":   must(examplePreamble().append(nil)),
		"probe-1.hex":      must(exampleProbe().append(nil)),
		"acceptance-1.hex": must(exampleAcceptance().append(nil)),
		"accepted-1.hex":   must(exampleAccepted().append(nil)),
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
	if p, err = readPreamble(bytes.NewReader(golden(t, "probe-1.hex"))); err != nil || p != exampleProbe() {
		t.Errorf("preamble %+v, %v", p, err)
	}
	a, err := readAcceptance(bytes.NewReader(golden(t, "acceptance-1.hex")))
	if err != nil || a != exampleAcceptance() {
		t.Errorf("acceptance %+v, %v", a, err)
	}
	if a, err = readAcceptance(bytes.NewReader(golden(t, "accepted-1.hex"))); err != nil || a != exampleAccepted() {
		t.Errorf("acceptance %+v, %v", a, err)
	}
	forms, err := readAll(golden(t, "forms-1.hex"), probeBytesMax)
	if err != io.EOF || len(forms) != len(exampleForms()) {
		t.Fatalf("%d frames, %v", len(forms), err)
	}
	for i, want := range exampleForms() {
		if got := forms[i]; got.id != want.id || got.kind != want.kind || got.form != want.form || !bytes.Equal(got.body, want.body) {
			t.Errorf("frame %d is %+v, want %+v", i, got, want)
		}
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

// readAll reads frames until there is an error.
func readAll(input []byte, bodyBytesMax int) (frames []frame, err error) {
	r := newFrameReader(bytes.NewReader(input), bodyBytesMax)
	for {
		f, err := r.next(nil)
		if err != nil {
			return frames, err
		}
		frames = append(frames, f)
	}
}

func TestClaimAboveTheLimitOfTheLaneIsRefused(t *testing.T) {
	for _, lane := range []Lane{Log, Control, Calls, Bulk, Probe} {
		for _, length := range []int{lane.bodyBytesMax() + 1, 1<<31 - 100, -1, -frameFixedBytes} {
			_, err := readAll(claim(length), lane.bodyBytesMax())
			if !errors.Is(err, errMalformed) {
				t.Errorf("%s, claim of %d: %v", lane, length, err)
			}
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

func BenchmarkReadFrame(b *testing.B) {
	for _, size := range []int{128, 4 << 10, 256 << 10, logBytesMax} {
		b.Run(fmt.Sprintf("body=%d", size), func(b *testing.B) {
			wire := appendFrame(nil, frame{id: 1, form: formCall, body: make([]byte, size)})
			source := bytes.NewReader(wire)
			r := newFrameReader(source, logBytesMax)
			b.SetBytes(int64(len(wire)))
			b.ReportAllocs()
			for b.Loop() {
				source.Reset(wire)
				if _, err := r.next(nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

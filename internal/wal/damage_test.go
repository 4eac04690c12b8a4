package wal_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/quorate/quorate/internal/wal"
)

// lastSegment is the image's last segment that holds b, and where first.
func lastSegment(t *testing.T, m image, b []byte) (string, int) {
	t.Helper()
	names := m.names(".wal")
	for i := len(names) - 1; i >= 0; i-- {
		if at := bytes.Index(m[names[i]], b); at >= 0 {
			return names[i], at
		}
	}
	t.Fatalf("no segment holds %q", b)
	return "", 0
}

// unclosed is a log with the given batches, as a crash of the process leaves
// it.
func unclosed(t *testing.T, batches ...[]wal.Entry) image {
	t.Helper()
	fs := vfs.NewCrashableMem()
	l := mustOpen(t, small(fs))
	for _, b := range batches {
		mustAppend(t, l, b...)
	}
	m := pictureOf(t, fs)
	mustClose(t, l)
	return m
}

func TestTornTailIsCut(t *testing.T) {
	m := unclosed(t, entries(1, 3, 1, 100), entries(4, 6, 1, 100))
	for name, tear := range map[string]func(b []byte, at int) []byte{
		"first record lost": func(b []byte, at int) []byte { clear(b[at : at+50]); return b },
		"last record lost":  func(b []byte, at int) []byte { clear(b[at+350 : at+400]); return b },
		"header of it lost": func(b []byte, at int) []byte { clear(b[at-50 : at]); return b },
	} {
		t.Run(name, func(t *testing.T) {
			torn := m.clone()
			file, at := lastSegment(t, torn, []byte("entry 4 of"))
			torn[file] = tear(torn[file], at)
			fs := torn.fs(t)
			mustHold(t, fs, entries(1, 3, 1, 100)...)
			l := mustOpen(t, small(fs))
			mustAppend(t, l, entries(4, 5, 2, 10)...)
			mustClose(t, l)
			mustHold(t, fs, append(entries(1, 3, 1, 100), entries(4, 5, 2, 10)...)...)
		})
	}
}

func TestASegmentThatIsCutShortIsRefused(t *testing.T) {
	m := unclosed(t, entries(1, 3, 1, 100), entries(4, 6, 1, 100))
	file, at := lastSegment(t, m, []byte("entry 4 of"))
	for _, size := range []int{0, headerBytes, at - recordBytes, at + 20, len(m[file]) - 1} {
		short := m.clone()
		short[file] = short[file][:size]
		mustBeCorrupt(t, short.fs(t), file, "cut short")
	}
}

// TestTheSpareOfAnUnbornSegmentIsUsedOnce begins where a process was killed
// just before its first file got the name of a segment.
func TestTheSpareOfAnUnbornSegmentIsUsedOnce(t *testing.T) {
	fs := vfs.NewCrashableMem()
	dying := errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpRename && strings.HasSuffix(op.Path, ".spare") {
			return errorfs.ErrInjected
		}
		return nil
	}))
	if _, err := wal.Open(small(dying)); !errors.Is(err, errorfs.ErrInjected) {
		t.Fatalf("Open = %v", err)
	}
	l := mustOpen(t, small(fs))
	mustAppend(t, l, entries(1, 9, 1, 1000)...)
	mustClose(t, l)
	mustBeFullLength(t, fs)
	mustHold(t, fs, entries(1, 9, 1, 1000)...)
}

// mustBeFullLength checks that no segment is shorter than it was made.
func mustBeFullLength(t *testing.T, fs vfs.FS) {
	t.Helper()
	for name, b := range imageOf(t, fs) {
		if strings.HasSuffix(name, ".wal") && len(b) < 4<<10 {
			t.Errorf("segment %s has %d bytes", name, len(b))
		}
	}
}

// TestASpareNamedLikeASegmentIsUsedOnce begins with a file that waits to
// become a segment under the number of one that is there. When that one is
// given up, it takes the name.
func TestASpareNamedLikeASegmentIsUsedOnce(t *testing.T) {
	m := unclosed(t, entries(1, 3, 1, 100))
	for _, spare := range []string{"0000000000000000.spare", "0000000000000001.spare"} {
		m[spare] = make([]byte, len(m["0000000000000001.wal"]))
	}
	synctest.Test(t, func(t *testing.T) {
		fs := m.fs(t)
		l := mustOpen(t, small(fs))
		for i := uint64(4); i <= 40; i++ {
			mustAppend(t, l, entry(i, 1, 1000))
			must(t, l.TruncateFront(i))
			synctest.Wait() // what is given up is put aside
		}
		mustClose(t, l)
		mustBeFullLength(t, fs)
	})
}

func TestDamageBeforeALaterBatchIsRefused(t *testing.T) {
	m := unclosed(t, entries(1, 3, 1, 100), entries(4, 6, 1, 100))
	file, at := lastSegment(t, m, []byte("entry 2 of"))
	m[file][at]++
	mustBeCorrupt(t, m.fs(t), file, "batch 2 does not check")
}

func TestDamageBeforeALaterSegmentIsRefused(t *testing.T) {
	m := unclosed(t, entries(1, 3, 1, 1000), entries(4, 6, 1, 1000))
	file, at := lastSegment(t, m, []byte("entry 3 of"))
	clear(m[file][at-recordBytes:])
	mustBeCorrupt(t, m.fs(t), file)
}

func TestDamageAfterACleanCloseIsRefused(t *testing.T) {
	fs := unclosed(t, entries(1, 3, 1, 100)).fs(t)
	mustClose(t, mustOpen(t, small(fs)))
	m := imageOf(t, fs)
	file, at := lastSegment(t, m, []byte("entry 3 of"))
	clear(m[file][at : at+10])
	mustBeCorrupt(t, m.fs(t), file)
}

// TestRemainsOfATornBatchStayDead tears the first record off a batch, appends
// one of the same size in its place, and crashes: the second record of the
// torn batch now stands, whole, just where the next one would.
func TestRemainsOfATornBatchStayDead(t *testing.T) {
	m := unclosed(t, entries(1, 3, 1, 100), entries(4, 6, 1, 100))
	file, at := lastSegment(t, m, []byte("entry 4 of"))
	clear(m[file][at : at+100])
	fs := m.fs(t)
	l := mustOpen(t, small(fs))
	// The open record takes 56 bytes of the 160 of the torn entry: 48 are left
	// for a payload.
	mustAppend(t, l, entry(4, 2, 47))
	crashed := pictureOf(t, fs)
	mustClose(t, l)
	name, at := lastSegment(t, crashed, []byte("entry 4 of term 2"))
	if !bytes.HasPrefix(crashed[name][at+48+recordBytes:], []byte("entry 5 of term 1")) {
		t.Fatal("the remains are not where this test wants them")
	}
	// The mark covers their first bytes; an older program writes none.
	_, was := lastSegment(t, m, []byte("entry 5 of term 1"))
	copy(crashed[name][at+48:], m[name][was-recordBytes:][:markBytes])
	want := append(entries(1, 3, 1, 100), entry(4, 2, 47))
	mustHold(t, crashed.fs(t), want...)
	mustHold(t, fs, want...)
}

func TestATruncatedTailStaysCutAfterAKill(t *testing.T) {
	fs := vfs.NewCrashableMem()
	l := mustOpen(t, small(fs))
	mustAppend(t, l, entries(1, 9, 1, 100)...)
	must(t, l.TruncateBack(5))
	killed := pictureOf(t, fs)
	mustAppend(t, l, entries(6, 7, 2, 100)...)
	later := pictureOf(t, fs)
	mustClose(t, l)
	mustHold(t, killed.fs(t), entries(1, 5, 1, 100)...)
	mustHold(t, later.fs(t), append(entries(1, 5, 1, 100), entries(6, 7, 2, 100)...)...)
}

func TestMissingFilesAreNoticed(t *testing.T) {
	m := unclosed(t, entries(1, 3, 1, 1000), entries(4, 6, 1, 1000), entries(7, 9, 1, 1000))
	segments := m.names(".wal")
	if len(segments) < 3 {
		t.Fatalf("too few segments: %v", segments)
	}
	newest, _ := lastSegment(t, m, []byte("entry 9 of"))
	for _, gone := range append(segments[:2:2], newest, "vote") {
		rest := m.clone()
		delete(rest, gone)
		mustBeCorrupt(t, rest.fs(t))
	}
	mustBeCorrupt(t, image{"vote": m["vote"]}.fs(t))

	// One segment may stand ready behind the end, but not two.
	for _, blank := range segments[len(segments)-2:] {
		clear(m[blank][headerBytes:])
	}
	mustBeCorrupt(t, m.fs(t), segments[len(segments)-3], "two more segments")
}

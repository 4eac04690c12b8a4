package wal_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// openSaying opens the log, closes it, and returns what it said.
func openSaying(t *testing.T, fs vfs.FS) string {
	t.Helper()
	var said bytes.Buffer
	o := small(fs)
	o.Log = slog.New(slog.NewTextHandler(&said, nil))
	mustClose(t, mustOpen(t, o))
	return said.String()
}

func TestACutTailIsReported(t *testing.T) {
	m := unclosed(t, entries(1, 3, 1, 100), entries(4, 6, 1, 100))
	file, at := lastSegment(t, m, []byte("entry 4 of"))
	for name, tear := range map[string]func(b []byte){
		"a bit of the first header":   func(b []byte) { b[at-recordBytes+33] ^= 4 },
		"a bit of the first payload":  func(b []byte) { b[at+9] ^= 4 },
		"a bit of the last payload":   func(b []byte) { b[at+2*(100+1+recordBytes+3)] ^= 4 },
		"the first bytes of it":       func(b []byte) { clear(b[at-recordBytes : at-recordBytes+8]) },
		"all of it but the last page": func(b []byte) { clear(b[at-recordBytes : at+200]) },
	} {
		torn := m.clone()
		tear(torn[file])
		said := openSaying(t, torn.fs(t))
		for _, word := range []string{"level=WARN", "file=data/wal/" + file, "offset=", "bytes=", "last=3"} {
			if !strings.Contains(said, word) {
				t.Errorf("%s: %q does not say %q", name, said, word)
			}
		}
	}
	// The only record of a batch, and not a byte of its header is left.
	m = unclosed(t, entries(1, 3, 1, 100), entries(4, 4, 1, 100))
	_, at = lastSegment(t, m, []byte("entry 4 of"))
	for i := range m[file][at-recordBytes : at] {
		m[file][at-recordBytes+i] ^= 0x5a
	}
	if said := openSaying(t, m.fs(t)); !strings.Contains(said, "bytes=56 last=3") {
		t.Errorf("it says %q", said)
	}
}

func TestAWholeTailIsNotReported(t *testing.T) {
	m := unclosed(t, entries(1, 3, 1, 100), entries(4, 6, 1, 100))
	if said := openSaying(t, m.fs(t)); said != "" {
		t.Errorf("after a kill: %q", said)
	}
	fs := m.fs(t)
	mustClose(t, mustOpen(t, small(fs)))
	if said := openSaying(t, fs); said != "" {
		t.Errorf("after a clean close: %q", said)
	}
	if said := openSaying(t, mustLoad(t, goldenUnsized).fs(t)); said != "" {
		t.Errorf("a log of an older program: %q", said)
	}
	// Segments of a second use, with bytes of the first behind every end.
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewCrashableMem()
		l := mustOpen(t, small(fs))
		for i := uint64(1); i <= 60; i++ {
			mustAppend(t, l, entry(i, 1, 100+int(i*37%700)))
			must(t, l.TruncateFront(i))
			synctest.Wait()
			if said := openSaying(t, pictureOf(t, fs).fs(t)); said != "" {
				t.Fatalf("after entry %d: %q", i, said)
			}
		}
		mustClose(t, l)
	})
}

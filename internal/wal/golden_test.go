package wal_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate/internal/wal"
)

var rewrite = flag.Bool("rewrite", false, "write the newest golden files anew")

// The golden logs. The first one is of a program that put no size into its
// segments, and no stop marks.
const (
	goldenUnsized = "testdata/v1"
	goldenSized   = "testdata/v1-sized"
)

// goldenWant is what every golden log holds.
func goldenWant() state {
	return state{
		entries: append(entries(3, 4, 1, 60), wal.Entry{Index: 5, Term: 2, Kind: 3, Data: []byte("five"), Time: -1}),
		vote:    wal.Vote{Term: 2, VotedTerm: 2, Candidate: []byte("node-1")},
	}
}

// mustLoad is a golden log as an image.
func mustLoad(t *testing.T, golden string) image {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(golden, "*"))
	must(t, err)
	m := image{}
	for _, file := range files {
		m[filepath.Base(file)], err = os.ReadFile(file)
		must(t, err)
	}
	return m
}

func TestLogsOfEveryFormatAreReadAndGoOn(t *testing.T) {
	if *rewrite {
		writeGolden(t, goldenSized)
	}
	for _, golden := range []string{goldenUnsized, goldenSized} {
		fs := mustLoad(t, golden).fs(t)
		want := goldenWant()
		mustHold(t, fs, want.entries...)
		l := mustOpen(t, small(fs))
		if got := l.Vote(); !sameVote(got, want.vote) {
			t.Errorf("%s: vote %v", golden, got)
		}
		more := entries(6, 30, 3, 500)
		mustAppend(t, l, more...)
		mustClose(t, l)
		mustHold(t, fs, append(want.entries, more...)...)
	}
}

// TestASegmentThatNamesNoSizeMayBeShort opens logs as older programs left
// them, which could be short after a crash.
func TestASegmentThatNamesNoSizeMayBeShort(t *testing.T) {
	m := mustLoad(t, goldenUnsized)
	file := m.names(".wal")[0]
	_, at := lastSegment(t, m, []byte("five"))
	m[file] = m[file][:at+8+recordBytes] // the last record is the end of the session
	mustHold(t, m.fs(t), goldenWant().entries...)
}

// writeGolden makes a log with all five types of record, in two segments.
func writeGolden(t *testing.T, target string) {
	t.Helper()
	fs := vfs.NewMem()
	l := mustOpen(t, small(fs))
	want := goldenWant()
	mustAppend(t, l, entries(1, 4, 1, 60)...)
	mustAppend(t, l, entries(5, 9, 1, 700)...)
	must(t, l.TruncateBack(4))
	must(t, l.TruncateFront(3))
	must(t, l.SaveVote(want.vote))
	mustAppend(t, l, want.entries[2])
	mustClose(t, l)
	must(t, os.MkdirAll(target, 0o755))
	for name, b := range imageOf(t, fs) {
		must(t, os.WriteFile(filepath.Join(target, name), b, 0o644))
	}
}

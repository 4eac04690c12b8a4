package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate/internal/wal"
)

const dir = "data/wal"

// small are options under which a few entries fill a segment, and all but the
// newest are read from disk.
func small(fs vfs.FS) wal.Options {
	return wal.Options{FS: fs, Dir: dir, Group: 1, SegmentBytes: 4 << 10, CacheBytes: 1 << 10}
}

func mustOpen(t testing.TB, o wal.Options) *wal.Log {
	t.Helper()
	l, err := wal.Open(o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return l
}

func mustClose(t testing.TB, l *wal.Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

func mustAppend(t testing.TB, l *wal.Log, entries ...wal.Entry) {
	t.Helper()
	if err := l.Append(entries); err != nil {
		t.Fatalf("Append: %v", err)
	}
}

// entry makes an entry whose bytes say which one it is.
func entry(index, term uint64, size int) wal.Entry {
	data := bytes.Repeat(fmt.Appendf(nil, "entry %d of term %d. ", index, term), size/16+1)[:size]
	return wal.Entry{Index: index, Term: term, Kind: uint8(index % 5), Data: data, Time: int64(1000 * index), Extensions: []byte("x")}
}

// entries makes the entries first..last.
func entries(first, last, term uint64, size int) []wal.Entry {
	var all []wal.Entry
	for i := first; i <= last; i++ {
		all = append(all, entry(i, term, size))
	}
	return all
}

// state is what a log holds, as a plain value: the model.
type state struct {
	entries []wal.Entry
	vote    wal.Vote
}

func (s state) last() uint64 {
	if len(s.entries) == 0 {
		return 0
	}
	return s.entries[len(s.entries)-1].Index
}

func sameEntry(a, b wal.Entry) bool {
	return a.Index == b.Index && a.Term == b.Term && a.Kind == b.Kind && a.Time == b.Time &&
		bytes.Equal(a.Data, b.Data) && bytes.Equal(a.Extensions, b.Extensions)
}

func sameVote(a, b wal.Vote) bool {
	return a.Term == b.Term && a.VotedTerm == b.VotedTerm && bytes.Equal(a.Candidate, b.Candidate)
}

// difference says how s and o differ; it is empty when they do not.
func (s state) difference(o state) string {
	if !sameVote(s.vote, o.vote) {
		return fmt.Sprintf("vote %v against %v", s.vote, o.vote)
	}
	if len(s.entries) != len(o.entries) {
		return fmt.Sprintf("entries %s against %s", s.span(), o.span())
	}
	for i := range s.entries {
		if !sameEntry(s.entries[i], o.entries[i]) {
			return fmt.Sprintf("entry %d of term %d against %d of term %d",
				s.entries[i].Index, s.entries[i].Term, o.entries[i].Index, o.entries[i].Term)
		}
	}
	return ""
}

func (s state) span() string {
	if len(s.entries) == 0 {
		return "none"
	}
	return fmt.Sprintf("%d..%d", s.entries[0].Index, s.last())
}

// read reads the whole of a log and checks that its edges are where it says.
func read(l *wal.Log) (state, error) {
	s := state{vote: l.Vote()}
	first, last := l.FirstIndex(), l.LastIndex()
	for i := first; first != 0 && i <= last; i++ {
		e, err := l.Entry(i)
		if err != nil {
			return s, fmt.Errorf("entry %d of %d..%d: %w", i, first, last, err)
		}
		s.entries = append(s.entries, e)
	}
	for _, i := range []uint64{0, first - 1, last + 1, last + 1000} {
		if _, err := l.Entry(i); !errors.Is(err, wal.ErrNotFound) && (first == 0 || i < first || i > last) {
			return s, fmt.Errorf("entry %d outside %d..%d: %v", i, first, last, err)
		}
	}
	if (l.Bytes() > 0) != (first > 0) {
		return s, fmt.Errorf("Bytes() = %d with entries %d..%d", l.Bytes(), first, last)
	}
	return s, nil
}

func mustRead(t testing.TB, l *wal.Log) state {
	t.Helper()
	s, err := read(l)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// step is one call on a log: how to make it, and what the log may hold after
// it, also when a crash cut it short. The last outcome is that of success.
type step struct {
	name     string
	call     func(*wal.Log) error
	outcomes []state
}

// randomStep makes a step that is legal in s. No two steps make equal entries,
// so that one which comes back from the dead is noticed.
func randomStep(rng *rand.Rand, s state) step {
	term := s.vote.Term + rng.Uint64N(3)
	switch n := rng.IntN(20); {
	case n < 11:
		return appendStep(rng, s, s.last()+1)
	case n < 12:
		return appendStep(rng, s, s.last()+1+rng.Uint64N(30))
	case n < 14 && len(s.entries) > 0:
		last := s.last() - min(s.last(), rng.Uint64N(8))
		if rng.IntN(8) == 0 {
			last = rng.Uint64N(s.last() + 1)
		}
		return backStep(s, last)
	case n < 16 && len(s.entries) > 0:
		return frontStep(s, s.entries[0].Index+rng.Uint64N(uint64(len(s.entries))+1))
	}
	vote := wal.Vote{Term: term, VotedTerm: s.vote.VotedTerm, Candidate: s.vote.Candidate}
	if term > s.vote.VotedTerm && rng.IntN(2) == 0 {
		vote.VotedTerm, vote.Candidate = term, randomBytes(rng, rng.IntN(257))
	}
	return voteStep(s, vote)
}

// backStep drops every entry behind last.
func backStep(s state, last uint64) step {
	after := slices.DeleteFunc(slices.Clone(s.entries), func(e wal.Entry) bool { return e.Index > last })
	return step{
		name:     fmt.Sprintf("truncate back to %d", last),
		call:     func(l *wal.Log) error { return l.TruncateBack(last) },
		outcomes: []state{s, {after, s.vote}},
	}
}

// frontStep drops every entry before first.
func frontStep(s state, first uint64) step {
	after := slices.DeleteFunc(slices.Clone(s.entries), func(e wal.Entry) bool { return e.Index < first })
	return step{
		name:     fmt.Sprintf("truncate front to %d", first),
		call:     func(l *wal.Log) error { return l.TruncateFront(first) },
		outcomes: []state{s, {after, s.vote}},
	}
}

// voteStep saves a vote.
func voteStep(s state, vote wal.Vote) step {
	return step{
		name:     fmt.Sprintf("vote %d", vote.Term),
		call:     func(l *wal.Log) error { return l.SaveVote(vote) },
		outcomes: []state{s, {s.entries, vote}},
	}
}

// appendStep appends a few entries of random size from first on.
func appendStep(rng *rand.Rand, s state, first uint64) step {
	size := []int{0, 40, 300, 1500, 9000}[min(rng.IntN(8), rng.IntN(8), 4)]
	var added []wal.Entry
	for i := range 1 + rng.Uint64N(6) {
		added = append(added, wal.Entry{
			Index: first + i, Term: s.vote.Term, Kind: uint8(rng.Uint32()), Time: rng.Int64(),
			Data: randomBytes(rng, rng.IntN(size+1)), Extensions: randomBytes(rng, rng.IntN(20)),
		})
	}
	return appendOf(s, added)
}

// appendOf appends entries, half of the time with Begin. A crash may leave any
// number of them.
func appendOf(s state, added []wal.Entry) step {
	first, kept := added[0].Index, s.entries
	if first != s.last()+1 {
		kept = nil
	}
	outcomes := []state{s}
	for n := range added {
		outcomes = append(outcomes, state{slices.Concat(kept, added[:n+1]), s.vote})
	}
	return step{
		name: fmt.Sprintf("append %d..%d", first, first+uint64(len(added))-1),
		call: func(l *wal.Log) error {
			if added[0].Time%2 == 0 {
				return l.Append(added)
			}
			if err := l.Begin(added); err != nil {
				return err
			}
			return l.WaitDurable(added[len(added)-1].Index)
		},
		outcomes: outcomes,
	}
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// among returns the outcome that got is, or fails.
func among(t testing.TB, got state, outcomes []state, what string) state {
	t.Helper()
	var why []string
	for _, o := range outcomes {
		d := got.difference(o)
		if d == "" {
			return o
		}
		why = append(why, d)
	}
	t.Fatalf("%s: the log holds none of what it may:\n%q", what, why)
	return state{}
}

// image is a directory as plain bytes.
type image map[string][]byte

func imageOf(t testing.TB, fs vfs.FS) image {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := image{}
	for _, name := range names {
		f, err := fs.Open(fs.PathJoin(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if files[name], err = io.ReadAll(f); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// pictureOf is the directory of a log that is open. Names that come and go in
// the background would escape a plain listing.
func pictureOf(t testing.TB, mem *vfs.MemFS) image {
	t.Helper()
	return imageOf(t, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(0, 0))}))
}

// fs is a new file system that holds the image.
func (m image) fs(t testing.TB) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewCrashableMem()
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, b := range m {
		f, err := fs.Create(fs.PathJoin(dir, name), vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(bytes.Clone(b)); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return fs
}

// names are the files with the suffix, in order.
func (m image) names(suffix string) []string {
	var names []string
	for name := range m {
		if bytes.HasSuffix([]byte(name), []byte(suffix)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// clone copies the image.
func (m image) clone() image {
	c := image{}
	for name, b := range m {
		c[name] = bytes.Clone(b)
	}
	return c
}

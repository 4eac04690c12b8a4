package wal_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/quorate/quorate/internal/wal"
)

// headerBytes is the size of a segment header, recordBytes that of a record
// without payload, markBytes that of a mark: the figures of the drawing in
// format.go.
const (
	headerBytes = 48
	recordBytes = 56
	markBytes   = 8
)

// mustHold opens the log, checks what it holds, and closes it.
func mustHold(t *testing.T, fs vfs.FS, want ...wal.Entry) {
	t.Helper()
	l := mustOpen(t, small(fs))
	defer mustClose(t, l)
	if d := mustRead(t, l).difference(state{want, l.Vote()}); d != "" {
		t.Fatalf("got and want: %s", d)
	}
}

// mustBeCorrupt checks that Open refuses, and says where.
func mustBeCorrupt(t *testing.T, fs vfs.FS, words ...string) {
	t.Helper()
	_, err := wal.Open(small(fs))
	if !errors.Is(err, wal.ErrCorrupt) {
		t.Fatalf("Open = %v, want ErrCorrupt", err)
	}
	for _, word := range append(words, "join again") {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}

func TestEmptyLogHasNoIndexes(t *testing.T) {
	l := mustOpen(t, small(vfs.NewMem()))
	defer mustClose(t, l)
	if first, last, bytes := l.FirstIndex(), l.LastIndex(), l.Bytes(); first != 0 || last != 0 || bytes != 0 {
		t.Fatalf("first %d, last %d, %d bytes", first, last, bytes)
	}
	must(t, l.TruncateFront(1))
	must(t, l.TruncateBack(0))
	must(t, l.Append(nil))
}

func TestAppendRefusesWhatIsNotTheNextEntry(t *testing.T) {
	l := mustOpen(t, small(vfs.NewMem()))
	defer mustClose(t, l)
	mustAppend(t, l, entries(5, 9, 1, 10)...)
	for name, bad := range map[string][]wal.Entry{
		"an entry that is there": entries(9, 10, 1, 10),
		"an older entry":         entries(3, 3, 1, 10),
		"a gap inside":           {entry(10, 1, 1), entry(12, 1, 1)},
		"index zero":             {{}},
		"a huge entry":           {{Index: 10, Data: make([]byte, 64<<20), Extensions: []byte("x")}},
	} {
		if err := l.Append(bad); err == nil {
			t.Errorf("%s was appended", name)
		}
	}
	if err := l.TruncateFront(11); err == nil {
		t.Error("front truncated behind the end")
	}
	if err := l.Err(); err != nil {
		t.Fatalf("errors of the caller stopped the log: %v", err)
	}
	mustAppend(t, l, entry(10, 1, 10))
}

func TestGapDropsAllOlderEntries(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, small(fs))
	mustAppend(t, l, entries(1, 30, 1, 500)...)
	mustAppend(t, l, entries(100, 101, 2, 10)...)
	if first, last := l.FirstIndex(), l.LastIndex(); first != 100 || last != 101 {
		t.Fatalf("log holds %d..%d", first, last)
	}
	mustClose(t, l)
	mustHold(t, fs, entries(100, 101, 2, 10)...)
}

func TestFrontAtTheEndEmptiesTheLog(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, small(fs))
	mustAppend(t, l, entries(1, 30, 1, 500)...)
	must(t, l.TruncateFront(31))
	if first, last, bytes := l.FirstIndex(), l.LastIndex(), l.Bytes(); first != 0 || last != 0 || bytes != 0 {
		t.Fatalf("first %d, last %d, %d bytes", first, last, bytes)
	}
	mustClose(t, l)
	mustHold(t, fs)
}

func TestRecordLargerThanASegmentTravels(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, small(fs))
	want := []wal.Entry{entry(1, 1, 10), entry(2, 1, 50_000), entry(3, 1, 10), entry(4, 1, 9_000)}
	mustAppend(t, l, want[:3]...)
	mustAppend(t, l, want[3])
	if d := mustRead(t, l).difference(state{entries: want}); d != "" {
		t.Fatal(d)
	}
	must(t, l.TruncateFront(4))
	mustClose(t, l)
	mustHold(t, fs, want[3])
	for name, b := range imageOf(t, fs) {
		if strings.HasSuffix(name, ".spare") && len(b) != 4<<10 {
			t.Errorf("spare %s has %d bytes", name, len(b))
		}
	}
}

func TestLogOfAnotherGroupIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	mustClose(t, mustOpen(t, small(fs)))
	o := small(fs)
	o.Group = 2
	if _, err := wal.Open(o); err == nil || !strings.Contains(err.Error(), "group 1, not 2") {
		t.Fatalf("Open = %v", err)
	}
	// The segments say it too, should someone copy a vote file.
	other := vfs.NewMem()
	mustClose(t, mustOpen(t, wal.Options{FS: other, Dir: dir, Group: 2, SegmentBytes: 4 << 10}))
	mixed := imageOf(t, fs)
	mixed["vote"] = imageOf(t, other)["vote"]
	if _, err := wal.Open(wal.Options{FS: mixed.fs(t), Dir: dir, Group: 2}); err == nil || !strings.Contains(err.Error(), "group 1, not 2") {
		t.Fatalf("Open = %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []wal.Options{
		{}, {FS: vfs.NewMem()}, {Dir: dir},
		{FS: vfs.NewMem(), Dir: dir, SegmentBytes: 100},
		{FS: vfs.NewMem(), Dir: dir, SegmentBytes: 1 << 40},
		{FS: vfs.NewMem(), Dir: dir, CacheBytes: -1},
	} {
		if _, err := wal.Open(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

func TestVoteSurvivesTheLossOfEitherCopy(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, small(fs))
	want := wal.Vote{Term: 7, VotedTerm: 6, Candidate: []byte("n3")}
	must(t, l.SaveVote(wal.Vote{Term: 6, VotedTerm: 6, Candidate: []byte("n3")}))
	must(t, l.SaveVote(want))
	mustClose(t, l)
	for _, copy := range []int{0, 4096} {
		m := imageOf(t, fs)
		clear(m["vote"][copy : copy+512])
		repaired := m.fs(t)
		l := mustOpen(t, small(repaired))
		if got := l.Vote(); !sameVote(got, want) {
			t.Errorf("copy at %d lost: vote %v", copy, got)
		}
		mustClose(t, l)
		if !bytes.Equal(imageOf(t, repaired)["vote"], imageOf(t, fs)["vote"]) {
			t.Errorf("copy at %d was not repaired", copy)
		}
	}
	m := imageOf(t, fs)
	m["vote"][100]++
	m["vote"][5000]++
	mustBeCorrupt(t, m.fs(t), "both copies")
}

func TestVoteNeverGoesBack(t *testing.T) {
	l := mustOpen(t, small(vfs.NewMem()))
	defer mustClose(t, l)
	now := wal.Vote{Term: 5, VotedTerm: 4, Candidate: []byte("n1")}
	must(t, l.SaveVote(now))
	for name, bad := range map[string]wal.Vote{
		"an older term":        {Term: 4, VotedTerm: 4, Candidate: []byte("n1")},
		"an older voted term":  {Term: 5, VotedTerm: 3, Candidate: []byte("n1")},
		"a second candidate":   {Term: 5, VotedTerm: 4, Candidate: []byte("n2")},
		"a candidate too long": {Term: 5, VotedTerm: 5, Candidate: make([]byte, 257)},
	} {
		if err := l.SaveVote(bad); err == nil {
			t.Errorf("%s was saved", name)
		}
	}
	if got := l.Vote(); !sameVote(got, now) {
		t.Errorf("vote %v", got)
	}
}

// counter counts the I/Os of each kind.
type counter struct {
	counts [errorfs.OpFileFlush + 1]atomic.Int64
	pause  time.Duration
}

func (c *counter) String() string { return "counter" }

func (c *counter) MaybeError(op errorfs.Op) error {
	c.counts[op.Kind].Add(1)
	if c.pause > 0 {
		time.Sleep(c.pause)
	}
	return nil
}

func TestAppendIsOneWriteAndOneSync(t *testing.T) {
	c := &counter{}
	o := small(errorfs.Wrap(vfs.NewMem(), c))
	o.SegmentBytes = 1 << 20
	l := mustOpen(t, o)
	defer mustClose(t, l)
	writes, syncs := c.counts[errorfs.OpFileWriteAt].Load(), c.counts[errorfs.OpFileSyncData].Load()
	mustAppend(t, l, entries(1, 16, 1, 4096)...)
	must(t, l.SaveVote(wal.Vote{}))
	if n := c.counts[errorfs.OpFileWriteAt].Load() - writes; n != 1 {
		t.Errorf("%d writes", n)
	}
	if n := c.counts[errorfs.OpFileSyncData].Load() - syncs; n != 1 {
		t.Errorf("%d syncs", n)
	}
}

func TestFreedSegmentsAreUsedAgain(t *testing.T) {
	c := &counter{}
	mem := vfs.NewMem()
	mem.UseWindowsSemantics(true)
	l := mustOpen(t, small(errorfs.Wrap(mem, c)))
	for i := uint64(1); i <= 600; i++ {
		mustAppend(t, l, entry(i, 1, 1000))
		if i > 3 {
			must(t, l.TruncateFront(i-2))
		}
	}
	mustClose(t, l)
	salts := map[string]bool{}
	closed := imageOf(t, mem)
	for _, name := range closed.names(".wal") {
		salts[string(closed[name][32:40])] = true
	}
	if len(salts) != len(closed.names(".wal")) {
		t.Errorf("%d salts in %v", len(salts), closed.names(".wal"))
	}
	// 600 entries fill some 230 segments.
	if n := c.counts[errorfs.OpCreate].Load(); n > 40 {
		t.Errorf("%d files were created", n)
	}
	// Close may leave what the goroutine had not come to; Open finds it.
	l = mustOpen(t, small(mem))
	mustAppend(t, l, entry(601, 1, 1))
	must(t, l.TruncateFront(601))
	mustClose(t, l)
	if names := imageOf(t, mem).names(""); len(names) > 12 {
		t.Errorf("files pile up: %v", names)
	}
}

func TestCallsAfterCloseAreRefused(t *testing.T) {
	l := mustOpen(t, small(vfs.NewMem()))
	mustAppend(t, l, entry(1, 1, 1))
	mustClose(t, l)
	mustClose(t, l)
	_, err := l.Entry(1)
	for _, err := range []error{err, l.Append(entries(2, 2, 1, 1)), l.SaveVote(wal.Vote{Term: 9}), l.TruncateBack(0), l.TruncateFront(2)} {
		if !errors.Is(err, wal.ErrClosed) {
			t.Errorf("%v is not ErrClosed", err)
		}
	}
}

func TestDamageFoundByAReadStopsTheLog(t *testing.T) {
	mem := vfs.NewCrashableMem()
	l := mustOpen(t, small(mem))
	mustAppend(t, l, entries(1, 9, 1, 1000)...)
	m := pictureOf(t, mem)
	file, at := lastSegment(t, m, []byte("entry 1 of"))
	f, err := mem.OpenReadWrite(mem.PathJoin(dir, file), vfs.WriteCategoryUnspecified)
	must(t, err)
	_, err = f.WriteAt([]byte{'!'}, int64(at+40))
	must(t, err)
	must(t, f.Close())

	if _, err := l.Entry(1); !errors.Is(err, wal.ErrCorrupt) {
		t.Fatalf("Entry = %v", err)
	}
	<-l.Failed()
	if err := l.Append(entries(10, 10, 1, 1)); !errors.Is(err, wal.ErrCorrupt) {
		t.Fatalf("Append = %v", err)
	}
	if e, err := l.Entry(9); err != nil || e.Index != 9 {
		t.Fatalf("a healthy entry is not read any more: %v", err)
	}
	if err := l.Close(); !errors.Is(err, wal.ErrCorrupt) {
		t.Fatalf("Close = %v", err)
	}
}

// TestReadersSeeWholeEntriesWhileTheLogIsCut lets readers ask for anything
// while entries come and go at both ends and files are used again.
func TestReadersSeeWholeEntriesWhileTheLogIsCut(t *testing.T) {
	mem := vfs.NewMem()
	mem.UseWindowsSemantics(true)
	l := mustOpen(t, small(mem))
	var done atomic.Bool
	var readers, cutter sync.WaitGroup
	for reader := range uint64(3) {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(1, reader))
			for !done.Load() {
				first, last := l.FirstIndex(), l.LastIndex()
				i := first + rng.Uint64N(max(last, first)-first+2)
				e, err := l.Entry(i)
				if errors.Is(err, wal.ErrNotFound) {
					continue
				}
				if err != nil || !sameEntry(e, entry(i, e.Term, len(e.Data))) {
					t.Errorf("entry %d of %d..%d: %v", i, first, last, err)
					return
				}
			}
		})
	}
	cutter.Go(func() {
		for !done.Load() {
			if last := l.LastIndex(); last > 40 {
				// The log may have been cut since.
				if err := l.TruncateFront(last - 30); err != nil && l.Err() != nil {
					t.Error(err)
				}
			}
		}
	})
	rng := rand.New(rand.NewPCG(2, 2))
	for term := range uint64(600) {
		last := l.LastIndex()
		mustAppend(t, l, entries(last+1, last+1+rng.Uint64N(8), term+1, rng.IntN(900))...)
		if term%5 == 4 {
			must(t, l.TruncateBack(l.LastIndex()-min(3, l.LastIndex()-l.FirstIndex())))
		}
	}
	done.Store(true)
	cutter.Wait()
	readers.Wait()
	mustClose(t, l)
	must(t, l.Err())
}

// TestNoLockIsHeldAcrossIO runs the log in a bubble on a disk that takes a
// virtual millisecond for everything. A goroutine that waits for a mutex would
// stop the clock there, and the test would not end.
func TestNoLockIsHeldAcrossIO(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustOpen(t, small(errorfs.Wrap(vfs.NewMem(), &counter{pause: time.Millisecond})))
		var all sync.WaitGroup
		all.Go(func() {
			for i := range uint64(200) {
				mustAppend(t, l, entry(i+1, 1, 500))
				if i%20 == 19 {
					must(t, l.TruncateFront(i-10))
				}
			}
		})
		all.Go(func() {
			for term := range uint64(50) {
				must(t, l.SaveVote(wal.Vote{Term: term}))
			}
		})
		for range 2 {
			all.Go(func() {
				for range 200 {
					if _, err := l.Entry(l.FirstIndex()); err != nil && !errors.Is(err, wal.ErrNotFound) {
						t.Error(err)
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		began := time.Now()
		all.Wait()
		if took := time.Since(began); took < 400*time.Millisecond {
			t.Errorf("200 appends of two I/Os of 1 ms took %v", took)
		}
		mustClose(t, l)
	})
}

func TestLogOnTheRealDisk(t *testing.T) {
	o := wal.Options{FS: vfs.Default, Dir: filepath.Join(t.TempDir(), "a", "b"), SegmentBytes: 64 << 10, CacheBytes: 1}
	l := mustOpen(t, o)
	mustAppend(t, l, entries(1, 300, 1, 1000)...)
	must(t, l.TruncateFront(200))
	must(t, l.TruncateBack(290))
	mustAppend(t, l, entries(291, 400, 2, 1000)...)
	must(t, l.SaveVote(wal.Vote{Term: 2}))
	mustClose(t, l)
	l = mustOpen(t, o)
	defer mustClose(t, l)
	want := state{append(entries(200, 290, 1, 1000), entries(291, 400, 2, 1000)...), wal.Vote{Term: 2}}
	if d := mustRead(t, l).difference(want); d != "" {
		t.Fatal(d)
	}
}

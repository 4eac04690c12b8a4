package consensus

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/wal"
)

func mustWAL(t testing.TB, fs vfs.FS) *wal.Log {
	t.Helper()
	l, err := wal.Open(wal.Options{FS: fs, Dir: "wal", Group: 1, SegmentBytes: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil && l.Err() == nil {
			t.Error(err)
		}
	})
	return l
}

func mustSucceed(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func logOf(t testing.TB, first, last, term uint64) *logStore {
	t.Helper()
	none := func() (index, term uint64) { return 0, 0 }
	l := &logStore{log: mustWAL(t, vfs.NewMem()), running: new(atomic.Bool), snapshot: none, ahead: func() bool { return false }}
	for i := first; last > 0 && i <= last; i++ {
		mustSucceed(t, l.StoreLog(&raft.Log{Index: i, Term: term, Data: fmt.Append(nil, i)}))
	}
	return l
}

func (l *logStore) span() string {
	first, firstErr := l.FirstIndex()
	last, lastErr := l.LastIndex()
	if err := errors.Join(firstErr, lastErr); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d to %d", first, last)
}

func TestEmptyLogBeginsAndEndsAtZero(t *testing.T) {
	l := logOf(t, 0, 0, 0)
	if got := l.span(); got != "0 to 0" {
		t.Errorf("an empty log has the entries %s", got)
	}
	// raft compares with ==.
	if err := l.GetLog(1, new(raft.Log)); err != raft.ErrLogNotFound {
		t.Errorf("GetLog of nothing: %v", err)
	}
}

func TestLogKeepsAllOfAnEntry(t *testing.T) {
	l := logOf(t, 0, 0, 0)
	want := []*raft.Log{
		{Index: 5, Term: 2, Type: raft.LogConfiguration, Data: []byte("data"), Extensions: []byte("more"), AppendedAt: time.Unix(0, 1234)},
		{Index: 6, Term: 3, Type: raft.LogNoop},
	}
	mustSucceed(t, l.StoreLogs(want))
	for _, w := range want {
		var got raft.Log
		mustSucceed(t, l.GetLog(w.Index, &got))
		if !sameLog(&got, w) || got.AppendedAt.IsZero() != w.AppendedAt.IsZero() {
			t.Errorf("%+v became %+v", w, &got)
		}
	}
	for _, index := range []uint64{0, 4, 7} {
		if err := l.GetLog(index, new(raft.Log)); err != raft.ErrLogNotFound {
			t.Errorf("GetLog(%d): %v", index, err)
		}
	}
}

func TestLogKnowsTheTermOfTheSnapshotBeforeIt(t *testing.T) {
	l := logOf(t, 21, 30, 3)
	for _, c := range []struct {
		index, snapshot uint64
		found           bool
	}{{20, 20, true}, {19, 20, false}, {20, 19, false}, {31, 20, false}, {0, 0, false}, {1, 1, false}} {
		l.snapshot = func() (index, term uint64) { return c.snapshot, 2 }
		var got raft.Log
		err := l.GetLog(c.index, &got)
		if (err == nil) != c.found || c.found && (got.Index != c.index || got.Term != 2) || !c.found && err != raft.ErrLogNotFound {
			t.Errorf("entry %d behind a snapshot at %d is %+v (%v)", c.index, c.snapshot, got, err)
		}
	}
	// What is there comes from the log.
	l.snapshot = func() (index, term uint64) { return 25, 9 }
	var got raft.Log
	if err := l.GetLog(25, &got); err != nil || got.Term != 3 {
		t.Errorf("entry 25 is %+v (%v)", got, err)
	}
}

func TestDeleteRangeDropsEitherEnd(t *testing.T) {
	for _, c := range []struct {
		from, to uint64
		want     string
	}{
		{10, 12, "13 to 20"}, // the front
		{1, 12, "13 to 20"},  // and what is not there
		{0, 10, "11 to 20"},
		{18, 20, "10 to 17"}, // the back
		{18, 99, "10 to 17"},
		{10, 20, "0 to 0"}, // all
		{1, 99, "0 to 0"},
		{1, 9, "10 to 20"}, // nothing
		{21, 30, "10 to 20"},
	} {
		l := logOf(t, 10, 20, 1)
		if err := l.DeleteRange(c.from, c.to); err != nil || l.span() != c.want {
			t.Errorf("DeleteRange(%d, %d) of 10 to 20 leaves %s (%v)", c.from, c.to, l.span(), err)
		}
	}
	l := logOf(t, 10, 20, 1)
	if err := l.DeleteRange(12, 15); err == nil || l.span() != "10 to 20" {
		t.Errorf("a hole was made: %s (%v)", l.span(), err)
	}
	empty := logOf(t, 0, 0, 0)
	mustSucceed(t, empty.DeleteRange(0, 7))
}

func stableOn(t testing.TB, fs vfs.FS) *stableStore {
	t.Helper()
	return newStableStore(mustWAL(t, fs), new(atomic.Bool))
}

func TestStableStoreIsWhatRaftExpects(t *testing.T) {
	s := stableOn(t, vfs.NewMem())
	term, err := s.GetUint64([]byte(keyTerm))
	if term != 0 || err != nil {
		t.Errorf("the first term is %d (%v)", term, err)
	}
	if candidate, err := s.Get([]byte(keyCandidate)); candidate != nil || err != nil {
		t.Errorf("the first candidate is %q (%v)", candidate, err)
	}
	mustSucceed(t, s.SetUint64([]byte(keyTerm), 3), s.SetUint64([]byte(keyVoteTerm), 3), s.Set([]byte(keyCandidate), []byte("n1")))
	term, err = s.GetUint64([]byte(keyTerm))
	voted, err2 := s.GetUint64([]byte(keyVoteTerm))
	candidate, err3 := s.Get([]byte(keyCandidate))
	mustSucceed(t, err, err2, err3)
	if term != 3 || voted != 3 || string(candidate) != "n1" {
		t.Errorf("term %d, vote of %d for %q", term, voted, candidate)
	}
	// raft looks for this text.
	if _, err := s.Get([]byte("other")); err == nil || err.Error() != "not found" {
		t.Errorf("an unknown key: %v", err)
	}
	if _, err := s.GetUint64([]byte("other")); err == nil || err.Error() != "not found" {
		t.Errorf("an unknown number: %v", err)
	}
	if s.SetUint64([]byte("other"), 1) == nil || s.Set([]byte("other"), nil) == nil {
		t.Error("an unknown key was stored")
	}
}

func TestTermNeverGoesBack(t *testing.T) {
	fs := vfs.NewMem()
	s := stableOn(t, fs)
	mustSucceed(t, s.SetUint64([]byte(keyTerm), 5))
	if err := s.SetUint64([]byte(keyTerm), 4); err == nil {
		t.Error("the term went back")
	}
	if s.term.Load() != 5 || s.log.Vote().Term != 5 {
		t.Errorf("the term is %d and on disk %d", s.term.Load(), s.log.Vote().Term)
	}
}

// crasher keeps what the disk may hold after a crash right before each I/O.
type crasher struct {
	disk   *vfs.MemFS
	rng    *rand.Rand
	armed  bool
	mu     sync.Mutex
	clones []*vfs.MemFS
}

func newCrasher(seed uint64) *crasher {
	return &crasher{disk: vfs.NewCrashableMem(), rng: rand.New(rand.NewPCG(seed, 9))}
}

func (c *crasher) fs() vfs.FS { return errorfs.Wrap(c.disk, errorfs.InjectorFunc(c.before)) }

func (c *crasher) before(op errorfs.Op) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.armed && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
		c.clones = append(c.clones, c.clone())
	}
	return nil
}

func (c *crasher) clone() *vfs.MemFS {
	return c.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: c.rng})
}

// during runs f and returns what the disk may hold after a crash anywhere in
// it, and right behind it.
func (c *crasher) during(f func()) []*vfs.MemFS {
	c.mu.Lock()
	c.armed = true
	c.mu.Unlock()
	f()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = false
	clones := append(c.clones, c.clone())
	c.clones = nil
	return clones
}

// TestCrashNeverLeavesANewTermWithAnOldCandidate crashes anywhere in the two
// steps in which raft writes a vote (H2).
func TestCrashNeverLeavesANewTermWithAnOldCandidate(t *testing.T) {
	for seed := range uint64(20) {
		c := newCrasher(seed)
		s := stableOn(t, c.fs())
		mustSucceed(t, s.SetUint64([]byte(keyTerm), 4), s.SetUint64([]byte(keyVoteTerm), 4), s.Set([]byte(keyCandidate), []byte("old")))
		mustSucceed(t, s.SetUint64([]byte(keyTerm), 6))
		var between *vfs.MemFS
		clones := c.during(func() {
			mustSucceed(t, s.SetUint64([]byte(keyVoteTerm), 6))
			between = c.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: c.rng})
			mustSucceed(t, s.Set([]byte(keyCandidate), []byte("new")))
		})
		if len(clones) < 3 {
			t.Fatalf("only %d crashes: too few to mean much", len(clones))
		}
		last := len(clones) - 1
		for i, disk := range append(clones, between) {
			vote := mustWAL(t, disk).Vote()
			got := fmt.Sprintf("%d for %s", vote.VotedTerm, vote.Candidate)
			if vote.Term != 6 || got != "4 for old" && got != "6 for new" || i == last && got != "6 for new" {
				t.Errorf("seed %d: after crash %d the term is %d and the vote %s", seed, i, vote.Term, got)
			}
		}
	}
}

func TestSteadyLetsNothingChangeTheTerm(t *testing.T) {
	s := stableOn(t, vfs.NewMem())
	mustSucceed(t, s.SetUint64([]byte(keyTerm), 5))
	ran := false
	if !s.steady(5, func() {
		ran = true
		// The handler of raft writes the term that is there.
		mustSucceed(t, s.SetUint64([]byte(keyTerm), 5))
		if s.changing.TryLock() {
			t.Error("the term could change while a heartbeat is handled")
		}
	}) || !ran {
		t.Error("the current term is not steady")
	}
	for _, term := range []uint64{4, 6} {
		if s.steady(term, func() { t.Errorf("f ran for term %d", term) }) {
			t.Errorf("term %d is steady while 5 is current", term)
		}
	}
	s.changing.Lock()
	if s.steady(5, func() { t.Error("f ran while the term changes") }) {
		t.Error("a term that changes is steady")
	}
	s.changing.Unlock()
}

// TestWriteThatFailsEndsTheGoroutineOfRaft: raft would panic.
func TestWriteThatFailsEndsTheGoroutineOfRaft(t *testing.T) {
	var broken atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return errorfs.ErrInjected
		}
		return nil
	}))
	s := stableOn(t, fs)
	mustSucceed(t, s.SetUint64([]byte(keyTerm), 1))
	broken.Store(true)
	if err := s.SetUint64([]byte(keyTerm), 2); !errors.Is(err, errorfs.ErrInjected) {
		t.Errorf("before raft runs the error is %v", err)
	}
	s.running.Store(true)
	returned, ended := false, make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.SetUint64([]byte(keyTerm), 3)
		returned = true
	}()
	<-ended
	if returned || s.term.Load() != 1 {
		t.Errorf("SetUint64 returned (%v) and the term is %d", returned, s.term.Load())
	}
	if !s.changing.TryLock() {
		t.Error("the lock of the term is left behind")
	}
	<-s.log.Failed()
}

func TestOnlyCommandsAreStoredAhead(t *testing.T) {
	for kind, want := range map[raft.LogType]bool{
		raft.LogCommand: true, raft.LogNoop: false, raft.LogConfiguration: false, raft.LogBarrier: false,
	} {
		synctest.Test(t, func(t *testing.T) {
			var syncs pause
			l := &logStore{log: mustWAL(t, errorfs.Wrap(vfs.NewMem(), &syncs)), running: new(atomic.Bool), ahead: func() bool { return true }}
			release := syncs.hold()
			stored := false
			go func() { stored = l.StoreLogs([]*raft.Log{{Index: 1, Term: 1, Type: kind}}) == nil }()
			synctest.Wait()
			if stored != want {
				t.Errorf("an entry of type %v is stored before it is durable: %v, want %v", kind, stored, want)
			}
			release()
			synctest.Wait()
			if !stored {
				t.Errorf("an entry of type %v is not stored when it is durable", kind)
			}
		})
	}
}

// pause holds up syncs.
type pause struct{ held atomic.Pointer[chan struct{}] }

func (p *pause) String() string { return "pause" }

// MaybeError implements errorfs.Injector.
func (p *pause) MaybeError(op errorfs.Op) error {
	if held := p.held.Load(); held != nil && op.Kind == errorfs.OpFileSyncData {
		<-*held
	}
	return nil
}

func (p *pause) hold() (release func()) {
	held := make(chan struct{})
	p.held.Store(&held)
	return func() {
		p.held.Store(nil)
		close(held)
	}
}

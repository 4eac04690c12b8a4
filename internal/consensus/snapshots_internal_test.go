package consensus

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/hashicorp/raft"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/machine"
	"github.com/quorate/quorate/internal/wal"
)

// Mark notes that it was applied.
type Mark struct{ Text string }

// Apply writes the text.
func (m Mark) Apply(tx *quorate.Tx) (bool, error) {
	tx.Set([]byte(m.Text), []byte("x"))
	return true, nil
}

var marks = quorate.Define("marks", quorate.Write[Mark]("MARK"))

var members = raft.Configuration{Servers: []raft.Server{{ID: "0000000000000001", Address: "n1:7302"}}}

// site is a State with its machine.
type site struct {
	t testing.TB
	*State
	failed atomic.Pointer[error]
}

func siteOptions(fs vfs.FS) StateOptions {
	return StateOptions{FS: fs, Dir: "data", Group: 1, Log: slog.New(slog.DiscardHandler), Failed: func(error) {}}
}

func mustSite(t testing.TB, fs vfs.FS) *site {
	t.Helper()
	s := &site{t: t}
	o := siteOptions(fs)
	o.Failed = func(err error) { s.failed.Store(&err) }
	mustSucceed(t, fs.MkdirAll("data", 0o755))
	root, err := fs.OpenDir("/")
	mustSucceed(t, err)
	mustSucceed(t, root.Sync(), root.Close())
	if s.State, err = OpenState(o); err != nil {
		t.Fatal(err)
	}
	s.machine = machine.New(machine.Config{Service: marks, Store: s.Store(), Limits: machine.DefaultLimits, Log: o.Log})
	t.Cleanup(func() { mustSucceed(t, s.settle(), s.machine.Close()) })
	return s
}

// apply applies the entries from..to.
func (s *site) apply(from, to uint64) *site {
	s.t.Helper()
	for i := from; i <= to; i++ {
		call, err := quorate.NewCall(Mark{Text: fmt.Sprint("entry ", i)})
		mustSucceed(s.t, err)
		data := entry.Append(nil, entry.Header{Time: time.Unix(0, int64(i))}, []quorate.Call{call})
		_, err = s.machine.Apply([]machine.Entry{{Index: i, Term: 1, Data: data}})
		mustSucceed(s.t, err)
	}
	return s
}

// begin begins a snapshot of this node, as raft does.
func (s *site) begin(index uint64) raft.SnapshotSink {
	s.t.Helper()
	to, err := s.Create(raft.SnapshotVersionMax, index, 1, members, 1, nil)
	mustSucceed(s.t, err)
	mustSucceed(s.t, snapshot{s.State, s.machine.Meta().Index}.Persist(to))
	return to
}

// take takes a snapshot of this node.
func (s *site) take(index uint64) *site {
	s.t.Helper()
	mustSucceed(s.t, s.begin(index).Close())
	return s
}

// stage receives a snapshot from another node up to where raft restores it.
func (s *site) stage(from *site) error {
	meta, source, err := from.Open(newestID)
	if err != nil {
		return err
	}
	to, err := s.Create(meta.Version, meta.Index, meta.Term, meta.Configuration, meta.ConfigurationIndex, nil)
	if err != nil {
		return errors.Join(err, source.Close())
	}
	if _, err := io.Copy(to, source); err != nil {
		return errors.Join(err, source.Close(), to.Cancel())
	}
	if to.ID() != stagedID {
		s.t.Errorf("the snapshot is called %s", to.ID())
	}
	return errors.Join(to.Close(), source.Close())
}

func (s *site) states() []string {
	s.t.Helper()
	names, err := s.options.FS.List("data")
	mustSucceed(s.t, err)
	slices.Sort(names)
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, statePrefix) })
}

func (s *site) mustStand(index, applied uint64, states ...string) {
	s.t.Helper()
	if s.index() != index || s.machine.Meta().Index != applied || !slices.Equal(s.states(), states) {
		s.t.Errorf("the snapshot is at %d, the state at %d in %v; not %d, %d, %v",
			s.index(), s.machine.Meta().Index, s.states(), index, applied, states)
	}
}

func sampleNote() *note {
	return &note{index: 1, term: 2, floor: 3, generation: 4, configurationIndex: 5, configuration: []byte("conf")}
}

// TestNoteHasItsBytes pins the form of a note.
func TestNoteHasItsBytes(t *testing.T) {
	got := sampleNote().append(nil, 9)
	if golden := mustGolden(t, "note-1", got); !bytes.Equal(got, golden) {
		t.Errorf("a note is %x, not %x", got, golden)
	}
	read, err := readNote(got, 9)
	if err != nil || fmt.Sprint(read) != fmt.Sprint(sampleNote()) {
		t.Errorf("%+v became %+v (%v)", sampleNote(), read, err)
	}
	if _, err := readNote(got, 8); err == nil {
		t.Error("the note of another group was read")
	}
}

func TestNoteThatIsDamagedIsRefused(t *testing.T) {
	whole := sampleNote().append(nil, 9)
	for i := range whole {
		for bit := range 8 {
			bad := slices.Clone(whole)
			bad[i] ^= 1 << bit
			if _, err := readNote(bad, 9); err == nil {
				t.Errorf("bit %d of byte %d does not matter", bit, i)
			}
		}
		if _, err := readNote(whole[:i], 9); err == nil {
			t.Errorf("%d of %d bytes are a note", i, len(whole))
		}
	}
	if _, err := readNote(append(slices.Clone(whole), 0), 9); err == nil {
		t.Error("a byte behind the end does not matter")
	}
}

func TestSnapshotIsKnownAfterARestart(t *testing.T) {
	fs := vfs.NewMem()
	s := mustSite(t, fs)
	if list, err := s.List(); len(list) != 0 || err != nil {
		t.Errorf("a new state has snapshots: %v (%v)", list, err)
	}
	if _, _, err := s.Open(newestID); err == nil {
		t.Error("a snapshot that was not taken can be opened")
	}
	s.apply(1, 20).take(22)
	mustSucceed(t, s.machine.Close())
	again, err := OpenState(siteOptions(fs))
	mustSucceed(t, err)
	list, err := again.List()
	mustSucceed(t, err)
	if len(list) != 1 || list[0].Index != 22 || list[0].Term != 1 || list[0].ConfigurationIndex != 1 || list[0].Configuration.Servers[0] != members.Servers[0] {
		t.Errorf("the snapshot is %+v", list)
	}
	s.machine = machine.New(machine.Config{Service: marks, Store: again.Store(), Limits: machine.DefaultLimits, Log: s.options.Log})
	s.mustStand(22, 20, "state-1")
}

func TestStateBehindItsSnapshotIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	mustSite(t, fs).apply(1, 5).take(5)
	// The note is there and the files of the state are gone.
	fresh := vfs.NewMem()
	mustSucceed(t, fresh.MkdirAll("data", 0o755))
	_, err := vfs.Clone(fs, fresh, "data/"+noteFile, "data/"+noteFile)
	mustSucceed(t, err)
	if _, err := OpenState(siteOptions(fresh)); err == nil || !strings.Contains(err.Error(), "files are missing") {
		t.Errorf("OpenState: %v", err)
	}
}

func TestOlderSnapshotNeverReplacesANewerOne(t *testing.T) {
	s := mustSite(t, vfs.NewMem()).apply(1, 10)
	older := s.begin(10)
	s.apply(11, 20).take(20)
	if err := older.Close(); !errors.Is(err, errStale) {
		t.Errorf("an older one was noted: %v", err)
	}
	if _, err := s.Create(raft.SnapshotVersionMax, 19, 1, members, 1, nil); !errors.Is(err, errStale) {
		t.Errorf("an older one was begun: %v", err)
	}
	s.mustStand(20, 20, "state-1")
}

// TestSnapshotOfThisNodeLeavesTheStateAloneThatCameMeanwhile is H11 (issue 248):
// a snapshot of this node that takes long ends when a newer one of another node
// was installed already. Raft takes any that ends for its newest. Here the sink
// refuses what is older than the newest, raft gives it up, and the note goes on
// to name the state that is there.
//
// Between the end of the sink and the moment in which raft remembers it nothing
// of ours runs, and a newer snapshot may be installed just then: what raft
// remembers goes back, see TestRaftThatRemembersAnOlderSnapshotServesOn.
func TestSnapshotOfThisNodeLeavesTheStateAloneThatCameMeanwhile(t *testing.T) {
	for _, end := range []string{"close", "cancel"} {
		t.Run(end, func(t *testing.T) {
			from := mustSite(t, vfs.NewMem()).apply(1, 50).take(50)
			disk := vfs.NewMem()
			s := mustSite(t, disk).apply(1, 10)
			own := s.begin(10)
			mustSucceed(t, s.stage(from))
			_, _, err := s.takeOver()
			mustSucceed(t, err)
			if end == "close" {
				if err := own.Close(); !errors.Is(err, errStale) {
					t.Errorf("Close: %v", err)
				}
			} else {
				mustSucceed(t, own.Cancel())
			}
			s.mustStand(50, 50, "state-2")
			again, err := OpenState(siteOptions(cloneOf(t, disk)))
			if err != nil {
				t.Fatalf("the node does not start again: %v", err)
			}
			mustSucceed(t, again.store.Close())
			s.apply(51, 60).take(60).mustStand(60, 60, "state-2")
		})
	}
}

func TestSnapshotThatComesBecomesTheState(t *testing.T) {
	from := mustSite(t, vfs.NewMem()).apply(1, 50).take(48).apply(51, 55)
	fs := vfs.NewMem()
	s := mustSite(t, fs).apply(1, 10).take(10)
	mustSucceed(t, s.stage(from))
	s.mustStand(10, 10, "state-1", "state-2")
	meta, body, err := s.Open(stagedID)
	mustSucceed(t, err)
	if rest, err := io.ReadAll(body); meta.Index != 48 || len(rest) > 0 || err != nil {
		t.Errorf("what is staged is %+v with %d bytes (%v)", meta, len(rest), err)
	}
	index, term, err := s.takeOver()
	if index != 48 || term != 1 || err != nil {
		t.Errorf("takeOver is %d, %d (%v)", index, term, err)
	}
	s.mustStand(48, 55, "state-2")
	if s.machine.Meta() != from.machine.Meta() {
		t.Errorf("%+v became %+v", from.machine.Meta(), s.machine.Meta())
	}
	if _, _, err := s.takeOver(); err == nil {
		t.Error("it was taken over twice")
	}
}

func TestSnapshotOlderThanTheOwnStateKeepsTheOwn(t *testing.T) {
	from := mustSite(t, vfs.NewMem()).apply(1, 20).take(20)
	fs := vfs.NewCrashableMem()
	s := mustSite(t, fs).apply(1, 10)
	mustSucceed(t, s.stage(from))
	// What is still on its way to the machine is applied before it restores.
	s.apply(11, 30)
	index, _, err := s.takeOver()
	if index != 20 || err != nil {
		t.Errorf("takeOver is %d (%v)", index, err)
	}
	s.mustStand(20, 30, "state-1")
	// It was made durable: raft may cut the log behind the snapshot now.
	again := mustSite(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	again.mustStand(20, 30, "state-1")
}

func TestStagedSnapshotGivesWayToANewerOne(t *testing.T) {
	from := mustSite(t, vfs.NewMem()).apply(1, 20).take(20)
	s := mustSite(t, vfs.NewMem()).apply(1, 10)
	mustSucceed(t, s.stage(from))
	s.apply(11, 30).take(30)
	if _, _, err := s.takeOver(); !errors.Is(err, errStale) {
		t.Errorf("takeOver: %v", err)
	}
	s.mustStand(30, 30, "state-1")
}

func TestStagedSnapshotOfARaftThatEndedIsDropped(t *testing.T) {
	from := mustSite(t, vfs.NewMem()).apply(1, 20).take(20)
	s := mustSite(t, vfs.NewMem()).apply(1, 10)
	mustSucceed(t, s.stage(from), s.settle())
	s.mustStand(0, 10, "state-1")
	mustSucceed(t, s.stage(from))
	_, _, err := s.takeOver()
	mustSucceed(t, err)
	s.mustStand(20, 20, "state-2")
}

// brokenReader ends a stream early.
type brokenReader struct{ left int }

func (b *brokenReader) limit(r io.Reader) io.Reader {
	return io.MultiReader(io.LimitReader(r, int64(b.left)), b)
}

func (b *brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestHalfASnapshotIsNothing(t *testing.T) {
	from := mustSite(t, vfs.NewMem()).apply(1, 50).take(50)
	_, source, err := from.Open(newestID)
	mustSucceed(t, err)
	whole, err := io.ReadAll(source)
	mustSucceed(t, err, source.Close())
	fs := vfs.NewMem()
	s := mustSite(t, fs).apply(1, 10).take(10)
	for _, n := range []int{0, 10, len(whole) / 2, len(whole) - 1, len(whole)} {
		to, err := s.Create(raft.SnapshotVersionMax, 50, 1, members, 1, nil)
		mustSucceed(t, err)
		broken := brokenReader{n}
		if _, err := io.Copy(to, broken.limit(bytes.NewReader(whole))); err == nil {
			t.Errorf("%d of %d bytes are a snapshot", n, len(whole))
		}
		mustSucceed(t, to.Cancel())
		s.mustStand(10, 10, "state-1")
	}
	to, err := s.Create(raft.SnapshotVersionMax, 50, 1, members, 1, nil)
	mustSucceed(t, err)
	if _, err := io.Copy(to, bytes.NewReader(append(slices.Clone(whole), 0))); err == nil {
		t.Error("a byte behind the snapshot is taken for a part of it")
	}
	mustSucceed(t, to.Cancel())
	if _, err := to.Write([]byte("x")); err == nil {
		t.Error("a snapshot can be written in pieces")
	}
}

func TestStatesThatNoNoteNamesAreRemovedAtOpen(t *testing.T) {
	fs := vfs.NewMem()
	s := mustSite(t, fs).apply(1, 5).take(5)
	mustSucceed(t, s.machine.Close(), fs.MkdirAll("data/state-2/half", 0o755), fs.MkdirAll("data/state-17", 0o755), fs.MkdirAll("data/wal", 0o755))
	again, err := OpenState(siteOptions(fs))
	mustSucceed(t, err)
	s.machine = machine.New(machine.Config{Service: marks, Store: again.Store(), Limits: machine.DefaultLimits, Log: s.options.Log})
	s.mustStand(5, 5, "state-1")
	if _, err := fs.Stat("data/wal"); err != nil {
		t.Errorf("the log is gone: %v", err)
	}
}

// TestReaderOfAReplacedStateEnds: a leader that is deposed while it sends its
// state may get another at once.
func TestReaderOfAReplacedStateEnds(t *testing.T) {
	from := mustSite(t, vfs.NewMem()).apply(1, 50).take(50)
	s := mustSite(t, vfs.NewMem()).apply(1, 10).take(10)
	_, source, err := s.Open(newestID)
	mustSucceed(t, err)
	if _, err := io.ReadFull(source, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	mustSucceed(t, s.stage(from))
	_, _, err = s.takeOver()
	mustSucceed(t, err)
	if _, err := source.Read(make([]byte, 8)); !errors.Is(err, errReplaced) {
		t.Errorf("Read: %v", err)
	}
	mustSucceed(t, source.Close())
	s.mustStand(50, 50, "state-2")
}

// TestCrashAnywhereInASnapshotLeavesTheOldOrTheNew crashes before each write of
// a snapshot of this node, and of one that comes.
func TestCrashAnywhereInASnapshotLeavesTheOldOrTheNew(t *testing.T) {
	from := mustSite(t, vfs.NewMem()).apply(1, 50).take(50)
	for seed := range uint64(3) {
		c := newCrasher(seed)
		s := mustSite(t, c.fs()).apply(1, 10).take(10).apply(11, 20)
		own := c.during(func() { s.take(20) })
		for i, disk := range own {
			mustReopen(t, disk, i == len(own)-1, [2]uint64{10, 20}, [2]uint64{10, 20})
		}
		came := c.during(func() {
			mustSucceed(t, s.stage(from))
			_, _, err := s.takeOver()
			mustSucceed(t, err)
		})
		for i, disk := range came {
			mustReopen(t, disk, i == len(came)-1, [2]uint64{20, 50}, [2]uint64{20, 50})
		}
		if len(own) < 5 || len(came) < 10 {
			t.Fatalf("%d and %d crashes are too few to mean much", len(own), len(came))
		}
	}
}

// mustReopen opens what a crash left: one of two snapshots, the second if the
// crash came behind it, and a state that is not behind it.
func mustReopen(t *testing.T, disk vfs.FS, done bool, indexes, states [2]uint64) {
	t.Helper()
	s, err := OpenState(siteOptions(disk))
	if err != nil {
		t.Errorf("after a crash: %v", err)
		return
	}
	index, applied := s.index(), s.store.Meta().Index
	if index != indexes[1] && (done || index != indexes[0]) {
		t.Errorf("after a crash the snapshot is at %d", index)
	}
	if applied < index || applied > states[1] {
		t.Errorf("after a crash the state is at %d and the snapshot at %d", applied, index)
	}
	mustSucceed(t, s.store.Close())
}

// TestNoteThatCannotBeWrittenStopsTheNodeAndHarmsNothing fails each write of the
// note of a snapshot that comes. Whichever note is on disk then, the state that
// it names must be there.
func TestNoteThatCannotBeWrittenStopsTheNodeAndHarmsNothing(t *testing.T) {
	from := mustSite(t, vfs.NewMem()).apply(1, 50).take(50)
	for fail := 1; ; fail++ {
		disk := vfs.NewMem()
		var left atomic.Int64
		var noting atomic.Bool
		s := mustSite(t, errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
			isNote := strings.Contains(op.Path, noteFile) || op.Path == "data" && noting.Load()
			if isNote && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && left.Add(-1) == 0 {
				return errorfs.ErrInjected
			}
			return nil
		}))).apply(1, 10).take(10)
		mustSucceed(t, s.stage(from))
		noting.Store(true)
		left.Store(int64(fail))
		_, _, err := s.takeOver()
		noting.Store(false)
		if err == nil {
			if fail < 4 {
				t.Errorf("there are only %d writes to fail", fail-1)
			}
			return
		}
		if !errors.Is(err, errorfs.ErrInjected) || s.failed.Load() == nil {
			t.Errorf("write %d: %v, and Failed was called: %v", fail, err, s.failed.Load() != nil)
		}
		after, err := OpenState(siteOptions(cloneOf(t, disk)))
		if err != nil {
			t.Errorf("write %d: OpenState afterwards: %v", fail, err)
			continue
		}
		if i, p := after.index(), after.store.Meta().Index; !(i == 10 && p >= 10 || i == 50 && p == 50) {
			t.Errorf("write %d: the snapshot is at %d and the state at %d", fail, i, p)
		}
		mustSucceed(t, after.store.Close())
	}
}

// cloneOf copies a disk, so that both can be used.
func cloneOf(t *testing.T, from vfs.FS) vfs.FS {
	t.Helper()
	to := vfs.NewMem()
	ok, err := vfs.Clone(from, to, "data", "data")
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	return to
}

func TestUnreadableNoteIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	mustSite(t, fs).apply(1, 5).take(5)
	file, err := fs.Create("data/"+noteFile, vfs.WriteCategoryUnspecified)
	mustSucceed(t, err)
	_, err = file.Write([]byte("QRTNOTE, or not"))
	mustSucceed(t, err, file.Close())
	if _, err := OpenState(siteOptions(fs)); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("OpenState: %v", err)
	}
}

// TestLogIsMadeToAgreeWithASnapshot is rule 7 of InstallSnapshot.
func TestLogIsMadeToAgreeWithASnapshot(t *testing.T) {
	for _, c := range []struct {
		name        string
		first, last uint64 // of the log, all of term 2
		index, term uint64 // of the snapshot
		want        string
		restart     bool
		refused     bool
	}{
		{name: "no log", index: 20, term: 2, want: "0 to 0"},
		{name: "no snapshot", first: 1, last: 9, want: "1 to 9"},
		{name: "older than the snapshot", first: 1, last: 9, index: 20, term: 2, want: "0 to 0"},
		{name: "right behind the snapshot", first: 21, last: 30, index: 20, term: 2, want: "21 to 30"},
		{name: "agrees at its end", first: 1, last: 20, index: 20, term: 2, want: "1 to 20"},
		{name: "agrees in the middle", first: 1, last: 30, index: 20, term: 2, want: "1 to 30"},
		{name: "conflicts at its end", first: 1, last: 20, index: 20, term: 3, want: "0 to 0", restart: true},
		{name: "conflicts in the middle", first: 1, last: 30, index: 20, term: 3, want: "0 to 0", restart: true},
		{name: "leaves a gap", first: 25, last: 30, index: 20, term: 2, want: "25 to 30", refused: true},
		{name: "begins late without a snapshot", first: 2, last: 5, want: "2 to 5", refused: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := logOf(t, c.first, c.last, 2)
			g := &Group{config: Config{WAL: l.log}, restart: make(chan string, 1)}
			if err := g.reconcile(c.index, c.term); (err != nil) != c.refused {
				t.Errorf("reconcile: %v", err)
			}
			if l.span() != c.want || len(g.restart) == 1 != c.restart {
				t.Errorf("the log is %s, and a restart is asked for: %v", l.span(), len(g.restart) == 1)
			}
		})
	}
}

// TestLogThatCannotBeReadIsNotDropped: an error is no conflict.
func TestLogThatCannotBeReadIsNotDropped(t *testing.T) {
	var broken atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && op.Kind == errorfs.OpFileReadAt {
			return errorfs.ErrInjected
		}
		return nil
	}))
	l, err := wal.Open(wal.Options{FS: fs, Dir: "wal", Group: 1, SegmentBytes: 4 << 10, CacheBytes: 1})
	mustSucceed(t, err)
	mustSucceed(t, l.Append([]wal.Entry{{Index: 1, Term: 1}, {Index: 2, Term: 1}}))
	broken.Store(true)
	g := &Group{config: Config{WAL: l}, restart: make(chan string, 1)}
	if err := g.reconcile(1, 2); !errors.Is(err, errorfs.ErrInjected) || l.LastIndex() != 2 {
		t.Errorf("reconcile: %v, and the log ends at %d", err, l.LastIndex())
	}
	if err := l.Close(); !errors.Is(err, errorfs.ErrInjected) {
		t.Errorf("Close: %v", err)
	}
}

package store_test

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate/internal/store"
)

func TestAStateIsThereAgainAfterClose(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, fs)
	if s.Meta() != (store.Meta{}) {
		t.Fatalf("an empty state says %+v", s.Meta())
	}
	b := s.Begin()
	b.Set(store.Data, []byte("key"), []byte("value"))
	b.Keep()
	meta := store.Meta{Index: 5, Term: 2, Time: -3, Hash: 0xdead, Remembered: 7}
	must(t, b.Commit(meta))
	must(t, s.Flush())
	mustClose(t, s)
	mustClose(t, s) // twice is once

	s = mustOpen(t, fs)
	defer mustClose(t, s)
	if s.Meta() != meta {
		t.Errorf("Meta() = %+v, want %+v", s.Meta(), meta)
	}
	if v, ok := s.Begin().Get(store.Data, []byte("key")); !ok || string(v) != "value" {
		t.Errorf("Get = %q, %v", v, ok)
	}
}

func TestAViewStandsStill(t *testing.T) {
	s := mustOpenMem(t)
	mustPut(t, s, 1, "a", "1", "b", "1")
	v := s.View()
	defer mustClose(t, v)
	before, err := v.ContentHash()
	must(t, err)
	mustPut(t, s, 2, "a", "2", "c", "2")
	must(t, s.Flush())
	if got := scanned(v.Scan(nil, nil)); len(got) != 4 || got[1] != "1" {
		t.Errorf("the view shows %q", got)
	}
	if got, _ := v.Get([]byte("a")); string(got) != "1" {
		t.Errorf("the view has %q", got)
	}
	if after, err := v.ContentHash(); err != nil || after != before || v.Meta().Index != 1 {
		t.Errorf("hash %x, before %x, at %d, %v", after, before, v.Meta().Index, err)
	}
	if mustHash(t, s) == before {
		t.Error("the hash of another state is the same")
	}
}

// TestAViewSaysWhereItStands reads views while entries are committed. Each
// must hold exactly what its index says.
func TestAViewSaysWhereItStands(t *testing.T) {
	s := mustOpenMem(t)
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				v := s.View()
				got, _ := v.Get([]byte("index"))
				if n := v.Meta().Index; n > 0 && string(got) != string(rune(n)) {
					t.Errorf("a view at %d holds %q", n, got)
				}
				mustClose(t, v)
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for i := uint64(1); i <= 2000; i++ {
		mustPut(t, s, i, "index", string(rune(i)))
	}
	close(stop)
	readers.Wait()
}

// TestAfterACrashTheStateIsAPrefix lets the machine crash after random
// commits and flushes, with any part of what was not synced on the disk.
func TestAfterACrashTheStateIsAPrefix(t *testing.T) {
	rng := random(t)
	for _, unsynced := range []int{0, 20, 50, 80, 100} {
		for _, layerBytes := range []int{1, 300 << 10, 0} {
			crashOnce(t, rng, unsynced, layerBytes)
		}
	}
}

func crashOnce(t *testing.T, rng *rand.Rand, unsynced, layerBytes int) {
	fs := vfs.NewCrashableMem()
	s, err := store.Open(layered(fs, layerBytes))
	must(t, err)
	defer mustClose(t, s)
	// Values of 100 KiB fill memtables, so that Pebble flushes by itself too.
	entries := randomEntries(rng, 1, 100, 100<<10)
	states := map[uint64]model{0: {}} // by index, at the borders of batches
	flushed, now := uint64(0), model{}
	for rest := entries; len(rest) > 0; {
		n := 1 + rng.IntN(min(len(rest), 10))
		must(t, apply(s, rest[:n]))
		now = play(now, rest[:n])
		states[s.Meta().Index] = now
		rest = rest[n:]
		if rng.IntN(5) == 0 {
			must(t, s.Flush())
			flushed = s.Meta().Index
		}
		if rng.IntN(5) == 0 {
			mustBePrefix(t, fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rng}), states, flushed)
		}
	}
}

func mustBePrefix(t *testing.T, fs vfs.FS, states map[uint64]model, flushed uint64) {
	t.Helper()
	s := mustOpen(t, fs)
	defer mustClose(t, s)
	index := s.Meta().Index
	want, border := states[index]
	if !border || index < flushed {
		t.Fatalf("after a crash the state is at %d, which is the end of a batch: %v; flushed was %d", index, border, flushed)
	}
	mustEqual(t, s, want)
}

// TestAFlushKeepsEffectAndIndexTogether commits small batches until Pebble has
// flushed by itself, in the middle of something, and looks at what a loss of
// power would leave. It does so anew a few times, for the first memtable of a
// store is a small one.
func TestAFlushKeepsEffectAndIndexTogether(t *testing.T) {
	fs := vfs.NewCrashableMem()
	for range 6 {
		s, err := store.Open(layered(fs, 1))
		must(t, err)
		index := s.Meta().Index
		for before := tables(t, fs); tables(t, fs) == before; {
			for range 20 {
				index++
				mustPut(t, s, index, "index", strconv.FormatUint(index, 10))
			}
		}
		left := mustOpen(t, fs.CrashClone(vfs.CrashCloneCfg{}))
		got, _ := left.Begin().Get(store.Data, []byte("index"))
		if want := left.Meta().Index; want > 0 && string(got) != strconv.FormatUint(want, 10) {
			t.Errorf("a state at %d holds the effect of %s", want, got)
		}
		mustClose(t, left)
		mustClose(t, s)
	}
}

// tables is the number of tables on a disk.
func tables(t *testing.T, fs vfs.FS) int {
	t.Helper()
	names, err := fs.List(dir)
	must(t, err)
	count := 0
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			count++
		}
	}
	return count
}

func TestKeysWithoutAnIndexAreRefused(t *testing.T) {
	for _, key := range []string{"dkey", "rid", "sage"} {
		fs := vfs.NewMem()
		db, err := pebble.Open(dir, &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatNewest, Logger: quiet{}})
		must(t, err)
		must(t, db.Set([]byte(key), []byte("value"), nil))
		must(t, db.Flush())
		must(t, db.Close())
		if _, err := store.Open(options(fs)); err == nil || !strings.Contains(err.Error(), "reflect") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestAMetaOfAnotherFormIsRefused(t *testing.T) {
	for _, meta := range []string{"", "\x02" + strings.Repeat("0", 40), "\x01" + strings.Repeat("0", 41)} {
		fs := vfs.NewMem()
		db, err := pebble.Open(dir, &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatNewest, Logger: quiet{}})
		must(t, err)
		must(t, db.Set([]byte("m"), []byte(meta), nil))
		must(t, db.Close())
		if _, err := store.Open(options(fs)); err == nil || !strings.Contains(err.Error(), "newer version") {
			t.Errorf("%q: %v", meta, err)
		}
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, _ ...any) { panic(format) }

func TestTheIndexNeverGoesBack(t *testing.T) {
	s := mustOpenMem(t)
	mustPut(t, s, 5, "a", "1")
	defer func() {
		if recover() == nil {
			t.Error("a commit took the index back")
		}
	}()
	_ = s.Begin().Commit(store.Meta{Index: 4})
}

// TestCloseWaitsForViews closes a store under a view. The view fails from then
// on, and the store is closed when the view is.
func TestCloseWaitsForViews(t *testing.T) {
	s := mustOpen(t, vfs.NewMem())
	mustPut(t, s, 1, "a", "1")
	v := s.View()
	stream, err := s.View().Stream(1)
	must(t, err)
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	for s.Err() == nil {
		select {
		case err := <-closed:
			t.Fatalf("Close did not wait for a view: %v", err)
		default:
		}
	}
	if _, ok := v.Get([]byte("a")); ok || v.Err() == nil {
		t.Errorf("a view of a closed store answers; Err() = %v", v.Err())
	}
	if got := scanned(v.Scan(nil, nil)); got != nil {
		t.Errorf("a view of a closed store shows %q", got)
	}
	if _, err := v.ContentHash(); err == nil {
		t.Error("a view of a closed store has a hash")
	}
	head := make([]byte, 1<<10)
	n, err := stream.Read(head) // the header was made before
	if err == nil {
		_, err = stream.Read(head)
	}
	if err == nil || errors.Is(err, errEnd) {
		t.Errorf("a stream of a closed store reads on behind %d bytes: %v", n, err)
	}
	late := s.View()
	if late.Err() == nil || late.Meta().Index != 1 {
		t.Errorf("a view that came late: %v, at %d", late.Err(), late.Meta().Index)
	}
	if _, err := late.Stream(1); err == nil {
		t.Error("a view that came late makes a stream")
	}
	mustClose(t, late)
	select {
	case err := <-closed:
		t.Fatalf("Close did not wait for a view: %v", err)
	default:
	}
	mustClose(t, v)
	mustClose(t, stream)
	must(t, <-closed)
	if _, ok := s.Begin().Get(store.Data, []byte("a")); ok || scanned(s.Begin().Scan(store.Data, nil, nil)) != nil {
		t.Error("a closed store can be read")
	}
	if s.Flush() == nil || s.Begin().Commit(store.Meta{Index: 2}) == nil {
		t.Error("a closed store can be written")
	}
}

package store

import (
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"
	"weak"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestATableFindsWhatIsInIt adds and removes numbers under few hashes, so that
// they stand in each other's way, and looks for each.
func TestATableFindsWhatIsInIt(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		var all table
		all.init()
		var want []uint32 // numbers, whose hash is a part of them
		hash := func(number uint32) uint32 { return number % 256 * 0x01000001 }
		for number := uint32(1); number < 1000; number++ {
			p := all.probe(hash(number))
			for p.next() != 0 {
			}
			all.add(&p, number)
			want = append(want, number)
			if rng.IntN(3) == 0 {
				at := rng.IntN(len(want))
				p := all.probe(hash(want[at]))
				for p.next() != want[at] {
				}
				all.remove(&p)
				want = slices.Delete(want, at, at+1)
			}
		}
		for number := range uint32(1000) {
			found := false
			p := all.probe(hash(number))
			for got := p.next(); got != 0; got = p.next() {
				found = found || got == number
			}
			if found != slices.Contains(want, number) || all.count != len(want) {
				t.Fatalf("seed %d: %d is found: %v; there are %d numbers of %d", seed, number, found, all.count, len(want))
			}
		}
	}
}

// TestAWriteTakesNoMemoryOfItsOwn commits to a layer that has room.
func TestAWriteTakesNoMemoryOfItsOwn(t *testing.T) {
	s, err := Open(Options{FS: vfs.NewMem(), Dir: "data", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const writes = 1000
	key, value, index := make([]byte, 8), make([]byte, 8), uint64(0)
	commit := func() {
		index++
		b := s.Begin()
		b.BeginEntry(index, index)
		for i := range writes {
			binary.BigEndian.PutUint64(key, uint64(i))
			b.Set(Data, key, value)
			b.Keep()
		}
		if err := b.Commit(Meta{Index: index}); err != nil {
			t.Fatal(err)
		}
	}
	commit()
	// The batch and the state, and now and then a chunk and where it is.
	if got := testing.AllocsPerRun(50, commit); got > 8 {
		t.Errorf("a commit of %d writes allocates %v times", writes, got)
	}
}

// TestALayerThatNobodySeesIsGone keeps views of many layers, and closes them.
func TestALayerThatNobodySeesIsGone(t *testing.T) {
	s, err := Open(Options{FS: vfs.NewMem(), Dir: "data", Log: slog.New(slog.DiscardHandler), LayerBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var views []*View
	var gone []weak.Pointer[layer]
	for index := range uint64(20) {
		b := s.Begin()
		b.Set(Data, []byte("key"), []byte{byte(index)})
		b.Keep()
		if err := b.Commit(Meta{Index: index}); err != nil {
			t.Fatal(err)
		}
		views = append(views, s.View())
		gone = append(gone, weak.Make(s.now.Load().active()))
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	for index, v := range views {
		if got, _ := v.Get([]byte("key")); len(got) != 1 || int(got[0]) != index {
			t.Errorf("a view of %d shows %v", index, got)
		}
		if gone[index].Value() == nil {
			t.Errorf("layer %d is gone under a view", index)
		}
	}
	for _, v := range views {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	}
	views = nil
	// Who has written the last one may not have gone home yet.
	there := func(l weak.Pointer[layer]) bool { return l.Value() != nil }
	for until := time.Now().Add(10 * time.Second); slices.ContainsFunc(gone, there); runtime.GC() {
		if time.Now().After(until) {
			t.Fatal("a layer is still there that nobody sees")
		}
	}
	if now := s.now.Load(); len(now.layers) != 1 || now.base.users.Load() != 1 {
		t.Errorf("there are %d layers, and %d users of Pebble", len(now.layers), now.base.users.Load())
	}
	if got := s.db.Metrics().Snapshots.Count; got != 1 {
		t.Errorf("there are %d snapshots of Pebble", got)
	}
}

// TestALayerGoesToPebbleWithItsOwnIndex writes a layer to Pebble that was frozen
// before the newest commit.
func TestALayerGoesToPebbleWithItsOwnIndex(t *testing.T) {
	s, err := Open(Options{FS: vfs.NewMem(), Dir: "data", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	commit := func(index uint64) {
		b := s.Begin()
		b.Set(Data, []byte("key"), []byte{byte(index)})
		b.Keep()
		if err := b.Commit(Meta{Index: index}); err != nil {
			t.Fatal(err)
		}
	}
	commit(1)
	frozen := s.now.Load().active()
	frozen.meta, frozen.sequence = s.Meta(), 1
	s.change(func(now *state) { now.layers = []*layer{newLayer(s.seed), frozen} })
	commit(2)
	if err := s.spill(frozen); err != nil {
		t.Fatal(err)
	}
	m, err := loadMeta(s.db)
	value, _ := get(s.db, s.fail, []byte("dkey"))
	if err != nil || m.Index != 1 || len(value) != 1 || value[0] != 1 {
		t.Errorf("Pebble is at %d with the effect of %v (%v), want 1", m.Index, value, err)
	}
	if v, ok := s.Begin().Get(Data, []byte("key")); !ok || v[0] != 2 || s.Meta().Index != 2 {
		t.Errorf("the store is at %d with the effect of %v", s.Meta().Index, v)
	}
}

package store_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/store"
)

// Sizes of a layer: one that goes to Pebble with each commit, one that takes a
// few commits, and the usual one.
var layerSizes = []int{1, 70_000, 0}

func layered(fs vfs.FS, layerBytes int) store.Options {
	o := options(fs)
	o.LayerBytes = layerBytes
	return o
}

// moment is a state as a plain map.
type moment struct {
	keys model
	meta store.Meta
}

// standing is a view, and what it must show for ever.
type standing struct {
	view *store.View
	want moment
}

// layers is a store and a plain map that is told the same, with views of it that
// were taken at any time.
type layers struct {
	fs      *vfs.MemFS
	size    int
	store   *store.Store
	batch   *store.Batch
	now     model             // with all writes
	kept    model             // as of the last Keep
	last    moment            // committed
	past    map[uint64]moment // all that was committed, by index
	flushed uint64
	views   []standing
}

var (
	drawKey   = rapid.Custom(func(t *rapid.T) []byte { return fmt.Appendf(nil, "key%02d", rapid.IntRange(0, 40).Draw(t, "key")) })
	drawValue = rapid.Custom(func(t *rapid.T) []byte {
		size := rapid.SampledFrom([]int{0, 1, 20, 20, 20, 500, 9_000, 70_000}).Draw(t, "size")
		return bytes.Repeat([]byte{byte(rapid.IntRange('a', 'z').Draw(t, "value"))}, size)
	})
)

func (l *layers) open(t *rapid.T) {
	var err error
	l.store, err = store.Open(layered(l.fs, l.size))
	if err != nil {
		t.Fatal(err)
	}
	l.last = l.past[l.store.Meta().Index]
	l.begin()
}

func (l *layers) begin() {
	l.batch = l.store.Begin()
	l.now, l.kept = maps.Clone(l.last.keys), l.last.keys
}

func (l *layers) write(t *rapid.T) {
	data, key := store.DataOf{Batch: l.batch}, drawKey.Draw(t, "key")
	for _, space := range []store.Space{store.Data, store.Ends} {
		delete(l.now, l.now.key(space, key))
	}
	switch rapid.IntRange(0, 3).Draw(t, "what") {
	case 0:
		data.Delete(key)
		return
	case 1:
		end := int64(rapid.IntRange(1, 30).Draw(t, "end"))
		data.SetEnd(key, store.Time(end))
		l.now[l.now.key(store.Ends, key)] = strconv.FormatInt(end, 10)
		value := drawValue.Draw(t, "value")
		data.Replace(key, value)
		l.now[l.now.key(store.Data, key)] = string(value)
	default:
		value := drawValue.Draw(t, "value")
		data.Set(key, value)
		l.now[l.now.key(store.Data, key)] = string(value)
	}
}

func (l *layers) keep(*rapid.T) {
	l.batch.Keep()
	l.kept = maps.Clone(l.now)
}

func (l *layers) undo(*rapid.T) {
	l.batch.Undo()
	l.now = maps.Clone(l.kept)
}

func (l *layers) commit(t *rapid.T) {
	l.keep(t)
	m := store.Meta{Index: l.last.meta.Index + 1, Term: 1, Endings: l.batch.Endings()}
	must2(t, l.batch.Commit(m))
	l.last = moment{l.kept, m}
	l.past[m.Index] = l.last
	l.begin()
}

// rewrite commits one key again and again, until the layer is full.
func (l *layers) rewrite(t *rapid.T) {
	l.undo(t)
	key, value := drawKey.Draw(t, "key"), drawValue.Draw(t, "value")
	for range rapid.IntRange(1, 20).Draw(t, "times") {
		store.DataOf{Batch: l.batch}.Set(key, value)
		delete(l.now, l.now.key(store.Ends, key))
		l.now[l.now.key(store.Data, key)] = string(value)
		l.commit(t)
	}
}

func (l *layers) flush(t *rapid.T) {
	must2(t, l.store.Flush())
	l.flushed = l.last.meta.Index
}

func (l *layers) view(*rapid.T) { l.views = append(l.views, standing{l.store.View(), l.last}) }

func (l *layers) closeView(t *rapid.T) {
	if len(l.views) == 0 {
		t.Skip("no view is open")
	}
	i := rapid.IntRange(0, len(l.views)-1).Draw(t, "view")
	must2(t, l.views[i].view.Close())
	l.views = slices.Delete(l.views, i, i+1)
}

// look reads the batch and each view, and compares with the map.
func (l *layers) look(t *rapid.T) {
	key, start, end := drawKey.Draw(t, "key"), drawKey.Draw(t, "start"), drawKey.Draw(t, "end")
	if rapid.Bool().Draw(t, "whole") {
		start, end = nil, nil
	}
	compare(t, "the batch", l.now, l.batch.Get, l.batch.Scan, key, start, end)
	for _, s := range l.views {
		if s.view.Meta() != s.want.meta {
			t.Fatalf("a view says %+v, want %+v", s.view.Meta(), s.want.meta)
		}
		compare(t, fmt.Sprintf("a view at %d", s.want.meta.Index), s.want.keys,
			func(_ store.Space, key []byte) ([]byte, bool) { return s.view.Get(key) },
			func(_ store.Space, start, end []byte) scan { return scan(s.view.Scan(start, end)) }, key, start, end)
		want, _ := strconv.ParseInt(s.want.keys[model.key(nil, store.Ends, key)], 10, 64)
		if got := s.view.End(key); !got.Equal(store.Time(want)) {
			t.Fatalf("in a view at %d %s ends at %v, want %d", s.want.meta.Index, key, got, want)
		}
		if got, want := s.view.NextEnd(), s.want.nextEnd(); got != want {
			t.Fatalf("in a view at %d the next end is %d, want %d", s.want.meta.Index, got, want)
		}
	}
	must2(t, l.store.Err())
}

func (m moment) nextEnd() int64 {
	first := int64(0)
	for key, value := range m.keys {
		if end, _ := strconv.ParseInt(value, 10, 64); key[0] == byte(store.Ends) && (first == 0 || end < first) {
			first = end
		}
	}
	return first
}

type scan = func(yield func([]byte, []byte) bool)

func compare[S ~func(func([]byte, []byte) bool)](t *rapid.T, who string, want model, get func(store.Space, []byte) ([]byte, bool),
	scan func(store.Space, []byte, []byte) S, key, start, end []byte) {
	t.Helper()
	value, there := want[want.key(store.Data, key)]
	if got, ok := get(store.Data, key); ok != there || string(got) != value {
		t.Fatalf("%s has %.20q (%v) under %s, want %.20q (%v)", who, got, ok, key, value, there)
	}
	if got, want := scanned(scan(store.Data, start, end)), want.scan(store.Data, start, end); !slices.Equal(got, want) {
		t.Fatalf("%s shows %.20q from %q to %q, want %.20q", who, got, start, end, want)
	}
}

// crash goes on with what a loss of power leaves.
func (l *layers) crash(t *rapid.T) {
	seed := rapid.Uint64().Draw(t, "seed")
	fs := l.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rapid.SampledFrom([]int{0, 50, 100}).Draw(t, "unsynced"), RNG: rand.New(rand.NewPCG(seed, 0))})
	l.close(t)
	l.fs = fs
	l.open(t)
	if at := l.store.Meta(); at != l.last.meta || at.Index < l.flushed {
		t.Fatalf("after a crash the state is at %+v; flushed was %d", at, l.flushed)
	}
	l.look(t)
}

func (l *layers) close(t *rapid.T) {
	for _, s := range l.views {
		must2(t, s.view.Close())
	}
	l.views = nil
	must2(t, l.store.Close())
}

func must2(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestAStoreInLayersIsAPlainMap writes, takes back, commits, flushes, crashes
// and takes views at random, with layers that go to Pebble all the time and with
// some that hardly do.
func TestAStoreInLayersIsAPlainMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		empty := moment{keys: model{}}
		l := &layers{fs: vfs.NewCrashableMem(), size: rapid.SampledFrom(layerSizes).Draw(t, "layer"),
			past: map[uint64]moment{0: empty}}
		l.open(t)
		defer func() { l.close(t) }()
		t.Repeat(map[string]func(*rapid.T){
			"write": l.write, "write more": l.write, "write on": l.write, "keep": l.keep, "undo": l.undo,
			"commit": l.commit, "commit more": l.commit, "rewrite": l.rewrite, "flush": l.flush,
			"view": l.view, "close a view": l.closeView, "crash": l.crash, "": l.look,
		})
	})
}

// TestEachViewIsOneMomentWhileOthersWrite moves money between accounts, most of
// them never, some always, while views are taken and read.
func TestEachViewIsOneMomentWhileOthersWrite(t *testing.T) {
	rng := random(t)
	for _, layerBytes := range layerSizes {
		moveMoney(t, rng, layerBytes)
	}
}

func moveMoney(t *testing.T, rng *rand.Rand, layerBytes int) {
	const accounts, money = 300, 1000
	s, err := store.Open(layered(vfs.NewMem(), layerBytes))
	must(t, err)
	defer mustClose(t, s)
	account := func(i int) []byte { return fmt.Appendf(nil, "account%04d", i) }
	balances := make([]int, accounts)
	commit := func(index uint64, changed ...int) {
		b := s.Begin()
		for _, i := range changed {
			b.Set(store.Data, account(i), []byte(strconv.Itoa(balances[i])))
		}
		b.Keep()
		must(t, b.Commit(store.Meta{Index: index, Hash: uint64(balances[0])}))
	}
	all := make([]int, accounts)
	for i := range all {
		all[i], balances[i] = i, money
	}
	commit(1, all...)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for reader := range 3 {
		readers.Go(func() {
			for {
				v := s.View()
				sum := 0
				if reader > 0 {
					for _, value := range v.Scan(nil, nil) {
						n, _ := strconv.Atoi(string(value))
						sum += n
					}
				} else {
					for i := range accounts {
						value, _ := v.Get(account(i))
						n, _ := strconv.Atoi(string(value))
						sum += n
					}
				}
				first, _ := v.Get(account(0))
				if sum != accounts*money || string(first) != strconv.FormatUint(v.Meta().Hash, 10) {
					t.Errorf("a view at %d holds %d and in the first account %s, not %d", v.Meta().Index, sum, first, v.Meta().Hash)
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
	for index := uint64(2); index < 1500; index++ {
		from, to := rng.IntN(5), rng.IntN(accounts)
		if from == to {
			to++
		}
		balances[from]--
		balances[to]++
		commit(index, from, to)
		if index%500 == 0 {
			must(t, s.Flush())
		}
	}
	close(stop)
	readers.Wait()
}

// TestTheHashIsOverAllThatWasKeptInOrder computes it in the way it is defined.
func TestTheHashIsOverAllThatWasKeptInOrder(t *testing.T) {
	rng := random(t)
	b := mustOpenMem(t).Begin()
	for entry := range uint64(10) {
		want := xxhash.New()
		number := func(n ...any) {
			for _, n := range n {
				must(t, binary.Write(want, binary.LittleEndian, n))
			}
		}
		b.BeginEntry(entry, entry+1)
		number(entry, entry+1)
		for range rng.IntN(40) {
			key, v := shortKey(rng), value(rng, rng.IntN(50))
			if rng.IntN(8) == 0 {
				v = value(rng, rng.IntN(10_000))
			}
			deleted := byte(rng.IntN(2))
			if b.Set(store.Data, key, v); deleted == 1 {
				b.Undo()
				b.Delete(store.Data, key)
				v = nil
			}
			b.Keep()
			number(uint32(len(key)+1), uint32(len(v)), deleted, byte(store.Data), key, v)
		}
		if got := b.EntryHash(); got != want.Sum64() {
			t.Fatalf("entry %d: the hash is %x, want %x", entry, got, want.Sum64())
		}
	}
}

// TestAScanOfManyKeysInMemoryIsInOrder scans layers of keys of all lengths that
// came in many parts.
func TestAScanOfManyKeysInMemoryIsInOrder(t *testing.T) {
	rng := random(t)
	s := mustOpenMem(t)
	want := model{}
	for index := range uint64(100) {
		b := s.Begin()
		for range rng.IntN(100) {
			key := bytes.Repeat([]byte{byte('a' + rng.IntN(2))}, rng.IntN(20))
			key = append(key, value(rng, rng.IntN(3))...)
			b.Set(store.Data, key, []byte{1})
			want[want.key(store.Data, key)] = "\x01"
		}
		b.Keep()
		must(t, b.Commit(store.Meta{Index: index}))
		if rng.IntN(3) == 0 {
			mustEqual(t, s, want)
		}
	}
	mustEqual(t, s, want)
}

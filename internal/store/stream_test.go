package store_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"hash/crc32"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/klauspost/compress/zstd"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/store"
)

var errEnd = io.EOF

// mustBeCopied sends a state as a stream and compares what arrives.
func mustBeCopied(t *testing.T, s *store.Store) []byte {
	t.Helper()
	data := mustStream(t, s, 3)
	if got, want := trailerHash(data), mustHash(t, s); got != want {
		t.Fatalf("the trailer says %x, the content is %x", got, want)
	}
	fs := vfs.NewMem()
	r, n, err := store.Receive(options(fs), 3, bytes.NewReader(append(data, "behind it"...)))
	must(t, err)
	if n != int64(len(data)) {
		t.Fatalf("%d bytes were read of %d", n, len(data))
	}
	if r.Meta() != s.Meta() || mustHash(t, r) != mustHash(t, s) {
		t.Fatalf("received %+v, want %+v", r.Meta(), s.Meta())
	}
	mustClose(t, r)
	// It was durable already.
	r = mustOpen(t, fs)
	defer mustClose(t, r)
	if r.Meta() != s.Meta() || mustHash(t, r) != mustHash(t, s) {
		t.Fatalf("after Close it is %+v, want %+v", r.Meta(), s.Meta())
	}
	return data
}

// sample is a state with something in each space.
func sample(t testing.TB) *store.Store {
	t.Helper()
	s := mustOpenMem(t)
	b := s.Begin()
	b.BeginEntry(0, 9)
	b.Set(store.Data, []byte("apple"), []byte("red"))
	b.Set(store.Data, []byte("empty"), nil)
	b.Set(store.Data, []byte{0xff, 0}, []byte{0})
	b.Set(store.Remembered, []byte("id"), []byte("answer"))
	b.Set(store.Ages, []byte("age"), []byte("id"))
	b.Keep()
	must(t, b.Commit(store.Meta{Index: 9, Term: 2, Time: 1700000000_000000000, Hash: b.EntryHash(), Remembered: 1}))
	return s
}

func TestAStreamCarriesTheWholeState(t *testing.T) {
	mustBeCopied(t, mustOpenMem(t))
	mustBeCopied(t, sample(t))
	rng := random(t)
	for _, size := range []int{1, 512<<10 - 20, 512 << 10, 512<<10 + 1, quorate.ValueBytesMax} {
		s := mustOpenMem(t)
		b := s.Begin()
		for i := range 5 {
			key := bytes.Repeat([]byte{byte('a' + i)}, 1+i*(quorate.KeyBytesMax-1)/4)
			b.Set(store.Data, key, value(rng, size))
		}
		b.Keep()
		must(t, b.Commit(store.Meta{Index: 1}))
		mustBeCopied(t, s)
	}
}

// TestTheLargestBlockIsTaken fills a block but for one byte and then puts the
// largest record behind.
func TestTheLargestBlockIsTaken(t *testing.T) {
	rng := random(t)
	s := mustOpenMem(t)
	b := s.Begin()
	b.Set(store.Data, []byte("a"), value(rng, 512<<10-1-6)) // 6: two lengths, the space and the key
	b.Set(store.Data, bytes.Repeat([]byte("b"), quorate.KeyBytesMax), value(rng, quorate.ValueBytesMax))
	b.Set(store.Data, []byte("c"), nil)
	b.Keep()
	must(t, b.Commit(store.Meta{Index: 1}))
	data := mustBeCopied(t, s)
	if raw := binary.LittleEndian.Uint32(data[headBytes:]); raw < 512<<10+quorate.ValueBytesMax {
		t.Errorf("the first block has %d bytes, which is not the largest", raw)
	}
}

func TestAStreamDoesNotSeeLaterWrites(t *testing.T) {
	s := sample(t)
	want := mustStream(t, s, 1)
	stream, err := s.View().Stream(1)
	must(t, err)
	defer mustClose(t, stream)
	mustPut(t, s, 10, "apple", "green", "pear", "yellow")
	must(t, s.Flush())
	got, err := io.ReadAll(stream)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Error("the stream changed with the state")
	}
}

func TestAnyDamageOfAStreamIsFound(t *testing.T) {
	data := mustStream(t, sample(t), 1)
	for n := range len(data) {
		if _, err := receive(t, 1, data[:n]); err == nil {
			t.Errorf("%d bytes of %d were taken", n, len(data))
		} else if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes of %d: %v", n, len(data), err)
		}
	}
	for i := range data {
		for _, flip := range []byte{1, 0x80, 0xff} {
			damaged := bytes.Clone(data)
			damaged[i] ^= flip
			if _, err := receive(t, 1, damaged); err == nil {
				t.Errorf("byte %d of %d flipped by %#x was taken", i, len(data), flip)
			}
		}
	}
	if _, err := receive(t, 2, data); err == nil {
		t.Error("the state of another group was taken")
	}
	if _, err := receive(t, 1, data); err != nil {
		t.Errorf("what is not damaged: %v", err)
	}
}

func TestAStateIsNotReceivedOnTopOfAnother(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, fs)
	mustPut(t, s, 1, "mine", "1")
	must(t, s.Flush())
	mustClose(t, s)
	if _, _, err := store.Receive(options(fs), 1, bytes.NewReader(mustStream(t, sample(t), 1))); err == nil {
		t.Fatal("it was")
	}
	s = mustOpen(t, fs)
	defer mustClose(t, s)
	mustEqual(t, s, model{"dmine": "1"})
}

// forged makes a stream of records as they are given, with checksums and a
// trailer that match them.
type forged struct {
	bytes.Buffer
	records []byte
	count   uint64
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// headBytes is the header of a stream.
const headBytes = 7 + 1 + 8 + 65 + 4

// forge begins a stream with the header of another one.
func forge(t testing.TB) *forged {
	t.Helper()
	f := &forged{}
	f.Write(mustStream(t, mustOpenMem(t), 1)[:headBytes])
	return f
}

func (f *forged) sum(data []byte) {
	f.Write(binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli)))
}

func (f *forged) block(t testing.TB, raw []byte, claimed int) {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	must(t, err)
	f.packed(w.EncodeAll(raw, nil), claimed)
	f.records = append(f.records, raw...)
}

func (f *forged) packed(packed []byte, claimed int) {
	head := binary.LittleEndian.AppendUint32(nil, uint32(claimed))
	head = binary.LittleEndian.AppendUint32(head, uint32(len(packed)))
	f.Write(binary.LittleEndian.AppendUint32(head, crc32.Checksum(packed, castagnoli)))
	f.Write(packed)
}

func (f *forged) end() []byte {
	f.Write(make([]byte, 12))
	tail := binary.LittleEndian.AppendUint64(nil, f.count)
	f.sum(binary.LittleEndian.AppendUint64(tail, xxhash.Sum64(f.records)))
	return f.Bytes()
}

func record(key, value string) []byte {
	raw := binary.AppendUvarint(nil, uint64(len(key)))
	raw = append(raw, key...)
	raw = binary.AppendUvarint(raw, uint64(len(value)))
	return append(raw, value...)
}

func TestForgedRecordsAreRefused(t *testing.T) {
	join := func(records ...[]byte) []byte { return bytes.Join(records, nil) }
	for name, c := range map[string]struct {
		count uint64
		raw   []byte
		good  bool
	}{
		"in order":            {2, join(record("da", "1"), record("db", "")), true},
		"out of order":        {2, join(record("db", "1"), record("da", "")), false},
		"twice":               {2, join(record("da", "1"), record("da", "1")), false},
		"an empty key":        {1, record("", "1"), false},
		"meta":                {1, record("m", "1"), false},
		"an unknown space":    {1, record("z", "1"), false},
		"an id without age":   {1, record("rid", "1"), false},
		"a session too many":  {1, record("tx", "1"), false},
		"an end and no queue": {2, join(record("da", "1"), record("ea", "12345678")), false},
		"a key over 4 KiB":    {1, record("d"+strings.Repeat("k", quorate.KeyBytesMax+1), "1"), false},
		"a key cut short":     {1, []byte{200, 1, 'd'}, false},
		"a value cut short":   {1, []byte{2, 'd', 'a', 3, '1'}, false},
		"a length of 2^64-1":  {1, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 'd'}, false},
		"another count":       {3, join(record("da", "1"), record("db", "")), false},
		"a length and no end": {1, []byte{2, 'd', 'a', 0x80}, false},
	} {
		f := forge(t)
		f.count = c.count
		f.block(t, c.raw, len(c.raw))
		if _, err := receive(t, 1, f.end()); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	f := forge(t)
	f.count = 1
	f.block(t, record("da", "1"), 5)
	f.records[1]++ // the trailer is of another record
	if _, err := receive(t, 1, f.end()); err == nil || !strings.Contains(err.Error(), "hash") {
		t.Errorf("a trailer with another hash: %v", err)
	}
}

func TestForgedBlocksAreRefusedAndAllocateLittle(t *testing.T) {
	const limit = 512<<10 + quorate.KeyBytesMax + quorate.ValueBytesMax + 1<<10
	zeros := make([]byte, 64<<20)
	for name, forgeIt := range map[string]func(*forged){
		"a claim of 4 GiB unpacked":      func(f *forged) { f.packed([]byte("x"), 1<<32-1) },
		"a claim of one byte too many":   func(f *forged) { f.packed([]byte("x"), limit+1) },
		"a claim of 4 GiB packed":        func(f *forged) { f.Write([]byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}) },
		"a block that unpacks to 64 MiB": func(f *forged) { f.block(t, zeros, limit) },
		"an empty block":                 func(f *forged) { f.block(t, nil, 0) },
		"a block that says less":         func(f *forged) { f.block(t, record("da", "11"), 4) },
		"a block that says more":         func(f *forged) { f.block(t, record("da", "11"), 8) },
		"no zstd":                        func(f *forged) { f.packed([]byte("no zstd"), 4) },
		"an end that is not all zero":    func(f *forged) { f.Write([]byte{0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}) },
	} {
		f := forge(t)
		forgeIt(f)
		data := bytes.Clone(f.end())
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := store.Receive(options(vfs.NewMem()), 1, bytes.NewReader(data))
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s was taken", name)
		}
		// Opening a store takes a few MiB.
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 32<<20 {
			t.Errorf("%s made it allocate %d bytes", name, allocated)
		}
	}
}

var rewrite = flag.Bool("rewrite", false, "write the golden file of the newest version anew")

// ending is sample with a key that ends, and a session.
func ending(t testing.TB) *store.Store {
	t.Helper()
	s := sample(t)
	b := s.Begin()
	b.BeginEntry(s.Meta().Hash, 10)
	store.DataOf{Batch: b}.SetEnd([]byte("apple"), time.Unix(0, 1700000001_000000000))
	b.Set(store.Sessions, []byte("session"), []byte("answer"))
	b.Keep()
	m := s.Meta()
	m.Index, m.Hash, m.Endings, m.Sessions = 10, b.EntryHash(), b.Endings(), 1
	must(t, b.Commit(m))
	return s
}

// The golden files are streams made by the first program that could make one of
// that version. Newer programs must read them; they may write another one.
func TestTheGoldenStreamsAreRead(t *testing.T) {
	if *rewrite {
		must(t, os.WriteFile("testdata/stream-v2.bin", mustStream(t, ending(t), 7), 0o644))
	}
	for _, c := range []struct {
		name         string
		holds        *store.Store
		version      byte
		index, count byte
		hash         uint64
	}{
		{"testdata/stream-v1.bin", sample(t), 1, 9, 5, 0x6f157466dd5a1284},
		{"testdata/stream-v2.bin", ending(t), 2, 10, 8, 0x603ec3b1b755051c},
	} {
		data, err := os.ReadFile(c.name)
		must(t, err)
		s, err := receive(t, 7, data)
		must(t, err)
		if s.Meta() != c.holds.Meta() || mustHash(t, s) != mustHash(t, c.holds) {
			t.Errorf("%s holds %+v with hash %x, want %+v with %x", c.name, s.Meta(), mustHash(t, s), c.holds.Meta(), mustHash(t, c.holds))
		}
		// The version, the group, that of Meta, the index, the count and the
		// hash, where the drawing says.
		if data[7] != c.version || data[8] != 7 || data[16] != c.version || data[17] != c.index || data[len(data)-20] != c.count || trailerHash(data) != c.hash {
			t.Errorf("%s: its bytes are not where they were (hash %#x): % x", c.name, trailerHash(data), data)
		}
	}
}

package quorate_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/memory"
)

// onState is a transaction on a state in memory, of no service.
func onState(state memory.State) *quorate.Tx {
	return quorate.Engine().NewTx(state, engine.Moment{Index: 1, Time: time.Unix(1000, 0)})
}

// stored is what a table writes for one row.
func stored[K, V any](table quorate.Table[K, V], key K, row V) (place, value string) {
	state := memory.State{}
	table.Put(onState(state), key, row)
	for place, item := range state {
		return place, item.Value
	}
	panic("nothing was stored")
}

// keysOf is the keys of a table in order.
func keysOf[K, V any](table quorate.Table[K, V], view *quorate.View, bounds ...quorate.Bound[K]) (keys []K) {
	for key := range table.Range(view, bounds...) {
		keys = append(keys, key)
	}
	return keys
}

type (
	keyName  string
	keyPlace struct {
		Shelf string
		Row   uint32
	}
	// wideKey has a field of each kind that stands in the middle of a key.
	wideKey struct {
		Text   string
		Raw    []byte
		Tiny   int8
		Place  keyPlace
		Port   uint16
		Yes    bool
		At     time.Time
		Wait   time.Duration
		ID     [3]byte
		Number int
		Count  uint64
		Name   keyName
	}
	keyTail struct{ Place struct{ Raw []byte } }
)

func compareBool(a, b bool) int {
	if a == b {
		return 0
	}
	if b {
		return -1
	}
	return 1
}

func compareWide(a, b wideKey) int {
	return cmp.Or(
		strings.Compare(a.Text, b.Text), bytes.Compare(a.Raw, b.Raw), cmp.Compare(a.Tiny, b.Tiny),
		strings.Compare(a.Place.Shelf, b.Place.Shelf), cmp.Compare(a.Place.Row, b.Place.Row),
		cmp.Compare(a.Port, b.Port), compareBool(a.Yes, b.Yes), a.At.Compare(b.At), cmp.Compare(a.Wait, b.Wait),
		bytes.Compare(a.ID[:], b.ID[:]), cmp.Compare(a.Number, b.Number), cmp.Compare(a.Count, b.Count),
		cmp.Compare(a.Name, b.Name),
	)
}

// drawText is short and of bytes that are next to those with a meaning, so that
// two are alike often.
func drawText(t *rapid.T) string {
	return string(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 0, 1, 2, 'a', 0xfe, 0xff}), 0, 4).Draw(t, "text"))
}

func drawTime(t *rapid.T) time.Time {
	seconds := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-2, 2),
		rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, -62135596800, 1764_000_000})).Draw(t, "seconds")
	nanos := rapid.SampledFrom([]int64{0, 1, 255, 256, 999_999_999}).Draw(t, "nanoseconds")
	return time.Unix(seconds, nanos).In(time.FixedZone("", 3600*rapid.IntRange(-12, 12).Draw(t, "zone")))
}

func drawWide(t *rapid.T) wideKey {
	return wideKey{
		Text: drawText(t), Raw: []byte(drawText(t)), Tiny: rapid.Int8().Draw(t, "tiny"),
		Place: keyPlace{drawText(t), rapid.Uint32().Draw(t, "row")}, Port: rapid.Uint16().Draw(t, "port"),
		Yes: rapid.Bool().Draw(t, "yes"), At: drawTime(t), Wait: time.Duration(rapid.Int64().Draw(t, "wait")),
		ID: [3]byte([]byte(drawText(t) + "xyz")), Number: rapid.Int().Draw(t, "number"),
		Count: rapid.Uint64().Draw(t, "count"), Name: keyName(drawText(t)),
	}
}

// Two keys, alike in their first fields, are in the same order as their bytes,
// and come back from these as they were.
func TestKeysAreInTheOrderOfTheirBytes(t *testing.T) {
	table := quorate.NewTable[wideKey, bool]("wide")
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawWide(t), drawWide(t)
		for i := range rapid.IntRange(0, reflect.TypeFor[wideKey]().NumField()).Draw(t, "alike") {
			reflect.ValueOf(&b).Elem().Field(i).Set(reflect.ValueOf(a).Field(i))
		}
		placeA, _ := stored(table, a, true)
		placeB, _ := stored(table, b, true)
		if got, want := strings.Compare(placeA, placeB), compareWide(a, b); got != want {
			t.Fatalf("%+v is %x and\n%+v is %x: compared %d, want %d", a, placeA, b, placeB, got, want)
		}
		state := memory.State{}
		table.Put(onState(state), a, true)
		keys := keysOf(table, quorate.Engine().NewView(state, engine.Moment{}))
		if len(keys) != 1 || compareWide(keys[0], a) != 0 {
			t.Fatalf("%+v comes back from %x as %+v", a, placeA, keys)
		}
	})
}

// The first and the last moment of a Time, which counts seconds from the year 1
// in 64 bits.
var (
	firstTime = time.Unix(math.MaxInt64-62_135_596_800+1, 0).UTC()
	lastTime  = time.Unix(math.MaxInt64-62_135_596_800, 999_999_999).UTC()
)

// mustSort puts keys that are given in order and reads them back.
func mustSort[K any](t *testing.T, keys ...K) {
	t.Helper()
	table := quorate.NewTable[K, bool]("sorted")
	state := memory.State{}
	for _, key := range slices.Backward(keys) {
		table.Put(onState(state), key, true)
	}
	if got := keysOf(table, quorate.Engine().NewView(state, engine.Moment{})); !reflect.DeepEqual(got, keys) {
		t.Errorf("the keys are in the order\n%v, want\n%v", got, keys)
	}
}

func TestKeysOfEachTypeAreInOrder(t *testing.T) {
	mustSort(t, "", "\x00", "\x00\x00", "\x00\x01", "\x00\xff", "\x01", "a", "a\x00", "a\x00\x01", "a\x01", "ab", "b", "é", "\xff", "\xff\xff")
	mustSort(t, keyName("a"), keyName("b"))
	mustSort(t, []byte{}, []byte{0}, []byte{0, 1}, []byte{1}, []byte{0xff})
	mustSort(t, [2]byte{0, 1}, [2]byte{1, 0}, [2]byte{0xff, 0})
	mustSort(t, false, true)
	mustSort[int8](t, math.MinInt8, -1, 0, 1, math.MaxInt8)
	mustSort[int16](t, math.MinInt16, -256, -1, 0, 1, 255, 256, math.MaxInt16)
	mustSort[int32](t, math.MinInt32, -1, 0, 1, math.MaxInt32)
	mustSort[int64](t, math.MinInt64, -1<<32, -1, 0, 1, 1<<32, math.MaxInt64)
	mustSort(t, math.MinInt, -1, 0, 1, math.MaxInt)
	mustSort[uint8](t, 0, 1, math.MaxUint8)
	mustSort[uint16](t, 0, 1, 255, 256, math.MaxUint16)
	mustSort[uint32](t, 0, 1, math.MaxUint32)
	mustSort[uint64](t, 0, 1, 1<<32, math.MaxUint64)
	mustSort[uint](t, 0, 1, math.MaxUint)
	mustSort(t, time.Duration(math.MinInt64), -time.Nanosecond, 0, time.Nanosecond, time.Hour)
	mustSort(t, firstTime, time.Time{}, time.Time{}.Add(1),
		time.Unix(-1, 999_999_999).UTC(), time.Unix(0, 0).UTC(), time.Unix(0, 1).UTC(), time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), lastTime)
	mustSort(t, keyPlace{"", 7}, keyPlace{"\x00", 0}, keyPlace{"a", math.MaxUint32}, keyPlace{"a\x00", 0}, keyPlace{"ab", 0})
	mustSort(t, keyTail{struct{ Raw []byte }{[]byte{0}}}, keyTail{struct{ Raw []byte }{[]byte("a")}})
}

// A moment is one key, whatever the zone and the clock it was read from.
func TestMomentIsOneKeyInEveryZone(t *testing.T) {
	table := quorate.NewTable[time.Time, bool]("moments")
	now := time.Now()
	a, _ := stored(table, now, true)
	b, _ := stored(table, now.Round(0).In(time.FixedZone("", 7200)), true)
	if a != b {
		t.Errorf("%x and %x", a, b)
	}
}

// mustRefuseKeys reads keys of a table that are none of its.
func mustRefuseKeys[K any](t *testing.T, keys ...string) {
	t.Helper()
	table := quorate.NewTable[K, bool]("t")
	for _, key := range keys {
		view := quorate.Engine().NewView(memory.State{"\xfft\x00" + key: {Value: "\x01"}}, engine.Moment{})
		got, refusal := panicking(func() []K { return keysOf(table, view) })
		want := fmt.Sprintf("quorate: key %q of table t is not a %s: it is damaged, or of a table with other keys", key, reflect.TypeFor[K]())
		if refusal != want {
			t.Errorf("%q is read as %v: %s, want %s", key, got, refusal, want)
		}
	}
}

func TestDamagedKeyIsRefused(t *testing.T) {
	mustRefuseKeys[int16](t, "", "\x80", "\x80\x00\x00")
	mustRefuseKeys[uint32](t, "", "\x00\x00\x00", "\x00\x00\x00\x00\x00")
	mustRefuseKeys[bool](t, "", "\x02", "\x00\x00")
	mustRefuseKeys[[3]byte](t, "ab", "abcd")
	mustRefuseKeys[time.Time](t, "", strings.Repeat("\x80", 7), strings.Repeat("\x80", 11), strings.Repeat("\x80", 8)+"\x3b\x9a\xca\x00", strings.Repeat("\x00", 13))
	mustRefuseKeys[keyPlace](t, "", "a", "a\x00", "a\x00\x02\x00\x00\x00\x00", "a\x00\x01\x00\x00\x00", "a\x00\xff\x00\x00\x00\x00")
}

// FuzzKeys gives a table keys that nobody may have written: they are refused by
// name, or they are keys that would be written the same.
func FuzzKeys(f *testing.F) {
	wide, narrow := quorate.NewTable[wideKey, bool]("w"), quorate.NewTable[keyPlace, bool]("w")
	for _, key := range []wideKey{{}, {Text: "a\x00b", Raw: []byte{0xff}, Tiny: -1, At: time.Unix(0, 0), Name: "n"}} {
		place, _ := stored(wide, key, true)
		f.Add([]byte(place[len("\xffw\x00"):]))
	}
	f.Add([]byte("a\x00\x01\x00\x00\x00\x07"))
	f.Add([]byte("a\x00"))
	f.Fuzz(func(t *testing.T, key []byte) {
		mustReadOrRefuse(t, wide, key)
		mustReadOrRefuse(t, narrow, key)
	})
}

func mustReadOrRefuse[K any](t *testing.T, table quorate.Table[K, bool], key []byte) {
	t.Helper()
	place := "\xffw\x00" + string(key)
	view := quorate.Engine().NewView(memory.State{place: {Value: "\x01"}}, engine.Moment{})
	keys, refusal := panicking(func() []K { return keysOf(table, view) })
	if refusal != "" {
		if !strings.HasPrefix(refusal, "quorate: key ") || !strings.HasSuffix(refusal, "it is damaged, or of a table with other keys") {
			t.Fatalf("%x: %s", key, refusal)
		}
		return
	}
	if len(keys) != 1 {
		t.Fatalf("%x is %d keys", key, len(keys))
	}
	if again, _ := stored(table, keys[0], true); again != place {
		t.Fatalf("%x is read as %+v, which is %x", place, keys[0], again)
	}
}

// panicking is what run returns, or what it panics with.
func panicking[R any](run func() R) (result R, refusal string) {
	defer func() {
		if p := recover(); p != nil {
			refusal = fmt.Sprint(p)
		}
	}()
	return run(), ""
}

type (
	skippedKey struct {
		Name string
		Note string `json:"-"`
	}
	floatKey struct{ Ratio float64 }
	listKey  struct{ Names []string }
)

func TestTypesThatAreNoKeysAreRefused(t *testing.T) {
	for want, define := range map[string]func(){
		`quorate: table "t": key: field addr: it is not exported, or left out by its tag: keys that differ in it would be the same`: func() { quorate.NewTable[netip.Addr, bool]("t") },
		`quorate: table "t": key: field Note: it is not exported, or left out by its tag: keys that differ in it would be the same`: func() { quorate.NewTable[skippedKey, bool]("t") },
		`quorate: table "t": key: field Ratio: a float64 has no form as a key`:                                                      func() { quorate.NewTable[floatKey, bool]("t") },
		`quorate: table "t": key: field Names: a []string has no form as a key`:                                                     func() { quorate.NewTable[listKey, bool]("t") },
		`quorate: table "t": key: a *string has no form as a key`:                                                                   func() { quorate.NewTable[*string, bool]("t") },
		`quorate: table "t": key: a uintptr has no form as a key`:                                                                   func() { quorate.NewTable[uintptr, bool]("t") },
		`quorate: table "t": key: a [0]uint8 has no form as a key`:                                                                  func() { quorate.NewTable[[0]byte, bool]("t") },
		`quorate: table "t": key: a struct {} has no form as a key: it has no fields`:                                               func() { quorate.NewTable[struct{}, bool]("t") },
		`quorate: table "": a name has 1 to 64 bytes`:                                                                               func() { quorate.NewTable[string, bool]("") },
		`quorate: counters "": a name has 1 to 64 bytes`:                                                                            func() { quorate.NewCounters("") },
		`quorate: counters "a\x00": its name holds a zero byte`:                                                                     func() { quorate.NewCounters("a\x00") },
		`quorate: counters "` + strings.Repeat("n", 65) + `": a name has 1 to 64 bytes`:                                             func() { quorate.NewCounters(strings.Repeat("n", 65)) },
	} {
		if _, got := panicking(func() bool { define(); return true }); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	quorate.NewCounters(strings.Repeat("n", 64))
}

package quorate_test

import (
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/values"
)

type (
	shade   uint8
	stamp   time.Time
	rowPart struct {
		Name  string
		Count int
	}
	// fullRow has a field of each kind that a row may have.
	fullRow struct {
		Yes      bool
		Tiny     int8
		Number   int64
		Port     uint16
		Count    uint64
		Half     float32
		Ratio    float64
		Text     string
		Raw      []byte
		ID       [3]byte
		At       time.Time
		Stamp    stamp
		Wait     time.Duration
		Any      quorate.Value
		Maybe    *int64
		Part     rowPart
		MaybeOne *rowPart
		Shades   []shade
		Lists    [][]int32
		Parts    []rowPart
		Pair     [2]rowPart
		ByName   map[string]rowPart
		ByNumber map[int16][]string
		Set      map[uint8]struct{}
		Skipped  string `json:"-"`
		hidden   int
		Last     keyName
	}
)

// fullRows is a table of all kinds of fields.
var fullRows = quorate.NewTable[string, fullRow]("full")

// orNil is list, or nil if it is empty: as a row comes back.
func orNil[L ~[]E, E any](list L) L {
	if len(list) == 0 {
		return nil
	}
	return list
}

func drawPart(t *rapid.T) rowPart {
	return rowPart{drawText(t), rapid.IntRange(-2, 2).Draw(t, "count")}
}

func drawRow(t *rapid.T) fullRow {
	times := func(n int) int { return rapid.IntRange(0, n).Draw(t, "times") }
	row := fullRow{
		Yes: rapid.Bool().Draw(t, "yes"), Tiny: rapid.Int8().Draw(t, "tiny"), Number: rapid.Int64().Draw(t, "number"),
		Port: rapid.Uint16().Draw(t, "port"), Count: rapid.Uint64().Draw(t, "count"),
		Half: rapid.Float32().Draw(t, "half"), Ratio: rapid.Float64().Draw(t, "ratio"),
		Text: drawText(t), Raw: orNil([]byte(drawText(t))), ID: [3]byte([]byte(drawText(t) + "\x00\x00\x00")),
		At: drawTime(t).UTC(), Stamp: stamp(drawTime(t).UTC()), Wait: time.Duration(rapid.Int64().Draw(t, "wait")),
		Part: drawPart(t), Pair: [2]rowPart{drawPart(t), drawPart(t)}, Last: keyName(drawText(t)),
	}
	row.Any = drawValue(t, 3)
	if rapid.Bool().Draw(t, "maybe") {
		row.Maybe, row.MaybeOne = new(rapid.Int64Range(-1, 1).Draw(t, "number")), new(drawPart(t))
	}
	for range times(20) {
		row.Shades = append(row.Shades, shade(rapid.Uint8().Draw(t, "shade")))
		row.Lists = append(row.Lists, orNil(rapid.SliceOfN(rapid.Int32(), 0, 3).Draw(t, "list")))
		row.Parts = append(row.Parts, drawPart(t))
	}
	for range times(3) {
		if row.ByName == nil {
			row.ByName, row.ByNumber, row.Set = map[string]rowPart{}, map[int16][]string{}, map[uint8]struct{}{}
		}
		row.ByName[drawText(t)] = drawPart(t)
		row.ByNumber[rapid.Int16().Draw(t, "key")] = orNil([]string{drawText(t), ""}[:times(2)])
		row.Set[rapid.Uint8().Draw(t, "member")] = struct{}{}
	}
	// Rows end where only zeros follow: let that be anywhere.
	v := reflect.ValueOf(&row).Elem()
	for i := rapid.IntRange(0, v.NumField()).Draw(t, "zero from"); i < v.NumField(); i++ {
		if v.Field(i).CanSet() {
			v.Field(i).SetZero()
		}
	}
	return row
}

func TestRowsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row := drawRow(t)
		state := memory.State{}
		written := row
		written.Skipped, written.hidden = "not stored", 7
		fullRows.Put(onState(state), "key", written)
		got, found := fullRows.Get(quorate.Engine().NewView(state, engine.Moment{}), "key")
		if !found || !sameRow(got, row) {
			t.Fatalf("%+v\ncomes back as\n%+v, %v", row, got, found)
		}
		_, first := stored(fullRows, "key", row)
		if _, second := stored(fullRows, "key", got); second != first {
			t.Fatalf("written as %x, and then as %x", first, second)
		}
	})
}

// sameRow compares also what a NaN in it keeps from being equal.
func sameRow(a, b fullRow) bool {
	same := math.Float32bits(a.Half) == math.Float32bits(b.Half) || a.Half != a.Half && b.Half != b.Half
	same = same && (math.Float64bits(a.Ratio) == math.Float64bits(b.Ratio) || a.Ratio != a.Ratio && b.Ratio != b.Ratio)
	same = same && sameValue(a.Any, b.Any)
	a.Half, a.Ratio, a.Any = b.Half, b.Ratio, b.Any
	if a.Half != a.Half {
		a.Half, b.Half = 0, 0
	}
	if a.Ratio != a.Ratio {
		a.Ratio, b.Ratio = 0, 0
	}
	a.Any, b.Any = quorate.Value{}, quorate.Value{}
	return same && reflect.DeepEqual(a, b)
}

func sameValue(a, b quorate.Value) bool {
	if a.Kind() == values.KindFloat && b.Kind() == values.KindFloat && a.Float() != a.Float() {
		return b.Float() != b.Float()
	}
	if len(a.List()) > 0 {
		return a.Kind() == b.Kind() && slices.EqualFunc(a.List(), b.List(), sameValue)
	}
	return a.Equal(b)
}

// Go goes through a map in another order each time; a row holds one order.
func TestMapIsWrittenInOneOrder(t *testing.T) {
	table := quorate.NewTable[string, map[string]int]("maps")
	names := make(map[string]int)
	for i := range 20 {
		names[fmt.Sprint("name ", i)] = i
	}
	_, first := stored(table, "k", names)
	for range 20 {
		if _, again := stored(table, "k", names); again != first {
			t.Fatalf("written as\n%x and as\n%x", first, again)
		}
	}
}

// Machines make different NaNs of the same sum.
func TestEveryNaNIsWrittenTheSame(t *testing.T) {
	type floats struct {
		Ratio float64
		Half  float32
		Any   quorate.Value
	}
	table := quorate.NewTable[string, floats]("floats")
	_, want := stored(table, "k", floats{math.NaN(), float32(math.NaN()), values.Float(math.NaN())})
	for bits32, bits64 := range map[uint32]uint64{
		0x7fc00001: 0x7ff8000000000001, 0xffc00000: 0xfff8000000000000, 0x7f800001: 0x7ff0000000000001, 0xffffffff: 0xffffffffffffffff,
	} {
		half, ratio := math.Float32frombits(bits32), math.Float64frombits(bits64)
		if _, got := stored(table, "k", floats{ratio, half, values.Float(ratio)}); got != want {
			t.Errorf("%x and %x are written as %x, want %x", bits64, bits32, got, want)
		}
	}
}

func TestMinusZeroIsKept(t *testing.T) {
	type floats struct {
		Half  float32
		Ratio float64
	}
	table := quorate.NewTable[string, floats]("floats")
	state := memory.State{}
	minus := math.Copysign(0, -1)
	table.Put(onState(state), "k", floats{float32(minus), minus})
	row, _ := table.Get(quorate.Engine().NewView(state, engine.Moment{}), "k")
	if !math.Signbit(row.Ratio) || !math.Signbit(float64(row.Half)) {
		t.Errorf("-0 comes back as %v", row)
	}
}

// The versions of a row, as a program grows.
type (
	ownerV1 struct{ Name string }
	ownerV2 struct {
		Name  string
		Email string
	}
	accountV1 struct {
		Owner   ownerV1
		Balance int32
		Past    []ownerV1
		ByRole  map[string]ownerV1
	}
	accountV2 struct {
		Owner   ownerV2
		Balance int64 // wider
		Past    []ownerV2
		ByRole  map[string]ownerV2
		Limit   *int64
		Tags    []string
		Opened  time.Time
		Any     quorate.Value
		Nested  ownerV2
		Ratio   float64
	}
)

var (
	accountsV1 = quorate.NewTable[string, accountV1]("accounts")
	accountsV2 = quorate.NewTable[string, accountV2]("accounts")

	oldAccount = accountV1{ownerV1{"eve"}, 300, []ownerV1{{"ann"}, {}}, map[string]ownerV1{"": {}, "admin": {"bob"}}}
	asNew      = accountV2{Owner: ownerV2{Name: "eve"}, Balance: 300, Past: []ownerV2{{Name: "ann"}, {}}, ByRole: map[string]ownerV2{"": {}, "admin": {Name: "bob"}}}
)

func TestRowOfAnOlderProgramHasZerosForNewFields(t *testing.T) {
	state := memory.State{}
	accountsV1.Put(onState(state), "k", oldAccount)
	if row, _ := accountsV2.Get(quorate.Engine().NewView(state, engine.Moment{}), "k"); !reflect.DeepEqual(row, asNew) {
		t.Errorf("got %+v, want %+v", row, asNew)
	}
}

// While nodes of two versions run, a command that knows nothing of the new fields
// must leave the same state on both.
func TestRowWithZerosInNewFieldsIsTheRowOfAnOlderProgram(t *testing.T) {
	_, old := stored(accountsV1, "k", oldAccount)
	if _, row := stored(accountsV2, "k", asNew); row != old {
		t.Errorf("the newer program writes\n%x, the older\n%x", row, old)
	}
	state := memory.State{}
	accountsV2.Put(onState(state), "k", asNew)
	if row, _ := accountsV1.Get(quorate.Engine().NewView(state, engine.Moment{}), "k"); !reflect.DeepEqual(row, oldAccount) {
		t.Errorf("the older program reads %+v, want %+v", row, oldAccount)
	}
}

func TestRowThatIsNoStructMayBecomeOne(t *testing.T) {
	type amount struct {
		Cents    int64
		Currency string
	}
	state := memory.State{}
	quorate.NewTable[string, int32]("amounts").Put(onState(state), "k", 300)
	row, _ := quorate.NewTable[string, amount]("amounts").Get(quorate.Engine().NewView(state, engine.Moment{}), "k")
	if want := (amount{Cents: 300}); row != want {
		t.Errorf("got %v, want %v", row, want)
	}
}

// To read a row without its newer fields, and to write it back, would lose them.
func TestRowOfANewerProgramIsRefused(t *testing.T) {
	for _, c := range []struct {
		row  accountV2
		want string
	}{
		{accountV2{Limit: new(int64(0))}, "2 bytes follow its last field"},
		{accountV2{Tags: []string{""}}, "3 bytes follow its last field"},
		{accountV2{Owner: ownerV2{"eve", "e@x"}}, "field Owner: 4 bytes follow its last field"},
		{accountV2{Past: []ownerV2{{}, {Email: "x"}}}, "field Past: 2 bytes follow its last field"},
		{accountV2{ByRole: map[string]ownerV2{"a": {Email: "x"}}}, "field ByRole: 2 bytes follow its last field"},
		{accountV2{Balance: math.MaxInt32 + 1}, "field Balance: a number is out of range"},
		{accountV2{Balance: math.MinInt32 - 1}, "field Balance: a number is out of range"},
	} {
		_, value := stored(accountsV2, "k", c.row)
		mustRefuse(t, value, c.want)
	}
	mustRefuse(t, "\x02", "its form is 2")
}

func TestDamagedRowIsRefused(t *testing.T) {
	for value, want := range map[string]string{
		"":                                       "it ends too early",
		"\x01\x05\x03ev":                         "field Owner: it ends too early",
		"\x01\x04\x04eve":                        "field Owner: field Name: it ends too early",
		"\x01\x00\xff":                           "field Balance: it ends too early",
		"\x01\x00\x00\x02\x00":                   "field Past: it ends too early",
		"\x01\x00\x00\x00\x01\x00":               "field ByRole: it ends too early",
		"\x01\x00\x00\x00\x02\x01b\x00\x01a\x00": "field ByRole: a map is not in order",
		"\x01\x00\x00\x00\x02\x01a\x00\x01a\x00": "field ByRole: a map is not in order",
		"\x01\x00" + strings.Repeat("\xff", 10) + "\x01":    "field Balance: a number is out of range",
		"\x01\x00\x00" + strings.Repeat("\xff", 9) + "\x01": "field Past: it ends too early",
	} {
		mustRefuse(t, value, want)
	}
	for value, want := range map[string]string{
		"\x01\x02": "a byte has no meaning", "\x01\x01": "it ends too early",
		"\x01\x01\x09": "a byte has no meaning", "\x01\x01\x01\x02": "a byte has no meaning",
		"\x01\x01\x07\x01\x05\x01a": "a byte has no meaning", "\x01\x01\x07\x02\x02\x00\x00": "a byte has no meaning",
		"\x01\x01\x04\x00": "it ends too early", "\x01\x01\x06\x01": "it ends too early",
	} {
		table := quorate.NewTable[string, *quorate.Value]("values")
		view := quorate.Engine().NewView(memory.State{"\xffvalues\x00k": {Value: value}}, engine.Moment{})
		_, refusal := panicking(func() bool { _, found := table.Get(view, "k"); return found })
		if !strings.Contains(refusal, "values.Value: "+want+";") {
			t.Errorf("%x: %s, want %s", value, refusal, want)
		}
	}
}

func TestNumberThatDoesNotFitIsRefused(t *testing.T) {
	mustNotFit[uint16](t, "\x01\x80\x80\x04", "65536")
	mustNotFit[int8](t, "\x01\x80\x02", "128")
	mustNotFit[time.Time](t, "\x01\x00\x80\x94\xeb\xdc\x03", "a second of nanoseconds")
}

func mustNotFit[V any](t *testing.T, value, what string) {
	t.Helper()
	view := quorate.Engine().NewView(memory.State{"\xfft\x00k": {Value: value}}, engine.Moment{})
	_, refusal := panicking(func() bool { _, found := quorate.NewTable[string, V]("t").Get(view, "k"); return found })
	if !strings.HasSuffix(refusal, ": a number is out of range; it is damaged, or a newer program wrote it") {
		t.Errorf("%s: %q", what, refusal)
	}
}

// mustRefuse reads a row as an accountV1.
func mustRefuse(t *testing.T, value, want string) {
	t.Helper()
	view := quorate.Engine().NewView(memory.State{"\xffaccounts\x00k": {Value: value}}, engine.Moment{})
	_, refusal := panicking(func() bool { _, found := accountsV1.Get(view, "k"); return found })
	if full := `quorate: row "k" of table accounts is not a quorate_test.accountV1: ` + want + `; it is damaged, or a newer program wrote it`; refusal != full {
		t.Errorf("%x\ngot  %s\nwant %s", value, refusal, full)
	}
}

// FuzzRows gives a table rows that nobody may have written: they are refused by
// name, or are rows that can be written and read again.
func FuzzRows(f *testing.F) {
	for _, row := range []fullRow{
		{}, {Last: "x"}, {Yes: true, Any: values.List(values.Map(values.Bytes("k"), values.Float(1))), Last: "x"},
		{Maybe: new(int64(1)), Part: rowPart{"a", 1}, MaybeOne: &rowPart{}, Shades: []shade{1, 2}, Lists: [][]int32{nil, {1}}, Parts: []rowPart{{}, {"b", 2}},
			ByName: map[string]rowPart{"": {}, "c": {"d", 3}}, ByNumber: map[int16][]string{-1: {"e"}, 1: nil}, Set: map[uint8]struct{}{9: {}}},
	} {
		_, value := stored(fullRows, "k", row)
		f.Add([]byte(value))
	}
	f.Add([]byte{2})
	f.Add([]byte{1, 2})
	f.Fuzz(func(t *testing.T, value []byte) {
		state := memory.State{"\xfffull\x00k": {Value: string(value)}}
		view := quorate.Engine().NewView(state, engine.Moment{})
		row, refusal := panicking(func() fullRow { row, _ := fullRows.Get(view, "k"); return row })
		if refusal != "" {
			if !strings.HasPrefix(refusal, `quorate: row "k" of table full is not a quorate_test.fullRow: `) ||
				!strings.HasSuffix(refusal, "; it is damaged, or a newer program wrote it") {
				t.Fatalf("%x: %s", value, refusal)
			}
			return
		}
		_, first := stored(fullRows, "k", row)
		state["\xfffull\x00k"] = memory.Item{Value: first}
		again, _ := fullRows.Get(view, "k")
		if _, second := stored(fullRows, "k", again); second != first || len(first) > len(value) {
			t.Fatalf("%x is read and written as %x, and then as %x", value, first, second)
		}
	})
}

// What a damaged row claims to hold is not made before its bytes are there.
func TestNothingIsAllocatedForWhatIsOnlyClaimed(t *testing.T) {
	const claimed = "\xff\xff\xff\xff\x0f" // 2^32-1
	lists, maps := quorate.NewTable[string, [][64]uint64]("lists"), quorate.NewTable[string, map[string]int]("maps")
	values := quorate.NewTable[string, quorate.Value]("values")
	for name, row := range map[string]string{
		"text":     "\x01" + strings.Repeat("\x00", 5+4+8) + claimed,
		"elements": "\x01" + claimed,
		"value":    "\x01\x06" + claimed,
		// As many bytes follow as are claimed, and the second element is wrong.
		"many": "\x01\x80\x80\x40" + strings.Repeat("\x00", 64) + strings.Repeat("\xff", 1<<20),
	} {
		item := memory.Item{Value: row}
		view := quorate.Engine().NewView(memory.State{
			"\xfflists\x00k": item, "\xffmaps\x00k": item, "\xffvalues\x00k": item, "\xfffull\x00k": item}, engine.Moment{})
		for i, read := range []func() bool{
			func() bool { _, found := lists.Get(view, "k"); return found },
			func() bool { _, found := maps.Get(view, "k"); return found },
			func() bool { _, found := values.Get(view, "k"); return found },
			func() bool { _, found := fullRows.Get(view, "k"); return found },
		} {
			var before, behind runtime.MemStats
			runtime.ReadMemStats(&before)
			_, refusal := panicking(read)
			runtime.ReadMemStats(&behind)
			// The state copies what is read.
			if got := behind.TotalAlloc - before.TotalAlloc; refusal == "" || got > uint64(2*len(row))+64<<10 {
				t.Errorf("%s: type %d allocates %d bytes for a row of %d: %s", name, i, got, len(row), refusal)
			}
		}
	}
}

func TestValueThatIsTooDeepIsRefused(t *testing.T) {
	table := quorate.NewTable[string, quorate.Value]("values")
	deep := func(n int) (v quorate.Value) {
		for range n {
			v = values.List(v)
		}
		return v
	}
	state := memory.State{}
	table.Put(onState(state), "k", deep(32))
	if got, _ := table.Get(quorate.Engine().NewView(state, engine.Moment{}), "k"); !got.Equal(deep(32)) {
		t.Errorf("got %v", got)
	}
	_, refusal := panicking(func() bool { table.Put(onState(state), "k", deep(33)); return true })
	if want := "quorate: a Value of a row is more than 32 deep"; refusal != want {
		t.Errorf("%q, want %q", refusal, want)
	}
	state["\xffvalues\x00k"] = memory.Item{Value: "\x01" + strings.Repeat("\x06\x01", 33) + "\x00"}
	_, refusal = panicking(func() bool {
		_, found := table.Get(quorate.Engine().NewView(state, engine.Moment{}), "k")
		return found
	})
	if !strings.Contains(refusal, "a Value is too deep") {
		t.Errorf("%q", refusal)
	}
}

type (
	treeRow struct{ Children []treeRow }
	loopRow struct{ Next *loopRow }
	mapLoop map[string]mapLoop
	chanRow struct {
		Good int
		Bad  struct{ Ready chan int }
	}
)

func TestTypesThatAreNoRowsAreRefused(t *testing.T) {
	for want, define := range map[string]func(){
		`field Children: a quorate_test.treeRow has no form in a row: it holds itself`:                   func() { quorate.NewTable[string, treeRow]("t") },
		`field Next: a quorate_test.loopRow has no form in a row: it holds itself`:                       func() { quorate.NewTable[string, loopRow]("t") },
		`a quorate_test.mapLoop has no form in a row: it holds itself`:                                   func() { quorate.NewTable[string, mapLoop]("t") },
		`a netip.Addr has no form in a row: none of its fields is exported`:                              func() { quorate.NewTable[string, netip.Addr]("t") },
		`field Bad: field Ready: a chan int has no form in a row`:                                        func() { quorate.NewTable[string, chanRow]("t") },
		`a func() has no form in a row`:                                                                  func() { quorate.NewTable[string, func()]("t") },
		`a interface {} has no form in a row`:                                                            func() { quorate.NewTable[string, []any]("t") },
		`a complex128 has no form in a row`:                                                              func() { quorate.NewTable[string, complex128]("t") },
		`a uintptr has no form in a row`:                                                                 func() { quorate.NewTable[string, *uintptr]("t") },
		`a [0]int has no form in a row`:                                                                  func() { quorate.NewTable[string, [0]int]("t") },
		`a map[bool]int has no form in a row: the keys of a map are strings or integers`:                 func() { quorate.NewTable[string, map[bool]int]("t") },
		`a map[quorate_test.rowPart]int has no form in a row: the keys of a map are strings or integers`: func() { quorate.NewTable[string, map[rowPart]int]("t") },
	} {
		_, got := panicking(func() bool { define(); return true })
		if got != `quorate: table "t": row: `+want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// drawValue draws a Value in which others stand so deep at most.
func drawValue(t *rapid.T, deep int) quorate.Value {
	kinds := 7
	if deep == 0 {
		kinds = 5
	}
	switch rapid.IntRange(0, kinds).Draw(t, "kind") {
	case 1:
		return values.Bool(rapid.Bool().Draw(t, "bool"))
	case 2:
		return values.Int(rapid.Int64().Draw(t, "int"))
	case 3:
		return values.Uint(rapid.Uint64().Draw(t, "uint"))
	case 4:
		return values.Float(rapid.Float64().Draw(t, "float"))
	case 5:
		return values.Bytes(drawText(t))
	case 6:
		var list []quorate.Value
		for range rapid.IntRange(0, 3).Draw(t, "elements") {
			list = append(list, drawValue(t, deep-1))
		}
		return values.List(list...)
	case 7:
		var pairs []quorate.Value
		for i := range rapid.IntRange(0, 3).Draw(t, "pairs") {
			pairs = append(pairs, values.Bytes(string(rune('a'+i))), drawValue(t, deep-1))
		}
		return values.Map(pairs...)
	}
	return quorate.Value{}
}

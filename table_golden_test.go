package quorate_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/values"
)

var rewriteTables = flag.Bool("rewrite-tables", false, "write testdata/tables-v1.txt anew; what is in it must not change")

// goldenTables is the file of bytes that tables write: for each a name, a key of
// the state and what stands under it, as Go writes strings.
const goldenTables = "testdata/tables-v1.txt"

// goldenRow is a row or a counter whose bytes are pinned.
type goldenRow struct {
	name  string
	write func(tx *quorate.Tx)
	// check says what is wrong with what it is read as.
	check func(view *quorate.View) error
}

func golden[K, V any](name string, key K, row V) goldenRow {
	table := quorate.NewTable[K, V]("t")
	return goldenRow{
		name:  name,
		write: func(tx *quorate.Tx) { table.Put(tx, key, row) },
		check: func(view *quorate.View) error {
			for gotKey, got := range table.Range(view) {
				if !reflect.DeepEqual(gotKey, key) || !reflect.DeepEqual(got, row) {
					return fmt.Errorf("it is %+v: %+v, want %+v: %+v", gotKey, got, key, row)
				}
				return nil
			}
			return fmt.Errorf("it is not there, want %+v: %+v", key, row)
		},
	}
}

func goldenCounter(key string, n int64) goldenRow {
	counters := quorate.NewCounters("t")
	return goldenRow{
		name:  fmt.Sprintf("counter %d", n),
		write: func(tx *quorate.Tx) { _, _ = counters.Add(tx, key, n) },
		check: func(view *quorate.View) error {
			for gotKey, got := range counters.Range(view) {
				if gotKey == key && got == n {
					return nil
				}
			}
			return fmt.Errorf("%s is not %d", key, n)
		},
	}
}

var goldenMoment = time.Date(2026, 11, 23, 7, 25, 0, 258, time.UTC)

// goldenRows is all that the golden file holds. Lines are added and never
// changed: what programs of old wrote is read for ever.
var goldenRows = []goldenRow{
	goldenCounter("visa", 300),
	goldenCounter("", math.MinInt64),
	goldenCounter("a\x00b", 0),

	golden("key string", "visa", true),
	golden("key string empty", "", true),
	golden("key string with a zero", "a\x00\xff", true),
	golden("key bytes", []byte("\x00\x01"), true),
	golden("key byte array", [3]byte{1, 0, 255}, true),
	golden("key bool", true, true),
	golden("key int8", int8(-1), true),
	golden("key int16", int16(-2), true),
	golden("key int32", int32(1), true),
	golden("key int64", int64(math.MinInt64), true),
	golden("key int", 300, true),
	golden("key uint8", uint8(255), true),
	golden("key uint16", uint16(258), true),
	golden("key uint32", uint32(1), true),
	golden("key uint64", uint64(math.MaxUint64), true),
	golden("key uint", uint(1), true),
	golden("key time", goldenMoment, true),
	golden("key time zero", time.Time{}, true),
	golden("key duration", time.Second, true),
	golden("key of the comment", struct {
		Queue  string
		Number int16
		By     string
	}{"a\x00b", -2, "eve"}, true),
	golden("key struct", wideKey{
		Text: "a\x00", Raw: []byte{0, 0xff}, Tiny: math.MinInt8, Place: keyPlace{"", 7}, Port: 80, Yes: true,
		At: goldenMoment, Wait: -1, ID: [3]byte{1, 2, 3}, Number: -1, Count: 1, Name: "n\x00",
	}, true),

	golden("row of the comment", "k", struct {
		Owner   string
		Balance int
		Tags    []string
		Closed  bool
	}{"eve", 300, nil, false}),
	golden("row string", "k", "visa"),
	golden("row string empty", "k", ""),
	golden("row int", "k", -300),
	golden("row time", "k", goldenMoment),
	golden("row value", "k", values.Int(-1)),
	golden("row nothing", "k", struct{}{}),
	golden("row pointer", "k", &rowPart{"a", 1}),
	golden("row list", "k", []rowPart{{"a", 1}, {}, {"", -1}}),
	golden("row map", "k", map[int16]string{2: "two", -1: "", 1: "one"}),
	golden("row all", "k", fullRow{
		Yes: true, Tiny: -1, Number: math.MaxInt64, Port: 443, Count: math.MaxUint64, Half: 0.5, Ratio: -1.5,
		Text: "text", Raw: []byte{0, 1}, ID: [3]byte{7, 8, 9}, At: goldenMoment, Stamp: stamp(goldenMoment), Wait: time.Hour,
		Any:   values.Map(values.Bytes("k"), values.List(values.Bool(true), values.Uint(300), values.Float(1), quorate.Value{})),
		Maybe: new(int64(0)), Part: rowPart{"part", 0}, MaybeOne: &rowPart{}, Shades: []shade{1, 2}, Lists: [][]int32{nil, {-1, 1}},
		Parts: []rowPart{{"", 3}}, Pair: [2]rowPart{{}, {"pair", 0}}, ByName: map[string]rowPart{"b": {}, "a": {"x", 1}},
		ByNumber: map[int16][]string{1: {""}, -1: nil}, Set: map[uint8]struct{}{0: {}, 255: {}}, Last: "last",
	}),
	golden("account v1", "k", oldAccount),
}

func TestTablesHaveTheBytesOfTheGoldenFile(t *testing.T) {
	var written strings.Builder
	for _, g := range goldenRows {
		state := memory.State{}
		g.write(onState(state))
		for place, item := range state {
			fmt.Fprintf(&written, "%-24s %+q %+q\n", g.name, place, item.Value)
		}
	}
	if *rewriteTables {
		if err := os.WriteFile(goldenTables, []byte(written.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(goldenTables)
	if err != nil {
		t.Fatal(err)
	}
	got, want := strings.Split(written.String(), "\n"), strings.Split(string(file), "\n")
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("line %d of %s differs from what is written now:\n%q\n%q", i+1, goldenTables, want[min(i, len(want)-1)], got[min(i, len(got)-1)])
		}
	}
	for i, g := range goldenRows {
		if err := g.check(quorate.Engine().NewView(mustGoldenState(t, want[i]), engine.Moment{})); err != nil {
			t.Errorf("%s: %v", g.name, err)
		}
	}
}

// A row of the golden file is read by a type that has got fields since.
func TestGoldenRowIsReadByANewerProgram(t *testing.T) {
	file, err := os.ReadFile(goldenTables)
	if err != nil {
		t.Fatal(err)
	}
	accounts := quorate.NewTable[string, accountV2]("t")
	for line := range strings.Lines(string(file)) {
		if !strings.HasPrefix(line, "account v1 ") {
			continue
		}
		row, found := accounts.Get(quorate.Engine().NewView(mustGoldenState(t, line), engine.Moment{}), "k")
		if !found || !reflect.DeepEqual(row, asNew) {
			t.Errorf("got %+v, %v, want %+v", row, found, asNew)
		}
		return
	}
	t.Error("there is no account v1")
}

// mustGoldenState is the state that a line of the golden file describes.
func mustGoldenState(t *testing.T, line string) memory.State {
	t.Helper()
	var place, value string
	_, text, _ := strings.Cut(line, `"`)
	if _, err := fmt.Sscanf(`"`+text, "%q %q", &place, &value); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return memory.State{place: {Value: value}}
}

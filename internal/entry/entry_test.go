package entry_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"maps"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/values"
)

// mustReadHex reads a file of bytes in hex. What stands behind a # is a
// comment, and a bar is there for the eye.
func mustReadHex(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.NewReplacer(" ", "", "|", "", "\n", "", "\r", "", "\t", "").Replace(line))
	}
	data, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return data
}

// entryForm is what a golden file of an entry holds.
type entryForm struct {
	header entry.Header
	calls  []quorate.Call
}

// golden is what each golden file of an entry of this version holds.
var golden = map[string]entryForm{
	"checked.hex": {
		entry.Header{Time: time.Unix(0, 1), Seed: 2, Check: entry.StateCheck{Index: 7, Hash: 0x3f}},
		[]quorate.Call{{Name: "INC", Args: [][]byte{[]byte("hits"), []byte("5")}}},
	},
	"checks.hex": {
		entry.Header{Time: time.Unix(0, -2), Seed: 0xfedcba9876543210, Check: entry.StateCheck{Index: 0x0102030405060708, Hash: 0xf123456789abcdef}},
		[]quorate.Call{
			{Name: "GET", ID: "id-1", Args: [][]byte{{}, nil, {0xff}}},
			{Name: "INC", ID: "s#300", Settled: 299, Args: [][]byte{[]byte("k")}},
		},
	},
	"unchecked.hex": {entry.Header{Time: time.Unix(0, 0)}, []quorate.Call{}},
}

// older is what each golden file of an entry of version 1 holds.
var older = map[string]entryForm{
	"example.hex": {
		entry.Header{Time: time.Unix(0, 1), Seed: 2},
		[]quorate.Call{{Name: "INC", Args: [][]byte{[]byte("hits"), []byte("5")}}},
	},
	"forms.hex": {
		entry.Header{Time: time.Unix(0, -2), Seed: 0xfedcba9876543210},
		[]quorate.Call{
			{Name: "A", Args: [][]byte{}},
			{Name: "GET", ID: "id-1", Args: [][]byte{{}, nil, {0xff}}},
			{Name: "GET", Read: time.Duration(time.Second), Args: [][]byte{bytes.Repeat([]byte("x"), 200)}},
			{Name: "B", ID: "z", Read: 1, Args: [][]byte{}},
		},
	},
	"settled.hex": {
		entry.Header{Time: time.Unix(0, 1), Seed: 2},
		[]quorate.Call{
			{Name: "INC", ID: "s#300", Settled: 299, Args: [][]byte{[]byte("k")}},
			{Name: "B", ID: "s#1", Read: 1, Settled: 1, Args: [][]byte{}},
		},
	},
	"empty.hex": {entry.Header{Time: time.Unix(0, 0)}, []quorate.Call{}},
}

func TestEntriesHaveTheBytesOfTheGoldenFiles(t *testing.T) {
	for name, want := range golden {
		data := mustReadHex(t, name)
		if got := entry.Append(nil, want.header, want.calls); !bytes.Equal(got, data) {
			t.Errorf("%s: encoded\n%x, golden is\n%x", name, got, data)
		}
		mustDecodeTo(t, name, want)
	}
}

func TestEntriesOfVersionOneAreStillRead(t *testing.T) {
	for name, want := range older {
		mustDecodeTo(t, name, want)
	}
}

func mustDecodeTo(t *testing.T, name string, want entryForm) {
	t.Helper()
	header, calls, err := entry.Decode(mustReadHex(t, name))
	if err != nil || !sameHeader(header, want.header) || !reflect.DeepEqual(calls, want.calls) {
		t.Errorf("%s: decoded %v %+v %v, want %v %+v", name, header, calls, err, want.header, want.calls)
	}
}

func sameHeader(a, b entry.Header) bool {
	return a.Time.Equal(b.Time) && a.Seed == b.Seed && a.Check == b.Check
}

// goldenNames is the golden files of entries of all versions.
func goldenNames() []string {
	return append(slices.Collect(maps.Keys(golden)), slices.Collect(maps.Keys(older))...)
}

func goldenReplies() []quorate.Reply {
	failure := quorate.Errorf(quorate.Conflict, "no")
	failure.Value = values.Int(7)
	unknown := &quorate.Error{Code: quorate.Unavailable, Message: "?", Leader: "n1:1", Outcome: quorate.Unknown}
	return []quorate.Reply{
		{Index: 300},
		{Index: 1, Value: values.Bool(true)},
		{Index: 1, Value: values.Int(-1)},
		{Index: 1, Value: values.Uint(math.MaxUint64 - 1)},
		{Index: 1, Value: values.Float(1)},
		{Index: 1, Value: values.Bytes("hi")},
		{Index: 1, Value: values.List(values.Bool(false), values.List())},
		{Index: 1, Value: values.Map(values.Bytes("k"), quorate.Value{})},
		{Index: 2, Err: failure},
		{Err: unknown},
	}
}

func TestRepliesHaveTheBytesOfTheGoldenFiles(t *testing.T) {
	for name, want := range map[string][]quorate.Reply{
		"replies.hex": goldenReplies(),
		"aged.hex":    {{Index: 300, Age: time.Second, Value: values.Bytes("hi")}, {Age: 1}},
	} {
		data := mustReadHex(t, name)
		if got := entry.AppendReplies(nil, want); !bytes.Equal(got, data) {
			t.Errorf("%s: encoded\n%x, golden is\n%x", name, got, data)
		}
		replies, err := entry.ReadReplies(data)
		if err != nil {
			t.Fatal(err)
		}
		mustBeSame(t, replies, want)
	}
}

// fataler is what testing.TB and rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func mustBeSame(t fataler, got, want []quorate.Reply) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d replies, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].Index != want[i].Index || got[i].Age != want[i].Age || !got[i].Value.Equal(want[i].Value) || !sameError(got[i].Err, want[i].Err) {
			t.Fatalf("reply %d is %+v (%v), want %+v (%v)", i, got[i], got[i].Err, want[i], want[i].Err)
		}
	}
}

func sameError(a, b error) bool {
	x, _ := errors.AsType[*quorate.Error](a)
	y, _ := errors.AsType[*quorate.Error](b)
	if x == nil || y == nil {
		return a == nil && b == nil
	}
	return x.Code == y.Code && x.Message == y.Message && x.Leader == y.Leader && x.Outcome == y.Outcome && x.Value.Equal(y.Value)
}

func arbitraryCall() *rapid.Generator[quorate.Call] {
	return rapid.Custom(func(t *rapid.T) quorate.Call {
		arg := rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.Byte(), 0, 300))
		return quorate.Call{
			Name:    rapid.StringN(0, 64, 255).Draw(t, "name"),
			ID:      quorate.CallID(rapid.OneOf(rapid.Just(""), rapid.StringN(1, quorate.CallIDBytesMax, quorate.CallIDBytesMax)).Draw(t, "id")),
			Read:    time.Duration(rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Min(1)).Draw(t, "age")),
			Settled: rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64()).Draw(t, "settled"),
			Args:    rapid.SliceOfN(arg, 0, 5).Draw(t, "args"),
		}
	})
}

func TestWhatIsEncodedDecodesToTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		header := entry.Header{
			Time: time.Unix(0, rapid.Int64().Draw(t, "time")), Seed: rapid.Uint64().Draw(t, "seed"),
			Check: entry.StateCheck{Index: rapid.Uint64().Draw(t, "index"), Hash: rapid.Uint64().Draw(t, "hash")},
		}
		calls := rapid.SliceOfN(arbitraryCall(), 0, 20).Draw(t, "calls")
		data := entry.Append(nil, header, calls)
		gotHeader, got, err := entry.Decode(data)
		if err != nil || !sameHeader(gotHeader, header) || len(got) != len(calls) {
			t.Fatalf("%v, header %v, %d calls of %d", err, gotHeader, len(got), len(calls))
		}
		bound := entry.HeaderBytes
		for i := range calls {
			mustBeSameCall(t, got[i], calls[i])
			bound += entry.CallBytes(calls[i])
		}
		if len(data) > bound {
			t.Fatalf("%d bytes are over the bound of %d", len(data), bound)
		}
	})
}

func mustBeSameCall(t fataler, got, want quorate.Call) {
	t.Helper()
	same := got.Name == want.Name && got.ID == want.ID && got.Read == want.Read && got.Settled == want.Settled && len(got.Args) == len(want.Args)
	for i := 0; same && i < len(want.Args); i++ {
		same = bytes.Equal(got.Args[i], want.Args[i]) && (got.Args[i] == nil) == (want.Args[i] == nil)
	}
	if !same {
		t.Fatalf("decoded %+v, want %+v", got, want)
	}
}

func TestTheLargestCallDecodesToTheSame(t *testing.T) {
	want := quorate.Call{
		Name: strings.Repeat("N", 255), ID: quorate.CallID(strings.Repeat("i", 255)), Read: math.MaxInt64, Settled: math.MaxUint64,
		Args: [][]byte{bytes.Repeat([]byte{7}, quorate.ArgsBytesMax), nil, {}},
	}
	got, rest, err := entry.ReadCalls(append(entry.AppendCalls(nil, []quorate.Call{want}), "rest"...))
	if err != nil || len(got) != 1 || string(rest) != "rest" {
		t.Fatalf("%d calls, %q behind them, %v", len(got), rest, err)
	}
	mustBeSameCall(t, got[0], want)
}

func arbitraryValue(depth int) *rapid.Generator[quorate.Value] {
	return rapid.Custom(func(t *rapid.T) quorate.Value {
		kinds := []values.Kind{values.KindNone, values.KindBool, values.KindInt, values.KindUint, values.KindFloat, values.KindBytes}
		if depth > 0 {
			kinds = append(kinds, values.KindList, values.KindMap)
		}
		switch rapid.SampledFrom(kinds).Draw(t, "kind") {
		case values.KindBool:
			return values.Bool(rapid.Bool().Draw(t, "bool"))
		case values.KindInt:
			return values.Int(rapid.Int64().Draw(t, "int"))
		case values.KindUint:
			return values.Uint(rapid.Uint64().Draw(t, "uint"))
		case values.KindFloat:
			return values.Float(math.Float64frombits(rapid.Uint64().Draw(t, "float")))
		case values.KindBytes:
			return values.Bytes(rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "bytes"))
		case values.KindList:
			return values.List(rapid.SliceOfN(arbitraryValue(depth-1), 0, 4).Draw(t, "list")...)
		case values.KindMap:
			var pairs []quorate.Value
			for _, v := range rapid.SliceOfN(arbitraryValue(depth-1), 0, 3).Draw(t, "map") {
				pairs = append(pairs, values.Bytes(rapid.String().Draw(t, "name")), v)
			}
			return values.Map(pairs...)
		}
		return quorate.Value{}
	})
}

func arbitraryReply() *rapid.Generator[quorate.Reply] {
	return rapid.Custom(func(t *rapid.T) quorate.Reply {
		reply := quorate.Reply{Index: rapid.Uint64().Draw(t, "index")}
		value := arbitraryValue(3).Draw(t, "value")
		if rapid.Bool().Draw(t, "ok") {
			reply.Value = value
			return reply
		}
		reply.Err = &quorate.Error{
			Code:    quorate.Code(rapid.String().Draw(t, "code")),
			Message: rapid.String().Draw(t, "message"), Leader: rapid.String().Draw(t, "leader"),
			Outcome: rapid.SampledFrom([]quorate.Outcome{quorate.NotApplied, quorate.Unknown}).Draw(t, "outcome"),
			Value:   value,
		}
		return reply
	})
}

func TestRepliesDecodeToTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		replies := rapid.SliceOfN(arbitraryReply(), 0, 8).Draw(t, "replies")
		got, err := entry.ReadReplies(entry.AppendReplies(nil, replies))
		if err != nil {
			t.Fatalf("%v", err)
		}
		mustBeSame(t, got, replies)
		for _, reply := range replies {
			if err := entry.Check(reply); err != nil {
				t.Fatalf("a reply that reads back is refused: %v", err)
			}
			one, err := entry.ReadReply(entry.AppendReply(nil, reply))
			if err != nil {
				t.Fatalf("%v", err)
			}
			mustBeSame(t, []quorate.Reply{one}, []quorate.Reply{reply})
		}
	})
}

func TestAnErrorThatSaysNothingOfItsOutcomeLeavesItOpen(t *testing.T) {
	reply, err := entry.ReadReply(entry.AppendReply(nil, quorate.Reply{Err: errors.New("plain")}))
	if err != nil || !quorate.OutcomeUnknown(reply.Err) || quorate.CodeOf(reply.Err) != quorate.Internal || reply.Err.Error() != "plain" {
		t.Fatalf("%v, %v", reply.Err, err)
	}
}

// TestOnlyTheExactByteSaysNotApplied goes through all that the byte of an
// outcome may be.
func TestOnlyTheExactByteSaysNotApplied(t *testing.T) {
	data := entry.AppendReply(nil, quorate.Reply{Err: &quorate.Error{Code: "c"}})
	outcome := len(data) - 2
	for b := range 256 {
		data[outcome] = byte(b)
		reply, err := entry.ReadReply(data)
		if err != nil || quorate.OutcomeUnknown(reply.Err) != (b != 0) {
			t.Fatalf("byte %d: outcome unknown is %v, %v", b, quorate.OutcomeUnknown(reply.Err), err)
		}
	}
}

// nested is a value that stands depth lists deep.
func nested(depth int) quorate.Value {
	v := values.Int(1)
	for range depth {
		v = values.List(v)
	}
	return v
}

func TestCheckRefusesExactlyWhatDoesNotReadBack(t *testing.T) {
	odd := values.Map(values.Bytes("name"))
	for name, value := range map[string]quorate.Value{
		"31 deep": nested(31), "32 deep": nested(32), "33 deep": nested(33), "1000 deep": nested(1000),
		"odd map": odd, "odd map in a list": values.List(odd), "map": values.Map(values.Bytes("n"), nested(31)),
	} {
		for _, reply := range []quorate.Reply{{Value: value}, {Err: &quorate.Error{Code: "c", Value: value}}} {
			_, readErr := entry.ReadReply(entry.AppendReply(nil, reply))
			if err := entry.Check(reply); (err == nil) != (readErr == nil) {
				t.Errorf("%s: Check says %v, reading back says %v", name, err, readErr)
			}
		}
	}
	if entry.Check(quorate.Reply{Value: nested(33)}) == nil || entry.Check(quorate.Reply{Value: odd}) == nil {
		t.Error("a value without a form passed")
	}
}

func TestWhatANewerProgramWroteIsToldApart(t *testing.T) {
	data := entry.Append(nil, entry.Header{}, []quorate.Call{{Name: "GET"}})
	for name, change := range map[string]struct {
		at int
		to byte
	}{"version": {0, 3}, "version 0": {0, 0}, "kind": {1, 99}, "flags": {35, 8}, "more flags": {35, 0x80}} {
		newer := bytes.Clone(data)
		newer[change.at] = change.to
		if _, _, err := entry.Decode(newer); !errors.Is(err, entry.ErrNewer) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := entry.Decode(data); err != nil {
		t.Errorf("unchanged: %v", err)
	}
	for _, reply := range [][]byte{{3, 0, 0}, {0, 0, 8}} {
		if _, err := entry.ReadReply(reply); !errors.Is(err, entry.ErrNewer) {
			t.Errorf("reply %x: %v", reply, err)
		}
	}
}

func TestWhatIsCutOrTooLongIsRefused(t *testing.T) {
	for _, name := range goldenNames() {
		data := mustReadHex(t, name)
		for n := range len(data) {
			if _, calls, err := entry.Decode(data[:n:n]); err == nil {
				t.Errorf("%s: %d bytes of %d decode to %+v", name, n, len(data), calls)
			}
		}
		if _, _, err := entry.Decode(append(bytes.Clone(data), 0)); err == nil {
			t.Errorf("%s: a byte behind the last call is taken", name)
		}
	}
	data := mustReadHex(t, "replies.hex")
	for n := range len(data) {
		if _, err := entry.ReadReplies(data[:n:n]); err == nil {
			t.Errorf("%d bytes of %d are replies", n, len(data))
		}
	}
	if _, err := entry.ReadReplies(append(bytes.Clone(data), 0)); err == nil {
		t.Error("a byte behind the last reply is taken")
	}
}

func TestMoreCallsThanTheLimitAreRefused(t *testing.T) {
	many := append([]byte{0x81, 0x80, 0x04}, make([]byte, 4<<16)...) // 65,537
	if _, _, err := entry.ReadCalls(many); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("calls: %v", err)
	}
	if _, err := entry.ReadReplies(many); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("replies: %v", err)
	}
}

func TestAnAgeThatIsNoneIsRefused(t *testing.T) {
	data := []byte{1, 2, 1, 'G', 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0} // 1<<63
	if _, _, err := entry.ReadCalls(data); err == nil {
		t.Error("an age that is negative was taken")
	}
}

func TestANameWithoutAFormIsAProgramError(t *testing.T) {
	for name, call := range map[string]quorate.Call{
		"name": {Name: strings.Repeat("N", 256)},
		"id":   {Name: "N", ID: quorate.CallID(strings.Repeat("i", 256))},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: it was encoded", name)
				}
			}()
			entry.AppendCalls(nil, []quorate.Call{call})
		}()
	}
}

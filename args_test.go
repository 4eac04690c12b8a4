package quorate_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/values"
)

// All has a field of each form, and answers with its arguments.
type All struct {
	Text      string
	Raw       []byte
	Yes       bool
	Small     int8
	Big       int64
	Count     uint64
	Ratio     float64
	Half      float32
	Any       quorate.Value
	MaybeText *string
	Maybe     *int64
	MaybeAny  *quorate.Value
	Preset    int64  `default:"-7"`
	Word      string `json:"the_word" default:"word"`
	Ignored   int    `json:"-"`
	Rest      []quorate.Value
}

func (a All) Apply(*quorate.Tx) (All, error) { return a, nil }

var all = quorate.Define("all", quorate.Write[All]("ALL"))

// mustOperation finds an operation by name.
func mustOperation(t testing.TB, service *quorate.Service, name string) *quorate.Operation {
	t.Helper()
	op, ok := quorate.Engine().Lookup(service, quorate.Call{Name: name})
	if !ok {
		t.Fatalf("there is no operation %s", name)
	}
	return op
}

// mustFill makes the All that arguments stand for.
func mustFill(t testing.TB, args [][]byte) All {
	t.Helper()
	op, err := quorate.Engine().Check(all, quorate.Call{Name: "ALL", Args: args})
	if err != nil {
		t.Fatalf("check %q: %v", args, err)
	}
	value, err := quorate.Engine().Apply(op, quorate.Engine().NewTx(memory.State{}, engine.Moment{}), args)
	if err != nil {
		t.Fatalf("apply %q: %v", args, err)
	}
	var filled All
	if err := value.Into(&filled); err != nil {
		t.Fatal(err)
	}
	return filled
}

func mustArgs(t testing.TB, operation any) [][]byte {
	t.Helper()
	call, err := quorate.NewCall(operation)
	if err != nil {
		t.Fatal(err)
	}
	return call.Args
}

// sameArgs tells what was left out from what is empty.
func sameArgs(a, b [][]byte) bool {
	return slices.EqualFunc(a, b, func(x, y []byte) bool { return bytes.Equal(x, y) && (x == nil) == (y == nil) })
}

const required = `"text":"t","raw":"r","yes":true,"small":-8,"big":1,"count":2,"ratio":0.5,"half":0.25,"any":7`

// A JSON object becomes arguments, they fill a struct, and the struct makes
// arguments again: the same, once what was left out has its preset.
func FuzzArgs(f *testing.F) {
	for _, more := range []string{
		``, `,"any":"7"`, `,"maybe_text":"","maybe":0,"maybe_any":"-0"`, `,"rest":[1,"1","\u0000",{"base64":"/w=="}]`,
		`,"preset":null,"the_word":""`, `,"maybe":9223372036854775808`, `,"Text":1`, `,"text":"again"`, `,"rest":{}`, `,"maybe_text":"\ud83d\ude00"`,
		`,"maybe_text":"\ud83d"`, `,"maybe_text":"\\ud83d"`,
	} {
		f.Add([]byte(`{` + required + more + `}`))
	}
	f.Add([]byte(`{}{`))
	f.Add([]byte(`{"text":"\ud800\u`))
	op := mustOperation(f, all, "ALL")
	f.Fuzz(func(t *testing.T, body []byte) {
		args, err := quorate.Engine().ArgsFromJSON(op, body)
		if err != nil {
			if quorate.CodeOf(err) != quorate.Invalid || quorate.OutcomeUnknown(err) || len(err.Error()) > 1000 {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		if len(args) > 0 && args[len(args)-1] == nil {
			t.Fatalf("%q ends in what was left out: %q", body, args)
		}
		first := mustFill(t, args)
		var fields map[string]any
		if err := json.Unmarshal(body, &fields); err != nil {
			t.Fatalf("%q was taken, but %v", body, err)
		}
		if text, ok := fields["text"].(string); ok && text != first.Text {
			t.Fatalf("%q: text is %q, want %q", body, first.Text, text)
		}
		again := mustArgs(t, first)
		for i, arg := range args {
			if arg != nil && !bytes.Equal(arg, again[i]) {
				t.Fatalf("%q: argument %d is %q and then %q", body, i, arg, again[i])
			}
		}
		if third := mustArgs(t, mustFill(t, again)); !sameArgs(again, third) {
			t.Fatalf("%q: %q became %q", body, again, third)
		}
	})
}

func TestArgumentsHaveOneForm(t *testing.T) {
	full := All{
		Text: "t\x00", Raw: []byte("\xff"), Yes: true, Small: -128, Big: math.MinInt64, Count: math.MaxUint64,
		Ratio: 1e21, Half: 0.1, Any: values.Bytes("7"),
		MaybeText: new(""), Maybe: new(int64(0)), MaybeAny: new(values.Bytes("\x00")),
		Preset: 0, Word: "", Rest: []quorate.Value{values.Int(-1), values.Bytes("-01"), values.Bytes("")},
	}
	want := []string{
		"t\x00", "\xff", "1", "-128", "-9223372036854775808", "18446744073709551615", "1e+21", "0.10000000149011612",
		"\x007", "", "0", "\x00\x00", "0", "", "-1", "-01", "",
	}
	args := mustArgs(t, full)
	got := make([]string, len(args))
	for i, arg := range args {
		got[i] = string(arg)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if back := mustFill(t, args); fmt.Sprint(mustArgs(t, back)) != fmt.Sprint(args) {
		t.Errorf("came back as %+v", back)
	}
}

func TestWhatIsLeftOutAtTheEndIsNoArgument(t *testing.T) {
	op := mustOperation(t, all, "ALL")
	args, err := quorate.Engine().ArgsFromJSON(op, []byte(`{`+required+`}`))
	if err != nil || len(args) != 9 {
		t.Fatalf("%d arguments, %v", len(args), err)
	}
	args, err = quorate.Engine().ArgsFromJSON(op, []byte(`{`+required+`,"preset":3}`))
	if err != nil || len(args) != 13 || args[9] != nil || args[11] != nil || string(args[12]) != "3" {
		t.Fatalf("arguments %q, %v", args, err)
	}
	got := mustFill(t, args)
	if got.MaybeText != nil || got.MaybeAny != nil || got.Preset != 3 || got.Word != "word" || len(got.Rest) > 0 {
		t.Errorf("they stand for %+v", got)
	}
}

func TestTextBecomesArguments(t *testing.T) {
	op := mustOperation(t, all, "ALL")
	text := []string{"t", "r", "true", "+8", "-1", "2", "1.50", ".5", "007", "x", "5", "\x00", "1", "w", "7", "seven"}
	want := []string{"t", "r", "1", "8", "-1", "2", "1.5", "0.5", "007", "x", "5", "\x00\x00", "1", "w", "7", "seven"}
	typed := make([][]byte, len(text))
	for i := range text {
		typed[i] = []byte(text[i])
	}
	args, err := quorate.Engine().ArgsFromText(op, typed)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if string(args[i]) != want[i] {
			t.Errorf("%q became %q, want %q", text[i], args[i], want[i])
		}
	}
	got := mustFill(t, args)
	if got.Any.Kind() != values.KindBytes || got.MaybeAny.Text() != "\x00" || got.Rest[0].Int() != 7 || got.Rest[1].Text() != "seven" {
		t.Errorf("they stand for %+v", got)
	}
}

func TestTextThatDoesNotFitIsRefusedByName(t *testing.T) {
	op := mustOperation(t, all, "ALL")
	good := []string{"t", "r", "1", "8", "-1", "2", "1.5", "0.5", "7", "x", "5"}
	for _, c := range []struct {
		at         int
		text, want string
	}{
		{2, "maybe", `argument yes is "maybe", not a bool`},
		{3, "128", `argument small is "128", which does not fit an integer of 8 bits`},
		{4, "1.0", `argument big is "1.0", not an integer`},
		{5, "-1", `argument count is "-1", not an unsigned integer`},
		{6, "1e400", `argument ratio is "1e400", which does not fit a number of 64 bits`},
		{10, "", `argument maybe is "", not an integer`},
	} {
		text := slices.Clone(good)
		text[c.at] = c.text
		typed := make([][]byte, len(text))
		for i := range text {
			typed[i] = []byte(text[i])
		}
		if _, err := quorate.Engine().ArgsFromText(op, typed); quorate.CodeOf(err) != quorate.Invalid || err.Error() != c.want {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
}

func TestJSONThatDoesNotFitIsRefusedByName(t *testing.T) {
	op := mustOperation(t, all, "ALL")
	for field, want := range map[string]string{
		`"text":7`:             `field "text" is the number 7, not a string`,
		`"raw":{"base64":7}`:   `field "raw" is an object, not a string`,
		`"yes":1`:              `field "yes" is the number 1, not true or false`,
		`"small":-129`:         `field "small" is the number -129, which does not fit an integer of 8 bits`,
		`"big":1.0`:            `field "big" is the number 1.0, not an integer`,
		`"count":-1`:           `field "count" is the number -1, not an unsigned integer`,
		`"ratio":"1"`:          `field "ratio" is a string, not a number`,
		`"half":1e39`:          `field "half" is the number 1e39, which does not fit a number of 32 bits`,
		`"any":[]`:             `field "any" is a list, not an integer or a string`,
		`"any":null`:           `field "any" is missing: ALL takes `,
		`"any":7,"rest":7`:     `field "rest" is the number 7, not a list`,
		`"any":7,"rest":[[]]`:  `field "rest" is a list, not an integer or a string`,
		`"any":7,"rest":[1.5]`: `field "rest" is the number 1.5, not an integer or a string`,
		`"any":7,"zz":1,"a":1`: `field "a" is not known: ALL takes `,
		`"any":7,"ignored":1`:  `field "ignored" is not known: ALL takes `,
	} {
		name, _, _ := strings.Cut(field, ":")
		var others []string
		for _, pair := range strings.Split(required, ",") {
			if !strings.HasPrefix(pair, name+":") {
				others = append(others, pair)
			}
		}
		body := "{" + strings.Join(append(others, field), ",") + "}"
		if _, err := quorate.Engine().ArgsFromJSON(op, []byte(body)); quorate.CodeOf(err) != quorate.Invalid || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}

func TestNamesInMessagesAreCut(t *testing.T) {
	op := mustOperation(t, all, "ALL")
	long := strings.Repeat("n", 1<<20)
	for _, body := range []string{
		`{` + required + `,"` + long + `":1}`,
		`{"` + long + `":1,"` + long + `":2}`,
		strings.Replace(`{`+required+`}`, `"big":1`, `"big":`+strings.Repeat("9", 1<<20), 1),
	} {
		if _, err := quorate.Engine().ArgsFromJSON(op, []byte(body)); err == nil || len(err.Error()) > 1000 {
			t.Errorf("the message has %d bytes", len(fmt.Sprint(err)))
		}
	}
}

// A Value would not keep another kind on its way, so that it is not sent.
func TestArgumentOfAKindWithoutFormIsRefused(t *testing.T) {
	for _, v := range []quorate.Value{{}, values.Bool(true), values.Uint(1), values.Float(1), values.List()} {
		for _, operation := range []All{
			{Any: v},
			{Any: values.Int(1), MaybeAny: &v},
			{Any: values.Int(1), Rest: []quorate.Value{v}},
		} {
			_, err := quorate.NewCall(operation)
			if quorate.CodeOf(err) != quorate.Invalid || !strings.Contains(err.Error(), "is a Value of kind "+v.Kind().String()) {
				t.Errorf("kind %s: %v", v.Kind(), err)
			}
		}
	}
}

// Name is a string with a JSON form of its own.
type Name string

func (n *Name) UnmarshalJSON(raw []byte) error {
	if string(raw) != `"ann"` {
		return errors.New("is not ann")
	}
	*n = "Ann"
	return nil
}

type Greet struct{ Who Name }

func (g Greet) Read(*quorate.View) (Name, error) { return g.Who, nil }

func TestTypeCanHaveAFormOfItsOwnInJSON(t *testing.T) {
	greet := mustOperation(t, quorate.Define("greet", quorate.Read[Greet]("GREET")), "GREET")
	if args, err := quorate.Engine().ArgsFromJSON(greet, []byte(`{"who":"ann"}`)); err != nil || len(args) != 1 || string(args[0]) != "Ann" {
		t.Errorf("ann became %q, %v", args, err)
	}
	if _, err := quorate.Engine().ArgsFromJSON(greet, []byte(`{"who":"bob"}`)); quorate.CodeOf(err) != quorate.Invalid || err.Error() != `field "who" is not ann` {
		t.Errorf("bob: %v", err)
	}
}

func TestStringsInJSON(t *testing.T) {
	for raw, want := range map[string]string{
		`"a"`: "a", `""`: "", `"\u0061"`: "a", `"\\"`: `\`, `"\""`: `"`, `"\\ud800"`: `\ud800`, `"é"`: "é",
		`"\ud83d\ude00"`: "😀", `"\uD83D\uDE00\ufffd"`: "😀\uFFFD", `"\ufffd"`: "\uFFFD", "\"\uFFFD\"": "\uFFFD", `{"base64":"_w=="}`: "error",
		`{"base64":"/w=="}`: "\xff", ` {"base64" : "" }`: "", `{"base64":"/x=="}`: "error", `{"base64":null}`: "error",
		`{"base64":"","a":1}`: "error", `{"Base64":""}`: "error", `{"base64":"\ud800"}`: "error",
		`"\ud83d"`: "error", `"\ude00"`: "error", `"\ud83d\ud83d\ude00"`: "error", `"\ude00\ud83d"`: "error", `"\ud83dx"`: "error",
		`"\ufffd\ud83d"`: "error", `"`: "error", `"a`: "error", `a"`: "error", `"a"b"`: "error", ``: "error",
	} {
		var v quorate.Value
		err := v.UnmarshalJSON([]byte(raw))
		if (err != nil) != (want == "error") || err == nil && v.Text() != want {
			t.Errorf("%s is %q (%v), want %q", raw, v.Text(), err, want)
		}
	}
}

// Spaces may stand wherever JSON has them.
func TestSpaceInJSONMeansNothing(t *testing.T) {
	op := mustOperation(t, small, "SUM")
	for _, body := range []string{
		`{"of":[1,2]}`, " \t\r\n{ \"of\" : [ 1 , 2 ] } \n", "{\n\t\"of\":\n[1,\r\n2]\n}",
	} {
		if args, err := quorate.Engine().ArgsFromJSON(op, []byte(body)); err != nil || fmt.Sprintf("%s", args) != "[1 2]" {
			t.Errorf("%q: %s %v", body, args, err)
		}
	}
	for _, body := range []string{"\u00a0{\"of\":[1]}", "{\"of\":[1]}\v", "{\"of\" [1]}", "{,}", "{\"of\":[1]},"} {
		if args, err := quorate.Engine().ArgsFromJSON(op, []byte(body)); quorate.CodeOf(err) != quorate.Invalid {
			t.Errorf("%q: %s %v", body, args, err)
		}
	}
}

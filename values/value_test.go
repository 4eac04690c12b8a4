package values_test

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"

	"github.com/quorate/quorate/values"
)

type point struct {
	X, Y  int
	Label string `json:"name"`
	Skip  string `json:"-"`
	inner string
}

// Each line is a Go value, what kind of Value it becomes, and the JSON of it.
// The Value then goes back into a variable of the same type.
func TestResultsHaveOneForm(t *testing.T) {
	for _, c := range []struct {
		result any
		kind   values.Kind
		json   string
	}{
		{true, values.KindBool, `true`},
		{false, values.KindBool, `false`},
		{int64(math.MinInt64), values.KindInt, `-9223372036854775808`},
		{int8(-1), values.KindInt, `-1`},
		{uint64(math.MaxUint64), values.KindUint, `18446744073709551615`},
		{uint16(7), values.KindUint, `7`},
		{1.5, values.KindFloat, `1.5`},
		{1e300, values.KindFloat, `1e+300`},
		{float32(0.5), values.KindFloat, `0.5`},
		{math.Inf(-1), values.KindFloat, `"-Inf"`},
		{"7", values.KindBytes, `"7"`},
		{"", values.KindBytes, `""`},
		{"a\"\\\n<é\u2028\x7f", values.KindBytes, `"a\"\\\n<é\u2028` + "\x7f" + `"`},
		{"\xff", values.KindBytes, `{"base64":"/w=="}`},
		{[]byte("raw"), values.KindBytes, `"raw"`},
		{[]int{1, 2}, values.KindList, `[1,2]`},
		{[]int{}, values.KindList, `[]`},
		{[2]string{"a", "b"}, values.KindList, `["a","b"]`},
		{[2]byte{1, 2}, values.KindList, `[1,2]`},
		{[]*int{nil, new(1)}, values.KindList, `[null,1]`},
		{map[string]int{"b": 2, "a": 1}, values.KindMap, `{"a":1,"b":2}`},
		{point{X: 1, Y: 2, Label: "p", inner: ""}, values.KindMap, `{"x":1,"y":2,"name":"p"}`},
		{map[string][]point{"p": {{X: 1}}}, values.KindMap, `{"p":[{"x":1,"y":0,"name":""}]}`},
		{struct{}{}, values.KindNone, `null`},
		{values.Int(3), values.KindInt, `3`},
		{new(3), values.KindInt, `3`},
		{(*int)(nil), values.KindNone, `null`},
	} {
		v, err := values.Of(c.result)
		if err != nil {
			t.Errorf("%T: %v", c.result, err)
			continue
		}
		text, err := json.Marshal(v)
		raw, _ := v.AppendJSON([]byte("before"))
		compact := string(text)
		if v.Kind() == values.KindBytes { // json.Marshal escapes < and > of what MarshalJSON returns
			compact = string(raw[len("before"):])
		}
		if err != nil || v.Kind() != c.kind || compact != c.json {
			t.Errorf("%T %v is %s %s (%v), want %s %s", c.result, c.result, v.Kind(), compact, err, c.kind, c.json)
		}
		back := reflect.New(reflect.TypeOf(c.result))
		if err := v.Into(back.Interface()); err != nil || !reflect.DeepEqual(back.Elem().Interface(), c.result) {
			t.Errorf("%T %v comes back as %v (%v)", c.result, c.result, back.Elem(), err)
		}
	}
}

func TestValueOfNothingIsNone(t *testing.T) {
	v, err := values.Of(nil)
	if err != nil || v.Kind() != values.KindNone || v.String() != "" {
		t.Errorf("got %v %v", v, err)
	}
	n := 5
	if err := v.Into(&n); err != nil || n != 5 {
		t.Errorf("none changed its target to %d (%v)", n, err)
	}
}

func TestNameInAMapIsAlwaysAString(t *testing.T) {
	v, err := values.Of(map[string]int{"\xff": 1})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := json.Marshal(v); err != nil || string(text) != "{\"\uFFFD\":1}" {
		t.Errorf("got %s %v", text, err)
	}
}

func TestValueOfAnotherKindReadsAsZero(t *testing.T) {
	for _, v := range []values.Value{
		{}, values.Bool(true), values.Int(1), values.Uint(1), values.Float(1),
		values.Bytes("1"), values.List(values.Int(1)), values.Map(values.Bytes("a"), values.Int(1)),
	} {
		k := v.Kind()
		if v.Bool() != (k == values.KindBool) || (v.Int() == 1) != (k == values.KindInt) || (v.Uint() == 1) != (k == values.KindUint) ||
			(v.Float() == 1) != (k == values.KindFloat) || (v.Text() == "1") != (k == values.KindBytes) ||
			(len(v.List()) > 0) != (k == values.KindList || k == values.KindMap) {
			t.Errorf("kind %s: %v %v %v %v %q %v", k, v.Bool(), v.Int(), v.Uint(), v.Float(), v.Text(), v.List())
		}
	}
}

func TestValuesOfDifferentKindsAreNotEqual(t *testing.T) {
	all := []values.Value{
		{}, values.Bool(true), values.Bool(false), values.Int(1), values.Uint(1), values.Float(1),
		values.Bytes("1"), values.Bytes(""), values.List(), values.Map(),
		values.List(values.Int(1)), values.List(values.Uint(1)),
	}
	for i, v := range all {
		for k, w := range all {
			if v.Equal(w) != (i == k) {
				t.Errorf("%s %s and %s %s: Equal is %v", v.Kind(), v, w.Kind(), w, v.Equal(w))
			}
		}
	}
}

func TestResultThatDoesNotFitIsRefused(t *testing.T) {
	for _, c := range []struct {
		value  values.Value
		target any
		want   string
	}{
		{values.Int(300), new(int8), "a result of kind integer does not fit a int8"},
		{values.Uint(300), new(uint8), "a result of kind unsigned integer does not fit a uint8"},
		{values.Bytes("x"), new(int64), "a result of kind string does not fit a int64"},
		{values.Int(1), new(string), "a result of kind integer does not fit a string"},
		{values.List(values.Int(1)), new([2]int), "a result of kind list does not fit a [2]int"},
		{values.List(values.Bool(true)), new([]int), "a result of kind bool does not fit a int"},
		{values.Map(values.Bytes("x"), values.Bytes("y")), new(point), "field x: a result of kind string does not fit a int"},
		{values.Int(1), 7, "a result is stored through a pointer, not a int"},
		{values.Int(1), (*int)(nil), "a result is stored through a pointer, not a *int"},
	} {
		if err := c.value.Into(c.target); err == nil || err.Error() != c.want {
			t.Errorf("%s into %T: %v, want %q", c.value, c.target, err, c.want)
		}
	}
}

// drawValue makes a Value of what a fuzzer gives.
func drawValue(data []byte, depth int) (_ values.Value, rest []byte) {
	if len(data) == 0 {
		return values.Value{}, nil
	}
	kind, data := data[0]%8, data[1:]
	n := min(len(data), 8)
	var num uint64
	for _, b := range data[:n] {
		num = num<<8 | uint64(b)
	}
	switch {
	case kind == 1:
		return values.Bool(num%2 == 1), data[n:]
	case kind == 2:
		return values.Int(int64(num)), data[n:]
	case kind == 3:
		return values.Uint(num), data[n:]
	case kind == 4:
		return values.Float(math.Float64frombits(num)), data[n:]
	case kind == 5:
		return values.Bytes(data[:n]), data[n:]
	case kind == 0 || depth == 0 || n == 0:
		return values.Value{}, data
	}
	elements, data := int(data[0]%4), data[1:]
	var list []values.Value
	for i := range elements {
		if kind == 7 {
			list = append(list, values.Bytes(string(rune('a'+i))+string(data[:min(1, len(data))])))
		}
		var v values.Value
		v, data = drawValue(data, depth-1)
		list = append(list, v)
	}
	if kind == 7 {
		return values.Map(list...), data
	}
	return values.List(list...), data
}

// Every Value has JSON that is valid, and integers and bytes come back from
// it as they were.
func FuzzValue(f *testing.F) {
	for kind := range byte(8) {
		f.Add([]byte{kind, 3, 1, 0xff, '"', 5, '\\', 7, 2, 5, 'x', 0xe2, 0x80, 0xa8})
		f.Add([]byte{kind, 0x7f, 0xf0, 0, 0, 0, 0, 0, 1})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, _ := drawValue(data, 3)
		text, err := v.MarshalJSON()
		if err != nil || !json.Valid(text) {
			t.Fatalf("%s: %s %v", v.Kind(), text, err)
		}
		if !v.Equal(v) {
			t.Fatalf("%s is not equal to itself", text)
		}
		if v.Kind() != values.KindInt && v.Kind() != values.KindBytes {
			return
		}
		var back values.Value
		if err := back.UnmarshalJSON(text); err != nil || !back.Equal(v) {
			t.Fatalf("%s %q comes back from %s as %s %q (%v)", v.Kind(), v, text, back.Kind(), back, err)
		}
	})
}

func TestValueIsWrittenAsAPersonWould(t *testing.T) {
	for want, v := range map[string]values.Value{
		"":        {},
		"true":    values.Bool(true),
		"-1":      values.Int(-1),
		"1":       values.Uint(1),
		"0.5":     values.Float(0.5),
		"a b":     values.Bytes("a b"),
		`["a",1]`: values.List(values.Bytes("a"), values.Int(1)),
		`{"a":1}`: values.Map(values.Bytes("a"), values.Int(1)),
	} {
		if got := v.String(); got != want {
			t.Errorf("%s is %q, want %q", v.Kind(), got, want)
		}
	}
	if got := values.Kind(99).String(); got != "kind 99" {
		t.Errorf("an unknown kind is %q", got)
	}
}

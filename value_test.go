package quorate_test

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"

	"github.com/quorate/quorate"
)

type point struct {
	X, Y  int
	Label string `json:"name"`
	Skip  string `json:"-"`
	inner string
}

func ptr[T any](v T) *T { return &v }

// Each line is a Go value, what kind of Value it becomes, and the JSON of it.
// The Value then goes back into a variable of the same type.
func TestResultsHaveOneForm(t *testing.T) {
	for _, c := range []struct {
		result any
		kind   quorate.Kind
		json   string
	}{
		{true, quorate.Bool, `true`},
		{false, quorate.Bool, `false`},
		{int64(math.MinInt64), quorate.Int, `-9223372036854775808`},
		{int8(-1), quorate.Int, `-1`},
		{uint64(math.MaxUint64), quorate.Uint, `18446744073709551615`},
		{uint16(7), quorate.Uint, `7`},
		{1.5, quorate.Float, `1.5`},
		{1e300, quorate.Float, `1e+300`},
		{float32(0.5), quorate.Float, `0.5`},
		{math.Inf(-1), quorate.Float, `"-Inf"`},
		{"7", quorate.Bytes, `"7"`},
		{"", quorate.Bytes, `""`},
		{"a\"\\\n<é\u2028\x7f", quorate.Bytes, `"a\"\\\n<é\u2028` + "\x7f" + `"`},
		{"\xff", quorate.Bytes, `{"base64":"/w=="}`},
		{[]byte("raw"), quorate.Bytes, `"raw"`},
		{[]int{1, 2}, quorate.List, `[1,2]`},
		{[]int{}, quorate.List, `[]`},
		{[2]string{"a", "b"}, quorate.List, `["a","b"]`},
		{[2]byte{1, 2}, quorate.List, `[1,2]`},
		{[]*int{nil, ptr(1)}, quorate.List, `[null,1]`},
		{map[string]int{"b": 2, "a": 1}, quorate.Map, `{"a":1,"b":2}`},
		{point{X: 1, Y: 2, Label: "p", inner: ""}, quorate.Map, `{"x":1,"y":2,"name":"p"}`},
		{map[string][]point{"p": {{X: 1}}}, quorate.Map, `{"p":[{"x":1,"y":0,"name":""}]}`},
		{struct{}{}, quorate.None, `null`},
		{quorate.IntValue(3), quorate.Int, `3`},
		{ptr(3), quorate.Int, `3`},
		{(*int)(nil), quorate.None, `null`},
	} {
		v, err := quorate.ValueOf(c.result)
		if err != nil {
			t.Errorf("%T: %v", c.result, err)
			continue
		}
		text, err := json.Marshal(v)
		raw, _ := v.AppendJSON([]byte("before"))
		compact := string(text)
		if v.Kind() == quorate.Bytes { // json.Marshal escapes < and > of what MarshalJSON returns
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
	v, err := quorate.ValueOf(nil)
	if err != nil || v.Kind() != quorate.None || v.String() != "" {
		t.Errorf("got %v %v", v, err)
	}
	n := 5
	if err := v.Into(&n); err != nil || n != 5 {
		t.Errorf("none changed its target to %d (%v)", n, err)
	}
}

func TestNameInAMapIsAlwaysAString(t *testing.T) {
	v, err := quorate.ValueOf(map[string]int{"\xff": 1})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := json.Marshal(v); err != nil || string(text) != "{\"\uFFFD\":1}" {
		t.Errorf("got %s %v", text, err)
	}
}

func TestValueOfAnotherKindReadsAsZero(t *testing.T) {
	for _, v := range []quorate.Value{
		{}, quorate.BoolValue(true), quorate.IntValue(1), quorate.UintValue(1), quorate.FloatValue(1),
		quorate.BytesValue("1"), quorate.ListValue(quorate.IntValue(1)), quorate.MapValue(quorate.BytesValue("a"), quorate.IntValue(1)),
	} {
		k := v.Kind()
		if v.Bool() != (k == quorate.Bool) || (v.Int() == 1) != (k == quorate.Int) || (v.Uint() == 1) != (k == quorate.Uint) ||
			(v.Float() == 1) != (k == quorate.Float) || (v.Text() == "1") != (k == quorate.Bytes) ||
			(len(v.List()) > 0) != (k == quorate.List || k == quorate.Map) {
			t.Errorf("kind %s: %v %v %v %v %q %v", k, v.Bool(), v.Int(), v.Uint(), v.Float(), v.Text(), v.List())
		}
	}
}

func TestValuesOfDifferentKindsAreNotEqual(t *testing.T) {
	all := []quorate.Value{
		{}, quorate.BoolValue(true), quorate.BoolValue(false), quorate.IntValue(1), quorate.UintValue(1), quorate.FloatValue(1),
		quorate.BytesValue("1"), quorate.BytesValue(""), quorate.ListValue(), quorate.MapValue(),
		quorate.ListValue(quorate.IntValue(1)), quorate.ListValue(quorate.UintValue(1)),
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
		value  quorate.Value
		target any
		want   string
	}{
		{quorate.IntValue(300), new(int8), "a result of kind integer does not fit a int8"},
		{quorate.UintValue(300), new(uint8), "a result of kind unsigned integer does not fit a uint8"},
		{quorate.BytesValue("x"), new(int64), "a result of kind string does not fit a int64"},
		{quorate.IntValue(1), new(string), "a result of kind integer does not fit a string"},
		{quorate.ListValue(quorate.IntValue(1)), new([2]int), "a result of kind list does not fit a [2]int"},
		{quorate.ListValue(quorate.BoolValue(true)), new([]int), "a result of kind bool does not fit a int"},
		{quorate.MapValue(quorate.BytesValue("x"), quorate.BytesValue("y")), new(point), "field x: a result of kind string does not fit a int"},
		{quorate.IntValue(1), 7, "a result is stored through a pointer, not a int"},
		{quorate.IntValue(1), (*int)(nil), "a result is stored through a pointer, not a *int"},
	} {
		if err := c.value.Into(c.target); err == nil || err.Error() != c.want {
			t.Errorf("%s into %T: %v, want %q", c.value, c.target, err, c.want)
		}
	}
}

// drawValue makes a Value of what a fuzzer gives.
func drawValue(data []byte, depth int) (_ quorate.Value, rest []byte) {
	if len(data) == 0 {
		return quorate.Value{}, nil
	}
	kind, data := data[0]%8, data[1:]
	n := min(len(data), 8)
	var num uint64
	for _, b := range data[:n] {
		num = num<<8 | uint64(b)
	}
	switch {
	case kind == 1:
		return quorate.BoolValue(num%2 == 1), data[n:]
	case kind == 2:
		return quorate.IntValue(int64(num)), data[n:]
	case kind == 3:
		return quorate.UintValue(num), data[n:]
	case kind == 4:
		return quorate.FloatValue(math.Float64frombits(num)), data[n:]
	case kind == 5:
		return quorate.BytesValue(data[:n]), data[n:]
	case kind == 0 || depth == 0 || n == 0:
		return quorate.Value{}, data
	}
	elements, data := int(data[0]%4), data[1:]
	var list []quorate.Value
	for i := range elements {
		if kind == 7 {
			list = append(list, quorate.BytesValue(string(rune('a'+i))+string(data[:min(1, len(data))])))
		}
		var v quorate.Value
		v, data = drawValue(data, depth-1)
		list = append(list, v)
	}
	if kind == 7 {
		return quorate.MapValue(list...), data
	}
	return quorate.ListValue(list...), data
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
		if v.Kind() != quorate.Int && v.Kind() != quorate.Bytes {
			return
		}
		var back quorate.Value
		if err := back.UnmarshalJSON(text); err != nil || !back.Equal(v) {
			t.Fatalf("%s %q comes back from %s as %s %q (%v)", v.Kind(), v, text, back.Kind(), back, err)
		}
	})
}

func TestValueIsWrittenAsAPersonWould(t *testing.T) {
	for want, v := range map[string]quorate.Value{
		"":        {},
		"true":    quorate.BoolValue(true),
		"-1":      quorate.IntValue(-1),
		"1":       quorate.UintValue(1),
		"0.5":     quorate.FloatValue(0.5),
		"a b":     quorate.BytesValue("a b"),
		`["a",1]`: quorate.ListValue(quorate.BytesValue("a"), quorate.IntValue(1)),
		`{"a":1}`: quorate.MapValue(quorate.BytesValue("a"), quorate.IntValue(1)),
	} {
		if got := v.String(); got != want {
			t.Errorf("%s is %q, want %q", v.Kind(), got, want)
		}
	}
	if got := quorate.Kind(99).String(); got != "kind 99" {
		t.Errorf("an unknown kind is %q", got)
	}
}

package resp

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Kind is what a Value holds.
type Kind uint8

// The kinds of a Value.
const (
	Null      Kind = iota
	NullArray      // in RESP2 a null of its own; RESP3 has only one
	Simple         // a string on one line
	Error          // prefix and text on one line
	Int
	Bulk // a string of any bytes
	Array
	Map
	Set
	Push // not an answer: the server speaks of its own accord
	Double
	Bool
	BigNumber
	Verbatim  // a string of any bytes, with its format
	BlobError // prefix and text, of any bytes
)

// String is the name of the kind in messages.
func (k Kind) String() string {
	names := [...]string{"null", "null array", "simple string", "error", "integer", "bulk string", "array", "map",
		"set", "push", "double", "boolean", "big number", "verbatim string", "blob error"}
	if int(k) < len(names) {
		return names[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// formatBytes is the length of the format of a verbatim string, such as "txt".
const formatBytes = 3

// Value is one reply, in the form that both versions of the protocol share.
// The zero Value is null.
type Value struct {
	kind Kind
	num  uint64 // Int, Double and Bool, as bits; Verbatim, the format
	text string
	list []Value // for Map, key and value in turns
}

// NullArrayValue is a null where RESP2 expects an array.
func NullArrayValue() Value { return Value{kind: NullArray} }

// SimpleValue makes a Value of kind Simple. A line break in it becomes a space
// when it is sent.
func SimpleValue(text string) Value { return Value{kind: Simple, text: text} }

// ErrorValue makes a Value of kind Error of a prefix, such as ERR, and a text.
// A line break in it becomes a space when it is sent.
func ErrorValue(prefix, text string) Value { return Value{kind: Error, text: prefix + " " + text} }

// BlobErrorValue makes a Value of kind BlobError.
func BlobErrorValue(prefix, text string) Value {
	return Value{kind: BlobError, text: prefix + " " + text}
}

// IntValue makes a Value of kind Int.
func IntValue(n int64) Value { return Value{kind: Int, num: uint64(n)} }

// BulkValue makes a Value of kind Bulk.
func BulkValue(text string) Value { return Value{kind: Bulk, text: text} }

// ArrayValue makes a Value of kind Array. It keeps the slice.
func ArrayValue(list ...Value) Value { return Value{kind: Array, list: list} }

// MapValue makes a Value of kind Map of keys and values in turns. It keeps the
// slice. A key without a value has null.
func MapValue(pairs ...Value) Value {
	if len(pairs)%2 != 0 {
		pairs = append(pairs, Value{})
	}
	return Value{kind: Map, list: pairs}
}

// SetValue makes a Value of kind Set. It keeps the slice.
func SetValue(list ...Value) Value { return Value{kind: Set, list: list} }

// PushValue makes a Value of kind Push. It keeps the slice.
func PushValue(list ...Value) Value { return Value{kind: Push, list: list} }

// DoubleValue makes a Value of kind Double.
func DoubleValue(f float64) Value { return Value{kind: Double, num: math.Float64bits(f)} }

// BoolValue makes a Value of kind Bool.
func BoolValue(b bool) Value {
	if b {
		return Value{kind: Bool, num: 1}
	}
	return Value{kind: Bool}
}

// BigNumberValue makes a Value of kind BigNumber of decimal digits, with or
// without a sign.
func BigNumberValue(digits string) Value { return Value{kind: BigNumber, text: digits} }

// VerbatimValue makes a Value of kind Verbatim. The format has three letters;
// it is cut, or filled with spaces.
func VerbatimValue(format, text string) Value {
	v := Value{kind: Verbatim, text: text}
	for i := range formatBytes {
		c := byte(' ')
		if i < len(format) {
			c = format[i]
		}
		v.num = v.num<<8 | uint64(c)
	}
	return v
}

// Kind is what the value holds.
func (v Value) Kind() Kind { return v.kind }

// IsNull says that there is nothing.
func (v Value) IsNull() bool { return v.kind == Null || v.kind == NullArray }

// IsError says that the value is an error, of either kind.
func (v Value) IsError() bool { return v.kind == Error || v.kind == BlobError }

// Text is the text of a string, an error or a big number, empty for any other
// kind. That of an error begins with its prefix.
func (v Value) Text() string { return v.text }

// Prefix is the first word of an error, which tells its kind to a program.
func (v Value) Prefix() string {
	if !v.IsError() {
		return ""
	}
	prefix, _, _ := strings.Cut(v.text, " ")
	return prefix
}

// Format is the format of a verbatim string, empty for any other kind.
func (v Value) Format() string {
	if v.kind != Verbatim {
		return ""
	}
	return string([]byte{byte(v.num >> 16), byte(v.num >> 8), byte(v.num)})
}

// Int is the value of kind Int, 0 for any other kind.
func (v Value) Int() int64 {
	if v.kind != Int {
		return 0
	}
	return int64(v.num)
}

// Double is the value of kind Double, 0 for any other kind.
func (v Value) Double() float64 {
	if v.kind != Double {
		return 0
	}
	return math.Float64frombits(v.num)
}

// Bool is the value of kind Bool, false for any other kind.
func (v Value) Bool() bool { return v.kind == Bool && v.num == 1 }

// List is the elements of an Array, a Set or a Push, or key and value in turns
// of a Map. It must not be modified.
func (v Value) List() []Value { return v.list }

// Equal says that both values have the same kind and hold the same. A double
// that is not a number is equal to another one.
func (v Value) Equal(w Value) bool {
	same := v.num == w.num || v.kind == Double && math.IsNaN(v.Double()) && math.IsNaN(w.Double())
	return same && v.kind == w.kind && v.text == w.text && slices.EqualFunc(v.list, w.list, Value.Equal)
}

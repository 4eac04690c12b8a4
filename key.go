package quorate

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/quorate/quorate/internal/jsonform"
)

// A key of a table is bytes that are in the order of the keys, field by field:
//
//	string, []byte  the bytes. If something follows them, each 00 in them is
//	                written as 00 ff, and 00 01 says that they end
//	[n]byte         the n bytes
//	bool            00 or 01
//	unsigned        big-endian, as wide as the type; a uint is a uint64
//	signed          the same with the first bit flipped, so that negative
//	                numbers come first; an int is an int64, and so is a Duration
//	time.Time       the seconds since the year 1 as an int64 and the nanoseconds
//	                as a uint32: every Time has a key; it comes back in UTC
//	struct          its fields, one behind the other
//
// It is the tuple layer of FoundationDB (design/tuple.md in its repository)
// without type codes: the type of the key says what stands where. Without them
// any byte may follow a string, also ff, and a lone 00 could not end it. So 00 01
// does, as in CockroachDB (pkg/util/encoding). It is below all that can stand
// in its place: a string comes before those that go on where it ends.
//
// The key {Queue: "a\x00b", Number: -2, By: "eve"}, its Number an int16:
//
//	61 00 ff 62 00 01   7f fe   65 76 65
//	a  \0    b  end     -2      e  v  e
//
// The type of a key never changes: with another, the keys of old are others.

// What stands behind a 00 in a string that something follows.
const (
	keyEnd  = 0x01 // the string ends
	keyZero = 0xff // it was a byte of the string
)

// keyForm is how one type stands in a key.
type keyForm struct {
	// append appends v, which is addressable.
	append func(dst []byte, v reflect.Value) []byte
	// read takes a value from the front of b into v, which is addressable, and
	// returns what is behind it. It is false if no such value is there.
	read func(v reflect.Value, b []byte) (rest []byte, ok bool)
}

// keyPart is a field of a key that is a struct, or all of one that is not.
type keyPart struct {
	keyForm
	index int // of the field, or whole
}

// whole is the index of a value in itself.
const whole = -1

// part is a field of v, or v itself.
func part(v reflect.Value, index int) reflect.Value {
	if index == whole {
		return v
	}
	return v.Field(index)
}

// keyParts is how a type stands in a key, part by part.
type keyParts []keyPart

func (k keyParts) append(dst []byte, v reflect.Value) []byte {
	for i := range k {
		dst = k[i].append(dst, part(v, k[i].index))
	}
	return dst
}

func (k keyParts) read(v reflect.Value, b []byte) (rest []byte, ok bool) {
	for i := range k {
		if b, ok = k[i].read(part(v, k[i].index), b); !ok {
			return nil, false
		}
	}
	return b, true
}

// keyPartsOf is the parts of a type, if it can stand in a key; last says that
// nothing follows it there.
func keyPartsOf(t reflect.Type, last bool) (keyParts, error) {
	if t.Kind() != reflect.Struct || isTime(t) {
		form, err := keyFormOf(t, last)
		return keyParts{{form, whole}}, err
	}
	if t.NumField() == 0 {
		return nil, fmt.Errorf("a %s has no form as a key: it has no fields", t)
	}
	parts := make(keyParts, t.NumField())
	for i := range parts {
		f := t.Field(i)
		form, err := keyFormOf(f.Type, last && i == len(parts)-1)
		if _, ok := jsonform.FieldName(f); !ok {
			err = errors.New("it is not exported, or left out by its tag: keys that differ in it would be the same")
		}
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		parts[i] = keyPart{form, i}
	}
	return parts, nil
}

func keyFormOf(t reflect.Type, last bool) (keyForm, error) {
	switch kind := t.Kind(); {
	case isTime(t):
		return timeKey, nil
	case kind == reflect.Struct:
		parts, err := keyPartsOf(t, last)
		return keyForm{parts.append, parts.read}, err
	case kind == reflect.String && last:
		return lastStringKey, nil
	case kind == reflect.String:
		return stringKey, nil
	case isBytes(t) && last:
		return lastBytesKey, nil
	case isBytes(t):
		return bytesKey, nil
	case isByteArray(t):
		return arrayKey(t.Len()), nil
	case kind == reflect.Bool:
		return boolKey, nil
	case isInt(kind):
		return intKey(keyWidth(t)), nil
	case isUint(kind):
		return uintKey(keyWidth(t)), nil
	}
	return keyForm{}, fmt.Errorf("a %s has no form as a key", t)
}

func isInt(kind reflect.Kind) bool { return kind >= reflect.Int && kind <= reflect.Int64 }

func isUint(kind reflect.Kind) bool { return kind >= reflect.Uint && kind <= reflect.Uint64 }

func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

func isByteArray(t reflect.Type) bool {
	return t.Kind() == reflect.Array && t.Elem().Kind() == reflect.Uint8 && t.Len() > 0
}

// keyWidth is how many bytes an integer type takes, the same on every machine.
func keyWidth(t reflect.Type) int {
	if t.Kind() == reflect.Int || t.Kind() == reflect.Uint {
		return 8
	}
	return t.Bits() / 8
}

// lastStringKey is a string that nothing follows.
var lastStringKey = keyForm{
	append: func(dst []byte, v reflect.Value) []byte { return append(dst, v.String()...) },
	read: func(v reflect.Value, b []byte) ([]byte, bool) {
		v.SetString(string(b))
		return nil, true
	},
}

// stringKey is a string that something follows.
var stringKey = keyForm{
	append: func(dst []byte, v reflect.Value) []byte { return appendEscaped(dst, v.String()) },
	read: func(v reflect.Value, b []byte) ([]byte, bool) {
		text, rest, ok := cutEscaped(b)
		v.SetString(string(text))
		return rest, ok
	},
}

// lastBytesKey is bytes that nothing follows.
var lastBytesKey = keyForm{
	append: func(dst []byte, v reflect.Value) []byte { return append(dst, v.Bytes()...) },
	read: func(v reflect.Value, b []byte) ([]byte, bool) {
		v.SetBytes(bytes.Clone(b))
		return nil, true
	},
}

// bytesKey is bytes that something follows.
var bytesKey = keyForm{
	append: func(dst []byte, v reflect.Value) []byte { return appendEscaped(dst, v.Bytes()) },
	read: func(v reflect.Value, b []byte) ([]byte, bool) {
		text, rest, ok := cutEscaped(b)
		v.SetBytes(bytes.Clone(text))
		return rest, ok
	},
}

func appendEscaped[T string | []byte](dst []byte, text T) []byte {
	for i := range len(text) {
		dst = append(dst, text[i])
		if text[i] == 0 {
			dst = append(dst, keyZero)
		}
	}
	return append(dst, 0, keyEnd)
}

// cutEscaped takes what appendEscaped appended from the front of b.
func cutEscaped(b []byte) (text, rest []byte, ok bool) {
	for {
		zero := bytes.IndexByte(b, 0)
		if zero < 0 || zero == len(b)-1 {
			return nil, nil, false
		}
		switch behind := b[zero+2:]; b[zero+1] {
		case keyEnd:
			if text == nil { // as most are: nothing in it was escaped
				return b[:zero], behind, true
			}
			return append(text, b[:zero]...), behind, true
		case keyZero:
			text, b = append(text, b[:zero+1]...), behind
		default:
			return nil, nil, false
		}
	}
}

// arrayKey is an array of n bytes.
func arrayKey(n int) keyForm {
	return keyForm{
		append: func(dst []byte, v reflect.Value) []byte { return append(dst, v.Bytes()...) },
		read: func(v reflect.Value, b []byte) ([]byte, bool) {
			if len(b) < n {
				return nil, false
			}
			copy(v.Bytes(), b)
			return b[n:], true
		},
	}
}

var boolKey = keyForm{
	append: func(dst []byte, v reflect.Value) []byte {
		if v.Bool() {
			return append(dst, 1)
		}
		return append(dst, 0)
	},
	read: func(v reflect.Value, b []byte) ([]byte, bool) {
		if len(b) == 0 || b[0] > 1 {
			return nil, false
		}
		v.SetBool(b[0] == 1)
		return b[1:], true
	},
}

// uintKey is an unsigned integer of a width in bytes.
func uintKey(width int) keyForm {
	return keyForm{
		append: func(dst []byte, v reflect.Value) []byte { return appendBigEndian(dst, v.Uint(), width) },
		read: func(v reflect.Value, b []byte) ([]byte, bool) {
			n, rest, ok := cutBigEndian(b, width)
			if !ok || v.OverflowUint(n) {
				return nil, false
			}
			v.SetUint(n)
			return rest, true
		},
	}
}

// intKey is a signed integer of a width in bytes.
func intKey(width int) keyForm {
	sign := uint64(1) << (8*width - 1)
	return keyForm{
		append: func(dst []byte, v reflect.Value) []byte {
			return appendBigEndian(dst, uint64(v.Int())^sign, width)
		},
		read: func(v reflect.Value, b []byte) ([]byte, bool) {
			n, rest, ok := cutBigEndian(b, width)
			// The bits above those of the type are copies of its sign.
			signed := int64((n^sign)<<(64-8*width)) >> (64 - 8*width)
			if !ok || v.OverflowInt(signed) {
				return nil, false
			}
			v.SetInt(signed)
			return rest, true
		},
	}
}

// appendBigEndian appends the last bytes of n.
func appendBigEndian(dst []byte, n uint64, width int) []byte {
	for shift := 8 * (width - 1); shift >= 0; shift -= 8 {
		dst = append(dst, byte(n>>shift))
	}
	return dst
}

func cutBigEndian(b []byte, width int) (n uint64, rest []byte, ok bool) {
	if len(b) < width {
		return 0, nil, false
	}
	for _, digit := range b[:width] {
		n = n<<8 | uint64(digit)
	}
	return n, b[width:], true
}

// timeKey is a moment: 8 bytes of seconds and 4 of nanoseconds.
var timeKey = keyForm{
	append: func(dst []byte, v reflect.Value) []byte {
		seconds, nanos := secondsOf(*timeAt(v))
		return appendBigEndian(appendBigEndian(dst, uint64(seconds)^1<<63, 8), nanos, 4)
	},
	read: func(v reflect.Value, b []byte) ([]byte, bool) {
		seconds, b, ok := cutBigEndian(b, 8)
		if !ok {
			return nil, false
		}
		nanos, b, ok := cutBigEndian(b, 4)
		if !ok || nanos >= uint64(time.Second) {
			return nil, false
		}
		*timeAt(v) = timeFrom(int64(seconds^1<<63), nanos)
		return b, true
	},
}

var timeType, timePointer = reflect.TypeFor[time.Time](), reflect.TypeFor[*time.Time]()

// isTime says that a type is time.Time or made of it.
func isTime(t reflect.Type) bool { return t.Kind() == reflect.Struct && t.ConvertibleTo(timeType) }

// timeAt points to the moment that v is, which is addressable.
func timeAt(v reflect.Value) *time.Time {
	return v.Addr().Convert(timePointer).Interface().(*time.Time)
}

// yearOne is the seconds from the year 1, where a Time is zero, to 1970. A Time
// counts them in 64 bits from there: from 1970 on, the first of all would not
// come first.
const yearOne = 62_135_596_800

// secondsOf is the seconds of t since the year 1, and the nanoseconds.
func secondsOf(t time.Time) (seconds int64, nanos uint64) {
	return t.Unix() + yearOne, uint64(t.Nanosecond())
}

func timeFrom(seconds int64, nanos uint64) time.Time {
	return time.Unix(seconds-yearOne, int64(nanos)).UTC()
}

package quorate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/quorate/quorate/internal/jsonform"
)

// A row of a table is a version byte and the fields of its type by position:
//
//	bool             00 or 01
//	signed           a varint with the sign in its last bit, as in package
//	                 binary; a Duration too
//	unsigned         a uvarint
//	float32, 64      4 or 8 bytes, little-endian; every NaN is the same
//	string, []byte   a uvarint of the length, and the bytes
//	[n]byte          the n bytes
//	time.Time        the seconds since the year 1 as a varint, the nanoseconds as
//	                 a uvarint; it comes back in UTC
//	Value            its kind in a byte, and what it holds as above; lists and
//	                 maps stand in each other at most 32 deep
//	pointer          00, or 01 and what it points to
//	slice            a uvarint of the length, and the elements
//	[n]T             the n elements
//	map              as a slice, of keys and values in turns, in order of the keys
//	struct           a uvarint of the length in bytes, and its fields by position
//
// The fields at the end of a struct that are zero are left out, and those that
// are not there are zero. So a row of old is a row in which new fields are zero,
// byte for byte: while nodes of two versions run, both write the same.
//
// The row {Owner: "eve", Balance: 300, Tags: nil, Closed: false}:
//
//	01   03 65 76 65   d8 04
//	│       e  v  e    300, and what is behind it is zero
//	version
//
// A row that is no struct is as a struct with one field.

// rowVersion begins each row.
const rowVersion = 1

// rowForm is how one type stands in a row.
type rowForm struct {
	// append appends v, which is addressable.
	append func(dst []byte, v reflect.Value) []byte
	// read takes a value into v, which is addressable and zero.
	read func(r *rowReader, v reflect.Value)
	// zero says that v is the value of a field that is not there.
	zero func(v reflect.Value) bool
}

// rowField is a field of a struct, or all of a row that is none.
type rowField struct {
	rowForm
	name  string
	index int // of the field, or whole
}

// rowFields is how a struct stands in a row.
type rowFields []rowField

func (f rowFields) append(dst []byte, v reflect.Value) []byte {
	n := len(f)
	for n > 0 && f[n-1].zero(part(v, f[n-1].index)) {
		n--
	}
	for i := range f[:n] {
		dst = f[i].append(dst, part(v, f[i].index))
	}
	return dst
}

func (f rowFields) zero(v reflect.Value) bool {
	for i := range f {
		if !f[i].zero(part(v, f[i].index)) {
			return false
		}
	}
	return true
}

// read takes fields until the bytes end.
func (f rowFields) read(r *rowReader, v reflect.Value) {
	for i := range f {
		if len(r.bytes) == 0 {
			return
		}
		if f[i].read(r, part(v, f[i].index)); r.err != nil {
			if f[i].index != whole {
				r.err = fmt.Errorf("field %s: %w", f[i].name, r.err)
			}
			return
		}
	}
	if n := len(r.bytes); n > 0 {
		r.fail(fmt.Errorf("%d bytes follow its last field", n))
	}
}

// readRow takes a row with its version.
func (f rowFields) readRow(r *rowReader, v reflect.Value) {
	version := r.byte()
	if r.err == nil && version != rowVersion {
		r.fail(fmt.Errorf("its form is %d", version))
		return
	}
	f.read(r, v)
}

// rowFieldsOf is the fields of a type, if it can be a row; within is the types
// that it is a part of.
func rowFieldsOf(t reflect.Type, within []reflect.Type) (rowFields, error) {
	if t.Kind() != reflect.Struct || isTime(t) || t == valueType {
		form, err := rowFormOf(t, within)
		return rowFields{{rowForm: form, index: whole}}, err
	}
	within = append(slices.Clip(within), t)
	var fields rowFields
	for i := range t.NumField() {
		f := t.Field(i)
		if _, ok := jsonform.FieldName(f); !ok {
			continue
		}
		form, err := rowFormOf(f.Type, within)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		fields = append(fields, rowField{form, f.Name, i})
	}
	if t.NumField() > 0 && len(fields) == 0 {
		return nil, fmt.Errorf("a %s has no form in a row: none of its fields is exported", t)
	}
	return fields, nil
}

func rowFormOf(t reflect.Type, within []reflect.Type) (rowForm, error) {
	if slices.Contains(within, t) {
		return rowForm{}, fmt.Errorf("a %s has no form in a row: it holds itself", t)
	}
	switch kind := t.Kind(); {
	case t == valueType:
		return valueRow, nil
	case isTime(t):
		return timeRow, nil
	case isBytes(t):
		return bytesRow, nil
	case isByteArray(t):
		return byteArrayRow, nil
	case kind == reflect.Bool:
		return boolRow, nil
	case isInt(kind):
		return intRow, nil
	case isUint(kind):
		return uintRow, nil
	case kind == reflect.Float32:
		return float32Row, nil
	case kind == reflect.Float64:
		return float64Row, nil
	case kind == reflect.String:
		return stringRow, nil
	}
	return compoundRow(t, append(slices.Clip(within), t))
}

// compoundRow is the form of a type that holds others, which is the last of
// within.
func compoundRow(t reflect.Type, within []reflect.Type) (rowForm, error) {
	switch t.Kind() {
	case reflect.Struct:
		fields, err := rowFieldsOf(t, within[:len(within)-1])
		return structRow(fields), err
	case reflect.Map:
		if !isMapKey(t.Key()) {
			return rowForm{}, fmt.Errorf("a %s has no form in a row: the keys of a map are strings or integers", t)
		}
		key, _ := rowFormOf(t.Key(), nil) // strings and integers have one
		element, err := rowFormOf(t.Elem(), within)
		return mapRow(t, key, element), err
	case reflect.Pointer:
		element, err := rowFormOf(t.Elem(), within)
		return pointerRow(element), err
	case reflect.Slice:
		element, err := rowFormOf(t.Elem(), within)
		return sliceRow(element), err
	case reflect.Array:
		if t.Len() > 0 {
			element, err := rowFormOf(t.Elem(), within)
			return arrayRow(element), err
		}
	}
	return rowForm{}, fmt.Errorf("a %s has no form in a row", t)
}

// rowReader takes a row apart. Every value of one takes at least a byte, and
// nothing is made for values whose bytes are not there.
type rowReader struct {
	bytes []byte // that are left
	err   error  // what is wrong with the row; nothing is left then
}

var (
	errRowShort = errors.New("it ends too early")
	errRowRange = errors.New("a number is out of range")
	errRowForm  = errors.New("a byte has no meaning")
	errRowOrder = errors.New("a map is not in order")
	errRowDeep  = errors.New("a Value is too deep")
)

// fail keeps the first error.
func (r *rowReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.bytes = nil
}

// take takes n bytes. They are those of the row.
func (r *rowReader) take(n uint64) []byte {
	if n > uint64(len(r.bytes)) {
		r.fail(errRowShort)
		return nil
	}
	taken := r.bytes[:n]
	r.bytes = r.bytes[n:]
	return taken
}

func (r *rowReader) byte() byte {
	taken := r.take(1)
	if len(taken) == 0 {
		return 0
	}
	return taken[0]
}

// flag takes a byte that is 0 or 1.
func (r *rowReader) flag() bool {
	b := r.byte()
	if b > 1 {
		r.fail(errRowForm)
	}
	return b == 1
}

func (r *rowReader) uvarint() uint64 {
	n, size := binary.Uvarint(r.bytes)
	r.passed(size)
	return n
}

func (r *rowReader) varint() int64 {
	n, size := binary.Varint(r.bytes)
	r.passed(size)
	return n
}

// passed leaves behind a varint of a size, as package binary tells it.
func (r *rowReader) passed(size int) {
	switch {
	case size > 0:
		r.bytes = r.bytes[size:]
	case size == 0:
		r.fail(errRowShort)
	default:
		r.fail(errRowRange)
	}
}

// text takes bytes with their length in front.
func (r *rowReader) text() []byte { return r.take(r.uvarint()) }

// count takes the number of values that follow.
func (r *rowReader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.bytes)) {
		r.fail(errRowShort)
		return 0
	}
	return int(n)
}

// clone is a copy of bytes, nil if there are none.
func clone(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return bytes.Clone(b)
}

package quorate

import (
	"encoding/binary"
	"fmt"
	"reflect"
)

// valueDepthMax bounds how deep lists and maps stand in each other in a Value of
// a row: as deep as in a result.
const valueDepthMax = 32

var valueRow = rowForm{
	append: func(dst []byte, v reflect.Value) []byte { return appendValue(dst, valueAt(v), valueDepthMax) },
	read:   func(r *rowReader, v reflect.Value) { *valueAt(v) = r.value(valueDepthMax) },
	zero:   func(v reflect.Value) bool { return valueAt(v).kind == None },
}

// valueAt points to the Value that v is, which is addressable.
func valueAt(v reflect.Value) *Value { return v.Addr().Interface().(*Value) }

func appendValue(dst []byte, v *Value, depth int) []byte {
	dst = append(dst, byte(v.kind))
	switch v.kind {
	case Bool:
		return appendFlag(dst, v.Bool())
	case Int:
		return binary.AppendVarint(dst, v.Int())
	case Uint:
		return binary.AppendUvarint(dst, v.num)
	case Float:
		return appendFloat(dst, v.Float())
	case Bytes:
		return appendSized(dst, v.text)
	case List, Map:
		if depth == 0 {
			panic(fmt.Sprintf("quorate: a Value of a row is more than %d deep", valueDepthMax))
		}
		dst = binary.AppendUvarint(dst, uint64(len(v.list)))
		for i := range v.list {
			dst = appendValue(dst, &v.list[i], depth-1)
		}
	}
	return dst
}

// value takes a Value; depth is how deep others may stand in it.
func (r *rowReader) value(depth int) Value {
	switch kind := Kind(r.byte()); kind {
	case None:
		return Value{}
	case Bool:
		return BoolValue(r.flag())
	case Int:
		return IntValue(r.varint())
	case Uint:
		return UintValue(r.uvarint())
	case Float:
		return FloatValue(r.float())
	case Bytes:
		return BytesValue(r.text())
	case List:
		return ListValue(r.values(r.count(), depth)...)
	case Map:
		return MapValue(r.pairs(depth)...)
	}
	r.fail(errRowForm)
	return Value{}
}

// values takes n values that stand in another.
func (r *rowReader) values(n, depth int) (list []Value) {
	if depth == 0 {
		r.fail(errRowDeep)
	}
	for i := 0; i < n && r.err == nil; i++ {
		list = append(list, r.value(depth-1))
	}
	return list
}

// pairs takes names and values in turns. A name is of kind Bytes.
func (r *rowReader) pairs(depth int) []Value {
	list := r.values(r.count(), depth)
	for i, name := range list {
		if i%2 == 0 && (name.kind != Bytes || i+1 == len(list)) {
			r.fail(errRowForm)
		}
	}
	return list
}

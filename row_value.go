package quorate

import (
	"encoding/binary"
	"fmt"
	"reflect"

	"github.com/quorate/quorate/values"
)

// valueDepthMax bounds how deep lists and maps stand in each other in a Value of
// a row: as deep as in a result.
const valueDepthMax = 32

var valueRow = rowForm{
	append: func(dst []byte, v reflect.Value) []byte { return appendValue(dst, valueAt(v), valueDepthMax) },
	read:   func(r *rowReader, v reflect.Value) { *valueAt(v) = r.value(valueDepthMax) },
	zero:   func(v reflect.Value) bool { return valueAt(v).Kind() == values.KindNone },
}

// valueAt points to the Value that v is, which is addressable.
func valueAt(v reflect.Value) *Value { return v.Addr().Interface().(*Value) }

func appendValue(dst []byte, v *Value, depth int) []byte {
	dst = append(dst, byte(v.Kind()))
	switch v.Kind() {
	case values.KindBool:
		return appendFlag(dst, v.Bool())
	case values.KindInt:
		return binary.AppendVarint(dst, v.Int())
	case values.KindUint:
		return binary.AppendUvarint(dst, v.Uint())
	case values.KindFloat:
		return appendFloat(dst, v.Float())
	case values.KindBytes:
		return appendSized(dst, v.Text())
	case values.KindList, values.KindMap:
		if depth == 0 {
			panic(fmt.Sprintf("quorate: a Value of a row is more than %d deep", valueDepthMax))
		}
		list := v.List()
		dst = binary.AppendUvarint(dst, uint64(len(list)))
		for i := range list {
			dst = appendValue(dst, &list[i], depth-1)
		}
	}
	return dst
}

// value takes a Value; depth is how deep others may stand in it.
func (r *rowReader) value(depth int) Value {
	switch values.Kind(r.byte()) {
	case values.KindNone:
		return Value{}
	case values.KindBool:
		return values.Bool(r.flag())
	case values.KindInt:
		return values.Int(r.varint())
	case values.KindUint:
		return values.Uint(r.uvarint())
	case values.KindFloat:
		return values.Float(r.float())
	case values.KindBytes:
		return values.Bytes(r.text())
	case values.KindList:
		return values.List(r.values(r.count(), depth)...)
	case values.KindMap:
		return values.Map(r.pairs(depth)...)
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
		if i%2 == 0 && (name.Kind() != values.KindBytes || i+1 == len(list)) {
			r.fail(errRowForm)
		}
	}
	return list
}

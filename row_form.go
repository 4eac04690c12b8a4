package quorate

import (
	"cmp"
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"time"
)

// The forms of what stands in a row, as row.go draws them.

var boolRow = rowForm{
	append: func(dst []byte, v reflect.Value) []byte { return appendFlag(dst, v.Bool()) },
	read:   func(r *rowReader, v reflect.Value) { v.SetBool(r.flag()) },
	zero:   func(v reflect.Value) bool { return !v.Bool() },
}

func appendFlag(dst []byte, yes bool) []byte {
	if yes {
		return append(dst, 1)
	}
	return append(dst, 0)
}

var intRow = rowForm{
	append: func(dst []byte, v reflect.Value) []byte { return binary.AppendVarint(dst, v.Int()) },
	read: func(r *rowReader, v reflect.Value) {
		n := r.varint()
		if v.OverflowInt(n) {
			r.fail(errRowRange)
			return
		}
		v.SetInt(n)
	},
	zero: func(v reflect.Value) bool { return v.Int() == 0 },
}

var uintRow = rowForm{
	append: func(dst []byte, v reflect.Value) []byte { return binary.AppendUvarint(dst, v.Uint()) },
	read: func(r *rowReader, v reflect.Value) {
		n := r.uvarint()
		if v.OverflowUint(n) {
			r.fail(errRowRange)
			return
		}
		v.SetUint(n)
	},
	zero: func(v reflect.Value) bool { return v.Uint() == 0 },
}

// The bits of the one NaN that rows hold: nodes on different machines can come
// to different ones.
const (
	nan32 = 0x7fc00000
	nan64 = 0x7ff8000000000000
)

var float32Row = rowForm{
	append: func(dst []byte, v reflect.Value) []byte {
		bits := math.Float32bits(float32(v.Float()))
		if math.IsNaN(v.Float()) {
			bits = nan32
		}
		return binary.LittleEndian.AppendUint32(dst, bits)
	},
	read: func(r *rowReader, v reflect.Value) {
		if b := r.take(4); len(b) == 4 {
			v.SetFloat(float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
		}
	},
	zero: func(v reflect.Value) bool { return math.Float64bits(v.Float()) == 0 }, // and not -0
}

var float64Row = rowForm{
	append: func(dst []byte, v reflect.Value) []byte { return appendFloat(dst, v.Float()) },
	read:   func(r *rowReader, v reflect.Value) { v.SetFloat(r.float()) },
	zero:   float32Row.zero,
}

func appendFloat(dst []byte, f float64) []byte {
	bits := math.Float64bits(f)
	if math.IsNaN(f) {
		bits = nan64
	}
	return binary.LittleEndian.AppendUint64(dst, bits)
}

func (r *rowReader) float() float64 {
	b := r.take(8)
	if len(b) < 8 {
		return 0
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}

var stringRow = rowForm{
	append: func(dst []byte, v reflect.Value) []byte { return appendSized(dst, v.String()) },
	read:   func(r *rowReader, v reflect.Value) { v.SetString(string(r.text())) },
	zero:   func(v reflect.Value) bool { return v.Len() == 0 },
}

var bytesRow = rowForm{
	append: func(dst []byte, v reflect.Value) []byte { return appendSized(dst, v.Bytes()) },
	read:   func(r *rowReader, v reflect.Value) { v.SetBytes(clone(r.text())) },
	zero:   stringRow.zero,
}

func appendSized[T string | []byte](dst []byte, text T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

var byteArrayRow = rowForm{
	append: func(dst []byte, v reflect.Value) []byte { return append(dst, v.Bytes()...) },
	read:   func(r *rowReader, v reflect.Value) { copy(v.Bytes(), r.take(uint64(v.Len()))) },
	zero:   reflect.Value.IsZero,
}

var timeRow = rowForm{
	append: func(dst []byte, v reflect.Value) []byte {
		seconds, nanos := secondsOf(*timeAt(v))
		return binary.AppendUvarint(binary.AppendVarint(dst, seconds), nanos)
	},
	read: func(r *rowReader, v reflect.Value) {
		seconds, nanos := r.varint(), r.uvarint()
		if nanos >= uint64(time.Second) {
			r.fail(errRowRange)
		}
		if r.err == nil {
			*timeAt(v) = timeFrom(seconds, nanos)
		}
	},
	zero: func(v reflect.Value) bool { return timeAt(v).IsZero() },
}

func pointerRow(element rowForm) rowForm {
	return rowForm{
		append: func(dst []byte, v reflect.Value) []byte {
			if v.IsNil() {
				return append(dst, 0)
			}
			return element.append(append(dst, 1), v.Elem())
		},
		read: func(r *rowReader, v reflect.Value) {
			if r.flag() {
				v.Set(reflect.New(v.Type().Elem()))
				element.read(r, v.Elem())
			}
		},
		zero: reflect.Value.IsNil,
	}
}

// sliceGrowth is how many elements a slice has room for when the first is read.
const sliceGrowth = 8

func sliceRow(element rowForm) rowForm {
	return rowForm{
		append: func(dst []byte, v reflect.Value) []byte {
			dst = binary.AppendUvarint(dst, uint64(v.Len()))
			for i := range v.Len() {
				dst = element.append(dst, v.Index(i))
			}
			return dst
		},
		read: func(r *rowReader, v reflect.Value) {
			n := r.count()
			for i := 0; i < n && r.err == nil; i++ {
				if i == v.Cap() {
					// Twice as many, however many there are said to be.
					v.Grow(min(n-i, max(i, sliceGrowth)))
				}
				v.SetLen(i + 1)
				element.read(r, v.Index(i))
			}
		},
		zero: stringRow.zero,
	}
}

func arrayRow(element rowForm) rowForm {
	return rowForm{
		append: func(dst []byte, v reflect.Value) []byte {
			for i := range v.Len() {
				dst = element.append(dst, v.Index(i))
			}
			return dst
		},
		read: func(r *rowReader, v reflect.Value) {
			for i := 0; i < v.Len() && r.err == nil; i++ {
				element.read(r, v.Index(i))
			}
		},
		zero: func(v reflect.Value) bool {
			for i := range v.Len() {
				if !element.zero(v.Index(i)) {
					return false
				}
			}
			return true
		},
	}
}

// structRow is a struct in another value, with its length in front: it gets
// new fields as the row does.
func structRow(fields rowFields) rowForm {
	return rowForm{
		append: func(dst []byte, v reflect.Value) []byte {
			began := len(dst)
			return insertSize(fields.append(dst, v), began)
		},
		read: func(r *rowReader, v reflect.Value) {
			own := r.text()
			behind := r.bytes
			r.bytes = own
			if fields.read(r, v); r.err == nil {
				r.bytes = behind
			}
		},
		zero: fields.zero,
	}
}

// insertSize puts the size of what was appended since in front of it.
func insertSize(dst []byte, began int) []byte {
	var size [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(size[:], uint64(len(dst)-began))
	return slices.Insert(dst, began, size[:n]...)
}

func isMapKey(t reflect.Type) bool {
	return t.Kind() == reflect.String || isInt(t.Kind()) || isUint(t.Kind())
}

func compareMapKeys(a, b reflect.Value) int {
	switch {
	case a.CanInt():
		return cmp.Compare(a.Int(), b.Int())
	case a.CanUint():
		return cmp.Compare(a.Uint(), b.Uint())
	}
	return cmp.Compare(a.String(), b.String())
}

func mapRow(t reflect.Type, key, element rowForm) rowForm {
	return rowForm{
		append: func(dst []byte, v reflect.Value) []byte {
			dst = binary.AppendUvarint(dst, uint64(v.Len()))
			keys := v.MapKeys()
			slices.SortFunc(keys, compareMapKeys)
			at := reflect.New(t.Elem()).Elem()
			for _, k := range keys {
				at.Set(v.MapIndex(k))
				dst = element.append(key.append(dst, k), at)
			}
			return dst
		},
		read: func(r *rowReader, v reflect.Value) {
			n := r.count()
			if n == 0 {
				return
			}
			v.Set(reflect.MakeMap(t))
			last, k, at := reflect.New(t.Key()).Elem(), reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
			for i := 0; i < n && r.err == nil; i++ {
				k.SetZero()
				at.SetZero()
				if key.read(r, k); i > 0 && compareMapKeys(last, k) >= 0 {
					r.fail(errRowOrder)
				}
				element.read(r, at)
				v.SetMapIndex(k, at)
				last.Set(k)
			}
		},
		zero: stringRow.zero,
	}
}

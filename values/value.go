// Package values holds the form that results have in every door, and arguments
// that may be of one kind or another: nothing, a bool, a number, bytes, or a list
// or map of these. It stands apart from package quorate because few need it: a
// command returns a plain Go value, and Of makes it a Value.
package values

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"

	"github.com/quorate/quorate/internal/jsonform"
)

// Kind is what a Value holds.
type Kind uint8

// The kinds of a Value. Strings and byte slices are one kind: bytes.
const (
	KindNone Kind = iota
	KindBool
	KindInt
	KindUint
	KindFloat
	KindBytes
	KindList
	KindMap
)

// String is the name of the kind in messages.
func (k Kind) String() string {
	names := [...]string{"none", "bool", "integer", "unsigned integer", "float", "string", "list", "map"}
	if int(k) < len(names) {
		return names[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// Value is a result in the one form that every door can show: nothing, a
// bool, a number, bytes, or a list or map of these. The zero Value is None.
type Value struct {
	kind Kind
	num  uint64  // Bool, Int, Uint and Float, as bits
	text string  // Bytes
	list []Value // List; for Map, name and value in turns
}

// Bool makes a Value of kind Bool.
func Bool(b bool) Value {
	if b {
		return Value{kind: KindBool, num: 1}
	}
	return Value{kind: KindBool}
}

// Int makes a Value of kind Int.
func Int(n int64) Value { return Value{kind: KindInt, num: uint64(n)} }

// Uint makes a Value of kind Uint.
func Uint(n uint64) Value { return Value{kind: KindUint, num: n} }

// Float makes a Value of kind Float.
func Float(f float64) Value { return Value{kind: KindFloat, num: math.Float64bits(f)} }

// Bytes makes a Value of kind Bytes.
func Bytes[T string | []byte](b T) Value { return Value{kind: KindBytes, text: string(b)} }

// List makes a Value of kind List. It keeps the slice.
func List(list ...Value) Value { return Value{kind: KindList, list: list} }

// Map makes a Value of kind Map from names and values in turns. It keeps
// the slice; each even one must be of kind Bytes.
func Map(pairs ...Value) Value { return Value{kind: KindMap, list: pairs} }

// Kind is what the value holds.
func (v Value) Kind() Kind { return v.kind }

// Bool is the value of kind Bool, false for any other kind.
func (v Value) Bool() bool { return v.kind == KindBool && v.num == 1 }

// Int is the value of kind Int, 0 for any other kind.
func (v Value) Int() int64 {
	if v.kind != KindInt {
		return 0
	}
	return int64(v.num)
}

// Uint is the value of kind Uint, 0 for any other kind.
func (v Value) Uint() uint64 {
	if v.kind != KindUint {
		return 0
	}
	return v.num
}

// Float is the value of kind Float, 0 for any other kind.
func (v Value) Float() float64 {
	if v.kind != KindFloat {
		return 0
	}
	return math.Float64frombits(v.num)
}

// Text is the value of kind Bytes, empty for any other kind.
func (v Value) Text() string { return v.text }

// List is the elements of a List, or names and values in turns of a Map. It
// must not be modified.
func (v Value) List() []Value { return v.list }

// Field is the value under a name in a Map; of kind None if there is none.
func (v Value) Field(name string) Value {
	if v.kind == KindMap {
		for i := 0; i+1 < len(v.list); i += 2 {
			if v.list[i].text == name {
				return v.list[i+1]
			}
		}
	}
	return Value{}
}

// valueBytes is what a Value takes beside the bytes of its text.
const valueBytes = 56

// Size is about how many bytes the value takes in memory.
func (v Value) Size() int {
	size := valueBytes + len(v.text)
	for _, element := range v.list {
		size += element.Size()
	}
	return size
}

// Equal says that both values have the same kind and hold the same.
func (v Value) Equal(w Value) bool {
	return v.kind == w.kind && v.num == w.num && v.text == w.text &&
		slices.EqualFunc(v.list, w.list, Value.Equal)
}

// String is the value as a person would write it down.
func (v Value) String() string {
	switch v.kind {
	case KindNone:
		return ""
	case KindBool:
		return strconv.FormatBool(v.Bool())
	case KindInt:
		return strconv.FormatInt(v.Int(), 10)
	case KindUint:
		return strconv.FormatUint(v.num, 10)
	case KindFloat:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case KindBytes:
		return v.text
	}
	text, err := v.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Of makes a Value of a Go value of the closed set of results: bools,
// numbers, strings, byte slices, Values, and slices, maps with string keys and
// structs of these. A nil pointer is None; a map is ordered by its keys.
func Of(result any) (Value, error) {
	switch r := result.(type) {
	case nil:
		return Value{}, nil
	case Value:
		return r, nil
	case int64:
		return Int(r), nil
	case string:
		return Bytes(r), nil
	case []byte:
		return Bytes(r), nil
	case bool:
		return Bool(r), nil
	}
	return valueOf(reflect.ValueOf(result))
}

var valueType = reflect.TypeFor[Value]()

func valueOf(r reflect.Value) (Value, error) {
	if r.Type() == valueType {
		return r.Interface().(Value), nil
	}
	switch r.Kind() {
	case reflect.Bool:
		return Bool(r.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return Int(r.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return Uint(r.Uint()), nil
	case reflect.Float32, reflect.Float64:
		return Float(r.Float()), nil
	case reflect.String:
		return Bytes(r.String()), nil
	case reflect.Pointer, reflect.Interface:
		if r.IsNil() {
			return Value{}, nil
		}
		return valueOf(r.Elem())
	case reflect.Slice, reflect.Array:
		return listOf(r)
	case reflect.Map:
		return mapOf(r)
	case reflect.Struct:
		return structOf(r)
	}
	return Value{}, fmt.Errorf("a %s has no form as a result", r.Type())
}

func listOf(r reflect.Value) (Value, error) {
	if r.Type().Elem().Kind() == reflect.Uint8 && r.Kind() == reflect.Slice {
		return Bytes(r.Bytes()), nil
	}
	list := make([]Value, r.Len())
	for i := range list {
		v, err := valueOf(r.Index(i))
		if err != nil {
			return Value{}, err
		}
		list[i] = v
	}
	return List(list...), nil
}

func mapOf(r reflect.Value) (Value, error) {
	keys := r.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
	pairs := make([]Value, 0, 2*len(keys))
	for _, key := range keys {
		v, err := valueOf(r.MapIndex(key))
		if err != nil {
			return Value{}, err
		}
		pairs = append(pairs, Bytes(key.String()), v)
	}
	return Map(pairs...), nil
}

func structOf(r reflect.Value) (Value, error) {
	if r.NumField() == 0 {
		return Value{}, nil
	}
	var pairs []Value
	for i := range r.NumField() {
		name, ok := jsonform.FieldName(r.Type().Field(i))
		if !ok {
			continue
		}
		v, err := valueOf(r.Field(i))
		if err != nil {
			return Value{}, err
		}
		pairs = append(pairs, Bytes(name), v)
	}
	return Map(pairs...), nil
}

// Into stores the value in what target points to, the other way round from
// Of. A None leaves target as it is. A target that has a method FromValue reads the
// value itself.
func (v Value) Into(target any) error {
	switch t := target.(type) {
	case interface{ FromValue(v Value) error }:
		return t.FromValue(v)
	case *Value:
		*t = v
		return nil
	case *int64:
		if v.kind == KindInt {
			*t = v.Int()
			return nil
		}
	case *string:
		if v.kind == KindBytes {
			*t = v.text
			return nil
		}
	}
	into := reflect.ValueOf(target)
	if into.Kind() != reflect.Pointer || into.IsNil() {
		return fmt.Errorf("a result is stored through a pointer, not a %T", target)
	}
	return v.into(into.Elem())
}

func (v Value) into(r reflect.Value) error {
	if r.Type() == valueType {
		r.Set(reflect.ValueOf(v))
		return nil
	}
	if v.kind == KindNone {
		return nil
	}
	if r.Kind() == reflect.Pointer {
		r.Set(reflect.New(r.Type().Elem()))
		return v.into(r.Elem())
	}
	switch {
	case v.kind == KindBool && r.Kind() == reflect.Bool:
		r.SetBool(v.Bool())
	case v.kind == KindInt && r.CanInt() && !r.OverflowInt(v.Int()):
		r.SetInt(v.Int())
	case v.kind == KindUint && r.CanUint() && !r.OverflowUint(v.num):
		r.SetUint(v.num)
	case v.kind == KindFloat && r.CanFloat():
		r.SetFloat(v.Float())
	case v.kind == KindBytes && r.Kind() == reflect.String:
		r.SetString(v.text)
	case v.kind == KindBytes && r.Kind() == reflect.Slice && r.Type().Elem().Kind() == reflect.Uint8:
		r.SetBytes([]byte(v.text))
	case v.kind == KindList && r.Kind() == reflect.Slice:
		r.Set(reflect.MakeSlice(r.Type(), len(v.list), len(v.list)))
		return v.intoList(r)
	case v.kind == KindList && r.Kind() == reflect.Array && r.Len() == len(v.list):
		return v.intoList(r)
	case v.kind == KindMap && r.Kind() == reflect.Map:
		return v.intoMap(r)
	case v.kind == KindMap && r.Kind() == reflect.Struct:
		return v.intoStruct(r)
	default:
		return fmt.Errorf("a result of kind %s does not fit a %s", v.kind, r.Type())
	}
	return nil
}

func (v Value) intoList(r reflect.Value) error {
	for i, element := range v.list {
		if err := element.into(r.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func (v Value) intoMap(r reflect.Value) error {
	r.Set(reflect.MakeMapWithSize(r.Type(), len(v.list)/2))
	for i := 0; i+1 < len(v.list); i += 2 {
		element := reflect.New(r.Type().Elem()).Elem()
		if err := v.list[i+1].into(element); err != nil {
			return err
		}
		r.SetMapIndex(reflect.ValueOf(v.list[i].text).Convert(r.Type().Key()), element)
	}
	return nil
}

func (v Value) intoStruct(r reflect.Value) error {
	for i := range r.NumField() {
		name, ok := jsonform.FieldName(r.Type().Field(i))
		if !ok {
			continue
		}
		for p := 0; p+1 < len(v.list); p += 2 {
			if v.list[p].text != name {
				continue
			}
			if err := v.list[p+1].into(r.Field(i)); err != nil {
				return fmt.Errorf("field %s: %w", name, err)
			}
		}
	}
	return nil
}

// CheckType says what keeps a Go type from being a result, or nil.
func CheckType(t reflect.Type) error { return checkSeen(t, nil) }

func checkSeen(t reflect.Type, seen []reflect.Type) error {
	if t == valueType {
		return nil
	}
	if slices.Contains(seen, t) {
		return fmt.Errorf("the type %s holds itself and has no form as a result", t)
	}
	seen = append(seen, t)
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return nil
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return checkSeen(t.Elem(), seen)
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return fmt.Errorf("a %s has no form as a result: the keys of a map are strings", t)
		}
		return checkSeen(t.Elem(), seen)
	case reflect.Struct:
		named := make(map[string]bool)
		for i := range t.NumField() {
			name, ok := jsonform.FieldName(t.Field(i))
			if !ok {
				continue
			}
			if named[name] {
				return fmt.Errorf("two fields of %s have the name %q", t, name)
			}
			named[name] = true
			if err := checkSeen(t.Field(i).Type, seen); err != nil {
				return fmt.Errorf("field %s: %w", t.Field(i).Name, err)
			}
		}
		if t.NumField() > 0 && len(named) == 0 {
			return fmt.Errorf("a %s has no form as a result: none of its fields is exported", t)
		}
		return nil
	}
	return fmt.Errorf("a %s has no form as a result", t)
}

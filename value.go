package quorate

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
)

// Kind is what a Value holds.
type Kind uint8

// The kinds of a Value. Strings and byte slices are one kind: bytes.
const (
	None Kind = iota
	Bool
	Int
	Uint
	Float
	Bytes
	List
	Map
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

// BoolValue makes a Value of kind Bool.
func BoolValue(b bool) Value {
	if b {
		return Value{kind: Bool, num: 1}
	}
	return Value{kind: Bool}
}

// IntValue makes a Value of kind Int.
func IntValue(n int64) Value { return Value{kind: Int, num: uint64(n)} }

// UintValue makes a Value of kind Uint.
func UintValue(n uint64) Value { return Value{kind: Uint, num: n} }

// FloatValue makes a Value of kind Float.
func FloatValue(f float64) Value { return Value{kind: Float, num: math.Float64bits(f)} }

// BytesValue makes a Value of kind Bytes.
func BytesValue[T string | []byte](b T) Value { return Value{kind: Bytes, text: string(b)} }

// ListValue makes a Value of kind List. It keeps the slice.
func ListValue(list ...Value) Value { return Value{kind: List, list: list} }

// MapValue makes a Value of kind Map from names and values in turns. It keeps
// the slice; each even one must be of kind Bytes.
func MapValue(pairs ...Value) Value { return Value{kind: Map, list: pairs} }

// Kind is what the value holds.
func (v Value) Kind() Kind { return v.kind }

// Bool is the value of kind Bool, false for any other kind.
func (v Value) Bool() bool { return v.kind == Bool && v.num == 1 }

// Int is the value of kind Int, 0 for any other kind.
func (v Value) Int() int64 {
	if v.kind != Int {
		return 0
	}
	return int64(v.num)
}

// Uint is the value of kind Uint, 0 for any other kind.
func (v Value) Uint() uint64 {
	if v.kind != Uint {
		return 0
	}
	return v.num
}

// Float is the value of kind Float, 0 for any other kind.
func (v Value) Float() float64 {
	if v.kind != Float {
		return 0
	}
	return math.Float64frombits(v.num)
}

// Text is the value of kind Bytes, empty for any other kind.
func (v Value) Text() string { return v.text }

// List is the elements of a List, or names and values in turns of a Map. It
// must not be modified.
func (v Value) List() []Value { return v.list }

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
	case None:
		return ""
	case Bool:
		return strconv.FormatBool(v.Bool())
	case Int:
		return strconv.FormatInt(v.Int(), 10)
	case Uint:
		return strconv.FormatUint(v.num, 10)
	case Float:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case Bytes:
		return v.text
	}
	text, err := v.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// ValueOf makes a Value of a Go value of the closed set of results: bools,
// numbers, strings, byte slices, Values, and slices, maps with string keys and
// structs of these. A nil pointer is None; a map is ordered by its keys.
func ValueOf(result any) (Value, error) {
	switch r := result.(type) {
	case nil:
		return Value{}, nil
	case Value:
		return r, nil
	case int64:
		return IntValue(r), nil
	case string:
		return BytesValue(r), nil
	case []byte:
		return BytesValue(r), nil
	case bool:
		return BoolValue(r), nil
	case TxnResult:
		return r.value(), nil
	}
	return valueOf(reflect.ValueOf(result))
}

// valueFrom is ValueOf for a result whose type is known: it is not put into an
// interface, which would allocate it.
func valueFrom[R any](result R) (Value, error) {
	switch r := any(&result).(type) {
	case *Value:
		return *r, nil
	case *int64:
		return IntValue(*r), nil
	case *bool:
		return BoolValue(*r), nil
	case *string:
		return BytesValue(*r), nil
	case *[]byte:
		return BytesValue(*r), nil
	}
	return ValueOf(result)
}

var valueType = reflect.TypeFor[Value]()

func valueOf(r reflect.Value) (Value, error) {
	if r.Type() == valueType {
		return r.Interface().(Value), nil
	}
	switch r.Kind() {
	case reflect.Bool:
		return BoolValue(r.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return IntValue(r.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return UintValue(r.Uint()), nil
	case reflect.Float32, reflect.Float64:
		return FloatValue(r.Float()), nil
	case reflect.String:
		return BytesValue(r.String()), nil
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
		return BytesValue(r.Bytes()), nil
	}
	list := make([]Value, r.Len())
	for i := range list {
		v, err := valueOf(r.Index(i))
		if err != nil {
			return Value{}, err
		}
		list[i] = v
	}
	return ListValue(list...), nil
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
		pairs = append(pairs, BytesValue(key.String()), v)
	}
	return MapValue(pairs...), nil
}

func structOf(r reflect.Value) (Value, error) {
	if r.NumField() == 0 {
		return Value{}, nil
	}
	var pairs []Value
	for i := range r.NumField() {
		name, ok := fieldName(r.Type().Field(i))
		if !ok {
			continue
		}
		v, err := valueOf(r.Field(i))
		if err != nil {
			return Value{}, err
		}
		pairs = append(pairs, BytesValue(name), v)
	}
	return MapValue(pairs...), nil
}

// Into stores the value in what target points to, the other way round from
// ValueOf. A None leaves target as it is.
func (v Value) Into(target any) error {
	switch t := target.(type) {
	case *Value:
		*t = v
		return nil
	case *int64:
		if v.kind == Int {
			*t = v.Int()
			return nil
		}
	case *string:
		if v.kind == Bytes {
			*t = v.text
			return nil
		}
	case *TxnResult:
		return t.from(v)
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
	if v.kind == None {
		return nil
	}
	if r.Kind() == reflect.Pointer {
		r.Set(reflect.New(r.Type().Elem()))
		return v.into(r.Elem())
	}
	switch {
	case v.kind == Bool && r.Kind() == reflect.Bool:
		r.SetBool(v.Bool())
	case v.kind == Int && r.CanInt() && !r.OverflowInt(v.Int()):
		r.SetInt(v.Int())
	case v.kind == Uint && r.CanUint() && !r.OverflowUint(v.num):
		r.SetUint(v.num)
	case v.kind == Float && r.CanFloat():
		r.SetFloat(v.Float())
	case v.kind == Bytes && r.Kind() == reflect.String:
		r.SetString(v.text)
	case v.kind == Bytes && r.Kind() == reflect.Slice && r.Type().Elem().Kind() == reflect.Uint8:
		r.SetBytes([]byte(v.text))
	case v.kind == List && r.Kind() == reflect.Slice:
		r.Set(reflect.MakeSlice(r.Type(), len(v.list), len(v.list)))
		return v.intoList(r)
	case v.kind == List && r.Kind() == reflect.Array && r.Len() == len(v.list):
		return v.intoList(r)
	case v.kind == Map && r.Kind() == reflect.Map:
		return v.intoMap(r)
	case v.kind == Map && r.Kind() == reflect.Struct:
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
		name, ok := fieldName(r.Type().Field(i))
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

// checkResult says what keeps a Go type from being a result, or nil.
func checkResult(t reflect.Type) error { return checkResultSeen(t, nil) }

func checkResultSeen(t reflect.Type, seen []reflect.Type) error {
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
		return checkResultSeen(t.Elem(), seen)
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return fmt.Errorf("a %s has no form as a result: the keys of a map are strings", t)
		}
		return checkResultSeen(t.Elem(), seen)
	case reflect.Struct:
		named := make(map[string]bool)
		for i := range t.NumField() {
			name, ok := fieldName(t.Field(i))
			if !ok {
				continue
			}
			if named[name] {
				return fmt.Errorf("two fields of %s have the name %q", t, name)
			}
			named[name] = true
			if err := checkResultSeen(t.Field(i).Type, seen); err != nil {
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

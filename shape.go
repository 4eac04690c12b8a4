package quorate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/quorate/quorate/internal/jsonform"
	"github.com/quorate/quorate/values"
)

// The arguments of a call are the exported fields of its struct, by position,
// as bytes that are the same from the socket to the log to Apply:
//
//	string, []byte   the bytes themselves
//	integers         decimal digits
//	bool             1 or 0
//	floats           as strconv prints them with the fewest digits
//	Value            an integer as its digits, a string as its bytes; a string
//	                 that would read as an integer, or that begins with a zero
//	                 byte, has one zero byte in front
//
// A pointer is an argument that may be left out, and so is a field with a tag
// such as `default:"1"`, which then has that value. A last field that is a
// slice takes all arguments that remain. Fields are only ever appended: a call
// that an older program wrote has fewer arguments and still means the same. An
// appended field is a pointer, which is not sent while it is nil, or has a default,
// which a Go program always sends; any other would refuse older calls.

// shape is how the fields of one struct type are arguments.
type shape struct {
	name   string // of the type, in upper case
	fields []field
	// filled is how many of the fields, from the first, are set although there
	// is no argument for them.
	filled int
}

// field is one argument of an operation.
type field struct {
	name     string       // in JSON
	index    int          // in the struct
	kind     reflect.Type // of the value, or of an element of rest
	form     form
	doc      string // the tag of the field
	optional bool
	preset   []byte // the argument where it is left out; nil for none
	rest     bool   // a slice that takes all arguments that remain
}

// shapes remembers the shape of each type. It is a memo of a pure function:
// an entry is the same whoever makes it.
var shapes sync.Map // reflect.Type to *shape

// shapeOf is the shape of a struct type.
func shapeOf(t reflect.Type) (*shape, error) {
	if known, ok := shapes.Load(t); ok {
		return known.(*shape), nil
	}
	s := &shape{name: strings.ToUpper(t.Name())}
	for i := range t.NumField() {
		f := t.Field(i)
		name, ok := jsonform.FieldName(f)
		if !ok {
			continue
		}
		if len(s.fields) > 0 && s.fields[len(s.fields)-1].rest {
			return nil, fmt.Errorf("%s: only the last field can be a slice", t)
		}
		made, err := fieldOf(f, name, i)
		if err != nil {
			return nil, fmt.Errorf("%s: field %s: %w", t, f.Name, err)
		}
		if slices.ContainsFunc(s.fields, func(other field) bool { return other.name == name }) {
			return nil, fmt.Errorf("%s: two fields have the name %q", t, name)
		}
		s.fields = append(s.fields, made)
		if made.rest || made.preset != nil {
			s.filled = len(s.fields)
		}
	}
	shapes.Store(t, s)
	return s, nil
}

func fieldOf(f reflect.StructField, name string, index int) (field, error) {
	made := field{name: name, index: index, doc: strings.TrimSpace(f.Tag.Get("doc"))}
	t := f.Type
	switch {
	case t.Kind() == reflect.Pointer:
		made.optional = true
		t = t.Elem()
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		made.rest = true
		t = t.Elem()
	}
	made.kind = t
	var ok bool
	if made.form, ok = formOf(t); !ok {
		return field{}, fmt.Errorf("a %s has no form as an argument", f.Type)
	}
	if preset, ok := f.Tag.Lookup("default"); ok {
		arg, err := made.form.fromText([]byte(preset))
		if err != nil {
			return field{}, fmt.Errorf("its default %w", err)
		}
		made.preset, made.optional = arg, true
	}
	return made, nil
}

// args is the arguments that the fields of a struct value make. Optional ones
// that are not there are nil, and left out at the end.
func (s *shape) args(v reflect.Value) (_ [][]byte, err error) {
	args := make([][]byte, 0, len(s.fields))
	for i := range s.fields {
		f := &s.fields[i]
		if args, err = f.appendArgs(args, v.Field(f.index)); err != nil {
			return nil, errField(f.name, "argument %s %v", f.name, err)
		}
	}
	return trim(args), nil
}

func (f *field) appendArgs(args [][]byte, v reflect.Value) (_ [][]byte, err error) {
	switch {
	case f.rest:
		for i := range v.Len() {
			if args, err = f.appendArg(args, v.Index(i)); err != nil {
				return nil, err
			}
		}
		return args, nil
	case v.Kind() == reflect.Pointer && v.IsNil():
		return append(args, nil), nil
	case v.Kind() == reflect.Pointer:
		return f.appendArg(args, v.Elem())
	}
	return f.appendArg(args, v)
}

// appendArg refuses a Value of a kind that an argument would not keep.
func (f *field) appendArg(args [][]byte, v reflect.Value) ([][]byte, error) {
	if v.Type() == valueType {
		if kind := v.Interface().(Value).Kind(); kind != values.KindInt && kind != values.KindBytes {
			return nil, fmt.Errorf("is a Value of kind %s, not %s", kind, article(f.form.word))
		}
	}
	return append(args, f.form.format(v)), nil
}

// trim drops what was left out at the end.
func trim(args [][]byte) [][]byte {
	for len(args) > 0 && args[len(args)-1] == nil {
		args = args[:len(args)-1]
	}
	return args
}

// surplus says that there are more arguments than fields.
func (s *shape) surplus(args [][]byte) bool {
	return len(args) > len(s.fields) && (len(s.fields) == 0 || !s.fields[len(s.fields)-1].rest)
}

// missing is the first required argument that is not there.
func (s *shape) missing(args [][]byte) (name string, missing bool) {
	for i := range s.fields {
		f := &s.fields[i]
		if !f.optional && !f.rest && (i >= len(args) || args[i] == nil) {
			return f.name, true
		}
	}
	return "", false
}

// newer says that there is an argument that this program does not know.
func (s *shape) newer(args [][]byte) bool { return s.surplus(args) }

// fromText makes arguments from what a person typed. Of what is nil there is
// none.
func (s *shape) fromText(text [][]byte) ([][]byte, error) {
	args := make([][]byte, len(text))
	for i := range text {
		if text[i] == nil {
			continue
		}
		f := &s.fields[min(i, len(s.fields)-1)]
		arg, err := f.form.fromText(text[i])
		if err != nil {
			return nil, errField(f.name, "argument %s %v", f.name, err)
		}
		args[i] = arg
	}
	return trim(args), nil
}

// form is how one Go type is an argument.
type form struct {
	// word names the type in messages.
	word string
	// parse sets a place from an argument. Its errors, and those of fromText and
	// fromJSON, go behind the name of the argument: "is 7, not a bool".
	parse func(v place, arg []byte, texts *texts) error
	// format is the argument that v makes; never nil.
	format func(v reflect.Value) []byte
	// fromText is the argument for what a person typed.
	fromText func(text []byte) ([]byte, error)
	// fromJSON is the argument for a JSON value.
	fromJSON func(raw json.RawMessage) ([]byte, error)
	// schema is the JSON values that fromJSON takes.
	schema schema
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// formOf is the form of a Go type, if it has one.
func formOf(t reflect.Type) (form, bool) {
	f, ok := plainForm(t)
	if !ok {
		return form{}, false
	}
	if t != valueType && reflect.PointerTo(t).Implements(unmarshaler) {
		f.fromJSON = func(raw json.RawMessage) ([]byte, error) {
			v := reflect.New(t)
			if err := v.Interface().(json.Unmarshaler).UnmarshalJSON(raw); err != nil {
				return nil, err
			}
			return f.format(v.Elem()), nil
		}
		f.schema = ownSchema(t)
	}
	return f, true
}

func plainForm(t reflect.Type) (form, bool) {
	if t == valueType {
		return valueForm, true
	}
	switch t.Kind() {
	case reflect.String, reflect.Slice:
		if t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8 {
			return form{}, false
		}
		return bytesForm, true
	case reflect.Bool:
		return boolForm, true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return numberForm("integer", parseInt, func(v reflect.Value) []byte {
			return strconv.AppendInt([]byte{}, v.Int(), 10)
		}, t), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return numberForm("unsigned integer", parseUint, func(v reflect.Value) []byte {
			return strconv.AppendUint([]byte{}, v.Uint(), 10)
		}, t), true
	case reflect.Float32, reflect.Float64:
		return numberForm("number", parseFloat, func(v reflect.Value) []byte {
			return strconv.AppendFloat([]byte{}, v.Float(), 'g', -1, 64)
		}, t), true
	}
	return form{}, false
}

// bytesForm is strings and byte slices.
var bytesForm = form{
	word: "string",
	parse: func(v place, arg []byte, texts *texts) error {
		if v.Kind() == reflect.String {
			v.SetString(texts.of(arg))
		} else {
			v.SetBytes(bytes.Clone(arg))
		}
		return nil
	},
	format: func(v reflect.Value) []byte {
		if v.Kind() == reflect.String {
			return []byte(v.String())
		}
		return append([]byte{}, v.Bytes()...)
	},
	fromText: func(text []byte) ([]byte, error) { return text, nil },
	fromJSON: func(raw json.RawMessage) ([]byte, error) {
		text, err := jsonform.Bytes(raw, "a string")
		return []byte(text), err
	},
	schema: bytesSchema(),
}

// boolForm is bools.
var boolForm = form{
	word: "bool",
	parse: func(v place, arg []byte, _ *texts) error {
		b, err := strconv.ParseBool(string(arg))
		if err != nil {
			return fmt.Errorf("is %.40q, not a bool", arg)
		}
		v.SetBool(b)
		return nil
	},
	format: func(v reflect.Value) []byte {
		if v.Bool() {
			return []byte{'1'}
		}
		return []byte{'0'}
	},
	fromText: func(text []byte) ([]byte, error) {
		b, err := strconv.ParseBool(string(text))
		if err != nil {
			return nil, fmt.Errorf("is %.40q, not a bool", text)
		}
		return boolArg(b), nil
	},
	fromJSON: func(raw json.RawMessage) ([]byte, error) {
		switch string(raw) {
		case "true":
			return boolArg(true), nil
		case "false":
			return boolArg(false), nil
		}
		return nil, fmt.Errorf("is %s, not true or false", jsonform.Describe(raw))
	},
	schema: schema{"type", "boolean"},
}

func boolArg(b bool) []byte {
	if b {
		return []byte{'1'}
	}
	return []byte{'0'}
}

// numberForm is a form whose text is its argument, once it parses. The errors
// of parse are those of strconv.
func numberForm(word string, parse func(reflect.Value, []byte) error, format func(reflect.Value) []byte, t reflect.Type) form {
	return form{
		word:   word,
		format: format,
		schema: numberSchema(t),
		parse: func(v place, arg []byte, _ *texts) error {
			if err := parse(v.Value, arg); err != nil {
				return numberError(err, fmt.Sprintf("%.40q", arg), article(word), t.Bits())
			}
			return nil
		},
		fromText: func(text []byte) ([]byte, error) {
			v := reflect.New(t).Elem()
			if err := parse(v, text); err != nil {
				return nil, numberError(err, fmt.Sprintf("%.40q", text), article(word), t.Bits())
			}
			return format(v), nil
		},
		fromJSON: func(raw json.RawMessage) ([]byte, error) {
			if !jsonform.IsNumber(raw) {
				return nil, fmt.Errorf("is %s, not %s", jsonform.Describe(raw), article(word))
			}
			v := reflect.New(t).Elem()
			if err := parse(v, raw); err != nil {
				return nil, numberError(err, jsonform.Describe(raw), article(word), t.Bits())
			}
			return format(v), nil
		},
	}
}

func parseInt(v reflect.Value, arg []byte) error {
	n, err := strconv.ParseInt(string(arg), 10, v.Type().Bits())
	v.SetInt(n)
	return err
}

func parseUint(v reflect.Value, arg []byte) error {
	n, err := strconv.ParseUint(string(arg), 10, v.Type().Bits())
	v.SetUint(n)
	return err
}

func parseFloat(v reflect.Value, arg []byte) error {
	n, err := strconv.ParseFloat(string(arg), v.Type().Bits())
	v.SetFloat(n)
	return err
}

// valueForm is Values, which as arguments are integers or strings.
var valueForm = form{
	word: "integer or string",
	parse: func(v place, arg []byte, texts *texts) error {
		*v.value = parseValue(arg, texts)
		return nil
	},
	format: func(v reflect.Value) []byte { return formatValue(v.Interface().(Value)) },
	fromText: func(text []byte) ([]byte, error) {
		if len(text) > 0 && text[0] == 0 {
			return formatValue(values.Bytes(text)), nil
		}
		return text, nil
	},
	fromJSON: func(raw json.RawMessage) ([]byte, error) {
		var v Value
		if err := v.UnmarshalJSON(raw); err != nil {
			return nil, err
		}
		return formatValue(v), nil
	},
	schema: valueSchema(),
}

func parseValue(arg []byte, texts *texts) Value {
	if len(arg) > 0 && arg[0] == 0 {
		return values.Bytes(texts.of(arg[1:]))
	}
	if n, ok := canonicalInt(arg); ok {
		return values.Int(n)
	}
	return values.Bytes(texts.of(arg))
}

func formatValue(v Value) []byte {
	if v.Kind() != values.KindBytes {
		return []byte(v.String())
	}
	arg := []byte(v.Text())
	if _, ok := canonicalInt(arg); ok || len(arg) > 0 && arg[0] == 0 {
		return append([]byte{0}, arg...)
	}
	return arg
}

// canonicalInt is the integer that text is the one decimal form of, if any.
func canonicalInt(text []byte) (int64, bool) {
	const digitsMax = len("-9223372036854775808")
	if len(text) == 0 || len(text) > digitsMax || text[0] != '-' && (text[0] < '0' || text[0] > '9') {
		return 0, false
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || text[0] == '0' && len(text) > 1 || text[0] == '-' && text[1] == '0' {
		return 0, false
	}
	return n, true
}

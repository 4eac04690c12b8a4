package quorate

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/quorate/quorate/internal/jsonform"
)

// schemas is the JSON Schema, of the edition 2020-12, of the arguments that
// argsFromJSON takes and of the result as JSON shows it. A type of an argument
// that reads JSON in its own way has a method JSONSchema() string for it.
func (o *Operation) schemas() (arguments, result json.RawMessage) {
	return appendSchema(nil, o.binds.schema()), appendSchema(nil, o.gives)
}

// schema is a JSON Schema, or an object in one: names and values in turns, which
// stay in this order. The empty one takes any value.
type schema []any

// appendSchema appends a schema, or a value in one, as JSON.
func appendSchema(dst []byte, v any) []byte {
	switch v := v.(type) {
	case schema:
		dst = append(dst, '{')
		for i := 0; i+1 < len(v); i += 2 {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendSchema(append(appendSchema(dst, v[i]), ':'), v[i+1])
		}
		return append(dst, '}')
	case []any:
		return appendSchemas(dst, v)
	case []string:
		return appendSchemas(dst, v)
	case json.RawMessage:
		return append(dst, v...)
	case bool:
		return strconv.AppendBool(dst, v)
	case int:
		return strconv.AppendInt(dst, int64(v), 10)
	case string:
		if quoted, err := jsonform.AppendQuoted(dst, strings.ToValidUTF8(v, "\uFFFD")); err == nil {
			return quoted
		}
	}
	return append(dst, "null"...) // there is no such value in a schema here
}

func appendSchemas[E any](dst []byte, list []E) []byte {
	dst = append(dst, '[')
	for i, element := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendSchema(dst, element)
	}
	return append(dst, ']')
}

// anyOf takes what one of several schemas takes.
func anyOf(of ...any) schema { return schema{"anyOf", of} }

// orNull takes null too.
func orNull(s schema) schema {
	switch {
	case len(s) == 0: // it takes anything
		return s
	case s[0] == "anyOf":
		either := slices.Clone(s)
		either[1] = append(slices.Clone(s[1].([]any)), schema{"type", "null"})
		return either
	case s[0] == "type":
		typed := slices.Clone(s)
		typed[1] = []string{s[1].(string), "null"}
		return typed
	}
	return anyOf(s, schema{"type", "null"})
}

// base64Pattern is padded base64 in which the bits that say nothing are zero.
const base64Pattern = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)?$"

// bytesSchema is bytes: a string, or base64 where they are no text.
func bytesSchema() schema {
	return anyOf(schema{"type", "string"}, base64Schema())
}

func base64Schema() schema {
	return schema{
		"type", "object",
		"properties", schema{"base64", schema{"type", "string", "contentEncoding", "base64", "pattern", base64Pattern}},
		"required", []string{"base64"},
		"additionalProperties", false,
	}
}

// valueSchema is a Value as an argument.
func valueSchema() schema {
	return anyOf(numberSchema(reflect.TypeFor[int64]()), schema{"type", "string"}, base64Schema())
}

// numberSchema is the numbers that fit a type. That an integer is to be written
// in its digits, and not as 1.0 or 1e0, is more than a schema can say.
func numberSchema(t reflect.Type) schema {
	switch bits := t.Bits(); t.Kind() {
	case reflect.Float32, reflect.Float64:
		most := math.MaxFloat64
		if bits == 32 {
			most = math.MaxFloat32
		}
		text := strconv.FormatFloat(most, 'g', -1, bits)
		return bounded("number", "-"+text, text)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return bounded("integer", "0", strconv.FormatUint(math.MaxUint64>>(64-bits), 10))
	default:
		most := int64(math.MaxInt64) >> (64 - bits)
		return bounded("integer", strconv.FormatInt(-most-1, 10), strconv.FormatInt(most, 10))
	}
}

func bounded(word, least, most string) schema {
	return schema{"type", word, "minimum", json.RawMessage(least), "maximum", json.RawMessage(most)}
}

// ownSchema is what a type says of itself that reads JSON in its own way:
// anything, if it says nothing.
func ownSchema(t reflect.Type) schema {
	own, ok := reflect.New(t).Interface().(interface{ JSONSchema() string })
	if !ok || !json.Valid([]byte(own.JSONSchema())) {
		return schema{}
	}
	return anyOf(json.RawMessage(own.JSONSchema()))
}

// schema is the object whose fields are the arguments.
func (s *shape) schema() schema {
	properties, required := schema{}, []string{}
	for i := range s.fields {
		f := &s.fields[i]
		properties = append(properties, f.name, f.schema(i))
		if !f.optional && !f.rest {
			required = append(required, f.name)
		}
	}
	object := schema{"type", "object", "properties", properties}
	if len(required) > 0 {
		object = append(object, "required", required)
	}
	return append(object, "additionalProperties", false)
}

// schema is one field, the argument at a position. What may be left out may be
// null, which is the same.
func (f *field) schema(position int) (s schema) {
	if f.doc != "" {
		s = schema{"description", f.doc}
	}
	switch {
	case f.rest:
		s = append(s, "type", []string{"array", "null"}, "items", f.form.schema, "maxItems", ArgsMax-position)
	case f.optional:
		s = append(s, orNull(f.form.schema)...)
	case len(f.form.schema) == 0:
		s = append(s, "not", schema{"type", "null"}) // which would be none
	default:
		s = append(s, f.form.schema...)
	}
	if f.preset != nil {
		if text, err := f.value().AppendJSON(nil); err == nil {
			s = append(s, "default", json.RawMessage(text))
		}
	}
	return s
}

// resultSchema is a result of a Go type in JSON.
func resultSchema(t reflect.Type) schema {
	if t == valueType {
		return schema{}
	}
	switch t.Kind() {
	case reflect.Bool:
		return schema{"type", "boolean"}
	case reflect.String:
		return bytesSchema()
	case reflect.Float32, reflect.Float64:
		// What JSON has no number for is a string.
		return anyOf(schema{"type", "number"}, schema{"enum", []string{"NaN", "+Inf", "-Inf"}})
	case reflect.Pointer:
		return orNull(resultSchema(t.Elem()))
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return bytesSchema()
		}
		return schema{"type", "array", "items", resultSchema(t.Elem())}
	case reflect.Array:
		return schema{"type", "array", "items", resultSchema(t.Elem()), "minItems", t.Len(), "maxItems", t.Len()}
	case reflect.Map:
		return schema{"type", "object", "additionalProperties", resultSchema(t.Elem())}
	case reflect.Struct:
		return structSchema(t)
	}
	return numberSchema(t)
}

// structSchema is a struct as a result: all of its fields are always there.
func structSchema(t reflect.Type) schema {
	if t.NumField() == 0 {
		return schema{"type", "null"}
	}
	properties, required := schema{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, ok := jsonform.FieldName(f)
		if !ok {
			continue
		}
		var s schema
		if doc := strings.TrimSpace(f.Tag.Get("doc")); doc != "" {
			s = schema{"description", doc}
		}
		properties = append(properties, name, append(s, resultSchema(f.Type)...))
		required = append(required, name)
	}
	return schema{"type", "object", "properties", properties, "required", required, "additionalProperties", false}
}

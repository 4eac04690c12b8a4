// Package jsonform reads and writes the pieces of JSON of which arguments and
// results are made.
//
// It keeps one rule: text comes out as it went in, or is refused. What
// encoding/json would pass over in silence is an error here: a field that stands
// twice, half of a surrogate pair, bytes that are not UTF-8. It does not know which
// fields there are.
package jsonform

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// TwiceError says that a field stands twice in an object.
type TwiceError struct{ Name string }

// Error implements error.
func (e *TwiceError) Error() string { return fmt.Sprintf("field %.64q stands twice", e.Name) }

// Object splits a JSON object into its fields, which are parts of body. A
// field that stands twice, text that is not UTF-8 and anything behind the
// object are errors.
func Object(body []byte) (map[string]json.RawMessage, error) {
	rest := bytes.Trim(body, Space)
	switch {
	case len(rest) == 0:
		return nil, errors.New("the body is empty: send a JSON object")
	case !utf8.Valid(rest):
		return nil, errors.New("the body is not valid UTF-8")
	case !json.Valid(rest):
		var unused json.RawMessage
		return nil, fmt.Errorf("the body is not JSON: %v", json.Unmarshal(rest, &unused))
	case rest[0] != '{':
		return nil, errors.New("the body is not a JSON object")
	}
	fields := make(map[string]json.RawMessage)
	rest = bytes.TrimLeft(rest[1:], Space)
	for rest[0] != '}' {
		stop := end(rest)
		name, err := Text(rest[:stop])
		if err != nil {
			return nil, fmt.Errorf("the name of a field %v", err)
		}
		if _, twice := fields[name]; twice {
			return nil, &TwiceError{name}
		}
		rest = bytes.TrimLeft(rest[stop:], Space+":")
		stop = end(rest)
		fields[name] = rest[:stop]
		rest = bytes.TrimLeft(rest[stop:], Space+",")
	}
	return fields, nil
}

// Space is what may stand between the words of JSON.
const Space = " \t\r\n"

// end is where the first value of text ends, which is valid JSON up to
// there.
func end(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++ // what is escaped does not end the string
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return i // behind a number or a word
			}
			if depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return len(text)
}

// Bytes reads a JSON string, or {"base64":"…"}. An error says what is
// wanted instead.
func Bytes(raw json.RawMessage, wanted string) (string, error) {
	if len(raw) > 0 && raw[0] == '"' {
		return Text(raw)
	}
	fields, err := Object(raw)
	encoded, ok := fields["base64"]
	if err != nil || !ok || len(fields) != 1 || encoded[0] != '"' {
		return "", fmt.Errorf("is %s, not %s", Describe(raw), wanted)
	}
	text, err := Text(encoded)
	if err != nil {
		return "", err
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return "", errors.New("is not valid base64")
	}
	return string(decoded), nil
}

// Text reads a JSON string. It refuses half of a surrogate pair, which
// encoding/json would quietly replace: two different keys would become one.
func Text(raw json.RawMessage) (string, error) {
	if text := string(raw); len(text) > 1 && plain(text[1:len(text)-1]) && text[len(text)-1] == '"' {
		return text[1 : len(text)-1], nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", fmt.Errorf("is not a JSON string: %w", err)
	}
	if strings.ContainsRune(text, utf8.RuneError) && halfSurrogate(raw) {
		return "", errors.New("holds half of a surrogate pair, which is no character")
	}
	return text, nil
}

// halfSurrogate says that a valid JSON string escapes one half of a surrogate
// pair without the other.
func halfSurrogate(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		first := escaped(raw[i:])
		if !utf16.IsSurrogate(first) {
			i++ // what is escaped begins no escape itself
			continue
		}
		const escapeBytes = len(`\uD800`)
		second := escaped(raw[i+escapeBytes:])
		if utf16.DecodeRune(first, second) == utf8.RuneError {
			return true
		}
		i += 2*escapeBytes - 1
	}
	return false
}

// escaped is the code unit that text begins with as \uXXXX, or -1.
func escaped(text []byte) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return -1
	}
	unit, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(unit)
}

// IsNumber says that a JSON value is a number, or begins as one.
func IsNumber(raw []byte) bool {
	return len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9')
}

// Describe names the kind of a JSON value, as an error shows it.
func Describe(raw json.RawMessage) string {
	switch {
	case len(raw) == 0:
		return "nothing"
	case raw[0] == '"':
		return "a string"
	case raw[0] == '{':
		return "an object"
	case raw[0] == '[':
		return "a list"
	case raw[0] == 't' || raw[0] == 'f':
		return "a bool"
	case raw[0] == 'n':
		return "null"
	}
	return "the number " + string(raw[:min(len(raw), 40)])
}

// AppendQuoted appends text, which is valid UTF-8, as a JSON string.
func AppendQuoted(dst []byte, text string) ([]byte, error) {
	if plain(text) {
		dst = append(dst, '"')
		dst = append(dst, text...)
		return append(dst, '"'), nil
	}
	var quoted bytes.Buffer
	encoder := json.NewEncoder(&quoted)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		return nil, err
	}
	return append(dst, bytes.TrimSuffix(quoted.Bytes(), []byte("\n"))...), nil
}

// plain says that text stands in JSON as it is.
func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// FieldName is the name of a struct field in JSON, and whether it is an
// argument at all: the name in its json tag, or its own in snake case.
func FieldName(f reflect.StructField) (string, bool) {
	tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if !f.IsExported() || tag == "-" {
		return "", false
	}
	if tag != "" {
		return tag, true
	}
	var name strings.Builder
	for i, r := range f.Name {
		if unicode.IsUpper(r) && i > 0 && !unicode.IsUpper(rune(f.Name[i-1])) {
			name.WriteByte('_')
		}
		name.WriteRune(unicode.ToLower(r))
	}
	return name.String(), true
}

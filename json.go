package quorate

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MarshalJSON writes the value in the one form it has in JSON. Bytes are a
// string where they are valid UTF-8 and {"base64":"…"} where they are not;
// a float that JSON cannot write is a string.
func (v Value) MarshalJSON() ([]byte, error) { return v.AppendJSON(nil) }

// AppendJSON appends what MarshalJSON returns to dst.
func (v Value) AppendJSON(dst []byte) ([]byte, error) {
	switch v.kind {
	case None:
		return append(dst, "null"...), nil
	case Bool:
		return strconv.AppendBool(dst, v.Bool()), nil
	case Int:
		return strconv.AppendInt(dst, v.Int(), 10), nil
	case Uint:
		return strconv.AppendUint(dst, v.num, 10), nil
	case Float:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return strconv.AppendQuote(dst, v.String()), nil
		}
		return append(dst, v.String()...), nil
	case Bytes:
		return appendText(dst, v.text)
	case List:
		return v.appendJSONList(dst)
	}
	return v.appendJSONMap(dst)
}

func (v Value) appendJSONList(dst []byte) (_ []byte, err error) {
	dst = append(dst, '[')
	for i, element := range v.list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = element.AppendJSON(dst); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

func (v Value) appendJSONMap(dst []byte) (_ []byte, err error) {
	dst = append(dst, '{')
	for i := 0; i+1 < len(v.list); i += 2 {
		if i > 0 {
			dst = append(dst, ',')
		}
		// A name has no other form than a string.
		if dst, err = appendQuoted(dst, strings.ToValidUTF8(v.list[i].text, "\uFFFD")); err != nil {
			return nil, err
		}
		if dst, err = v.list[i+1].AppendJSON(append(dst, ':')); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

func appendText(dst []byte, text string) ([]byte, error) {
	if !utf8.ValidString(text) {
		dst = append(dst, `{"base64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, []byte(text))
		return append(dst, `"}`...), nil
	}
	return appendQuoted(dst, text)
}

// appendQuoted appends text, which is valid UTF-8, as a JSON string.
func appendQuoted(dst []byte, text string) ([]byte, error) {
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

// UnmarshalJSON reads an argument: an integer of 64 bits, a string, or
// {"base64":"…"} for bytes that are no text.
func (v *Value) UnmarshalJSON(raw []byte) error {
	const wanted = "an integer or a string"
	if isNumber(raw) {
		n, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil {
			if errors.Is(err, strconv.ErrRange) {
				return fmt.Errorf("is %s, which does not fit an integer of 64 bits", describe(raw))
			}
			return fmt.Errorf("is %s, not %s", describe(raw), wanted)
		}
		*v = IntValue(n)
		return nil
	}
	text, err := jsonBytes(raw, wanted)
	if err != nil {
		return err
	}
	*v = BytesValue(text)
	return nil
}

// fromJSON binds the fields of a JSON object to the arguments of an operation.
// It is strict: what it does not understand it refuses.
func (s *shape) fromJSON(operation string, body []byte) ([][]byte, error) {
	given, err := jsonObject(body)
	if err != nil {
		return nil, err
	}
	args := make([][]byte, 0, len(s.fields))
	for i := range s.fields {
		f := &s.fields[i]
		raw, ok := given[f.name]
		delete(given, f.name)
		if !ok || string(raw) == "null" {
			if !f.optional && !f.rest {
				return nil, errField(f.name, "field %q is missing: %s takes %s", f.name, operation, s.describe())
			}
			args = append(args, nil)
			continue
		}
		if args, err = f.appendJSON(args, raw); err != nil {
			return nil, errField(f.name, "field %q %v", f.name, err)
		}
	}
	if len(given) > 0 {
		name := slices.Min(slices.Collect(maps.Keys(given)))
		return nil, errField(name, "field %.64q is not known: %s takes %s", name, operation, s.describe())
	}
	return trim(args), nil
}

func (f *field) appendJSON(args [][]byte, raw json.RawMessage) ([][]byte, error) {
	if !f.rest {
		arg, err := f.form.fromJSON(raw)
		return append(args, arg), err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("is %s, not a list", describe(raw))
	}
	for _, element := range list {
		arg, err := f.form.fromJSON(element)
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
	}
	return args, nil
}

// describe lists the fields, as an error shows them.
func (s *shape) describe() string {
	var words []string
	for _, f := range s.fields {
		word := f.name + " (" + f.form.word
		if f.rest {
			word += ", list"
		}
		if f.optional {
			word += ", optional"
		}
		words = append(words, word+")")
	}
	if len(words) == 0 {
		return "no fields"
	}
	return strings.Join(words, ", ")
}

// jsonObject splits a JSON object into its fields, which are parts of body. A
// field that stands twice, text that is not UTF-8 and anything behind the
// object are errors.
func jsonObject(body []byte) (map[string]json.RawMessage, error) {
	rest := bytes.Trim(body, jsonSpace)
	switch {
	case len(rest) == 0:
		return nil, Errorf(Invalid, "the body is empty: send a JSON object")
	case !utf8.Valid(rest):
		return nil, Errorf(Invalid, "the body is not valid UTF-8")
	case !json.Valid(rest):
		var unused json.RawMessage
		return nil, Errorf(Invalid, "the body is not JSON: %v", json.Unmarshal(rest, &unused))
	case rest[0] != '{':
		return nil, Errorf(Invalid, "the body is not a JSON object")
	}
	fields := make(map[string]json.RawMessage)
	rest = bytes.TrimLeft(rest[1:], jsonSpace)
	for rest[0] != '}' {
		end := jsonEnd(rest)
		name, err := jsonText(rest[:end])
		if err != nil {
			return nil, Errorf(Invalid, "the name of a field %v", err)
		}
		if _, twice := fields[name]; twice {
			return nil, errField(name, "field %.64q stands twice", name)
		}
		rest = bytes.TrimLeft(rest[end:], jsonSpace+":")
		end = jsonEnd(rest)
		fields[name] = rest[:end]
		rest = bytes.TrimLeft(rest[end:], jsonSpace+",")
	}
	return fields, nil
}

// jsonSpace is what may stand between the words of JSON.
const jsonSpace = " \t\r\n"

// jsonEnd is where the first value of text ends, which is valid JSON up to
// there.
func jsonEnd(text []byte) int {
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

// jsonBytes reads a JSON string, or {"base64":"…"}. An error says what is
// wanted instead.
func jsonBytes(raw json.RawMessage, wanted string) (string, error) {
	if len(raw) > 0 && raw[0] == '"' {
		return jsonText(raw)
	}
	fields, err := jsonObject(raw)
	encoded, ok := fields["base64"]
	if err != nil || !ok || len(fields) != 1 || encoded[0] != '"' {
		return "", fmt.Errorf("is %s, not %s", describe(raw), wanted)
	}
	text, err := jsonText(encoded)
	if err != nil {
		return "", err
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return "", errors.New("is not valid base64")
	}
	return string(decoded), nil
}

// jsonText reads a JSON string. It refuses half of a surrogate pair, which
// encoding/json would quietly replace: two different keys would become one.
func jsonText(raw json.RawMessage) (string, error) {
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

func isNumber(raw []byte) bool {
	return len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9')
}

// numberError says why what was given is not the number that is wanted.
func numberError(err error, given, wanted string, bits int) error {
	if errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("is %s, which does not fit %s of %d bits", given, wanted, bits)
	}
	return fmt.Errorf("is %s, not %s", given, wanted)
}

func article(word string) string {
	if strings.ContainsRune("aeiou", rune(word[0])) {
		return "an " + word
	}
	return "a " + word
}

// describe names the kind of a JSON value, as an error shows it.
func describe(raw json.RawMessage) string {
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

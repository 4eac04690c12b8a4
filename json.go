package quorate

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/quorate/quorate/internal/jsonform"
)

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
		return nil, fmt.Errorf("is %s, not a list", jsonform.Describe(raw))
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

// jsonObject splits a JSON object into its fields, which are parts of body. Its
// errors are of code Invalid.
func jsonObject(body []byte) (map[string]json.RawMessage, error) {
	fields, err := jsonform.Object(body)
	if twice, ok := errors.AsType[*jsonform.TwiceError](err); ok {
		return nil, errField(twice.Name, "%v", err)
	}
	if err != nil {
		return nil, Errorf(Invalid, "%v", err)
	}
	return fields, nil
}

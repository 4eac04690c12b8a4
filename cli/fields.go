package cli

import (
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/values"
)

// fields is the arguments of a call: names and values in turns.
type fields []quorate.Value

func (f fields) with(name string, value quorate.Value) fields {
	return append(f, values.Bytes(name), value)
}

// args is the arguments as the operation takes them.
func (f fields) args(op *quorate.Operation) ([][]byte, error) {
	return quorate.Engine().ArgsFromJSON(op, jsonOf(values.Map(f...)))
}

func keyField(key string) fields { return fields{}.with("key", values.Bytes(key)) }

func keyFields(_ *verbFlags, words []string) (fields, error) { return keyField(words[0]), nil }

func listFields(_ *verbFlags, words []string) (fields, error) {
	keys := make([]quorate.Value, len(words))
	for i, word := range words {
		keys[i] = values.Bytes(word)
	}
	return fields{}.with("keys", values.List(keys...)), nil
}

// keysFields is the key, or the keys if there are several.
func keysFields(f *verbFlags, words []string) (fields, error) {
	if len(words) > 1 {
		return listFields(f, words)
	}
	return keyFields(f, words)
}

func putFields(f *verbFlags, words []string) (fields, error) {
	value, err := f.value(words[1])
	call := keyField(words[0]).with("value", value)
	if f.ttl > 0 {
		call = call.with("ttl", milliseconds(time.Duration(f.ttl)))
	}
	return f.conditions(call), err
}

func mputFields(f *verbFlags, words []string) (fields, error) {
	var pairs []quorate.Value
	for i := 0; i < len(words); i += 2 {
		value, err := f.value(words[i+1])
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, values.Bytes(words[i]), value)
	}
	return f.conditions(fields{}.with("pairs", values.List(pairs...))), nil
}

// conditions adds what must hold before a value is stored.
func (f *verbFlags) conditions(call fields) fields {
	if f.absent {
		call = call.with("nx", values.Bool(true))
	}
	if f.present {
		call = call.with("xx", values.Bool(true))
	}
	return call
}

func incFields(f *verbFlags, words []string) (fields, error) {
	call := keyField(words[0])
	if len(words) == 1 {
		return call, nil
	}
	value, err := f.integer(words[1])
	return call.with("value", value), err
}

func casFields(f *verbFlags, words []string) (fields, error) {
	call := keyField(words[0])
	if !f.absent {
		expect, err := f.value(words[1])
		if err != nil {
			return nil, err
		}
		call = call.with("expect", expect)
	}
	value, err := f.value(words[len(words)-1])
	return call.with("value", value), err
}

func expireFields(_ *verbFlags, words []string) (fields, error) {
	d, err := parseSpan(words[1])
	if err != nil {
		return nil, usage("the duration is %.40q: it %v", words[1], err)
	}
	return keyField(words[0]).with("ttl", milliseconds(d)), nil
}

func milliseconds(d time.Duration) quorate.Value { return values.Int(d.Milliseconds()) }

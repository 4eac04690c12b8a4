package kv

import (
	"strconv"

	"github.com/quorate/quorate"
)

// Key names a value: 1 to KeyBytesMax bytes. In JSON it is a string or an
// integer, which is the same key as the string of its digits.
type Key string

// KeyBytesMax bounds a Key: a key of the state without the table it is in.
const KeyBytesMax = quorate.KeyBytesMax - len(table)

// UnmarshalJSON reads an integer between -2^63 and 2^64-1, a string, or
// {"base64":"…"} for bytes that are no text.
func (k *Key) UnmarshalJSON(raw []byte) error {
	if n, err := strconv.ParseUint(string(raw), 10, 64); err == nil {
		*k = Key(strconv.FormatUint(n, 10))
		return nil
	}
	var v quorate.Value
	if err := v.UnmarshalJSON(raw); err != nil {
		return err
	}
	*k = Key(v.String())
	return nil
}

// JSONSchema is what UnmarshalJSON reads.
func (Key) JSONSchema() string {
	return `{"anyOf":[{"type":"integer","minimum":-9223372036854775808,"maximum":18446744073709551615},{"type":"string"},` +
		`{"type":"object","properties":{"base64":{"type":"string","contentEncoding":"base64",` +
		`"pattern":"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)?$"}},"required":["base64"],"additionalProperties":false}]}`
}

func (k Key) check() error {
	switch {
	case k == "":
		return quorate.Errorf(quorate.Invalid, "the key is empty")
	case len(k) > KeyBytesMax:
		return quorate.Errorf(quorate.TooLarge, "a key of %d bytes is over the limit of %d", len(k), KeyBytesMax)
	}
	return nil
}

// name is the key of the state under which the value stands.
func (k Key) name(view *quorate.View) []byte {
	return append(append(quorate.Engine().Room(view, len(table)+len(k)), table...), k...)
}

package kv

import (
	"github.com/quorate/quorate"

	"github.com/quorate/quorate/values"
)

// Append puts text behind that of a value and returns how long it is now. The
// value becomes a string. Where nothing is, it stores the value as it is given.
type Append struct {
	Key   Key
	Value quorate.Value
}

// Check refuses a key or a value that cannot be stored.
func (a Append) Check() error { return check(a.Key, a.Value) }

// Apply implements quorate.Command.
func (a Append) Apply(tx *quorate.Tx) (int64, error) {
	name := a.Key.name(&tx.View)
	value, found, err := read(&tx.View, name)
	if err != nil {
		return 0, err
	}
	if !found {
		store(tx, name, a.Value)
		return int64(len(a.Value.String())), nil
	}
	text := value.String() + a.Value.String()
	if err := checkText(len(text)); err != nil {
		return 0, err
	}
	change(tx, name, values.Bytes(text))
	return int64(len(text)), nil
}

// SetRange writes bytes over the text of a value from an offset on and returns
// how long it is now. The value becomes a string; what is missing up to the
// offset becomes zero bytes. Writing no bytes changes nothing.
type SetRange struct {
	Key    Key
	Offset int64
	Value  []byte
}

// Check refuses a key under which nothing can be stored, and a negative offset.
func (s SetRange) Check() error {
	if s.Offset < 0 {
		return quorate.Errorf(quorate.Invalid, "an offset of %d is negative", s.Offset)
	}
	return check(s.Key)
}

// Apply implements quorate.Command.
func (s SetRange) Apply(tx *quorate.Tx) (int64, error) {
	name := s.Key.name(&tx.View)
	value, _, err := read(&tx.View, name)
	if err != nil {
		return 0, err
	}
	text := value.String()
	if len(s.Value) == 0 {
		return int64(len(text)), nil
	}
	if s.Offset > StringBytesMax {
		return 0, checkText(StringBytesMax + 1)
	}
	end := int(s.Offset) + len(s.Value)
	if err := checkText(end); err != nil {
		return 0, err
	}
	written := make([]byte, max(end, len(text)))
	copy(written, text)
	copy(written[s.Offset:], s.Value)
	change(tx, name, values.Bytes(written))
	return int64(len(written)), nil
}

// checkText refuses a string that is too long.
func checkText(length int) error {
	if length > StringBytesMax {
		return quorate.Errorf(quorate.TooLarge, "the string would be longer than the limit of %d bytes", StringBytesMax)
	}
	return nil
}

package kv

import (
	"math"
	"strconv"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/values"
)

// Inc adds to the integer under a key and returns the new value. A missing
// key starts at 0. An error of code WrongType or Overflow changes nothing.
type Inc struct {
	Key Key
	// By is what is added. Left out of a call it is 1; a Go program says what
	// it means, for here zero is zero.
	By int64 `json:"value" default:"1"`
	// Text takes a string that reads as an integer for one, as Redis does.
	Text *bool
}

// Check refuses a key under which nothing can be stored.
func (i Inc) Check() error { return check(i.Key) }

// Apply implements quorate.Command.
func (i Inc) Apply(tx *quorate.Tx) (int64, error) {
	name := i.Key.name(&tx.View)
	value, found, err := read(&tx.View, name)
	if err != nil {
		return 0, err
	}
	if given(i.Text) && value.Kind() == values.KindBytes {
		value = number(value.Text())
	}
	if found && value.Kind() != values.KindInt {
		return 0, quorate.Errorf(quorate.WrongType, "key %.64q holds a %s, not an integer", string(i.Key), value.Kind())
	}
	was := value.Int()
	if i.By > 0 && was > math.MaxInt64-i.By || i.By < 0 && was < math.MinInt64-i.By {
		return 0, quorate.Errorf(quorate.Overflow, "%d and %d together do not fit an integer of 64 bits", was, i.By)
	}
	change(tx, name, values.Int(was+i.By))
	return was + i.By, nil
}

// number is text as a value: an integer if it is the one decimal form of one.
func number(text string) quorate.Value {
	const digitsMax = len("-9223372036854775808")
	if len(text) > digitsMax {
		return values.Bytes(text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != text {
		return values.Bytes(text)
	}
	return values.Int(n)
}

// IncFloat adds to the number under a key, which may have a fraction, and
// returns the new value: an integer where it is one, and else a string of at
// most 17 decimals. A missing key starts at 0. It computes as Redis does on
// amd64, with 64 bits of precision. An error of code WrongType or Overflow
// changes nothing.
type IncFloat struct {
	Key Key
	By  Number `json:"value"`
}

// Check refuses a key under which nothing can be stored, and what is no number.
func (i IncFloat) Check() error {
	if err := i.By.Check(); err != nil {
		return err
	}
	return check(i.Key)
}

// Apply implements quorate.Command.
func (i IncFloat) Apply(tx *quorate.Tx) (quorate.Value, error) {
	name := i.Key.name(&tx.View)
	value, found, err := read(&tx.View, name)
	if err != nil {
		return quorate.Value{}, err
	}
	if !found {
		value = values.Int(0)
	}
	was, ok := parseNumber(value.String())
	if !ok {
		return quorate.Value{}, quorate.Errorf(quorate.WrongType, "key %.64q holds a string that is no number", string(i.Key))
	}
	by, _ := parseNumber(string(i.By))
	sum, ok := add(was, by)
	if !ok {
		return quorate.Value{}, quorate.Errorf(quorate.Overflow, "the sum is not finite")
	}
	value = number(formatNumber(sum))
	change(tx, name, value)
	return value, nil
}

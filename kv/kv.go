// Package kv is the built-in service: strings and counters under keys. It is
// written with nothing but the public language, as any other service is.
//
//	PUT     key value            the value           stores it, whatever was there
//	GET     key                  the value           not_found if there is none
//	DELETE  key                  whether it was there
//	INC     key [value]          the new value       a missing key starts at 0
//	CAS     key value [expect]   the new value       conflict if it is not expect
//
// A value is an integer of 64 bits or a string of bytes, and comes back as
// what it was put: "7" does not become 7. A command that fails changes nothing.
package kv

import (
	"math"

	"github.com/quorate/quorate"
)

// Service is the built-in service.
var Service = quorate.Define("kv",
	quorate.Write[Put]("PUT"),
	quorate.Read[Get]("GET"),
	quorate.Write[Delete]("DELETE"),
	quorate.Write[Inc]("INC"),
	quorate.Write[Cas]("CAS"),
)

// Put stores a value under a key, whatever was there, and returns the value.
type Put struct {
	Key   Key
	Value quorate.Value
}

// Check refuses a key or a value that cannot be stored.
func (p Put) Check() error { return check(p.Key, p.Value) }

// Apply implements quorate.Command.
func (p Put) Apply(tx *quorate.Tx) (quorate.Value, error) {
	store(tx, p.Key, p.Value)
	return p.Value, nil
}

// Get returns the value under a key, or an error of code NotFound.
type Get struct{ Key Key }

// Check refuses a key under which nothing can be stored.
func (g Get) Check() error { return check(g.Key) }

// Read implements quorate.Query.
func (g Get) Read(view *quorate.View) (quorate.Value, error) {
	value, found, err := load(view, g.Key)
	if err == nil && !found {
		err = quorate.Errorf(quorate.NotFound, "there is nothing under key %.64q", string(g.Key))
	}
	return value, err
}

// Delete removes what is under a key, and returns whether anything was.
type Delete struct{ Key Key }

// Check refuses a key under which nothing can be stored.
func (d Delete) Check() error { return check(d.Key) }

// Apply implements quorate.Command.
func (d Delete) Apply(tx *quorate.Tx) (bool, error) {
	name := d.Key.name()
	_, found := tx.Get(name)
	if found {
		tx.Delete(name)
	}
	return found, nil
}

// Inc adds to the integer under a key and returns the new value. A missing
// key starts at 0. An error of code WrongType or Overflow changes nothing.
type Inc struct {
	Key Key
	// By is what is added. Left out of a call it is 1; a Go program says what
	// it means, for here zero is zero.
	By int64 `json:"value" default:"1"`
}

// Check refuses a key under which nothing can be stored.
func (i Inc) Check() error { return check(i.Key) }

// Apply implements quorate.Command.
func (i Inc) Apply(tx *quorate.Tx) (int64, error) {
	value, found, err := load(&tx.View, i.Key)
	if err != nil {
		return 0, err
	}
	if found && value.Kind() != quorate.Int {
		return 0, quorate.Errorf(quorate.WrongType, "key %.64q holds a %s, not an integer", string(i.Key), value.Kind())
	}
	was := value.Int()
	if i.By > 0 && was > math.MaxInt64-i.By || i.By < 0 && was < math.MinInt64-i.By {
		return 0, quorate.Errorf(quorate.Overflow, "%d and %d together do not fit an integer of 64 bits", was, i.By)
	}
	store(tx, i.Key, quorate.IntValue(was+i.By))
	return was + i.By, nil
}

// Cas stores a value under a key if what is there equals what is expected,
// and returns the new value. If not, the error is of code Conflict and its
// Value is what is there instead, of kind None if nothing is.
type Cas struct {
	Key   Key
	Value quorate.Value
	// Expect is what must be there, in kind and content. If it is left out,
	// nothing must be there.
	Expect *quorate.Value
}

// Check refuses a key or a value that cannot be stored.
func (c Cas) Check() error {
	if c.Expect != nil {
		return check(c.Key, c.Value, *c.Expect)
	}
	return check(c.Key, c.Value)
}

// Apply implements quorate.Command.
func (c Cas) Apply(tx *quorate.Tx) (quorate.Value, error) {
	value, found, err := load(&tx.View, c.Key)
	if err != nil {
		return quorate.Value{}, err
	}
	if found != (c.Expect != nil) || found && !value.Equal(*c.Expect) {
		conflict := quorate.Errorf(quorate.Conflict, "what is under key %.64q is not what was expected", string(c.Key))
		conflict.Value = value
		return quorate.Value{}, conflict
	}
	store(tx, c.Key, c.Value)
	return c.Value, nil
}

// check refuses a key or a value that cannot be stored.
func check(key Key, values ...quorate.Value) error {
	for _, v := range values {
		if v.Kind() != quorate.Int && v.Kind() != quorate.Bytes {
			return quorate.Errorf(quorate.Invalid, "a value is an integer or a string, not of kind %s", v.Kind())
		}
	}
	return key.check()
}

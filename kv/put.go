package kv

import (
	"strings"

	"github.com/quorate/quorate"
)

// Put stores a value under a key and returns the value. With NX or XX it can be
// refused: the error is of code Conflict and its Value is what is there instead,
// of kind None if nothing is.
type Put struct {
	Key   Key
	Value quorate.Value
	// TTL is for how many milliseconds the value stays, at least 1.
	TTL *int64 `json:"ttl"`
	// Until is when it ends instead, in milliseconds since 1970. If log time is
	// there already, the value ends at once.
	Until *int64
	// NX stores only where nothing is, and XX only where something is.
	NX *bool `json:"nx"`
	XX *bool `json:"xx"`
	// KeepTTL leaves the end of what was there as it is. Without it, and without
	// TTL and Until, the value stays for good.
	KeepTTL *bool `json:"keepttl"`
}

// Check refuses what cannot be stored, and options that do not go together.
func (p Put) Check() error {
	if err := check(p.Key, p.Value); err != nil {
		return err
	}
	if given(p.NX) && given(p.XX) {
		return quorate.Errorf(quorate.Invalid, "nx and xx do not go together")
	}
	return checkLifetime(p.TTL, p.Until, "keepttl", p.KeepTTL)
}

// Apply implements quorate.Command.
func (p Put) Apply(tx *quorate.Tx) (quorate.Value, error) {
	end, err := p.end(tx)
	if err != nil {
		return quorate.Value{}, err
	}
	if given(p.NX) || given(p.XX) {
		if _, err := p.admit(tx); err != nil {
			return quorate.Value{}, err
		}
	}
	p.store(tx, end)
	return p.Value, nil
}

// end is when the value ends, if that is said. One that cannot be is an error
// whatever is under the key.
func (p *Put) end(tx *quorate.Tx) (moment, error) {
	if p.TTL == nil && p.Until == nil {
		return 0, nil
	}
	return endOf(tx, p.TTL, p.Until)
}

// admit returns what is under the key, or why it may not be replaced.
func (p *Put) admit(tx *quorate.Tx) (quorate.Value, error) {
	value, found, err := read(&tx.View, p.Key.name(&tx.View))
	switch {
	case err != nil:
		return quorate.Value{}, err
	case found && given(p.NX):
		return quorate.Value{}, conflict(value, "there is something under key %.64q already", string(p.Key))
	case !found && given(p.XX):
		return quorate.Value{}, conflict(value, "there is nothing under key %.64q", string(p.Key))
	}
	return value, nil
}

func (p *Put) store(tx *quorate.Tx, end moment) {
	name := p.Key.name(&tx.View)
	switch {
	case p.TTL != nil || p.Until != nil:
		storeUntil(tx, name, p.Value, end)
	case given(p.KeepTTL):
		change(tx, name, p.Value)
	default:
		store(tx, name, p.Value)
	}
}

// GetPut stores a value under a key as Put does, and returns what was there
// before, of kind None if nothing was.
type GetPut Put

// Check refuses what Put refuses.
func (g GetPut) Check() error { return Put(g).Check() }

// Apply implements quorate.Command.
func (g GetPut) Apply(tx *quorate.Tx) (quorate.Value, error) {
	put := Put(g)
	end, err := put.end(tx)
	if err != nil {
		return quorate.Value{}, err
	}
	before, err := put.admit(tx)
	if err != nil {
		return quorate.Value{}, err
	}
	put.store(tx, end)
	return before, nil
}

// MPut stores values under keys, all of them or none, and returns how many.
type MPut struct {
	// NX stores nothing if something is under one of the keys: the error is of
	// code Conflict and its Value is what is under the first of them.
	NX *bool `json:"nx"`
	// Pairs is keys and values in turns. A key is taken by its text. Of one that
	// stands twice the last value counts.
	Pairs []quorate.Value
}

// Check refuses what cannot be stored.
func (m MPut) Check() error {
	if len(m.Pairs) == 0 || len(m.Pairs)%2 != 0 {
		return quorate.Errorf(quorate.Invalid, "pairs are keys and values in turns, not a list of %d", len(m.Pairs))
	}
	for i := 0; i < len(m.Pairs); i += 2 {
		if err := check(m.key(i), m.Pairs[i], m.Pairs[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (m MPut) key(i int) Key { return Key(m.Pairs[i].String()) }

// Apply implements quorate.Command.
func (m MPut) Apply(tx *quorate.Tx) (int64, error) {
	for i := 0; given(m.NX) && i < len(m.Pairs); i += 2 {
		value, found, err := read(&tx.View, m.key(i).name(&tx.View))
		if err != nil {
			return 0, err
		}
		if found {
			return 0, conflict(value, "there is something under key %.64q already", string(m.key(i)))
		}
	}
	for i := 0; i < len(m.Pairs); i += 2 {
		store(tx, m.key(i).name(&tx.View), m.Pairs[i+1])
	}
	return int64(len(m.Pairs) / 2), nil
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
	name := c.Key.name(&tx.View)
	value, found, err := read(&tx.View, name)
	if err != nil {
		return quorate.Value{}, err
	}
	if found != (c.Expect != nil) || found && !value.Equal(*c.Expect) {
		return quorate.Value{}, conflict(value, "what is under key %.64q is not what was expected", string(c.Key))
	}
	store(tx, name, c.Value)
	return c.Value, nil
}

// conflict is the error of a command that finds something else than it needs.
func conflict(there quorate.Value, format string, args ...any) error {
	err := quorate.Errorf(quorate.Conflict, format, args...)
	err.Value = there
	return err
}

// checkLifetime refuses more than one of what says how long something stays,
// and an end that is none.
func checkLifetime(ttl, until *int64, other string, on *bool) error {
	var names []string
	if ttl != nil {
		names = append(names, "ttl")
	}
	if until != nil {
		names = append(names, "until")
	}
	if given(on) {
		names = append(names, other)
	}
	switch {
	case len(names) > 1:
		return quorate.Errorf(quorate.Invalid, "%s do not go together", strings.Join(names, " and "))
	case ttl != nil && *ttl < 1:
		return quorate.Errorf(quorate.Invalid, "a ttl of %d is below 1 millisecond", *ttl)
	case until != nil && *until < 1:
		return quorate.Errorf(quorate.Invalid, "until %d is before 1970", *until)
	}
	return nil
}

package kv

import "github.com/quorate/quorate"

// Rename moves what is under a key to another, in place of what is there, and
// returns whether it did. Where nothing is to be moved, the error is of code
// NotFound. A key that is renamed to itself stays as it is.
type Rename struct {
	Key Key
	To  Key
	// NX does nothing, and returns false, if something is there already.
	NX *bool `json:"nx"`
}

// Check refuses a key under which nothing can be stored.
func (r Rename) Check() error {
	if err := check(r.Key); err != nil {
		return err
	}
	return check(r.To)
}

// Apply implements quorate.Command.
func (r Rename) Apply(tx *quorate.Tx) (bool, error) {
	from, to := r.Key.name(&tx.View), r.To.name(&tx.View)
	value, found, err := read(&tx.View, from)
	if err == nil && !found {
		err = missing(r.Key)
	}
	if err != nil {
		return false, err
	}
	if r.Key == r.To {
		return !given(r.NX), nil
	}
	if _, taken := tx.Get(to); taken && given(r.NX) {
		return false, nil
	}
	carry(tx, from, to, value)
	tx.Delete(from)
	return true, nil
}

// Copy stores what is under a key under another one too, and returns whether
// it did: not if nothing is there, nor if something is under the other.
type Copy struct {
	Key Key
	To  Key
	// Replace takes the place of what is under the other key.
	Replace *bool
}

// Check refuses a key under which nothing can be stored, and a copy of a key
// to itself.
func (c Copy) Check() error {
	if c.Key == c.To {
		return quorate.Errorf(quorate.Invalid, "a key is not copied to itself")
	}
	if err := check(c.Key); err != nil {
		return err
	}
	return check(c.To)
}

// Apply implements quorate.Command.
func (c Copy) Apply(tx *quorate.Tx) (bool, error) {
	from, to := c.Key.name(&tx.View), c.To.name(&tx.View)
	value, found, err := read(&tx.View, from)
	if err != nil || !found {
		return false, err
	}
	if _, taken := tx.Get(to); taken && !given(c.Replace) {
		return false, nil
	}
	carry(tx, from, to, value)
	return true, nil
}

// carry puts a value under another name, with the end that it has under its
// own.
func carry(tx *quorate.Tx, from, to []byte, value quorate.Value) {
	if end, ends := tx.End(from); ends {
		tx.SetUntil(to, encode(tx, value), end)
		return
	}
	store(tx, to, value)
}

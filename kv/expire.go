package kv

import "github.com/quorate/quorate"

// Expire says when what is under a key ends, and returns whether it did: it is
// false where nothing is, or if a condition does not hold. If the end is not
// after log time, the key is gone at once.
type Expire struct {
	Key Key
	// TTL is how many milliseconds from now on the end is.
	TTL *int64 `json:"ttl"`
	// Until is when it is instead, in milliseconds since 1970.
	Until *int64
	// NX sets an end only where there is none, XX only where there is one, GT
	// only if it is later and LT only if it is earlier than the one there is. A
	// key that stays for good ends later than any other.
	NX *bool `json:"nx"`
	XX *bool `json:"xx"`
	GT *bool `json:"gt"`
	LT *bool `json:"lt"`
}

// Check refuses a key under which nothing can be stored, and what does not go
// together.
func (e Expire) Check() error {
	switch {
	case (e.TTL == nil) == (e.Until == nil):
		return quorate.Errorf(quorate.Invalid, "either ttl or until says when the key ends")
	case given(e.NX) && (given(e.XX) || given(e.GT) || given(e.LT)):
		return quorate.Errorf(quorate.Invalid, "nx does not go together with xx, gt or lt")
	case given(e.GT) && given(e.LT):
		return quorate.Errorf(quorate.Invalid, "gt and lt do not go together")
	}
	return check(e.Key)
}

// Apply implements quorate.Command.
func (e Expire) Apply(tx *quorate.Tx) (bool, error) {
	end, err := endOf(tx, e.TTL, e.Until)
	if err != nil {
		return false, err
	}
	name := e.Key.name(&tx.View)
	value, found, err := read(&tx.View, name)
	if err != nil || !found {
		return false, err
	}
	before, ends := tx.End(name)
	if !e.holds(end, moment(before.UnixMilli()), ends) {
		return false, nil
	}
	storeUntil(tx, name, value, end)
	return true, nil
}

// holds says that the conditions hold for a key that ends before, if it ends.
func (e Expire) holds(end, before moment, ends bool) bool {
	switch {
	case given(e.NX) && ends, given(e.XX) && !ends:
		return false
	case given(e.GT):
		return ends && end > before
	case given(e.LT):
		return !ends || end < before
	}
	return true
}

// TTL returns how long what is under a key stays, or an error of code NotFound.
type TTL struct{ Key Key }

// Lifetime is how long something stays. Both are nil if it stays for good.
type Lifetime struct {
	// TTL is for how many milliseconds more.
	TTL *int64 `json:"ttl"`
	// Until is when it ends, in milliseconds since 1970.
	Until *int64
}

// Check refuses a key under which nothing can be stored.
func (t TTL) Check() error { return check(t.Key) }

// Read implements quorate.Query.
func (t TTL) Read(view *quorate.View) (Lifetime, error) {
	name := t.Key.name(view)
	if _, found := view.Get(name); !found {
		return Lifetime{}, missing(t.Key)
	}
	end, ends := view.End(name)
	if !ends {
		return Lifetime{}, nil
	}
	until := end.UnixMilli()
	left := max(until-view.Clock().UnixMilli(), 0)
	return Lifetime{TTL: &left, Until: &until}, nil
}

// Persist makes what is under a key stay for good, and returns whether it would
// have ended.
type Persist struct{ Key Key }

// Check refuses a key under which nothing can be stored.
func (p Persist) Check() error { return check(p.Key) }

// Apply implements quorate.Command.
func (p Persist) Apply(tx *quorate.Tx) (bool, error) {
	name := p.Key.name(&tx.View)
	value, found, err := read(&tx.View, name)
	if err != nil || !found {
		return false, err
	}
	if _, ends := tx.End(name); !ends {
		return false, nil
	}
	store(tx, name, value)
	return true, nil
}

// GetEx returns the value under a key, or an error of code NotFound, and says
// when it ends. Without an option it is Get, and goes through the log all the
// same.
type GetEx struct {
	Key Key
	// TTL and Until are those of Put.
	TTL   *int64 `json:"ttl"`
	Until *int64
	// Persist makes the value stay for good.
	Persist *bool
}

// Check refuses a key under which nothing can be stored, and options that do
// not go together.
func (g GetEx) Check() error {
	if err := checkLifetime(g.TTL, g.Until, "persist", g.Persist); err != nil {
		return err
	}
	return check(g.Key)
}

// Apply implements quorate.Command.
func (g GetEx) Apply(tx *quorate.Tx) (quorate.Value, error) {
	name := g.Key.name(&tx.View)
	value, found, err := read(&tx.View, name)
	if err == nil && !found {
		err = missing(g.Key)
	}
	if err != nil {
		return quorate.Value{}, err
	}
	if given(g.Persist) {
		_, err = Persist{Key: g.Key}.Apply(tx)
	}
	if g.TTL == nil && g.Until == nil {
		return value, err
	}
	end, err := endOf(tx, g.TTL, g.Until)
	if err != nil {
		return quorate.Value{}, err
	}
	storeUntil(tx, name, value, end)
	return value, nil
}

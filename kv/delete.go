package kv

import "github.com/quorate/quorate"

// Delete removes what is under a key, and returns whether anything was.
type Delete struct{ Key Key }

// Check refuses a key under which nothing can be stored.
func (d Delete) Check() error { return check(d.Key) }

// Apply implements quorate.Command.
func (d Delete) Apply(tx *quorate.Tx) (bool, error) { return remove(tx, d.Key.name(&tx.View)), nil }

// remove deletes what is under a name, and says whether anything was.
func remove(tx *quorate.Tx, name []byte) bool {
	_, found := tx.Get(name)
	if found {
		tx.Delete(name)
	}
	return found
}

// MDelete removes what is under keys, and returns under how many anything was.
type MDelete struct{ Keys []Key }

// Check refuses a key under which nothing can be stored.
func (m MDelete) Check() error { return checkKeys(m.Keys) }

// Apply implements quorate.Command.
func (m MDelete) Apply(tx *quorate.Tx) (int64, error) {
	var count int64
	for _, key := range m.Keys {
		if remove(tx, key.name(&tx.View)) {
			count++
		}
	}
	return count, nil
}

// GetDel removes what is under a key and returns it, or an error of code
// NotFound.
type GetDel struct{ Key Key }

// Check refuses a key under which nothing can be stored.
func (g GetDel) Check() error { return check(g.Key) }

// Apply implements quorate.Command.
func (g GetDel) Apply(tx *quorate.Tx) (quorate.Value, error) {
	name := g.Key.name(&tx.View)
	value, found, err := read(&tx.View, name)
	if err == nil && !found {
		err = missing(g.Key)
	}
	if err != nil {
		return quorate.Value{}, err
	}
	tx.Delete(name)
	return value, nil
}

// Flush removes keys in their order, a part of them with each command: the
// caller goes on behind Next while there are More. A key that is there from the
// first command to the last is removed; one that is put meanwhile may stay.
type Flush struct {
	// After is the key behind which to begin.
	After *Key
}

// Flushed is what one Flush did.
type Flushed struct {
	Deleted int64
	Next    Key
	More    bool
}

const (
	// flushKeysMax bounds the keys of one Flush, and so for how long other
	// commands wait for it: some 16 ms at 8 µs each.
	flushKeysMax = 2_000
	// flushBytesMax bounds their bytes, of which a command writes at most four
	// times as many.
	flushBytesMax = quorate.TxBytesMax / 4
)

// Check refuses a key behind which there can be none.
func (f Flush) Check() error {
	if f.After == nil {
		return nil
	}
	return checkLength(*f.After)
}

// Apply implements quorate.Command.
func (f Flush) Apply(tx *quorate.Tx) (Flushed, error) {
	var from span
	if f.After != nil {
		from.after = *f.After
	}
	var (
		done  Flushed
		bytes int
	)
	for name := range from.scan(&tx.View) {
		if done.Deleted == flushKeysMax || bytes >= flushBytesMax {
			done.More = true
			break
		}
		tx.Delete(name)
		done.Deleted++
		done.Next = Key(name[len(table):])
		bytes += len(name)
	}
	return done, nil
}

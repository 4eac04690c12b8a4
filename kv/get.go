package kv

import "github.com/quorate/quorate"

// Get returns the value under a key, or an error of code NotFound.
type Get struct{ Key Key }

// Check refuses a key under which nothing can be stored.
func (g Get) Check() error { return check(g.Key) }

// Read implements quorate.Query.
func (g Get) Read(view *quorate.View) (quorate.Value, error) {
	value, found, err := read(view, g.Key.name(view))
	if err == nil && !found {
		err = missing(g.Key)
	}
	return value, err
}

// MGet returns the values under keys, of kind None where there is none.
type MGet struct{ Keys []Key }

// resultBytesMax bounds the text of one result: as much as one command writes.
const resultBytesMax = quorate.TxBytesMax

// Check refuses a key under which nothing can be stored.
func (m MGet) Check() error { return checkKeys(m.Keys) }

// Read implements quorate.Query.
func (m MGet) Read(view *quorate.View) ([]quorate.Value, error) {
	values, size := make([]quorate.Value, len(m.Keys)), 0
	for i, key := range m.Keys {
		value, _, err := read(view, key.name(view))
		if err != nil {
			return nil, err
		}
		if size += len(value.Text()); size > resultBytesMax {
			return nil, quorate.Errorf(quorate.TooLarge, "the values together are over the limit of %d bytes", resultBytesMax)
		}
		values[i] = value
	}
	return values, nil
}

// Exists returns under how many keys there is something. A key that stands
// twice counts twice.
type Exists struct{ Keys []Key }

// Check refuses a key under which nothing can be stored.
func (e Exists) Check() error { return checkKeys(e.Keys) }

// Read implements quorate.Query.
func (e Exists) Read(view *quorate.View) (int64, error) {
	var count int64
	for _, key := range e.Keys {
		if _, found := view.Get(key.name(view)); found {
			count++
		}
	}
	return count, nil
}

// Length returns how many bytes the text of a value has, 0 if there is none.
type Length struct{ Key Key }

// Check refuses a key under which nothing can be stored.
func (l Length) Check() error { return check(l.Key) }

// Read implements quorate.Query.
func (l Length) Read(view *quorate.View) (int64, error) {
	value, _, err := read(view, l.Key.name(view))
	return int64(len(value.String())), err
}

// Range returns the bytes of the text of a value from Start to End, both
// counted. A negative position counts from behind: -1 is the last byte. There
// are no bytes outside of the text, and none where nothing is under the key.
type Range struct {
	Key        Key
	Start, End int64
}

// Check refuses a key under which nothing can be stored.
func (r Range) Check() error { return check(r.Key) }

// Read implements quorate.Query.
func (r Range) Read(view *quorate.View) ([]byte, error) {
	value, _, err := read(view, r.Key.name(view))
	if err != nil {
		return nil, err
	}
	text := value.String()
	// As in Redis, a range that is the wrong way round before the positions are
	// counted from the front stays empty, although both may be before the text.
	if r.Start < 0 && r.End < 0 && r.Start > r.End {
		return nil, nil
	}
	start, end := position(r.Start, len(text)), min(position(r.End, len(text)), int64(len(text)-1))
	if start > end {
		return nil, nil
	}
	return []byte(text[start : end+1]), nil
}

// position is where in a text a position is that may count from behind.
func position(p int64, length int) int64 {
	if p < 0 {
		p += int64(length)
	}
	return max(p, 0)
}

// Version returns a number that changes with each write to a key, whatever is
// written, and 0 if nothing is under the key.
type Version struct{ Key Key }

// Check refuses a key under which nothing can be stored.
func (v Version) Check() error { return check(v.Key) }

// Read implements quorate.Query.
func (v Version) Read(view *quorate.View) (uint64, error) {
	name := v.Key.name(view)
	record, found := view.Get(name)
	if !found {
		return 0, nil
	}
	_, revision, err := decode(name, record)
	return revision, err
}

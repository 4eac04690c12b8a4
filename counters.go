package quorate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// Tables share the state with each other and with what commands write under
// keys of their own. So each begins its keys with a tag, its name and a zero
// byte, and no name holds a zero byte: no key of one table begins with what the
// keys of another begin with.
//
//	tag  name  00  key       fe  n  e  x  t  00  v  i  s  a    counter "visa" of "next"
//
// Neither tag occurs in UTF-8: a key that is text stands in no table.
const (
	countersTag = "\xfe"
	tableTag    = "\xff"
)

// tableNameMax bounds the name of a table; it stands in each of its keys.
const tableNameMax = 64

const _ = uint(KeyBytesMax/2 - len(tableTag) - tableNameMax - 1) // at least half of a key is the user's

// tablePrefix is what the keys of a table begin with, if its name is one.
func tablePrefix(tag, name string) (string, error) {
	if name == "" || len(name) > tableNameMax {
		return "", fmt.Errorf("a name has 1 to %d bytes", tableNameMax)
	}
	for i := range len(name) {
		if name[i] == 0 {
			return "", errors.New("its name holds a zero byte")
		}
	}
	return tag + name + "\x00", nil
}

// countersVersion begins each counter in the state; the number follows as a
// varint, as it is in package binary. 300 is 01 d8 04.
const countersVersion = 1

// Counters is a table of integers by name.
type Counters struct{ prefix string }

// NewCounters makes counters; see NewTable, whose names are others.
func NewCounters(name string) Counters {
	prefix, err := tablePrefix(countersTag, name)
	if err != nil {
		panic(fmt.Sprintf("quorate: counters %q: %v", name, err))
	}
	return Counters{prefix}
}

// name is that of the counters, for messages.
func (c Counters) name() string { return c.prefix[len(countersTag) : len(c.prefix)-1] }

// Add adds n to a counter, which begins at 0, or fails with Overflow.
func (c Counters) Add(tx *Tx, key string, n int64) (int64, error) {
	place := c.place(&tx.View, key)
	was := c.at(&tx.View, place)
	sum := was + n
	if (sum > was) != (n > 0) {
		return 0, Errorf(Overflow, "%.64q of counters %s is %d: adding %d does not fit 64 bits", key, c.name(), was, n)
	}
	tx.Set(place, binary.AppendVarint(append(tx.makeRoom(1+binary.MaxVarintLen64), countersVersion), sum))
	return sum, nil
}

// Value is a counter; 0 if it is not there.
func (c Counters) Value(from Reader, key string) int64 {
	view := from.view()
	return c.at(view, c.place(view, key))
}

// Delete removes a counter.
func (c Counters) Delete(tx *Tx, key string) { tx.Delete(c.place(&tx.View, key)) }

// Range yields the counters within all bounds in order of their keys.
func (c Counters) Range(from Reader, bounds ...Bound[string]) iter.Seq2[string, int64] {
	c.mustBeMade()
	within := spanOf(c.prefix)
	for _, b := range bounds {
		b.checkLeading(1)
		within.narrow(b.kind, []byte(c.prefix+b.key))
	}
	return func(yield func(string, int64) bool) {
		for place, stored := range within.scan(from.view()) {
			if !yield(string(place[len(c.prefix):]), c.decode(place, stored)) {
				return
			}
		}
	}
}

// place is the key of the state under which a counter stands.
func (c Counters) place(view *View, key string) []byte {
	c.mustBeMade()
	return append(append(view.makeRoom(len(c.prefix)+len(key)), c.prefix...), key...)
}

func (c Counters) mustBeMade() {
	if c.prefix == "" {
		panic("quorate: counters that NewCounters did not make")
	}
}

func (c Counters) at(view *View, place []byte) int64 {
	stored, found := view.Get(place)
	if !found {
		return 0
	}
	return c.decode(place, stored)
}

func (c Counters) decode(place, stored []byte) int64 {
	if len(stored) > 1 && stored[0] == countersVersion {
		if n, size := binary.Varint(stored[1:]); size == len(stored)-1 {
			return n
		}
	}
	panic(fmt.Sprintf("quorate: counter %.64q of %s cannot be read: it is damaged, or a newer program wrote it",
		place[len(c.prefix):], c.name()))
}

package store

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/quorate/quorate/internal/invariant"
)

// What is stored until some log time has two more keys. The first says when a
// key of the Data space ends, the second finds those that end first:
//
//	space Ends    key                                  -> end, i64 unix nanos, big-endian
//	space Queue   end, i64 unix nanos, big-endian, key -> nothing
//
// Both are there, or neither is. Most keys stay for good and cost nothing:
// while no key ends, nobody looks into these spaces, and while none ends by a
// given time, nobody who asks for that time does.

// endBytes is an end in either space.
const endBytes = 8

// Endings says what of a state ends.
type Endings struct {
	// Expiring is the number of keys that end.
	Expiring uint64
	// Due is a log time, in unix nanoseconds, before which none of them ends; 0
	// if none does. It may be earlier than the first end.
	Due int64
}

// note takes down one more key that ends.
func (e *Endings) note(end int64) {
	e.Expiring++
	if e.Due == 0 || end < e.Due {
		e.Due = end
	}
}

// drop takes down one less.
func (e *Endings) drop() {
	invariant.Must(e.Expiring > 0, "every key that ends was counted")
	if e.Expiring--; e.Expiring == 0 {
		e.Due = 0
	}
}

// Endings says what of the state ends, with the writes of the batch.
func (b *Batch) Endings() Endings { return b.endings }

// End is when what is under a key of the Data space ends; 0 if it stays for
// good, or if nothing is there.
func (b *Batch) End(key []byte) int64 {
	if b.endings.Expiring == 0 {
		return 0
	}
	value, _ := b.Get(Ends, key)
	return readEnd(value)
}

// SetEnd says when what is under a key of the Data space ends; 0 for never.
func (b *Batch) SetEnd(key []byte, end int64) {
	before := b.End(key)
	if before == end {
		return
	}
	if before != 0 {
		b.Delete(Queue, queued(before, key))
		b.endings.drop()
	}
	if end == 0 {
		b.Delete(Ends, key)
		return
	}
	b.Set(Ends, key, binary.BigEndian.AppendUint64(nil, uint64(end)))
	b.Set(Queue, queued(end, key), nil)
	b.endings.note(end)
}

// Expire removes what has ended by a log time, but no more than count keys.
func (b *Batch) Expire(now int64, count int) {
	if b.endings.Due == 0 || now < b.endings.Due {
		return
	}
	// From the first one: before it stand those that were removed, which
	// Pebble would have to pass over again until it has cleaned up.
	for entry := range b.Scan(Queue, queued(b.endings.Due, nil), nil) {
		end, key := readEnd(entry), entry[endBytes:]
		if b.endings.Due = end; end > now || count == 0 {
			break
		}
		b.Delete(Data, key)
		b.Delete(Ends, key)
		b.Delete(Queue, entry)
		b.endings.drop()
		count--
	}
}

// NextEnd is when the first key of the view ends; 0 if none does.
func (v *View) NextEnd() int64 {
	if v.meta.Expiring == 0 || v.Err() != nil {
		return 0
	}
	c := v.cursor(Queue, queued(v.meta.Due, nil), nil)
	defer func() { v.store.fail.check(c.close()) }()
	if !c.valid {
		return 0
	}
	return readEnd(c.key)
}

// End is when what is under key in the Data space ends; zero if it stays for
// good, or if nothing is there.
func (v *View) End(key []byte) time.Time {
	if v.meta.Expiring == 0 || v.Err() != nil {
		return time.Time{}
	}
	value, _ := v.get(Ends, key)
	return Time(readEnd(value))
}

// Time is a log time as Meta and Endings have it: zero for 0.
func Time(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos)
}

// endMax is the last end there is, in the year 2262.
const endMax = math.MaxInt64

// nanos is a time as the state keeps it. What is too far for it ends at the
// last moment there is, and what would be none at the first.
func nanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.After(time.Unix(0, endMax)):
		return endMax
	case !t.After(time.Unix(0, 0)):
		return 1
	}
	return t.UnixNano()
}

// queued is a key of the Queue space.
func queued(end int64, key []byte) []byte {
	entry := make([]byte, 0, endBytes+len(key))
	return append(binary.BigEndian.AppendUint64(entry, uint64(end)), key...)
}

// readEnd is the end that a key of Queue begins with, or a value of Ends holds;
// 0 if there is none.
func readEnd(data []byte) int64 {
	if len(data) < endBytes {
		return 0
	}
	return int64(binary.BigEndian.Uint64(data))
}

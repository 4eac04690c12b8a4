package kv

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/values"
)

// The state holds one record for each key:
//
//	key     'k' 'v' 0x00  the key, 1 to 4,093 bytes
//	value   head  [revision]  payload
//
//	head      one byte   7 6 5 4 3 2 1 0
//	                     └flags┘ └kind─┘
//	            kind  1  integer: payload is 8 bytes, little-endian
//	                  2  string:  payload is its bytes
//	            flags 0x10  there is a revision. Each flag announces a field
//	                        between head and payload; the others are for later.
//	revision  uvarint: that of the command which wrote the record. Records of
//	          old have none.
//
// When a key ends stands beside the record, with the language.
//
// INC hits 300 as the first command of entry 2, where there was no hits; its
// revision is 2 * 65,536:
//
//	6b 76 00 68 69 74 73   11 80 80 08 2c 01 00 00 00 00 00 00
//	k  v     h  i  t  s    │  revision integer, 300
//	                       integer with revision

// table is what all keys of this service begin with in the state.
const table = "kv\x00"

// The parts of a head.
const (
	kindInt   = 0x01
	kindBytes = 0x02

	flagRevision = 0x10
)

// integerBytes is the payload of an integer.
const integerBytes = 64 / 8

// StringBytesMax bounds a string, however many commands put it together: the
// largest argument, so that it can be put back as it is.
const StringBytesMax = quorate.ArgsBytesMax

const _ = uint(quorate.ValueBytesMax - StringBytesMax - 1 - binary.MaxVarintLen64) // head and revision fit in front

// revisionOfOld is the version of what stands in a record without a revision:
// below that of any command, since the first index of a log is 1.
const revisionOfOld = 1

const _ = uint(engine.PositionMax - revisionOfOld - 1)

// read is the value under a name, and whether there is one. A record that this
// program does not understand is an error: to overwrite it could lose what a
// newer program wrote.
func read(view *quorate.View, name []byte) (value quorate.Value, found bool, err error) {
	record, found := view.Get(name)
	if !found {
		return quorate.Value{}, false, nil
	}
	value, _, err = decode(name, record)
	return value, err == nil, err
}

// decode reads the record under a name.
func decode(name, record []byte) (value quorate.Value, revision uint64, err error) {
	if len(record) == 0 {
		return value, 0, unknownForm(name)
	}
	head, payload, revision := record[0], record[1:], uint64(revisionOfOld)
	if head&flagRevision != 0 {
		r, n := binary.Uvarint(payload)
		if n <= 0 {
			return value, 0, unknownForm(name)
		}
		revision, payload = r, payload[n:]
	}
	switch {
	case head&^flagRevision == kindInt && len(payload) == integerBytes:
		return values.Int(int64(binary.LittleEndian.Uint64(payload))), revision, nil
	case head&^flagRevision == kindBytes:
		return values.Bytes(payload), revision, nil
	}
	return value, 0, unknownForm(name)
}

func unknownForm(name []byte) error {
	return quorate.Errorf(quorate.Internal, "the record of key %.64q has a form that this version does not know", name[len(table):])
}

// encode makes the record of a value, an integer or a string, as this command
// writes it.
func encode(tx *quorate.Tx, value quorate.Value) []byte {
	if value.Kind() == values.KindInt {
		record := quorate.Engine().Room(&tx.View, 1+binary.MaxVarintLen64+integerBytes)
		record = binary.AppendUvarint(append(record, kindInt|flagRevision), tx.Revision())
		return binary.LittleEndian.AppendUint64(record, uint64(value.Int()))
	}
	record := quorate.Engine().Room(&tx.View, 1+binary.MaxVarintLen64+len(value.Text()))
	record = binary.AppendUvarint(append(record, kindBytes|flagRevision), tx.Revision())
	return append(record, value.Text()...)
}

// store puts a value under a name, for good.
func store(tx *quorate.Tx, name []byte, value quorate.Value) {
	tx.Set(name, encode(tx, value))
}

// storeUntil puts a value under a name until log time reaches end. If it is
// there already, nothing is under the name any more.
func storeUntil(tx *quorate.Tx, name []byte, value quorate.Value, end moment) {
	if end <= now(tx) {
		tx.Delete(name)
		return
	}
	tx.SetUntil(name, encode(tx, value), time.UnixMilli(int64(end)))
}

// change puts another value under a name. What was there ended when it did,
// and so does this.
func change(tx *quorate.Tx, name []byte, value quorate.Value) {
	tx.Replace(name, encode(tx, value))
}

// moment is a time as the operations give it and show it: milliseconds since
// 1970.
type moment int64

// momentMax is the last moment there is, in the year 2262: that of the language
// in nanoseconds. What is to end later ends then.
const momentMax = math.MaxInt64 / int64(time.Millisecond)

// now is log time. Within a command it stands still.
func now(tx *quorate.Tx) moment { return moment(tx.Now().UnixMilli()) }

// endOf is the moment that a ttl or an until, of which one is there, stand for.
func endOf(tx *quorate.Tx, ttl, until *int64) (moment, error) {
	if until != nil {
		return min(moment(*until), moment(momentMax)), nil
	}
	if *ttl > math.MaxInt64-int64(now(tx)) {
		return 0, quorate.Errorf(quorate.Overflow, "a ttl of %d milliseconds from now does not fit an integer of 64 bits", *ttl)
	}
	return min(now(tx)+moment(*ttl), moment(momentMax)), nil
}

package kv

import (
	"encoding/binary"

	"github.com/quorate/quorate"
)

// The state holds one record for each key:
//
//	key     'k' 'v' 0x00  the key, 1 to 4,093 bytes
//	value   head  payload
//
//	head    one byte   7 6 5 4 3 2 1 0
//	                   └flags┘ └kind─┘
//	          kind  1  integer: payload is 8 bytes, little-endian
//	                2  string:  payload is its bytes
//	          flags    none yet. Each is to announce a field between head and
//	                   payload, so that a record can carry more, such as when
//	                   it expires, and those without stay as they are.
//
// INC hits 300, where there was no hits:
//
//	6b 76 00 68 69 74 73   01 2c 01 00 00 00 00 00 00
//	k  v     h  i  t  s    integer, 300

// table is what all keys of this service begin with in the state.
const table = "kv\x00"

// The heads of a record without flags.
const (
	headInt   = 1
	headBytes = 2
)

// integerBytes is the payload of an integer.
const integerBytes = 64 / 8

const _ = uint(quorate.ValueBytesMax - quorate.ArgsBytesMax - 1) // head and the largest argument fit a value

// load is the value under key, and whether there is one. A record that this
// program does not understand is an error: to overwrite it could lose what a
// newer program wrote.
func load(view *quorate.View, key Key) (value quorate.Value, found bool, err error) {
	record, found := view.Get(key.name())
	switch {
	case !found:
		return quorate.Value{}, false, nil
	case len(record) == 1+integerBytes && record[0] == headInt:
		return quorate.IntValue(int64(binary.LittleEndian.Uint64(record[1:]))), true, nil
	case len(record) > 0 && record[0] == headBytes:
		return quorate.BytesValue(record[1:]), true, nil
	}
	return quorate.Value{}, false, quorate.Errorf(quorate.Internal,
		"the record of key %.64q has a form that this version does not know", string(key))
}

// store puts value, an integer or a string, under key.
func store(tx *quorate.Tx, key Key, value quorate.Value) {
	var record []byte
	if value.Kind() == quorate.Int {
		record = make([]byte, 0, 1+integerBytes)
		record = binary.LittleEndian.AppendUint64(append(record, headInt), uint64(value.Int()))
	} else {
		record = make([]byte, 0, 1+len(value.Text()))
		record = append(append(record, headBytes), value.Text()...)
	}
	tx.Set(key.name(), record)
}

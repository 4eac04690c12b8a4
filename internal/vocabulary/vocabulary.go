// Package vocabulary says which operations a program knows, so that members
// that run different versions of one service can agree on what all of them
// know.
//
// The nouns are Words, which one program knows, and Word, which is one
// operation: its name, whether it writes, and how many arguments it takes. A
// service only ever gets more operations, and an operation more arguments: of
// two versions of a service one covers the other. That an operation means the
// same in both is on whoever writes it.
//
// It keeps one rule: the same words have the same bytes, which stand in the
// log, in the state and between nodes. It does not know who knows what, and
// asks nobody.
//
// Words, numbers as in encoding/binary:
//
//	┌──────────────┬─────────┬───────────────────────────────────────────────┐
//	│ version u8=1 │ count   │ words, in the order of their names, each once │
//	│              │ uvarint │                                               │
//	└──────────────┴─────────┴───────────────────────────────────────────────┘
//
// A word:
//
//	┌───────────────┬─────────────────────────┬───────────┐
//	│ name          │ u8: 0 is a query,       │ arguments │
//	│ u8 len, bytes │     1 is a command      │ uvarint   │
//	└───────────────┴─────────────────────────┴───────────┘
//
// Arguments is how many an operation takes at most; Any, which is 1024, where
// its last field is a slice.
//
// Example: a service with the command TAKE of two arguments, and TXN, which
// each service has, is
//
//	01 | 02 | 04 54 41 4b 45 01 02 | 03 54 58 4e 01 80 08
package vocabulary

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/quorate/quorate"
)

const (
	version = 1
	// wordsMax bounds the operations of a service. A word takes up to 68 bytes,
	// so all of them are 34 KiB, and 46 KiB as base64 in JSON: less than the
	// 64 KiB of a frame in which nodes tell each other who they are.
	wordsMax = 512
	// wordBytesMin is a name of one byte, a kind and a number.
	wordBytesMin = 4
	// Any is the number of arguments of an operation that takes as many as a
	// call may have. No struct has as many fields.
	Any = 1 << 10
)

// Word is one operation.
type Word struct {
	Name   string
	Writes bool
	// Arguments is how many it takes at most, or Any.
	Arguments int
}

// Words is operations in the order of their names, each once.
type Words []Word

// Of is what a program with this service knows.
func Of(service *quorate.Service) (Words, error) {
	operations := service.Operations()
	if len(operations) > wordsMax {
		return nil, fmt.Errorf("service %s has %d operations, and %d can be agreed on", service.Name(), len(operations), wordsMax)
	}
	var words Words
	for i := range operations {
		op := &operations[i]
		words = append(words, Word{op.Name(), op.Writes(), arguments(op)})
	}
	slices.SortFunc(words, byName)
	return words, nil
}

func byName(a, b Word) int { return cmp.Compare(a.Name, b.Name) }

// arguments is how many arguments an operation takes at most.
func arguments(op *quorate.Operation) int {
	if op.Name() == txnName {
		return Any
	}
	args := make([][]byte, Any)
	return sort.Search(Any, func(n int) bool { return quorate.Engine().Newer(op, args[:n+1]) })
}

// Append encodes words behind dst.
func (w Words) Append(dst []byte) []byte {
	dst = append(dst, version)
	dst = binary.AppendUvarint(dst, uint64(len(w)))
	for _, word := range w {
		dst = append(append(dst, byte(len(word.Name))), word.Name...)
		kind := byte(0)
		if word.Writes {
			kind = 1
		}
		dst = binary.AppendUvarint(append(dst, kind), uint64(word.Arguments))
	}
	return dst
}

var errShort = errors.New("words end too early")

// Read is the other way round from Append.
func Read(data []byte) (Words, error) {
	if len(data) == 0 {
		return nil, errShort
	}
	if data[0] != version {
		return nil, fmt.Errorf("words of version %d are not known to this program, which knows version %d: run a newer one", data[0], version)
	}
	count, size := binary.Uvarint(data[1:])
	if size <= 0 || count > uint64(len(data))/wordBytesMin {
		return nil, errShort
	}
	if count > wordsMax {
		return nil, fmt.Errorf("%d words are over the limit of %d", count, wordsMax)
	}
	data = data[1+size:]
	words := make(Words, count)
	for i := range words {
		var err error
		if words[i], data, err = readWord(data); err != nil {
			return nil, err
		}
		if i > 0 && words[i-1].Name >= words[i].Name {
			return nil, fmt.Errorf("the word %.64q is out of order", words[i].Name)
		}
	}
	if len(data) > 0 {
		return nil, fmt.Errorf("%d bytes behind the last word", len(data))
	}
	return words, nil
}

func readWord(data []byte) (word Word, rest []byte, err error) {
	if len(data) < wordBytesMin || len(data) < int(data[0])+wordBytesMin-1 {
		return Word{}, nil, errShort
	}
	name, kind, data := data[1:1+data[0]], data[1+data[0]], data[2+data[0]:]
	arguments, size := binary.Uvarint(data)
	switch {
	case size <= 0:
		return Word{}, nil, errShort
	case len(name) == 0 || kind > 1 || arguments > Any:
		return Word{}, nil, fmt.Errorf("the word %.64q of kind %d with %d arguments is none", name, kind, arguments)
	}
	return Word{string(name), kind == 1, int(arguments)}, data[size:], nil
}

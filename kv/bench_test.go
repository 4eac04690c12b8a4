package kv_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
)

// benchCalls is the operations that are called most, as the doors make them.
var benchCalls = []struct {
	name string
	call quorate.Call
}{
	{"PUT", quorate.Call{Name: "PUT", Args: [][]byte{[]byte("counter/000042"), []byte("value")}}},
	{"PUT_100", quorate.Call{Name: "PUT", Args: [][]byte{[]byte("counter/000042"), []byte(strings.Repeat("v", 100))}}},
	{"PUT_TTL", quorate.Call{Name: "PUT", Args: [][]byte{[]byte("counter/000042"), []byte("value"), []byte("60000")}}},
	{"INC", quorate.Call{Name: "INC", Args: [][]byte{[]byte("counter/000042"), []byte("1")}}},
	{"INCR", quorate.Call{Name: "INC", Args: [][]byte{[]byte("counter/000042"), []byte("1"), []byte("1")}}},
	{"MPUT", quorate.Call{Name: "MPUT", Args: [][]byte{nil, []byte("a"), []byte("1"), []byte("b"), []byte("two")}}},
	{"GET", quorate.Call{Name: "GET", Args: [][]byte{[]byte("counter/000042")}}},
	{"DELETE", quorate.Call{Name: "DELETE", Args: [][]byte{[]byte("counter/000042")}}},
}

// BenchmarkCheck checks calls before they go to the log.
func BenchmarkCheck(b *testing.B) {
	for _, c := range benchCalls {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := quorate.Engine().Check(kv.Service, c.call); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOperations runs operations on one key of a state that does next to
// nothing: what the service and the language cost, and nothing below.
func BenchmarkOperations(b *testing.B) {
	for _, c := range benchCalls {
		b.Run(c.name, func(b *testing.B) {
			op, ok := quorate.Engine().Lookup(kv.Service, c.call)
			if !ok {
				b.Fatal("there is no such operation")
			}
			inc, _ := quorate.Engine().Lookup(kv.Service, quorate.Call{Name: "INC"})
			state := &oneKey{State: make(memory.State)}
			if _, err := quorate.Engine().Apply(inc, quorate.Engine().NewTx(state, engine.Moment{Index: 1}), c.call.Args[:1]); err != nil && c.name != "MPUT" {
				b.Fatal(err)
			}
			at := engine.Moment{Index: 1, Time: time.Unix(1, 0)}
			var tx quorate.Tx
			b.ReportAllocs()
			for b.Loop() {
				at.Index++
				if err := run(op, &tx, state, at, c.call.Args); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// run runs an operation in the memory of one that was run before.
func run(op *quorate.Operation, tx *quorate.Tx, state engine.State, at engine.Moment, args [][]byte) (err error) {
	if op.Writes() {
		quorate.Engine().ResetTx(tx, state, at)
		_, err = quorate.Engine().Apply(op, tx, args)
	} else {
		quorate.Engine().ResetView(&tx.View, state, at)
		_, err = quorate.Engine().Read(op, &tx.View, args)
	}
	return err
}

// oneKey is a state that holds under every key what was written last.
type oneKey struct {
	memory.State
	value []byte
}

func (s *oneKey) Get([]byte) ([]byte, bool)  { return s.value, s.value != nil }
func (s *oneKey) Set(_, value []byte)        { s.value = value }
func (s *oneKey) Replace(_, value []byte)    { s.value = value }
func (s *oneKey) Delete([]byte)              {}
func (s *oneKey) SetEnd([]byte, time.Time)   {}
func (s *oneKey) End([]byte) (end time.Time) { return end }

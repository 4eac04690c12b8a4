package kv_test

import (
	"testing"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
)

// BenchmarkOperations runs the operations that are called most on one key of a
// state in memory: what the service and the language cost, and nothing below.
func BenchmarkOperations(b *testing.B) {
	key := []byte("counter/000042")
	for _, c := range []struct {
		name string
		args [][]byte
	}{
		{"PUT", [][]byte{key, []byte("value")}},
		{"INC", [][]byte{key, []byte("1")}},
		{"GET", [][]byte{key}},
		{"DELETE", [][]byte{key}},
	} {
		b.Run(c.name, func(b *testing.B) {
			op, ok := kv.Service.Lookup(quorate.Call{Name: c.name})
			if !ok {
				b.Fatal("there is no such operation")
			}
			state := make(memory.State)
			inc, _ := kv.Service.Lookup(quorate.Call{Name: "INC"})
			if _, err := inc.Apply(quorate.NewTx(state, quorate.Moment{Index: 1}), [][]byte{key}); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			index := uint64(1)
			for b.Loop() {
				index++
				var err error
				if op.Writes() {
					_, err = op.Apply(quorate.NewTx(state, quorate.Moment{Index: index}), c.args)
				} else {
					_, err = op.Read(quorate.NewView(state, quorate.Moment{Index: index}), c.args)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Command quorate is the counter on Quorate: add n to a named counter, exactly,
// durable, on three nodes, over HTTP.
package main

import (
	"github.com/quorate/quorate"
	"github.com/quorate/quorate/cli"
)

// Add adds n to a counter and returns the sum.
type Add struct {
	Name string
	N    int64
}

var counters = quorate.NewCounters("counters")

// Apply implements quorate.Command.
func (a Add) Apply(tx *quorate.Tx) (int64, error) { return counters.Add(tx, a.Name, a.N) }

func main() { cli.Main(quorate.Define("counter", quorate.Write[Add]("ADD"))) }

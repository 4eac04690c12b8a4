// Command tickets hands out the numbers of queues: 1, 2, 3, each of them once.
package main

import (
	"github.com/quorate/quorate"
	"github.com/quorate/quorate/cli"
)

// Take hands out the next ticket of a queue.
type Take struct{ Queue string }

var next = quorate.NewCounters("next")

// Apply implements quorate.Command.
func (t Take) Apply(tx *quorate.Tx) (int64, error) { return next.Add(tx, t.Queue, 1) }

var service = quorate.Define("tickets", quorate.Write[Take]("TAKE"))

func main() { cli.Main(service) }

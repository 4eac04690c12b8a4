package quorate_test

import (
	"context"
	"fmt"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
)

// drawn is how many numbers each queue has given out.
var drawn = quorate.NewCounters("drawn")

// Draw gives out the next number of a queue.
type Draw struct{ Queue string }

// Apply implements quorate.Command.
func (d Draw) Apply(tx *quorate.Tx) (int64, error) { return drawn.Add(tx, d.Queue, 1) }

// Drawn is how many numbers each of the queues of an office has given out.
type Drawn struct{ Office string }

// Read implements quorate.Query.
func (d Drawn) Read(view *quorate.View) (map[string]int64, error) {
	all := make(map[string]int64)
	for queue, n := range drawn.Range(view, quorate.Prefix(d.Office+"/")) {
		all[queue] = n
	}
	return all, nil
}

// Counters need no lock and no read before the write: the log orders commands.
func ExampleCounters() {
	service := quorate.Define("office", quorate.Write[Draw]("DRAW"), quorate.Read[Drawn]("DRAWN"))
	var on quorate.Executor = memory.New(service) // in a program, a node of service
	ctx := context.Background()

	for _, queue := range []string{"rome/visa", "rome/visa", "rome/tax", "oslo/visa"} {
		number, err := quorate.Do(ctx, on, Draw{Queue: queue})
		fmt.Println(queue, number, err)
	}
	all, err := quorate.Ask(ctx, on, Drawn{Office: "rome"})
	fmt.Println(all, err)
	// Output:
	// rome/visa 1 <nil>
	// rome/visa 2 <nil>
	// rome/tax 1 <nil>
	// oslo/visa 1 <nil>
	// map[rome/tax:1 rome/visa:2] <nil>
}

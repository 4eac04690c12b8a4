package quorate_test

import (
	"context"
	"fmt"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
)

// tickets is how many tickets each queue has handed out.
var tickets = quorate.NewCounters("tickets")

// NextTicket hands out the next ticket of a queue.
type NextTicket struct{ Queue string }

// Apply implements quorate.Command.
func (n NextTicket) Apply(tx *quorate.Tx) (int64, error) {
	if n.Queue == "closed" {
		return 0, quorate.Errorf("closed", "queue %s hands out no tickets", n.Queue)
	}
	return tickets.Add(tx, n.Queue, 1)
}

// LastTicket is the ticket that a queue handed out last, 0 if it never did.
type LastTicket struct{ Queue string }

// Read implements quorate.Query.
func (l LastTicket) Read(view *quorate.View) (int64, error) {
	return tickets.Value(view, l.Queue), nil
}

// Tickets is a whole service.
var Tickets = quorate.Define("tickets",
	quorate.Write[NextTicket]("NEXT"),
	quorate.Read[LastTicket]("LAST"),
)

// A whole service, and how a program calls it.
func Example() {
	var on quorate.Executor = memory.New(Tickets) // in a program, a node of Tickets
	ctx := context.Background()

	for range 2 {
		ticket, err := quorate.Do(ctx, on, NextTicket{Queue: "bakery"})
		fmt.Println(ticket, err)
	}
	last, err := quorate.Ask(ctx, on, LastTicket{Queue: "bakery"})
	fmt.Println(last, err)

	_, err = quorate.Do(ctx, on, NextTicket{Queue: "closed"})
	fmt.Println(quorate.CodeOf(err), "-", err)
	// Output:
	// 1 <nil>
	// 2 <nil>
	// 2 <nil>
	// closed - queue closed hands out no tickets
}

// What Define refuses, it refuses when the program starts.
func ExampleDefine() {
	defer func() { fmt.Println(recover()) }()
	quorate.Define("tickets", quorate.Write[NextTicket]("next"))
	// Output: quorate: define service "tickets": operation "next": a name has 1 to 64 letters in upper case, digits, dots, dashes and underscores
}

// A call that may have taken effect is safe to send again under its id.
func ExampleOnce() {
	var on quorate.Executor = memory.New(Tickets) // in a program, a node of Tickets
	ctx := context.Background()

	const id = "order-4711/ticket" // better: random, and kept with the order
	for {
		ticket, err := quorate.Do(ctx, quorate.Once(on, id), NextTicket{Queue: "bakery"})
		if quorate.OutcomeUnknown(err) {
			continue
		}
		fmt.Println(ticket, err)
		break
	}
	// Output: 1 <nil>
}

// A stale answer needs no round to other nodes.
func ExampleStale() {
	var on quorate.Executor = memory.New(Tickets) // in a program, a node of Tickets
	ctx := context.Background()

	nearby := quorate.Stale(on, time.Second)
	last, err := quorate.Ask(ctx, nearby, LastTicket{Queue: "bakery"})
	fmt.Println(last, err)
	// Output: 0 <nil>
}

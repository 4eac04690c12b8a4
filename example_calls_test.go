package quorate_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/values"
)

// A command is done once a majority has stored it.
func ExampleDo() {
	var on quorate.Executor = memory.New(Tickets) // in a program, a node of Tickets

	ticket, err := quorate.Do(context.Background(), on, NextTicket{Queue: "bakery"})
	fmt.Println(ticket, err)
	// Output: 1 <nil>
}

// A query sees all that was acknowledged before it was asked.
func ExampleAsk() {
	var on quorate.Executor = memory.New(Tickets) // in a program, a node of Tickets
	ctx := context.Background()

	_, _ = quorate.Do(ctx, on, NextTicket{Queue: "bakery"})
	last, err := quorate.Ask(ctx, on, LastTicket{Queue: "bakery"})
	fmt.Println(last, err)
	// Output: 1 <nil>
}

// An error with a code is an answer that programs understand, at every door.
func ExampleErrorf() {
	var on quorate.Executor = memory.New(Tickets) // in a program, a node of Tickets

	_, err := quorate.Do(context.Background(), on, NextTicket{Queue: "closed"})
	fmt.Println(errors.Is(err, &quorate.Error{Code: "closed"}), quorate.OutcomeUnknown(err))
	// Output: true false
}

// The name under which an operation is called need not be that of its Go type.
func ExampleWrite() {
	service := quorate.Define("shop",
		quorate.Write[NextTicket]("SHOP.NEXT", quorate.Doc("Hand out the next ticket of a queue.")),
		quorate.Read[LastTicket]("SHOP.LAST"),
	)
	next := service.Operations()[0]
	fmt.Println(next.Name(), next.Writes(), next.Doc())
	// Output: SHOP.NEXT true Hand out the next ticket of a queue.
}

// Several calls go down together, in their order.
func ExampleNewCall() {
	var on quorate.Executor = memory.New(Tickets) // in a program, a node of Tickets

	var calls []quorate.Call
	for _, queue := range []string{"bakery", "closed", "bakery"} {
		call, err := quorate.NewCall(NextTicket{Queue: queue})
		if err != nil {
			panic(err)
		}
		calls = append(calls, call)
	}
	for _, reply := range on.Execute(context.Background(), calls) {
		fmt.Println(reply.Value, reply.Err)
	}
	// Output:
	// 1 <nil>
	//  queue closed hands out no tickets
	// 2 <nil>
}

// Both tickets or none, and only if nobody has taken one before.
func ExampleTxn() {
	var on quorate.Executor = memory.New(Tickets) // in a program, a node of Tickets
	ctx := context.Background()

	both := quorate.Txn{
		If: []quorate.Condition{{Call: quorate.Call{Name: "LAST", Args: [][]byte{[]byte("bakery")}}, Equals: values.Int(0)}},
		Then: []quorate.Call{
			{Name: "NEXT", Args: [][]byte{[]byte("bakery")}},
			{Name: "NEXT", Args: [][]byte{[]byte("butcher")}},
		},
	}
	for range 2 {
		result, err := quorate.Do(ctx, on, both)
		fmt.Println(result.Held, len(result.Results), err)
	}
	// Output:
	// true 2 <nil>
	// false 0 <nil>
}

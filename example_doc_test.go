package quorate_test

import (
	"fmt"

	"github.com/quorate/quorate"
)

// Pick hands out tickets.
type Pick struct {
	Queue string `doc:"which queue"`
	Count int64  `default:"1" doc:"how many tickets"`
}

func (p Pick) Apply(*quorate.Tx) (int64, error) { return p.Count, nil }

// What is said of an operation and its fields is the help of its command, and
// what GET /v1/operations tells.
func ExampleDoc() {
	service := quorate.Define("tickets",
		quorate.Write[Pick]("PICK", quorate.Doc("Hand out the next tickets of a queue.")))
	operation := &service.Operations()[0]
	fmt.Println(operation.Name(), operation.Doc())
	for _, argument := range quorate.Engine().Arguments(operation) {
		fmt.Printf("%s: %s, optional %v\n", argument.Name, argument.Doc, argument.Optional)
	}
	_, result := quorate.Engine().Schema(operation)
	fmt.Println(string(result))
	// Output:
	// PICK Hand out the next tickets of a queue.
	// queue: which queue, optional false
	// count: how many tickets, optional true
	// {"type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807}
}

// Package queue is the service of the guide: people take tickets and are called
// in their order.
package queue

import (
	"time"

	"github.com/quorate/quorate"
)

// Ticket names a ticket. Those of a queue stand in the order of their numbers.
type Ticket struct {
	Queue  string
	Number int64
}

// Waiting is what is kept of a ticket until it is called.
type Waiting struct {
	Name  string
	Since time.Time
}

var (
	last    = quorate.NewCounters("last")
	waiting = quorate.NewTable[Ticket, Waiting]("waiting")
)

// Take hands out the next ticket of a queue and returns its number.
type Take struct {
	Queue string  `doc:"which queue"`
	Name  *string `doc:"who waits"`
}

// Apply implements quorate.Command.
func (t Take) Apply(tx *quorate.Tx) (int64, error) {
	number, err := last.Add(tx, t.Queue, 1)
	if err != nil {
		return 0, err
	}
	row := Waiting{Since: tx.Now()}
	if t.Name != nil {
		row.Name = *t.Name
	}
	waiting.Put(tx, Ticket{t.Queue, number}, row)
	return number, nil
}

// Empty is the code of a queue in which nobody waits.
const Empty quorate.Code = "empty"

// Next calls whoever has waited longest.
type Next struct{ Queue string }

// Called is who was called.
type Called struct {
	Number int64
	Name   string
	// Waited is how long it took, in seconds of log time.
	Waited float64
}

// Apply implements quorate.Command.
func (n Next) Apply(tx *quorate.Tx) (Called, error) {
	for ticket, row := range waiting.Range(tx, quorate.Leading(Ticket{Queue: n.Queue}, 1)) {
		waiting.Delete(tx, ticket)
		return Called{ticket.Number, row.Name, tx.Now().Sub(row.Since).Seconds()}, nil
	}
	return Called{}, quorate.Errorf(Empty, "nobody waits in queue %q", n.Queue)
}

// Line returns who waits in a queue, a page at a time.
type Line struct {
	Queue string
	After int64 `doc:"the number behind which the page begins" default:"0"`
	Limit int64 `doc:"how many it has" default:"10"`
}

// Place is one who waits.
type Place struct {
	Number int64
	Name   string
}

const limitMax = 1000

// Check implements quorate.Checker.
func (l Line) Check() error {
	if l.Limit < 1 || l.Limit > limitMax {
		return quorate.Errorf(quorate.Invalid, "limit is %d, not between 1 and %d", l.Limit, limitMax)
	}
	return nil
}

// Read implements quorate.Query.
func (l Line) Read(view *quorate.View) (page []Place, err error) {
	behind := quorate.After(Ticket{l.Queue, l.After})
	for ticket, row := range waiting.Range(view, quorate.Leading(Ticket{Queue: l.Queue}, 1), behind) {
		if len(page) == int(l.Limit) {
			break
		}
		page = append(page, Place{ticket.Number, row.Name})
	}
	return page, nil
}

// Service is what cli.Main and node.Open take.
var Service = quorate.Define("tickets",
	quorate.Write[Take]("TAKE", quorate.Doc("Hand out the next ticket of a queue and return its number.")),
	quorate.Write[Next]("NEXT", quorate.Doc("Call whoever has waited longest.")),
	quorate.Read[Line]("LINE", quorate.Doc("Return who waits in a queue, a page at a time.")),
)

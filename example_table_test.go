package quorate_test

import (
	"context"
	"fmt"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
)

// title is what a library knows of a book. More fields may follow at its end,
// in a later version of the program: the rows of this one stay readable.
type title struct {
	Name string
	Left int
}

var titles = quorate.NewTable[string, title]("titles")

// Buy adds copies of a book.
type Buy struct {
	ISBN   string
	Name   string
	Copies int
}

// Apply implements quorate.Command.
func (b Buy) Apply(tx *quorate.Tx) (int, error) {
	row, _ := titles.Get(tx, b.ISBN) // of zeros, if it is new
	row.Name, row.Left = b.Name, row.Left+b.Copies
	titles.Put(tx, b.ISBN, row)
	return row.Left, nil
}

// Lend lends a book and returns how many are left.
type Lend struct{ ISBN string }

// Apply implements quorate.Command.
func (l Lend) Apply(tx *quorate.Tx) (int, error) {
	row, found := titles.Get(tx, l.ISBN)
	if !found {
		return 0, quorate.Errorf(quorate.NotFound, "there is no book %s", l.ISBN)
	}
	if row.Left == 0 {
		return 0, quorate.Errorf("all_lent", "all of %s are lent", row.Name)
	}
	row.Left--
	titles.Put(tx, l.ISBN, row)
	return row.Left, nil
}

// A row is read, changed and put back; nobody comes between.
func ExampleTable() {
	service := quorate.Define("library", quorate.Write[Buy]("BUY"), quorate.Write[Lend]("LEND"))
	var on quorate.Executor = memory.New(service) // in a program, a node of service
	ctx := context.Background()

	left, err := quorate.Do(ctx, on, Buy{ISBN: "0131103628", Name: "K&R", Copies: 1})
	fmt.Println(left, err)
	for range 2 {
		left, err = quorate.Do(ctx, on, Lend{ISBN: "0131103628"})
		fmt.Println(left, err)
	}
	// Output:
	// 1 <nil>
	// 0 <nil>
	// 0 all of K&R are lent
}

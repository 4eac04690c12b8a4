// Command idgen hands out ids that nobody else has, a whole range at a time, so
// that a worker asks once for a thousand of them.
package main

import (
	"math"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/cli"
)

// Reserve takes a range of ids out of a space. They are its caller's, used or
// not, and rise from range to range.
type Reserve struct {
	Space string `doc:"ids of different spaces have nothing to do with each other"`
	Count int64  `doc:"how many" default:"1000"`
}

// Range is ids from First to Last, both among them.
type Range struct{ First, Last int64 }

// countMax bounds a range, so that a mistake does not use up a space.
const countMax = 1 << 32

var last = quorate.NewCounters("last")

// Check implements quorate.Checker.
func (r Reserve) Check() error {
	if r.Count < 1 || r.Count > countMax {
		return quorate.Errorf(quorate.Invalid, "count is %d, not between 1 and %d", r.Count, int64(countMax))
	}
	return nil
}

// Apply implements quorate.Command.
func (r Reserve) Apply(tx *quorate.Tx) (Range, error) {
	end, err := last.Add(tx, r.Space, r.Count)
	return Range{First: end - r.Count + 1, Last: end}, err
}

// Left returns how many ids of a space were never handed out.
type Left struct{ Space string }

// Read implements quorate.Query.
func (l Left) Read(view *quorate.View) (int64, error) {
	return math.MaxInt64 - last.Value(view, l.Space), nil
}

var service = quorate.Define("idgen",
	quorate.Write[Reserve]("RESERVE", quorate.Doc("Take a range of ids out of a space.")),
	quorate.Read[Left]("LEFT", quorate.Doc("Return how many ids of a space were never handed out.")),
)

func main() { cli.Main(service) }

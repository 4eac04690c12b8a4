// Command reference keeps integers of 64 bits under integers of 64 bits: put,
// get, delete and inc, each a POST of JSON to any node.
package main

import (
	"github.com/quorate/quorate"
	"github.com/quorate/quorate/cli"
)

// Commands and queries, with what they are sent as the fields.
type (
	// Put stores a value under a key and returns it.
	Put struct{ Key, Value int64 }
	// Get returns the value under a key.
	Get struct{ Key int64 }
	// Delete removes a key and returns whether it was there.
	Delete struct{ Key int64 }
	// Inc adds to the value under a key, which begins at 0, and returns the sum.
	Inc struct {
		Key   int64
		Value int64 `default:"1"`
	}
)

var values = quorate.NewTable[int64, int64]("values")

// Apply implements quorate.Command.
func (p Put) Apply(tx *quorate.Tx) (int64, error) {
	values.Put(tx, p.Key, p.Value)
	return p.Value, nil
}

// Read implements quorate.Query.
func (g Get) Read(view *quorate.View) (int64, error) {
	value, there := values.Get(view, g.Key)
	if !there {
		return 0, quorate.Errorf(quorate.NotFound, "there is no key %d", g.Key)
	}
	return value, nil
}

// Apply implements quorate.Command.
func (d Delete) Apply(tx *quorate.Tx) (bool, error) {
	_, there := values.Get(tx, d.Key)
	values.Delete(tx, d.Key)
	return there, nil
}

// Apply implements quorate.Command.
func (i Inc) Apply(tx *quorate.Tx) (int64, error) {
	value, _ := values.Get(tx, i.Key)
	sum := value + i.Value
	if (sum > value) != (i.Value > 0) {
		return 0, quorate.Errorf(quorate.Overflow, "%d and %d are more than 64 bits", value, i.Value)
	}
	values.Put(tx, i.Key, sum)
	return sum, nil
}

var service = quorate.Define("reference",
	quorate.Write[Put]("PUT"), quorate.Read[Get]("GET"), quorate.Write[Delete]("DELETE"), quorate.Write[Inc]("INC"),
)

func main() { cli.Main(service) }

//go:build !race

// With the race detector on, a pool of memory forgets some of it on purpose.

package quorate_test

import (
	"testing"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/memory"
)

// nowhere is a state that keeps nothing.
type nowhere struct{ memory.State }

func (nowhere) Set(_, _ []byte) {}

// A call that is checked, and one that is applied, is made without allocating.
func TestCallsAreMadeWithoutAllocating(t *testing.T) {
	service := quorate.Define("few", quorate.Write[Put]("PUT"), quorate.Read[Look]("LOOK"))
	put := quorate.Call{Name: "PUT", Args: [][]byte{[]byte("a key of some length"), []byte("a value"), []byte("12345678")}}
	look := quorate.Call{Name: "LOOK", Args: put.Args[:1]}
	var tx quorate.Tx
	for name, run := range map[string]func() error{
		"check": func() error { _, err := quorate.Engine().Check(service, put); return err },
		"apply": func() error {
			quorate.Engine().ResetTx(&tx, nowhere{}, engine.Moment{Index: 1})
			_, err := quorate.Engine().Apply(mustOperation(t, service, "PUT"), &tx, put.Args)
			return err
		},
		"read": func() error {
			quorate.Engine().ResetView(&tx.View, nowhere{}, engine.Moment{Index: 1})
			_, err := quorate.Engine().Read(mustOperation(t, service, "LOOK"), &tx.View, look.Args)
			return err
		},
	} {
		if got := testing.AllocsPerRun(1000, func() {
			if err := run(); err != nil {
				t.Error(err)
			}
		}); got != 0 {
			t.Errorf("%s allocates %v times, want none", name, got)
		}
	}
}

// Put has the fields and the methods that the commands called most have.
type Put struct {
	Key   string
	Value quorate.Value
	Count int64
	TTL   *int64
}

func (p Put) Check() error { return nil }

func (p Put) Apply(tx *quorate.Tx) (quorate.Value, error) {
	tx.Set(append(quorate.Engine().Room(&tx.View, len(p.Key)), p.Key...), append(quorate.Engine().Room(&tx.View, len(p.Value.Text())), p.Value.Text()...))
	return p.Value, nil
}

// Look looks for a key.
type Look struct{ Key string }

func (l Look) Read(view *quorate.View) (int64, error) {
	_, found := view.Get(append(quorate.Engine().Room(view, len(l.Key)), l.Key...))
	if found {
		return 1, nil
	}
	return 1 << 40, nil
}

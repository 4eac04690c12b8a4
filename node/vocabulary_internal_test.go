package node

import (
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/machine"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/kv"
)

// agreedNode is a node with nothing but a state, in which the members have
// agreed on all that kv knows, or on nothing.
func agreedNode(t testing.TB, agreed bool) *Node {
	t.Helper()
	s, err := store.Open(store.Options{FS: vfs.NewMem(), Dir: "state", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	m := machine.New(machine.Config{Service: kv.Service, Store: s, Limits: machine.DefaultLimits})
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	if agreed {
		data := entry.AppendAgreement(nil, entry.Header{}, m.Own().Append(nil))
		if _, err := m.Apply([]machine.Entry{{Index: 1, Data: data}}); err != nil {
			t.Fatal(err)
		}
	}
	n := &Node{machine: m}
	own := m.Own()
	n.hearsay.common.Store(&own)
	return n
}

func someCalls() []quorate.Call {
	calls := make([]quorate.Call, 16)
	for i := range calls {
		calls[i] = quorate.Call{Name: "PUT", Args: [][]byte{[]byte("key"), []byte("1")}}
	}
	return calls
}

func TestWhatIsAgreedIsLookedUpWithoutMemory(t *testing.T) {
	for _, agreed := range []bool{true, false} {
		n, calls := agreedNode(t, agreed), someCalls()
		got := testing.AllocsPerRun(100, func() {
			if known, err := n.known(calls); known != len(calls) || err != nil {
				t.Fatalf("%d calls of %d are known: %v", known, len(calls), err)
			}
		})
		if got != 0 {
			t.Errorf("agreed on all: %v: %v allocations", agreed, got)
		}
	}
}

// BenchmarkKnown looks at a slice of 16 calls, when all is agreed and while
// something is not.
func BenchmarkKnown(b *testing.B) {
	for name, agreed := range map[string]bool{"agreed": true, "not agreed": false} {
		b.Run(name, func(b *testing.B) {
			n, calls := agreedNode(b, agreed), someCalls()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := n.known(calls); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package node

import (
	"fmt"
	"testing"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/values"
)

func TestCallsOfADoorAreCheckedWithoutACopy(t *testing.T) {
	n := &Node{service: kv.Service}
	calls := make([]quorate.Call, 64)
	for i := range calls {
		calls[i] = quorate.Call{Name: "GET", Args: [][]byte{[]byte("key")}}
	}
	sound, refused := n.check(calls)
	if len(sound) != len(calls) || &sound[0] != &calls[0] || refused != nil {
		t.Errorf("of %d calls %d are sound, in the same place: %t", len(calls), len(sound), &sound[0] == &calls[0])
	}
}

// Whichever calls of a slice are not well formed, each gets its own reply, and
// the slice of the caller stays as it is.
func TestRepliesStandAmongRefusals(t *testing.T) {
	n := &Node{service: kv.Service}
	const length = 6
	for wrong := range 1 << length {
		typed, err := quorate.NewCall(kv.Get{Key: "typed"})
		if err != nil {
			t.Fatal(err)
		}
		calls := make([]quorate.Call, length)
		for i := range calls {
			calls[i] = quorate.Call{Name: "GET", Args: [][]byte{[]byte(fmt.Sprint(i))}}
			if i == length/2 {
				typed.Args = calls[i].Args
				calls[i] = typed
			}
			if wrong>>i&1 != 0 {
				calls[i] = quorate.Call{Name: "NO SUCH"}
			}
		}
		before := fmt.Sprint(calls)
		sound, refused := n.check(calls)
		replies := make([]quorate.Reply, len(sound))
		for i, call := range sound {
			if call.Name != "GET" {
				t.Errorf("wrong %b: a sound call has the name %s", wrong, call.Name)
			}
			replies[i].Value = values.Bytes(string(call.Args[0]))
		}
		all := refused.among(replies)
		if len(all) != length || fmt.Sprint(calls) != before {
			t.Fatalf("wrong %b: %d replies came to %d calls", wrong, len(all), length)
		}
		for i, r := range all {
			if isWrong := wrong>>i&1 != 0; isWrong != (quorate.CodeOf(r.Err) == quorate.UnknownOperation) || !isWrong && r.Value.Text() != fmt.Sprint(i) {
				t.Errorf("wrong %b: reply %d is %+v", wrong, i, r)
			}
		}
	}
}

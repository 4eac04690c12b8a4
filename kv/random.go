package kv

import (
	"math/rand/v2"

	"github.com/quorate/quorate"
)

// Random returns a key that the number chooses, or an error of code NotFound if
// there is none. Each key can be chosen, though not each as often as any other:
// it walks from the first byte to the last, and each byte that goes on to a key
// is as likely as any other that does.
type Random struct {
	// Number is to be random; the same number chooses the same key as long as
	// the keys are the same.
	Number uint64
}

// randomSeeksMax bounds how often Random looks into the state: 100 bytes with
// ten that go on at each of them. Behind that, the first key that begins with
// what was chosen is taken.
const randomSeeksMax = 1000

// Read implements quorate.Query.
func (r Random) Read(view *quorate.View) (Key, error) {
	draw := rand.New(rand.NewPCG(r.Number, 0))
	chosen, found := first(view, []byte(table), behind([]byte(table)))
	if !found {
		return "", quorate.Errorf(quorate.NotFound, "there is no key")
	}
	for seeks, depth := 0, len(table); seeks < randomSeeksMax; depth++ {
		prefix := chosen[:depth]
		branches := [][]byte{chosen}
		for at := chosen; ; seeks++ {
			next := append(append([]byte{}, prefix...), 0)
			if len(at) > depth {
				next = behind(at[:depth+1])
			}
			if at, found = first(view, next, behind(prefix)); !found {
				break
			}
			branches = append(branches, at)
		}
		chosen = branches[draw.IntN(len(branches))]
		if len(chosen) == depth {
			break
		}
	}
	return Key(chosen[len(table):]), nil
}

// first is the first name from start on, up to but without end.
func first(view *quorate.View, start, end []byte) (name []byte, found bool) {
	for name := range view.Scan(start, end) {
		return name, true
	}
	return nil, false
}

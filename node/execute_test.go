package node_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/node"
	"github.com/quorate/quorate/values"
)

// Closed is a command that answers, from the log, what a node answers for
// itself where it has no leader.
type Closed struct{}

func (Closed) Apply(*quorate.Tx) (int64, error) {
	return 0, quorate.Errorf(quorate.Unavailable, "the shop is closed")
}

func TestCommandThatAnswersUnavailableIsNotTriedAgain(t *testing.T) {
	service := quorate.Define("shop", quorate.Write[Closed]("CLOSED"), quorate.Write[kv.Inc]("INC"), quorate.Read[kv.Get]("GET"))
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.close()
		for i := range c.nodes {
			n, err := node.Start(service, c.config(i))
			if err != nil {
				t.Fatal(err)
			}
			c.nodes[i] = n
		}
		c.ready()
		for i, n := range c.nodes {
			start := time.Now()
			replies := n.Execute(t.Context(), mustCalls(t, Closed{}, kv.Inc{Key: "hits", By: 1}))
			if quorate.CodeOf(replies[0].Err) != quorate.Unavailable || replies[0].Index == 0 {
				t.Errorf("through node %d the command answers %+v", i, replies[0])
			}
			if replies[1].Err != nil || replies[1].Value.Int() != int64(i+1) {
				t.Errorf("through node %d increment %d answers %s, %v", i, i+1, replies[1].Value, replies[1].Err)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("through node %d it took %v", i, took)
			}
		}
		if got := c.read(0, "hits"); got != 3 {
			t.Errorf("three increments count %d", got)
		}
	})
}

func TestManyLargeAnswersOfALeaderArriveSoonAndInOrder(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		n := c.nodes[c.follower()]
		if _, err := quorate.Do(t.Context(), n, kv.Put{Key: "page", Value: values.Bytes(strings.Repeat("x", 4<<10))}); err != nil {
			t.Fatal(err)
		}
		calls := make([]quorate.Call, 0, 20_000)
		for range cap(calls) {
			calls = append(calls, mustCalls(t, kv.Get{Key: "page"})...)
		}
		arrived := 0
		for i, r := range n.Execute(t.Context(), calls) {
			switch code := quorate.CodeOf(r.Err); {
			case r.Err == nil && arrived == i:
				arrived++
			case code == quorate.Overloaded && !quorate.OutcomeUnknown(r.Err):
				// There is no room for more than 80 MiB of answers.
			case code != quorate.TooLarge && code != quorate.Unavailable:
				t.Fatalf("answer %d is %v", i, r.Err)
			}
		}
		if arrived < 1000 {
			t.Errorf("%d answers arrived", arrived)
		}
	})
}

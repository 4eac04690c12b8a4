package node_test

import (
	"context"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/values"
)

// The outcomes of calls that a follower passes on. Those of raft's own errors
// are provoked in internal/consensus; a broken connection, a lost answer and a
// paused leader in once_test.go.

func TestForwardedCallThatNeverLeftIsSurelyNotApplied(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		leader, through := c.routed()
		// It goes without a word: the others believe in it for a while.
		c.isolate(leader)
		for i := range c.nodes {
			c.net.Break(host(leader), host(i))
		}
		time.Sleep(10 * time.Millisecond) // they notice that the connections are gone, and dial in vain
		soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := quorate.Do(soon, c.nodes[through], kv.Inc{Key: "hits", By: 1})
		if quorate.CodeOf(err) != quorate.Unavailable || quorate.OutcomeUnknown(err) {
			t.Errorf("it answers %v, unknown %v", err, quorate.OutcomeUnknown(err))
		}
		if got := c.read(through, "hits"); got != 2 {
			t.Errorf("with another leader it is %d", got)
		}
		c.heal()
	})
}

func TestForwardedCallThatNoMajorityStoredIsUnknown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 5)
		defer c.close()
		leader, through := c.routed()
		for i := range c.nodes {
			if i != leader && i != through {
				c.net.Cut(host(leader), host(i))
				c.net.Cut(host(through), host(i))
			}
		}
		began := time.Now()
		_, err := quorate.Do(t.Context(), c.nodes[through], kv.Inc{Key: "hits", By: 1})
		if !quorate.OutcomeUnknown(err) {
			t.Errorf("it answers %v", err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the leader that stepped down told so after %v", took)
		}
		c.heal()
		time.Sleep(5 * time.Second)
		if got := c.read(through, "hits"); got != 2 && got != 3 {
			t.Errorf("in the end it is %d", got)
		}
		c.converged()
	})
}

func TestForwardedCallThatFailsIsNoLessCertainThanOnTheLeader(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		put := kv.Put{Key: "text", Value: values.Bytes("x")}
		if _, err := quorate.Do(t.Context(), c.nodes[0], put); err != nil {
			t.Fatal(err)
		}
		for i := range c.nodes {
			_, err := quorate.Do(t.Context(), c.nodes[i], kv.Inc{Key: "text", By: 1})
			if quorate.CodeOf(err) != quorate.WrongType || quorate.OutcomeUnknown(err) {
				t.Errorf("through node %d: %v, unknown %v", i, err, quorate.OutcomeUnknown(err))
			}
		}
	})
}

func TestForwardedCallThatComesTooLateIsSurelyNotApplied(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		c.inc(0, "hits")
		for i := range c.nodes {
			past, cancel := context.WithDeadline(t.Context(), time.Now())
			_, err := quorate.Do(past, c.nodes[i], kv.Inc{Key: "hits", By: 1})
			cancel()
			if quorate.CodeOf(err) != quorate.Unavailable || quorate.OutcomeUnknown(err) {
				t.Errorf("through node %d: %v, unknown %v", i, err, quorate.OutcomeUnknown(err))
			}
		}
		time.Sleep(time.Second)
		if got := c.read(0, "hits"); got != 1 {
			t.Errorf("in the end it is %d", got)
		}
	})
}

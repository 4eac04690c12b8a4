package node_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/node"
	"github.com/quorate/quorate/values"
)

// once increments a counter under an id.
func (c *cluster) once(ctx context.Context, i int, id quorate.CallID, key string, by int64) quorate.Reply {
	c.t.Helper()
	call := mustCalls(c.t, kv.Inc{Key: kv.Key(key), By: by})
	call[0].ID = id
	return c.nodes[i].Execute(ctx, call)[0]
}

func TestCallWithAnIDGoesOnThroughTheNextLeader(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		old, through := c.routed()
		c.isolate(old)
		r := c.once(t.Context(), through, "the-third", "hits", 1)
		if r.Err != nil || r.Value.Int() != 3 {
			t.Fatalf("the third increment answers %d, %v", r.Value.Int(), r.Err)
		}
		c.heal()
		time.Sleep(5 * time.Second)
		for i := range c.nodes {
			if again := c.once(t.Context(), i, "the-third", "hits", 1); again.Err != nil || again.Value.Int() != 3 || again.Index != r.Index {
				t.Errorf("asked again through node %d it answers %d at %d, %v; first it was at %d", i, again.Value.Int(), again.Index, again.Err, r.Index)
			}
			if got := c.read(i, "hits"); got != 3 {
				t.Errorf("node %d reads %d", i, got)
			}
		}
	})
}

func TestAnswerThatWasLostOnItsWayIsAskedForAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		leader, through := c.routed()
		// The call arrives and takes effect, but its answer is lost.
		c.net.CutOneWay(host(leader), host(through))
		var calling sync.WaitGroup
		calling.Go(func() {
			if r := c.once(t.Context(), through, "lost", "hits", 1); r.Err != nil || r.Value.Int() != 3 {
				t.Errorf("it answers %d, %v", r.Value.Int(), r.Err)
			}
		})
		time.Sleep(time.Second)
		if got := c.read(leader, "hits"); got != 3 {
			t.Errorf("the leader reads %d", got)
		}
		c.net.Break(host(leader), host(through))
		c.heal()
		calling.Wait()
		if got := c.read(through, "hits"); got != 3 {
			t.Errorf("in the end it is %d", got)
		}
	})
}

func TestRetryThatWasSurelyNotAppliedDoesNotHideAnEarlierAttempt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		c.inc(0, "hits")
		alone := c.leader()
		c.isolate(alone)
		// The first attempt goes into the log of a leader that is cut off. Once
		// it has stepped down there is nobody to ask again.
		r := c.once(t.Context(), alone, "doubtful", "hits", 1)
		if quorate.CodeOf(r.Err) != quorate.Unavailable || !quorate.OutcomeUnknown(r.Err) {
			t.Errorf("it answers %d, %v, unknown %v", r.Value.Int(), r.Err, quorate.OutcomeUnknown(r.Err))
		}
		c.heal()
		time.Sleep(5 * time.Second)
		if r := c.once(t.Context(), alone, "doubtful", "hits", 1); r.Err != nil || r.Value.Int() != 2 {
			t.Errorf("asked again it answers %d, %v", r.Value.Int(), r.Err)
		}
		if got := c.read(alone, "hits"); got != 2 {
			t.Errorf("in the end it is %d", got)
		}
	})
}

func TestCallWithoutAnIDIsNeverTriedTwice(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		leader, through := c.routed()
		c.net.CutOneWay(host(leader), host(through))
		_, err := quorate.Do(t.Context(), c.nodes[through], kv.Inc{Key: "hits", By: 1})
		if !quorate.OutcomeUnknown(err) {
			t.Errorf("it answers %v", err)
		}
		c.heal()
		time.Sleep(5 * time.Second)
		if got := c.read(through, "hits"); got != 3 {
			t.Errorf("in the end it is %d", got)
		}
	})
}

func TestCallsThatWereLostTogetherAreAllUnknown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		leader, through := c.routed()
		// Those behind the one without an id could be tried again, but must not
		// overtake it.
		calls := mustCalls(t, kv.Inc{Key: "hits", By: 1}, kv.Inc{Key: "hits", By: 1}, kv.Get{Key: "hits"}, kv.Inc{Key: "hits", By: 1})
		calls[1].ID, calls[3].ID = "second", "fourth"
		c.net.CutOneWay(host(leader), host(through))
		for i, r := range c.nodes[through].Execute(t.Context(), calls) {
			if i != 2 && !quorate.OutcomeUnknown(r.Err) {
				t.Errorf("call %d answers %v, %v", i, r.Value, r.Err)
			}
		}
		c.heal()
		time.Sleep(5 * time.Second)
		if got := c.read(through, "hits"); got != 5 {
			t.Errorf("in the end it is %d", got)
		}
	})
}

func TestFirstAnswerOutlivesRestartsAndSnapshots(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.change = func(_ int, config *node.Config) { config.SnapshotEntries, config.TrailingEntries = 5, 2 }
		for i := range c.nodes {
			c.start(i)
		}
		defer c.close()
		c.ready()
		first := c.once(t.Context(), 0, "kept", "hits", 5)
		cas := mustCalls(t, kv.Cas{Key: "hits", Value: values.Int(1)})
		cas[0].ID = "refused"
		refusal := c.nodes[1].Execute(t.Context(), cas)[0]
		if first.Err != nil || quorate.CodeOf(refusal.Err) != quorate.Conflict {
			t.Fatal(first.Err, refusal.Err)
		}
		late := c.follower()
		c.stop(late)
		for i := range 40 {
			c.inc(c.leader(), fmt.Sprint("other", i))
		}
		time.Sleep(5 * time.Second) // snapshots are taken and the log is cut
		c.start(late)               // gets the state from another
		c.ready()
		for i := range c.nodes {
			if i != late {
				c.stop(i)
				c.start(i)
			}
		}
		c.ready()
		for i := range c.nodes {
			if r := c.once(t.Context(), i, "kept", "hits", 5); r.Err != nil || r.Value.Int() != 5 || r.Index != first.Index {
				t.Errorf("node %d answers %d at %d, %v; first it was at %d", i, r.Value.Int(), r.Index, r.Err, first.Index)
			}
			r := c.nodes[i].Execute(t.Context(), cas)[0]
			if quorate.CodeOf(r.Err) != quorate.Conflict || r.Index != refusal.Index || r.Err.Error() != refusal.Err.Error() {
				t.Errorf("node %d answers %v at %d; first it was %v at %d", i, r.Err, r.Index, refusal.Err, refusal.Index)
			}
			if r := c.once(t.Context(), i, "kept", "hits", 6); quorate.CodeOf(r.Err) != quorate.IDReused {
				t.Errorf("with other content node %d answers %d, %v", i, r.Value.Int(), r.Err)
			}
			if got := c.read(i, "hits"); got != 5 {
				t.Errorf("node %d reads %d", i, got)
			}
		}
	})
}

func TestOneIDTwiceInOneSliceTakesEffectOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		for i := range c.nodes {
			key := kv.Key(fmt.Sprint("hits", i))
			calls := mustCalls(t, kv.Inc{Key: key, By: 1}, kv.Inc{Key: key, By: 1}, kv.Get{Key: key})
			calls[0].ID, calls[1].ID = quorate.CallID(key), quorate.CallID(key)
			replies := c.nodes[i].Execute(t.Context(), calls)
			for p, r := range replies {
				if r.Err != nil || r.Value.Int() != 1 {
					t.Errorf("through node %d call %d answers %v, %v", i, p, r.Value, r.Err)
				}
			}
		}
	})
}

package node_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/node"
)

// rolling is callers of a cluster while its nodes are upgraded one by one.
type rolling struct {
	c *cluster
	// nodes is those that run; nil where none does.
	nodes [3]atomic.Pointer[node.Node]
	// quit ends the callers.
	quit                context.Context
	sold, bought, given atomic.Int64
	attempts, failures  atomic.Int64
}

// until sends a call under an id through one node after the other until it is
// answered.
func (r *rolling) until(random *rand.Rand, call quorate.Call) (reply quorate.Reply) {
	for began := time.Now(); time.Since(began) < time.Minute; {
		n := r.nodes[random.IntN(len(r.nodes))].Load()
		if n != nil {
			ctx, cancel := context.WithTimeout(r.c.t.Context(), 500*time.Millisecond)
			reply = n.Execute(ctx, []quorate.Call{call})[0]
			cancel()
			r.attempts.Add(1)
			if reply.Err == nil {
				return reply
			}
			r.failures.Add(1)
			// A node with the older program answers for itself what it does not know.
			unready := []quorate.Code{quorate.Unavailable, quorate.UnknownOperation, quorate.Invalid}
			if !slices.Contains(unready, quorate.CodeOf(reply.Err)) {
				r.c.t.Errorf("%s %q answers %v", call.Name, call.Args, reply.Err)
				return reply
			}
		}
		time.Sleep(time.Duration(1+random.IntN(20)) * time.Millisecond)
	}
	r.c.t.Errorf("%s %q is not answered in a minute: %v", call.Name, call.Args, reply.Err)
	return reply
}

// run calls until quit ends. What it has begun it brings to an end.
func (r *rolling) run(number int) {
	random := rand.New(rand.NewPCG(1, uint64(number)))
	for i := 0; r.quit.Err() == nil; i++ {
		line, counter := "SELL book 1", &r.sold
		switch {
		case number%4 == 0:
			line, counter = "GIFT book", &r.given
		case number%4 == 1:
			line, counter = "SELL pen 1 ann", &r.bought
		}
		call := shopCall(line)
		call.ID = quorate.CallID(fmt.Sprintf("%d-%d", number, i))
		if r.until(random, call).Err == nil {
			counter.Add(1)
		}
		time.Sleep(time.Duration(1+random.IntN(20)) * time.Millisecond)
	}
}

// threeShop has an operation and an argument more than olderShop.
var threeShop = quorate.Define("shop", quorate.Write[sellTo]("SELL"), quorate.Read[sold]("SOLD"), quorate.Write[gift]("GIFT"))

func TestRollingUpgradeUnderLoadLosesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startShop(t, olderShop, olderShop, olderShop)
		defer c.close()
		quit, end := context.WithCancel(t.Context())
		r := &rolling{c: c, quit: quit}
		for i, n := range c.nodes {
			r.nodes[i].Store(n)
		}
		var callers sync.WaitGroup
		for i := range 24 {
			callers.Go(func() { r.run(i) })
		}
		for _, i := range []int{1, 2, 0} {
			time.Sleep(time.Second)
			r.nodes[i].Store(nil)
			c.upgrade(i, threeShop)
			r.nodes[i].Store(c.nodes[i])
		}
		upgraded := time.Now()
		for r.given.Load() == 0 || r.bought.Load() == 0 {
			time.Sleep(time.Millisecond)
			if time.Since(upgraded) > 3*time.Second {
				t.Fatalf("%v after the upgrade %d were given and %d bought", time.Since(upgraded), r.given.Load(), r.bought.Load())
			}
		}
		took := time.Since(upgraded)
		time.Sleep(time.Second)
		end()
		callers.Wait()
		c.converged()
		t.Logf("%d sold, %d bought, %d given, the first %v after the upgrade; in %d attempts, of which %d failed",
			r.sold.Load(), r.bought.Load(), r.given.Load(), took, r.attempts.Load(), r.failures.Load())
		for i := range c.nodes {
			c.mustAnswer(i, "SOLD book", r.sold.Load())
			c.mustAnswer(i, "SOLD pen", r.bought.Load())
			c.mustAnswer(i, "GIFT book", r.given.Load()+int64(i+1))
		}
		if r.sold.Load() == 0 || r.failures.Load() == 0 {
			t.Error("nothing was sold, or nobody met the upgrade")
		}
	})
}

package sim_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate"
)

// keyring is the keys that clients use. Each is replaced by a fresh one after
// a while, because porcupine needs time exponential in what overlaps.
type keyring struct {
	mu     sync.Mutex
	limit  int
	prefix string
	slots  []slot
}

// slot is one key of the ring.
type slot struct {
	generation int
	operations int
	unknown    int
	// seen is what was last seen there, for cas to expect.
	seen content
}

// unknownMax is how many operations of unknown outcome a key may have before
// it is replaced: each may happen at any time later.
const unknownMax = 3

func newKeyring(l load) *keyring {
	k := &keyring{limit: l.KeyOps, slots: make([]slot, l.Keys)}
	if l.Slow {
		k.prefix = slowKeys
	}
	return k
}

// take is the name of the key in a slot, for one more operation, and what was
// last seen there.
func (k *keyring) take(i int) (key string, seen content) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := &k.slots[i]
	if s.operations >= k.limit || s.unknown >= unknownMax {
		*s = slot{generation: s.generation + 1}
	}
	s.operations++
	return k.name(i), s.seen
}

func (k *keyring) name(i int) string {
	return fmt.Sprintf("%sk%d.%d", k.prefix, i, k.slots[i].generation)
}

// saw notes what an operation showed.
func (k *keyring) saw(o *operation) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.slots {
		if k.name(i) != o.Key {
			continue
		}
		switch {
		case o.Outcome == unknown && o.writes():
			k.slots[i].unknown++
		case o.Outcome != answered:
		case o.Answer.Code == "" && o.Name != "delete":
			k.slots[i].seen = o.Answer.Value
		case o.Answer.Code == quorate.Conflict:
			k.slots[i].seen = o.Answer.There
		default:
			k.slots[i].seen = ""
		}
	}
}

// names is the keys that are in use now.
func (k *keyring) names() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var names []string
	for i := range k.slots {
		names = append(names, k.name(i))
	}
	return names
}

// clients call until they are told to stop.
type clients struct {
	world *world
	ring  *keyring
	// tokens makes every value and every increment of a run unique.
	tokens atomic.Int64
	quit   context.Context
	calls  sync.WaitGroup
}

// client is one of them: one goroutine, one call at a time but for duplicates.
type client struct {
	*clients
	number int
	random *rand.Rand
	// past is operations with an id that were answered, to be sent again.
	past []*operation
	made int
}

func (c *clients) start() {
	for i := range c.world.plan.Load.Clients {
		one := &client{clients: c, number: i, random: source(c.world.plan.Seed, fmt.Sprintf("client %d", i))}
		c.calls.Go(one.run)
	}
}

func (c *client) run() {
	for c.quit.Err() == nil && c.world.ctx.Err() == nil {
		c.think()
		node := c.somewhere()
		switch n := c.random.IntN(100); {
		case n < 6 && len(c.past) > 0:
			c.again(node)
		case n < 6+c.world.plan.Load.Slices:
			c.slice(node, 2+c.random.IntN(4))
		default:
			c.slice(node, 1)
		}
	}
}

// think pauses between calls, never less than a moment: virtual time would
// stand still.
func (c *client) think() {
	pause := c.world.plan.Load.Think
	c.world.sleep(time.Millisecond + time.Duration(c.random.Int64N(int64(pause)+int64(time.Millisecond))))
}

// somewhere is a node to call: any that runs, if one does. The draw is the same
// whether it runs or not.
func (c *client) somewhere() int {
	n := len(c.world.places)
	first := c.random.IntN(n)
	for i := range n {
		if at := (first + i) % n; c.world.places[at].running() != nil {
			return at
		}
	}
	return first
}

// slice calls so many operations at once through a node.
func (c *client) slice(node, count int) {
	operations := make([]*operation, count)
	for i := range operations {
		operations[i] = c.draw()
	}
	// Age is tolerated by all of a slice or by none.
	if slices.ContainsFunc(operations, func(o *operation) bool { return o.Stale == 0 }) {
		for _, o := range operations {
			o.Stale, o.call.Read = 0, 0
		}
	}
	if count > 1 && operations[0].ID != "" && operations[0].writes() && c.random.IntN(4) == 0 {
		operations[count-1] = operations[0] // the same call twice in one slice
	}
	double := count == 1 && operations[0].ID != "" && c.random.IntN(8) == 0
	other := c.somewhere()
	for i, o := range operations {
		if i == 0 || o != operations[0] {
			c.begin(o)
		}
	}
	if double {
		var both sync.WaitGroup
		both.Go(func() { c.attempt(other, operations) })
		c.attempt(node, operations)
		both.Wait()
	} else {
		c.attempt(node, operations)
	}
	for i, o := range operations {
		if i == 0 || o != operations[0] {
			c.finish(o)
		}
	}
}

// draw makes an operation.
func (c *client) draw() *operation {
	r, l := c.random, c.world.plan.Load
	c.made++
	o := &operation{Client: c.number}
	token := c.tokens.Add(1)
	var seen content
	o.Key, seen = c.ring.take(r.IntN(l.Keys))
	switch n := r.IntN(100); {
	case n < l.Reads:
		o.Name = "get"
		if r.IntN(100) < l.Stale {
			o.Stale = between(r, time.Millisecond, 2*time.Second)
		}
	case n < l.Reads+(100-l.Reads)*4/10:
		o.Name, o.By, o.Noted = "inc", token, token%3 == 0 && c.world.plan.mixed()
	case n < l.Reads+(100-l.Reads)*6/10:
		o.Name, o.Put = "put", c.fresh(token)
	case n < l.Reads+(100-l.Reads)*9/10:
		o.Name, o.Put = "cas", c.fresh(token)
		if r.IntN(10) > 0 {
			o.Expect = seen
		}
	default:
		o.Name = "delete"
	}
	if o.writes() && r.IntN(100) < l.IDs {
		o.ID = quorate.CallID(fmt.Sprintf("c%d-%d", c.number, c.made))
	}
	o.call = callOf(o)
	return o
}

// fresh is a value that nobody else stores: mostly an integer, on which inc
// works.
func (c *client) fresh(token int64) content {
	if c.random.IntN(3) > 0 {
		return content(fmt.Sprintf("i%d", token*1_000_000))
	}
	return content(fmt.Sprintf("s%d%s", token, strings.Repeat("x", c.random.IntN(c.world.plan.Load.ValueBytes))))
}

func (c *client) begin(o *operation) {
	o.floor = c.world.heard(0)
	c.world.history.begin(o)
}

// tries is how often a call of unknown outcome is sent again under its id.
const tries = 6

// finish sends an operation again while its outcome is unknown, if it has an
// id, through other nodes, and puts it away.
func (c *client) finish(o *operation) {
	for range tries {
		o.mu.Lock()
		open := o.Outcome == unknown && o.ID != ""
		o.mu.Unlock()
		if !open || c.quit.Err() != nil || c.world.ctx.Err() != nil {
			break
		}
		c.think()
		c.attempt(c.somewhere(), []*operation{o})
	}
	c.ring.saw(o)
	if o.ID != "" && o.Outcome == answered {
		c.past = append(c.past, o)
	}
}

// again sends a call of long ago: it must get the first answer. With other
// content under the same id it must be refused.
func (c *client) again(node int) {
	o := c.past[c.random.IntN(len(c.past))]
	if c.random.IntN(3) > 0 {
		c.attempt(node, []*operation{o})
		return
	}
	forged := c.draw()
	forged.Name, forged.By, forged.ID, forged.Put, forged.Expect = "inc", c.tokens.Add(1), o.ID, "", ""
	forged.forged = true
	forged.call = callOf(forged)
	c.begin(forged)
	c.attempt(node, []*operation{forged})
	if forged.Outcome == answered {
		c.world.fail("answers", "id %s was accepted for %q although it belongs to %q", o.ID, forged.call.Args, o.call.Args)
	}
}

// attempt calls operations through a node once and notes what it said.
func (c *client) attempt(at int, operations []*operation) {
	calls := make([]quorate.Call, len(operations))
	for i, o := range operations {
		calls[i] = o.call
	}
	floor := c.world.heard(0)
	ctx, cancel := context.WithTimeout(context.Background(), c.world.plan.Load.Timeout)
	defer cancel()
	replies, sent, heard := c.world.execute(ctx, at, calls)
	switch {
	case !sent:
		for _, o := range operations {
			o.refused(c.world, at, "no node")
		}
		return
	case !heard:
		for _, o := range operations {
			o.lost(c.world, at)
		}
		return
	case len(replies) != len(calls):
		c.world.fail("answers", "%d replies to %d calls", len(replies), len(calls))
		return
	}
	newest := uint64(0)
	for i, o := range operations {
		o.hear(c.world, at, replies[i], floor)
		// The answers of calls without ids are as old as their indexes say.
		if o.ID == "" && replies[i].Index > 0 {
			if replies[i].Index < newest {
				c.world.fail("order", "operation %d took effect at %d, before one that stands before it in its slice, at %d", o.Number, replies[i].Index, newest)
			}
			newest = replies[i].Index
		}
	}
}

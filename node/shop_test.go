package node_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
)

// Two versions of one service. The later one has another command and another
// query, and SELL has another argument.
var (
	olderShop = quorate.Define("shop", quorate.Write[sell]("SELL"), quorate.Read[sold]("SOLD"))
	laterShop = quorate.Define("shop", quorate.Write[sellTo]("SELL"), quorate.Read[sold]("SOLD"),
		quorate.Write[gift]("GIFT"), quorate.Read[gifts]("GIFTS"))
)

// sell sells some of an item, and answers how many were sold.
type sell struct {
	Item string
	By   int64
}

func (s sell) Apply(tx *quorate.Tx) (int64, error) { return add(tx, "sold "+s.Item, s.By), nil }

// sellTo is sell as it was later, with somebody who buys.
type sellTo struct {
	Item string
	By   int64
	To   *string
}

func (s sellTo) Apply(tx *quorate.Tx) (int64, error) {
	if s.To != nil {
		add(tx, "bought by "+*s.To, s.By)
	}
	return sell{s.Item, s.By}.Apply(tx)
}

// gift gives one of an item away, and answers how many were.
type gift struct{ Item string }

func (g gift) Apply(tx *quorate.Tx) (int64, error) { return add(tx, "given "+g.Item, 1), nil }

// sold is how many of an item were sold, gifts how many were given away.
type (
	sold  struct{ Item string }
	gifts struct{ Item string }
)

func (s sold) Read(view *quorate.View) (int64, error)  { return held(view, "sold "+s.Item), nil }
func (g gifts) Read(view *quorate.View) (int64, error) { return held(view, "given "+g.Item), nil }

func held(view *quorate.View, key string) int64 {
	value, _ := view.Get([]byte(key))
	n, _ := strconv.ParseInt(string(value), 10, 64)
	return n
}

func add(tx *quorate.Tx, key string, by int64) int64 {
	n := held(&tx.View, key) + by
	tx.Set([]byte(key), strconv.AppendInt(nil, n, 10))
	return n
}

// shopCall makes a call of a name and its arguments.
func shopCall(line string) quorate.Call {
	words := strings.Fields(line)
	call := quorate.Call{Name: words[0]}
	for _, word := range words[1:] {
		call.Args = append(call.Args, []byte(word))
	}
	return call
}

// startAs starts a node with a program.
func (c *cluster) startAs(i int, service *quorate.Service) {
	c.t.Helper()
	c.service = service
	c.start(i)
}

// upgrade starts a node anew, with another program.
func (c *cluster) upgrade(i int, service *quorate.Service) {
	c.t.Helper()
	c.stop(i)
	c.startAs(i, service)
	c.ready()
}

// startShop starts a cluster whose nodes run these programs.
func startShop(t *testing.T, services ...*quorate.Service) *cluster {
	t.Helper()
	c := newCluster(t, len(services))
	for i, service := range services {
		c.startAs(i, service)
	}
	c.ready()
	return c
}

// lead makes a node of three the leader: the third one is held back for a
// moment, so that the leader hands over to this one.
func (c *cluster) lead(i int) {
	c.t.Helper()
	for range 10 {
		leader := c.leader()
		if leader == i {
			return
		}
		third := host(3 - leader - i)
		c.net.Cut(host(leader), third)
		c.call(leader, "SELL nothing 0")
		c.nodes[leader].HandOver(c.t.Context())
		c.net.Heal(host(leader), third)
		c.converged()
	}
	c.t.Fatalf("node %d does not become the leader", i)
}

// shopPatience is how long a caller waits in these tests.
const shopPatience = 1500 * time.Millisecond

// call calls through a node with little patience.
func (c *cluster) call(i int, lines ...string) []quorate.Reply {
	ctx, cancel := context.WithTimeout(c.t.Context(), shopPatience)
	defer cancel()
	var calls []quorate.Call
	for _, line := range lines {
		calls = append(calls, shopCall(line))
	}
	return c.nodes[i].Execute(ctx, calls)
}

// mustAnswer checks that a call is answered with a number.
func (c *cluster) mustAnswer(i int, line string, want int64) {
	c.t.Helper()
	if r := c.call(i, line)[0]; r.Err != nil || r.Value.Int() != want {
		c.t.Errorf("through node %d %s answers %v, %v; want %d", i, line, r.Value, r.Err, want)
	}
}

// mustRefuse checks that a call is surely not applied, and that the sentence
// says some things.
func (c *cluster) mustRefuse(i int, line string, says ...string) {
	c.t.Helper()
	r := c.call(i, line)[0]
	if quorate.CodeOf(r.Err) != quorate.Unavailable || quorate.OutcomeUnknown(r.Err) {
		c.t.Errorf("through node %d %s answers %s, %v (unknown %v)", i, line, quorate.CodeOf(r.Err), r.Err, quorate.OutcomeUnknown(r.Err))
		return
	}
	for _, part := range says {
		if !strings.Contains(r.Err.Error(), part) {
			c.t.Errorf("through node %d %s is refused with %q; want something about %q", i, line, r.Err, part)
		}
	}
}

// mustAnswerSoon is mustAnswer with the patience for an election and a round.
func (c *cluster) mustAnswerSoon(i int, line string, want int64) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	if r := c.nodes[i].Execute(ctx, []quorate.Call{shopCall(line)})[0]; r.Err != nil || r.Value.Int() != want {
		c.t.Errorf("through node %d %s answers %v, %v; want %d", i, line, r.Value, r.Err, want)
	}
}

package quoratetest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/quoratetest"
)

// Take hands out the next ticket of a queue.
type Take struct{ Queue string }

var next = quorate.NewCounters("next")

// Apply implements quorate.Command.
func (c Take) Apply(tx *quorate.Tx) (int64, error) { return next.Add(tx, c.Queue, 1) }

// Last is the ticket that a queue handed out last, 0 if it never did.
type Last struct{ Queue string }

// Read implements quorate.Query.
func (q Last) Read(view *quorate.View) (int64, error) { return next.Value(view, q.Queue), nil }

// Tickets is the service that the examples test.
var Tickets = quorate.Define("tickets", quorate.Write[Take]("TAKE"), quorate.Read[Last]("LAST"))

// example runs a test, as go test would, and prints what it says is wrong.
func example(test func(t testing.TB)) {
	for _, found := range quoratetest.Fails(test) {
		fmt.Println(found)
	}
}

// One command, on a state of its own.
func ExampleNewTx() {
	example(func(t testing.TB) { // func TestTake(t *testing.T)
		tx := quoratetest.NewTx(t)
		Take{Queue: "visa"}.Apply(tx)
		ticket, err := Take{Queue: "visa"}.Apply(tx)
		fmt.Println(ticket, err)
		fmt.Println(Last{Queue: "visa"}.Read(&tx.View))
	})
	// Output:
	// 2 <nil>
	// 2 <nil>
}

// A service without a cluster.
func ExampleLocal() {
	example(func(t testing.TB) { // func TestTickets(t *testing.T)
		on := quoratetest.Local(t, Tickets)
		ctx := context.Background()
		for range 2 { // the second is a retry
			ticket, err := quorate.Do(ctx, quorate.Once(on, "a7f3"), Take{Queue: "visa"})
			fmt.Println(ticket, err)
		}
	})
	// Output:
	// 1 <nil>
	// 1 <nil>
}

// Time in Local stands still until a test lets it go on.
func ExampleCopy_Advance() {
	example(func(t testing.TB) {
		on := quoratetest.Local(t, Tickets)
		began := on.Now()
		on.Advance(time.Hour)
		fmt.Println(on.Now().Sub(began))
	})
	// Output: 1h0m0s
}

// Look shows what commands have written.
func ExampleCopy_Look() {
	example(func(t testing.TB) {
		on := quoratetest.Local(t, Tickets)
		quorate.Do(context.Background(), on, Take{Queue: "visa"})
		on.Look(func(view *quorate.View) {
			for queue, ticket := range next.Range(view) {
				fmt.Println(queue, ticket)
			}
		})
	})
	// Output: visa 1
}

// A leader loses its power, another one goes on, and the old one comes back.
func ExampleCluster() {
	example(func(t testing.TB) { // func TestLeaderDies(t *testing.T)
		c := quoratetest.Cluster(t, Tickets, 3)
		ctx := context.Background()
		quorate.Do(ctx, c, Take{Queue: "visa"})

		old := c.Leader()
		c.Kill(old)
		ticket, err := quorate.Do(ctx, c.Leader(), Take{Queue: "visa"})
		fmt.Println(ticket, err)

		c.Start(old)
		c.WaitConverged()
		fmt.Println(quorate.Ask(ctx, old, Last{Queue: "visa"}))
	})
	// Output:
	// 2 <nil>
	// 2 <nil>
}

// A leader that is cut off is replaced, and does not answer with what is over.
func ExampleNodes_Cut() {
	example(func(t testing.TB) {
		c := quoratetest.Cluster(t, Tickets, 3)
		old := c.Leader()
		c.Cut(old)
		quorate.Do(context.Background(), c.Leader(), Take{Queue: "visa"})

		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		defer cancel()
		_, err := quorate.Ask(ctx, old, Last{Queue: "visa"})
		fmt.Println(quorate.CodeOf(err))

		c.Heal()
		fmt.Println(quorate.Ask(context.Background(), old, Last{Queue: "visa"}))
	})
	// Output:
	// unavailable
	// 1 <nil>
}

// What is sent to a node that is paused waits.
func ExampleNodes_Pause() {
	example(func(t testing.TB) {
		c := quoratetest.Cluster(t, Tickets, 3)
		slow := c.Follower()
		c.Pause(slow)
		time.AfterFunc(50*time.Millisecond, func() { c.Resume(slow) })
		fmt.Println(quorate.Do(context.Background(), slow, Take{Queue: "visa"}))
	})
	// Output: 1 <nil>
}

// Nodes are stopped and started again one by one, as for an upgrade.
func ExampleNodes_Stop() {
	example(func(t testing.TB) {
		c := quoratetest.Cluster(t, Tickets, 3)
		for _, n := range c.All() {
			c.Stop(n)
			fmt.Println(quorate.Do(context.Background(), c, Take{Queue: "visa"}))
			c.Start(n)
			c.WaitConverged()
		}
	})
	// Output:
	// 1 <nil>
	// 2 <nil>
	// 3 <nil>
}

// Random calls must come to the same each time.
func ExampleCheckDeterminism() {
	example(func(t testing.TB) { // func TestTicketsAreDeterministic(t *testing.T)
		quoratetest.CheckDeterminism(t, Tickets, func(r *rand.Rand) any {
			return Take{Queue: []string{"visa", "permit"}[r.IntN(2)]}
		})
	})
	// Output:
}

// Random calls under random faults must be explained by a model: here each queue
// is a number by itself.
func ExampleCheckLinearizable() {
	model := quoratetest.Model[int64]{
		Step: func(last int64, call any, got quoratetest.Answer) (int64, bool) {
			switch call.(type) {
			case Take:
				return last + 1, got.Is(last + 1)
			}
			return last, got.Is(last)
		},
		Part: func(call any) string {
			switch c := call.(type) {
			case Take:
				return c.Queue
			case Last:
				return c.Queue
			}
			return ""
		},
	}
	generator := func(r *rand.Rand) any {
		queue := []string{"visa", "permit"}[r.IntN(2)]
		if r.IntN(2) == 0 {
			return Last{Queue: queue}
		}
		return Take{Queue: queue}
	}
	example(func(t testing.TB) { // func TestTicketsAreLinearizable(t *testing.T)
		quoratetest.CheckLinearizable(t, Tickets, model, generator, quoratetest.For(time.Second))
	})
	// Output:
}

package main

import (
	"context"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/quoratetest"
)

// opening is what each account is opened with.
const opening = 100

var names = []string{"ann", "bob", "cid", "dan"}

// ledger is the bank as one would explain it: what is in each account.
type ledger map[string]int64

var model = quoratetest.Model[ledger]{
	Step: func(held ledger, call any, got quoratetest.Answer) (ledger, bool) {
		switch c := call.(type) {
		case Open:
			if _, there := held[c.Account]; there {
				return held, got.Fails(quorate.Conflict)
			}
			return with(held, c.Account, c.Balance), got.Is(c.Balance)
		case Transfer:
			return moved(held, c, got)
		case Balance:
			balance, there := held[c.Account]
			if !there {
				return held, got.Fails(NoAccount)
			}
			return held, got.Is(balance)
		}
		// No transfer changes the sum: it is that of the accounts which were opened.
		return held, got.Is(int64(len(held)) * opening)
	},
	Equal: func(a, b ledger) bool { return maps.Equal(a, b) },
}

func moved(held ledger, c Transfer, got quoratetest.Answer) (ledger, bool) {
	from, payer := held[c.From]
	to, payee := held[c.To]
	switch {
	case !payer:
		return held, got.Fails(NoAccount)
	case from < c.Amount:
		return held, got.Fails(Overdraft)
	case !payee:
		return held, got.Fails(NoAccount)
	}
	held = with(with(held, c.From, from-c.Amount), c.To, to+c.Amount)
	return held, got.Is(Moved{From: from - c.Amount, To: to + c.Amount})
}

// with is a ledger with another balance.
func with(held ledger, name string, balance int64) ledger {
	next := ledger{name: balance}
	for other, held := range held {
		if other != name {
			next[other] = held
		}
	}
	return next
}

// banking is a random call that Check lets through.
func banking(r *rand.Rand) any {
	from := r.IntN(len(names))
	switch r.IntN(8) {
	case 0:
		return Open{Account: names[from], Balance: opening}
	case 1:
		return Balance{Account: names[from]}
	case 2:
		return Total{}
	}
	to := (from + 1 + r.IntN(len(names)-1)) % len(names)
	return Transfer{From: names[from], To: names[to], Amount: 1 + r.Int64N(opening)}
}

// A minute of it: QUORATETEST_FOR=60s go test ./examples/bank -run Linearizable
func TestBankIsLinearizableUnderFaults(t *testing.T) {
	quoratetest.CheckLinearizable(t, service, model, banking, quoratetest.For(2*time.Second))
}

func TestSumNeverChangesInAnyView(t *testing.T) {
	const callers, calls = 4, 60
	synctest.Test(t, func(t *testing.T) {
		c := quoratetest.Cluster(t, service, 3)
		for _, name := range names {
			if _, err := quorate.Do(t.Context(), c, Open{Account: name, Balance: opening}); err != nil {
				t.Fatal(err)
			}
		}
		var busy sync.WaitGroup
		for i := range callers {
			busy.Go(func() { transferAndLook(t, c, rand.New(rand.NewPCG(1, uint64(i))), calls) })
		}
		busy.Go(func() {
			for range 3 {
				leader := c.Leader()
				c.Kill(leader)
				c.Leader()
				c.Start(leader)
				c.WaitConverged()
				c.Cut(c.Follower())
				c.Leader()
				c.Heal()
			}
		})
		busy.Wait()
	})
}

// transferAndLook moves money, and sums up what each node shows, old and new.
func transferAndLook(t *testing.T, c *quoratetest.Nodes, r *rand.Rand, calls int) {
	looked := 0
	for range calls {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, _ = quorate.Do(ctx, c, Transfer{From: names[r.IntN(4)], To: names[r.IntN(4)], Amount: 1 + r.Int64N(60)})
		for _, n := range c.All() {
			for _, on := range []quorate.Executor{n, quorate.Stale(n, time.Minute)} {
				sum, err := quorate.Ask(ctx, on, Total{})
				if err == nil && sum != opening*int64(len(names)) {
					t.Errorf("through %s all accounts hold %d", n.Name(), sum)
				}
				if err == nil {
					looked++
				}
			}
		}
		cancel()
	}
	if looked < calls {
		t.Errorf("only %d of %d views were had", looked, calls*6)
	}
}

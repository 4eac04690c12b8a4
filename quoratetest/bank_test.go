package quoratetest_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/quoratetest"
)

// The bank has accounts with 100 each. Its sum never changes.
const (
	accounts = 4
	opening  = 100
)

// overdrawn is the code of a transfer of more than there is.
const overdrawn quorate.Code = "overdrawn"

type (
	// transfer moves money and answers with what is left.
	transfer struct{ From, To, Amount int64 }
	// balance is what an account holds.
	balance struct{ Account int64 }
	// total is what all accounts hold.
	total struct{}
)

func (c transfer) Apply(tx *quorate.Tx) (int64, error) {
	from := held(&tx.View, c.From)
	if from < c.Amount {
		return from, quorate.Errorf(overdrawn, "account %d holds %d", c.From, from)
	}
	store(tx, c.From, from-c.Amount)
	store(tx, c.To, held(&tx.View, c.To)+c.Amount)
	return held(&tx.View, c.From), nil
}

func (q balance) Read(v *quorate.View) (int64, error) { return held(v, q.Account), nil }

func (total) Read(v *quorate.View) (int64, error) {
	var sum int64
	for account := range int64(accounts) {
		sum += held(v, account)
	}
	return sum, nil
}

func key(account int64) []byte { return fmt.Appendf(nil, "account/%d", account) }

func held(v *quorate.View, account int64) int64 {
	stored, found := v.Get(key(account))
	if !found {
		return opening
	}
	return int64(binary.BigEndian.Uint64(stored))
}

func store(tx *quorate.Tx, account, amount int64) {
	tx.Set(key(account), binary.BigEndian.AppendUint64(nil, uint64(amount)))
}

var bank = quorate.Define("bank",
	quorate.Write[transfer]("TRANSFER"),
	quorate.Read[balance]("BALANCE"),
	quorate.Read[total]("TOTAL"),
)

// banking makes random calls of the bank.
func banking(r *rand.Rand) any {
	switch r.IntN(4) {
	case 0:
		return balance{r.Int64N(accounts)}
	case 1:
		return total{}
	}
	return transfer{From: r.Int64N(accounts), To: r.Int64N(accounts), Amount: r.Int64N(80)}
}

// ledger is the bank as one would explain it: what was paid into each account.
type ledger map[int64]int64

var bankModel = quoratetest.Model[ledger]{
	Step: func(paid ledger, call any, got quoratetest.Answer) (ledger, bool) {
		switch c := call.(type) {
		case transfer:
			if opening+paid[c.From] < c.Amount {
				return paid, got.Fails(overdrawn)
			}
			next := maps.Clone(paid)
			if next == nil {
				next = ledger{}
			}
			next[c.From] -= c.Amount
			next[c.To] += c.Amount
			return next, got.Is(opening + next[c.From])
		case balance:
			return paid, got.Is(opening + paid[c.Account])
		}
		return paid, got.Is(accounts * opening)
	},
	Equal: func(a, b ledger) bool { return maps.Equal(a, b) },
}

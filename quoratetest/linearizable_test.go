package quoratetest_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/quoratetest"
)

func TestBankIsLinearizable(t *testing.T) {
	quoratetest.CheckLinearizable(t, bank, bankModel, banking, quoratetest.For(time.Second))
}

func TestBankOfFiveNodesIsLinearizable(t *testing.T) {
	quoratetest.CheckLinearizable(t, bank, bankModel, banking, quoratetest.For(time.Second), quoratetest.Members(5), quoratetest.Callers(6))
}

// leaky is a transfer that loses money now and then.
type leaky struct{ From, To, Amount int64 }

func (c leaky) Apply(tx *quorate.Tx) (int64, error) {
	left, err := transfer(c).Apply(tx)
	if c.Amount == 13 && err == nil {
		store(tx, c.To, held(&tx.View, c.To)-1)
	}
	return left, err
}

func TestCheckLinearizableFindsWhatIsWrong(t *testing.T) {
	leakyBank := quorate.Define("bank", quorate.Write[leaky]("TRANSFER"), quorate.Read[total]("TOTAL"))
	leaking := func(r *rand.Rand) any {
		if r.IntN(2) == 0 {
			return total{}
		}
		return leaky{r.Int64N(accounts), r.Int64N(accounts), r.Int64N(20)}
	}
	explain := bankModel
	explain.Step = func(paid ledger, call any, got quoratetest.Answer) (ledger, bool) {
		if c, ok := call.(leaky); ok {
			call = transfer(c)
		}
		return bankModel.Step(paid, call, got)
	}
	counting := quoratetest.Model[int64]{Step: func(n int64, _ any, got quoratetest.Answer) (int64, bool) { return n, true }}
	for _, c := range []struct {
		name string
		want string
		test func(t testing.TB)
	}{
		{"a sum that changes", "which the model does not allow in the state map[", func(t testing.TB) {
			quoratetest.CheckLinearizable(t, leakyBank, explain, leaking)
		}},
		{"a command that is not deterministic", "command COUNT \"a\" is not deterministic", func(t testing.TB) {
			quoratetest.CheckLinearizable(t, liars, counting, func(*rand.Rand) any { return counts{"a"} })
		}},
		{"a model that is wrong", "TOTAL at index ", func(t testing.TB) {
			quoratetest.CheckLinearizable(t, bank, quoratetest.Model[int64]{
				Step: func(n int64, _ any, got quoratetest.Answer) (int64, bool) { return n, got.Is(7) },
			}, func(*rand.Rand) any { return total{} })
		}},
		{"a call of another service", "which service bank refuses before the log", func(t testing.TB) {
			quoratetest.CheckLinearizable(t, bank, bankModel, func(*rand.Rand) any { return draws{"a"} })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			// A fake makes no bubble of its own.
			synctest.Test(t, func(t *testing.T) {
				mustBeTold(t, c.want, c.test)
				found := quoratetest.Fails(c.test)
				if len(found) == 1 && !strings.Contains(found[0], "again: QUORATETEST_SEED=1 go test -run '^TestOfAUser$'") {
					t.Errorf("it does not say how to run it again: %q", found)
				}
			})
		})
	}
}

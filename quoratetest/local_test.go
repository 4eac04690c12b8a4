package quoratetest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/quoratetest"
	"github.com/quorate/quorate/values"
)

// mustDo runs a command and returns its result.
func mustDo[R any](t testing.TB, on quorate.Executor, cmd quorate.Command[R]) R {
	t.Helper()
	result, err := quorate.Do(context.Background(), on, cmd)
	if err != nil {
		t.Fatalf("%+v: %v", cmd, err)
	}
	return result
}

// mustAsk asks a query and returns its result.
func mustAsk[R any](t testing.TB, on quorate.Executor, q quorate.Query[R]) R {
	t.Helper()
	result, err := quorate.Ask(context.Background(), on, q)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	return result
}

// mustBeTold checks that a test of a user fails, once, and says what is wanted.
func mustBeTold(t *testing.T, want string, test func(t testing.TB)) {
	t.Helper()
	found := quoratetest.Fails(test)
	if len(found) != 1 || !strings.Contains(found[0], want) {
		t.Errorf("the test says %q, want one line with %q", found, want)
	}
}

func TestTxIsAnEmptyStateThatCommandsChange(t *testing.T) {
	tx := quoratetest.NewTx(t)
	left, err := transfer{From: 1, To: 2, Amount: 30}.Apply(tx)
	if left != 70 || err != nil {
		t.Errorf("Apply = %d, %v", left, err)
	}
	if sum, err := (total{}).Read(&tx.View); sum != accounts*opening || err != nil {
		t.Errorf("the sum is %d, %v", sum, err)
	}
	if tx.Index() != 1 || !tx.Now().Equal(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("it is %v at index %d", tx.Now(), tx.Index())
	}
	if a, b := tx.Rand().Int64(), quoratetest.NewTx(t).Rand().Int64(); a != b {
		t.Errorf("two transactions draw %d and %d", a, b)
	}
	if _, found := quoratetest.NewTx(t).Get(key(1)); found {
		t.Error("a second transaction sees the state of the first")
	}
}

func TestLocalAnswersAsANodeDoes(t *testing.T) {
	on := quoratetest.Local(t, bank)
	if left := mustDo(t, on, transfer{1, 2, 30}); left != 70 {
		t.Errorf("70 are left, and it says %d", left)
	}
	if _, err := quorate.Do(t.Context(), on, transfer{1, 2, 80}); quorate.CodeOf(err) != overdrawn {
		t.Errorf("a transfer of too much: %v", err)
	}
	if got := mustAsk(t, on, balance{2}); got != 130 {
		t.Errorf("account 2 holds %d", got)
	}
	if _, err := quorate.Do(t.Context(), on, kv.Flush{}); quorate.CodeOf(err) != quorate.UnknownOperation {
		t.Errorf("a command of another service: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := quorate.Do(ctx, on, transfer{1, 2, 1}); quorate.CodeOf(err) != quorate.Unavailable || quorate.OutcomeUnknown(err) {
		t.Errorf("a context that has ended: %v", err)
	}
}

func TestLocalRunsACallWithAnIDOnce(t *testing.T) {
	on := quoratetest.Local(t, bank)
	once := quorate.Once(on, "order-4711")
	for range 3 {
		if left := mustDo(t, once, transfer{1, 2, 30}); left != 70 {
			t.Errorf("70 are left, and it says %d", left)
		}
	}
	if _, err := quorate.Do(t.Context(), once, transfer{1, 2, 31}); quorate.CodeOf(err) != quorate.IDReused {
		t.Errorf("another call under the id: %v", err)
	}
}

func TestLocalRunsTransactions(t *testing.T) {
	on := quoratetest.Local(t, bank)
	txn := quorate.Txn{Then: []quorate.Call{mustCall(t, transfer{1, 2, 60}), mustCall(t, transfer{1, 3, 60})}}
	if _, err := quorate.Do(t.Context(), on, txn); quorate.CodeOf(err) != overdrawn {
		t.Errorf("the second transfer is of too much: %v", err)
	}
	if got := mustAsk(t, on, balance{1}); got != opening {
		t.Errorf("the first transfer stands: account 1 holds %d", got)
	}
}

func TestTimeOfLocalStandsStillButForAdvance(t *testing.T) {
	on := quoratetest.Local(t, kv.Service)
	began := on.Now()
	mustDo(t, on, kv.Put{Key: "lease", Value: values.Int(1)})
	mustDo(t, on, kv.Expire{Key: "lease", TTL: new(int64(60_000))})
	on.Advance(59 * time.Second)
	mustAsk(t, on, kv.Get{Key: "lease"})
	on.Advance(time.Second)
	if _, err := quorate.Ask(t.Context(), on, kv.Get{Key: "lease"}); quorate.CodeOf(err) != quorate.NotFound {
		t.Errorf("the lease has ended: %v", err)
	}
	if passed := on.Now().Sub(began); passed != time.Minute {
		t.Errorf("%v have passed", passed)
	}
	seen := false
	on.Look(func(view *quorate.View) {
		_, found := view.Get([]byte("lease"))
		seen = found || !view.Now().Equal(on.Now())
	})
	if seen {
		t.Error("a view shows what has ended, or another time")
	}
}

func TestLocalNamesWhatIsNotDeterministic(t *testing.T) {
	for _, lie := range lies {
		t.Run(lie.name, func(t *testing.T) {
			mustBeTold(t, lie.want, func(t testing.TB) {
				on := quoratetest.Local(t, liars)
				call := mustCall(t, lie.call)
				// Of two runs through a map of two keys every other pair agrees, and some
				// clocks go on once in 16 ms.
				for range 10_000 {
					if !t.Failed() {
						on.Execute(context.Background(), []quorate.Call{call})
					}
				}
			})
		})
	}
}

func TestLocalOfASoundServiceSaysNothing(t *testing.T) {
	for _, found := range quoratetest.Fails(func(t testing.TB) {
		on := quoratetest.Local(t, bank)
		for amount := range int64(50) {
			quorate.Do(context.Background(), on, transfer{amount % 3, amount % 4, amount})
		}
	}) {
		t.Error(found)
	}
}

package main

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/quoratetest"
)

func TestRangesFollowEachOther(t *testing.T) {
	tx := quoratetest.NewTx(t)
	next := int64(1)
	for _, count := range []int64{1, 1000, 7} {
		got, err := Reserve{Space: "orders", Count: count}.Apply(tx)
		if want := (Range{First: next, Last: next + count - 1}); got != want || err != nil {
			t.Errorf("%d ids are %v, %v, want %v", count, got, err, want)
		}
		next += count
	}
	if got, err := (Left{Space: "orders"}).Read(&tx.View); got != math.MaxInt64-1008 || err != nil {
		t.Errorf("%d ids are left, %v", got, err)
	}
}

func TestSpaceThatIsUsedUpIsRefused(t *testing.T) {
	tx := quoratetest.NewTx(t)
	if _, err := last.Add(tx, "orders", math.MaxInt64-5); err != nil {
		t.Fatal(err)
	}
	if got, err := (Reserve{Space: "orders", Count: 6}).Apply(tx); quorate.CodeOf(err) != quorate.Overflow {
		t.Errorf("6 of 5 ids are %v, %v", got, err)
	}
	if got, err := (Reserve{Space: "orders", Count: 5}).Apply(tx); got.Last != math.MaxInt64 || err != nil {
		t.Errorf("the last 5 ids are %v, %v", got, err)
	}
}

func TestCountIsBounded(t *testing.T) {
	on := quoratetest.Local(t, service)
	for _, count := range []int64{math.MinInt64, -1, 0, countMax + 1} {
		_, err := quorate.Do(t.Context(), on, Reserve{Space: "orders", Count: count})
		if quorate.CodeOf(err) != quorate.Invalid {
			t.Errorf("a range of %d ids: %v", count, err)
		}
	}
}

func TestWorkersShareASpace(t *testing.T) {
	on := quoratetest.Local(t, service)
	workers := []*Worker{{On: on, Space: "orders", Count: 3}, {On: on, Space: "orders", Count: 5}}
	var seen sync.Map
	var busy sync.WaitGroup
	for i := range 4 {
		busy.Go(func() {
			for range 25 {
				id, err := workers[i%2].Next(t.Context())
				if _, twice := seen.LoadOrStore(id, true); twice || id < 1 || err != nil {
					t.Errorf("id %d comes twice: %t, %v", id, twice, err)
				}
			}
		})
	}
	busy.Wait()
}

func TestIDsAreTheSameOnEveryNode(t *testing.T) {
	quoratetest.CheckDeterminism(t, service, func(r *rand.Rand) any {
		if r.IntN(4) == 0 {
			return Left{Space: "orders"}
		}
		return Reserve{Space: []string{"orders", "users"}[r.IntN(2)], Count: 1 + r.Int64N(1000)}
	})
}

package main

import (
	"math/rand/v2"
	"testing"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/quoratetest"
)

func TestTicketsOfAQueueRiseByOne(t *testing.T) {
	tx := quoratetest.NewTx(t)
	for want := range int64(3) {
		if got, err := (Take{Queue: "visa"}).Apply(tx); got != want+1 || err != nil {
			t.Errorf("ticket %d, %v, want %d", got, err, want+1)
		}
	}
	if got, err := (Take{Queue: "permit"}).Apply(tx); got != 1 || err != nil {
		t.Errorf("the first ticket of another queue is %d, %v", got, err)
	}
}

func TestRetryUnderAnIDGetsTheSameTicket(t *testing.T) {
	on := quoratetest.Local(t, service)
	for range 2 {
		got, err := quorate.Do(t.Context(), quorate.Once(on, "a7f3"), Take{Queue: "visa"})
		if got != 1 || err != nil {
			t.Errorf("ticket %d, %v, want 1", got, err)
		}
	}
}

func TestTicketsAreTheSameOnEveryNode(t *testing.T) {
	quoratetest.CheckDeterminism(t, service, func(r *rand.Rand) any {
		return Take{Queue: []string{"visa", "permit"}[r.IntN(2)]}
	})
}

package main

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/quoratetest"
)

// ledger is a store behind a lock: it refuses a token that is older than one it
// has seen.
type ledger struct {
	newest uint64
	lines  []string
}

func (l *ledger) write(token uint64, line string) error {
	if token < l.newest {
		return fmt.Errorf("token %d is older than %d", token, l.newest)
	}
	l.newest = token
	l.lines = append(l.lines, line)
	return nil
}

func mustAcquire(t *testing.T, on quorate.Executor, owner string, ttl time.Duration) Lease {
	t.Helper()
	lease, err := quorate.Do(t.Context(), on, Acquire{Lock: "nightly", Owner: owner, TTL: ttl.Milliseconds()})
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

func TestStoreRefusesAHolderThatWasPaused(t *testing.T) {
	on := quoratetest.Local(t, service)
	var store ledger
	first := mustAcquire(t, on, "ann", time.Second)
	on.Advance(2 * time.Second) // ann is paused for longer than it holds the lock
	second := mustAcquire(t, on, "bob", time.Second)
	if err := store.write(second.Token, "bob"); err != nil {
		t.Error(err)
	}
	if err := store.write(first.Token, "ann"); err == nil {
		t.Errorf("the store takes token %d after %d", first.Token, second.Token)
	}
}

func TestLockHasOneHolder(t *testing.T) {
	on := quoratetest.Local(t, service)
	mustAcquire(t, on, "ann", time.Second)
	got, err := quorate.Do(t.Context(), on, Acquire{Lock: "nightly", Owner: "bob", TTL: 1000})
	if quorate.CodeOf(err) != quorate.Conflict {
		t.Errorf("bob gets %+v, %v", got, err)
	}
	if held, err := quorate.Ask(t.Context(), on, Holder{Lock: "nightly"}); held.Owner != "ann" || err != nil {
		t.Errorf("%+v holds the lock, %v", held, err)
	}
}

func TestHolderExtendsTheLockUnderItsToken(t *testing.T) {
	on := quoratetest.Local(t, service)
	first := mustAcquire(t, on, "ann", time.Second)
	on.Advance(900 * time.Millisecond)
	second := mustAcquire(t, on, "ann", time.Second)
	if second.Token != first.Token || second.Until != first.Until+900 {
		t.Errorf("%+v was extended to %+v", first, second)
	}
	on.Advance(time.Second)
	if held, err := quorate.Ask(t.Context(), on, Holder{Lock: "nightly"}); quorate.CodeOf(err) != quorate.NotFound {
		t.Errorf("after its end %+v holds the lock, %v", held, err)
	}
	if third := mustAcquire(t, on, "ann", time.Second); third.Token <= first.Token {
		t.Errorf("the token of a lock that was lost is %d, and then %d", first.Token, third.Token)
	}
}

func TestOnlyItsTokenReleasesALock(t *testing.T) {
	on := quoratetest.Local(t, service)
	lease := mustAcquire(t, on, "ann", time.Second)
	for _, tt := range []struct {
		token uint64
		want  bool
	}{{lease.Token + 1, false}, {lease.Token, true}, {lease.Token, false}} {
		got, err := quorate.Do(t.Context(), on, Release{Lock: "nightly", Token: tt.token})
		if got != tt.want || err != nil {
			t.Errorf("release under %d: %t, %v", tt.token, got, err)
		}
	}
	if next := mustAcquire(t, on, "bob", time.Second); next.Token <= lease.Token {
		t.Errorf("token %d comes after %d", next.Token, lease.Token)
	}
}

func TestTTLIsBounded(t *testing.T) {
	on := quoratetest.Local(t, service)
	for _, ttl := range []int64{-1, 0, (24 * time.Hour).Milliseconds() + 1} {
		_, err := quorate.Do(t.Context(), on, Acquire{Lock: "nightly", Owner: "ann", TTL: ttl})
		if quorate.CodeOf(err) != quorate.Invalid {
			t.Errorf("a ttl of %d ms: %v", ttl, err)
		}
	}
}

func TestLocksAreTheSameOnEveryNode(t *testing.T) {
	quoratetest.CheckDeterminism(t, service, func(r *rand.Rand) any {
		lock, owner := []string{"nightly", "weekly"}[r.IntN(2)], []string{"ann", "bob"}[r.IntN(2)]
		switch r.IntN(4) {
		case 0:
			return Release{Lock: lock, Token: uint64(r.IntN(1000)) << 16}
		case 1:
			return Holder{Lock: lock}
		}
		return Acquire{Lock: lock, Owner: owner, TTL: 1 + r.Int64N(1000)}
	})
}

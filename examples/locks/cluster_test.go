package main

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/quoratetest"
)

// A holder whose node is paused for longer than the lock lasts loses it to another
// one, and the store behind the lock takes nothing from it any more.
func TestFencingHoldsWhileNodesArePausedAndKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := quoratetest.Cluster(t, service, 3)
		var store ledger
		stale := 0
		for round := range 4 {
			home := c.Leader()
			mine := mustAcquire(t, home, "ann", 300*time.Millisecond)
			c.Pause(home)
			other, err := acquired(t, c, "bob")
			if err != nil {
				t.Fatal(err)
			}
			if err := store.write(other.Token, "bob"); err != nil {
				t.Error(err)
			}
			c.Resume(home)
			if store.write(mine.Token, "ann") != nil {
				stale++
			}
			c.Kill(c.Leader())
			// The answer may be lost with the leader: under an id the call is sent again.
			once := quorate.Once(c, quorate.CallID(fmt.Sprint("release ", round)))
			if _, err := quorate.Do(t.Context(), once, Release{Lock: "nightly", Token: other.Token}); err != nil {
				t.Fatal(err)
			}
			for _, n := range c.All() {
				if n.Node() == nil {
					c.Start(n)
				}
			}
		}
		if stale != 4 {
			t.Errorf("the store refused %d of 4 holders that had lost the lock", stale)
		}
	})
}

// acquired asks for the lock until it is free.
func acquired(t *testing.T, on quorate.Executor, owner string) (lease Lease, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		lease, err = quorate.Do(ctx, on, Acquire{Lock: "nightly", Owner: owner, TTL: time.Minute.Milliseconds()})
		if err == nil || ctx.Err() != nil {
			return lease, err
		}
	}
}

// Many want the lock. Each holder adds one to a number that has no other guard.
func TestLockKeepsOthersOut(t *testing.T) {
	const holders, turns = 5, 6
	synctest.Test(t, func(t *testing.T) {
		c := quoratetest.Cluster(t, service, 3)
		inside, done := 0, 0
		var busy sync.WaitGroup
		for i := range holders {
			owner := string(rune('a' + i))
			busy.Go(func() {
				for range turns {
					lease, err := acquired(t, c, owner)
					if err != nil {
						t.Errorf("%s gets no lock: %v", owner, err)
						return
					}
					// Without the lock these lines race, and the race detector tells.
					if inside++; inside != 1 {
						t.Errorf("%d hold the lock", inside)
					}
					done++
					inside--
					if _, err := quorate.Do(t.Context(), c, Release{Lock: "nightly", Token: lease.Token}); err != nil {
						t.Errorf("%s cannot release: %v", owner, err)
					}
				}
			})
		}
		busy.Wait()
		if done != holders*turns {
			t.Errorf("%d turns were taken, want %d", done, holders*turns)
		}
	})
}

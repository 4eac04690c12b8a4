package main

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/quoratetest"
)

func TestNoIDComesTwiceWhileNodesAreKilled(t *testing.T) {
	const workers, ids = 12, 400
	synctest.Test(t, func(t *testing.T) {
		c := quoratetest.Cluster(t, service, 3)
		var seen sync.Map
		var busy sync.WaitGroup
		for range workers {
			busy.Go(func() { work(t, &Worker{On: c, Space: "orders", Count: 10}, &seen, ids) })
		}
		for range 4 {
			leader := c.Leader()
			c.Kill(leader)
			c.Leader()
			c.Start(leader)
			c.WaitConverged()
		}
		busy.Wait()
		count := 0
		seen.Range(func(any, any) bool { count++; return true })
		if count != workers*ids {
			t.Errorf("%d different ids were handed out, want %d", count, workers*ids)
		}
	})
}

// work takes ids until it has as many as are wanted, whatever fails meanwhile.
func work(t *testing.T, w *Worker, seen *sync.Map, ids int) {
	for got := 0; got < ids; {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		id, err := w.Next(ctx)
		cancel()
		if err != nil {
			continue
		}
		if other, twice := seen.LoadOrStore(id, w); twice {
			t.Errorf("id %d comes twice, from %p and %p", id, other, w)
		}
		got++
	}
}

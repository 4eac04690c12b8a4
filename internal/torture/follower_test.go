package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestReadOnAFollowerSeesWhatAnotherNodeAcknowledged writes through one node
// and, once that has acknowledged, reads through a follower that is another.
func TestReadOnAFollowerSeesWhatAnotherNodeAcknowledged(t *testing.T) {
	total := int64(count(3_000, 100_000))
	c := newCluster(t, settings{})
	seed := newSeed(t)
	leader := c.leader()
	start := time.Now()
	var begun, throughLeader, throughFollower atomic.Int64
	var pairs sync.WaitGroup
	for worker := range 16 {
		pairs.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(worker)))
			client := newClient(10 * time.Second)
			defer client.CloseIdleConnections()
			key := fmt.Sprintf("key-%d", worker)
			for value := int64(1); begun.Add(1) <= total && !t.Failed(); value++ {
				reader := (leader + 1 + random.IntN(2)) % clusterSize
				writer := (reader + 1 + random.IntN(2)) % clusterSize
				body := fmt.Sprintf(`{"key":%q,"value":%d}`, key, value)
				if a, out := c.post(context.Background(), client, writer, call{path: "/put", body: body}); out != acknowledged {
					t.Errorf("put through node %d: %v", writer, a)
					return
				}
				a, out := c.post(context.Background(), client, reader, call{path: "/get", body: keyBody(key)})
				if n, _, err := a.integer(); out != acknowledged || err != nil || n != value {
					t.Errorf("node %d acknowledged %s = %d, and then node %d answered %v", writer, key, value, reader, a)
					return
				}
				if writer == leader {
					throughLeader.Add(1)
				} else {
					throughFollower.Add(1)
				}
			}
		})
	}
	pairs.Wait()
	if now := c.leader(); now != leader {
		t.Logf("node %d led at first and node %d in the end: some of the reads were on a leader", leader, now)
	}
	t.Logf("%d reads on a follower, each directly after a write: %d written through the leader, %d through the other follower; %v",
		throughLeader.Load()+throughFollower.Load(), throughLeader.Load(), throughFollower.Load(), time.Since(start).Round(time.Millisecond))
}

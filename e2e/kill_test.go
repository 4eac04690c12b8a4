package e2e

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

// counter increments a key under an id on one node, once: a library may retry
// by itself, as the id lets it.
type counter interface {
	increment(ctx context.Context, id string) error
}

type goRedisCounter struct{ client *goredis.Client }

func (c goRedisCounter) increment(ctx context.Context, id string) error {
	return c.client.Do(ctx, "ONCE", id, "INCR", "k").Err()
}

type rueidisCounter struct {
	mu     sync.Mutex
	addr   string
	client rueidis.Client // nil until the node was there; the library wants that
}

func (c *rueidisCounter) increment(ctx context.Context, id string) error {
	c.mu.Lock()
	if c.client == nil {
		var err error
		options := rueidis.ClientOption{InitAddress: []string{c.addr}, DisableCache: true, Dialer: net.Dialer{Timeout: time.Second}}
		if c.client, err = rueidis.NewClient(options); err != nil {
			c.mu.Unlock()
			return err
		}
	}
	client := c.client
	c.mu.Unlock()
	return client.Do(ctx, client.B().Arbitrary("ONCE", id, "INCR", "k").Build()).Error()
}

// attemptMax is how long one attempt may take: longer than an election.
const attemptMax = 6 * time.Second

// incrementAll has callers increment until they are told to stop. Each retries
// an increment under its id, on one node after the other, until it is answered.
// It returns how many were.
func incrementAll(ctx context.Context, nodes []counter, stop *atomic.Bool, done *atomic.Int64) error {
	const callers = 16
	failed := make(chan error, callers)
	for caller := range callers {
		go func() {
			for n := 0; !stop.Load(); n++ {
				id := fmt.Sprintf("caller-%d-%d", caller, n)
				for attempt := caller; ; attempt++ {
					try, cancel := context.WithTimeout(ctx, attemptMax)
					err := nodes[attempt%len(nodes)].increment(try, id)
					cancel()
					if err == nil {
						break
					}
					if ctx.Err() != nil || strings.Contains(err.Error(), "ERR") {
						failed <- fmt.Errorf("increment %s: %w", id, err)
						return
					}
				}
				done.Add(1)
			}
			failed <- nil
		}()
	}
	var err error
	for range callers {
		if e := <-failed; e != nil {
			err = e
		}
	}
	return err
}

// TestIncrementsUnderIDsAreExactWhileLeadersAreKilled kills the leader again and
// again in the middle of increments.
func TestIncrementsUnderIDsAreExactWhileLeadersAreKilled(t *testing.T) {
	libraries := map[string]func(t *testing.T, addr string) counter{
		"go-redis": func(t *testing.T, addr string) counter { return goRedisCounter{newGoRedis(t, addr)} },
		"rueidis": func(t *testing.T, addr string) counter {
			c := &rueidisCounter{addr: addr}
			t.Cleanup(func() {
				if c.client != nil {
					c.client.Close()
				}
			})
			return c
		},
	}
	for name, connect := range libraries {
		t.Run(name, func(t *testing.T) {
			c := startCluster(t, "--election-timeout", "300ms") // it is mostly waited for
			var nodes []counter
			for _, addr := range c.resp {
				nodes = append(nodes, connect(t, addr))
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			var stop atomic.Bool
			var done atomic.Int64
			ended := make(chan error, 1)
			go func() { ended <- incrementAll(ctx, nodes, &stop, &done) }()

			const between = 100 // increments that are answered between two kills
			for range count(2, 20) {
				progress(t, &done, between)
				leader := c.leader()
				c.nodes[leader].kill()
				progress(t, &done, between)
				c.nodes[leader].start()
				c.waitReady(leader)
			}
			progress(t, &done, between)
			stop.Store(true)
			must(t, <-ended)

			for i, addr := range c.resp {
				n, err := newGoRedis(t, addr).Get(ctx, "k").Int64()
				if err != nil || n != done.Load() {
					t.Errorf("node %d has %d, %v, want the %d increments that were answered", i, n, err, done.Load())
				}
			}
			t.Logf("%d increments", done.Load())
		})
	}
}

// progress waits until so many more increments were answered.
func progress(t *testing.T, done *atomic.Int64, more int64) {
	t.Helper()
	want := done.Load() + more
	waitFor(t, 30*time.Second, "increments go on", func() error {
		if n := done.Load(); n < want {
			return fmt.Errorf("%d of %d", n, want)
		}
		return nil
	})
}

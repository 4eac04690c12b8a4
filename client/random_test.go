package client_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/kv"
)

var (
	seed  = flag.Uint64("seed", 0, "the only seed to run; 0 runs several")
	seeds = flag.Int("seeds", 30, "how many seeds to run")
)

// TestNoIncrementIsLostOrDoubledWhateverTheNodesDo runs callers through nodes
// that do a random thing to each frame, freeze, restart and are cut off. Each
// call increments a counter of its own.
func TestNoIncrementIsLostOrDoubledWhateverTheNodesDo(t *testing.T) {
	first, last := uint64(1), uint64(*seeds)
	if *seed != 0 {
		first, last = *seed, *seed
	}
	for s := first; s <= last; s++ {
		t.Run(fmt.Sprint("seed ", s), func(t *testing.T) {
			inBubble(t, func(t *testing.T) { runSeed(t, s) })
			if t.Failed() {
				t.Logf("again: go test ./client -run '^TestNoIncrementIsLostOrDoubledWhateverTheNodesDo$' -count=1 -seed=%d", s)
			}
		})
	}
}

// tally is what the callers were told of the increment of each counter.
type tally struct {
	sync.Mutex
	told    map[string]error
	longest time.Duration // over the deadline
}

func runSeed(t *testing.T, s uint64) {
	random := rand.New(rand.NewPCG(s, 0))
	w := startCluster(t, 3)
	defer w.close()
	remembers := w.doors[0].executor.(*once)
	for i := range w.doors {
		w.misbehave(i, random.Uint64())
	}
	c := w.open(func(config *client.Config) { config.ConnsPerNode = 1 + int(s%4) })
	var (
		callers sync.WaitGroup
		told    = tally{told: make(map[string]error)}
	)
	for i := range 20 {
		mine := rand.New(rand.NewPCG(s, uint64(i)+1))
		callers.Go(func() {
			for n := range 20 {
				told.inc(t.Context(), c, fmt.Sprintf("%d of caller %d", n, i), time.Duration(1+mine.IntN([]int{200, 3000}[n%2]))*time.Millisecond)
				time.Sleep(time.Duration(mine.IntN(100)) * time.Millisecond)
			}
		})
	}
	done := make(chan struct{})
	var trouble sync.WaitGroup
	trouble.Go(func() { w.trouble(random, done) })
	callers.Wait()
	close(done)
	trouble.Wait()
	mustClose(t, c)
	time.Sleep(time.Minute) // what is late arrives
	synctest.Wait()
	w.close()

	sure, perhaps := 0, 0
	for key, err := range told.told {
		least, most := int64(0), int64(0)
		if err == nil {
			least, most, sure = 1, 1, sure+1
		} else if quorate.OutcomeUnknown(err) {
			most, perhaps = 1, perhaps+1
		}
		if n := mustCount(t, w.state, key); n < least || n > most {
			t.Errorf("counter %s is %d, and its increment came to: %v", key, n, err)
		}
	}
	if told.longest > 0 {
		t.Errorf("a call returned %v after its deadline", told.longest)
	}
	if sure < 50 {
		t.Errorf("only %d of 400 increments were answered, %d unknown", sure, perhaps)
	}
	t.Logf("%d sure, %d unknown, %d late arrivals", sure, perhaps, remembers.late)
}

func mustCount(t *testing.T, on quorate.Executor, key string) int64 {
	t.Helper()
	v, err := quorate.Ask(t.Context(), on, kv.Get{Key: kv.Key(key)})
	if err != nil && !errors.Is(err, &quorate.Error{Code: quorate.NotFound}) {
		t.Fatal(err)
	}
	return v.Int()
}

// inc increments a counter and notes what was told.
func (y *tally) inc(ctx context.Context, c *client.Client, key string, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var on quorate.Executor = c
	if len(key)%2 == 0 {
		// With an id of its own it belongs to no session, and the nodes do not
		// refuse it when it comes late.
		on = quorate.Once(c, quorate.CallID(key))
	}
	begun := time.Now()
	_, err := inc(ctx, on, key)
	over := time.Since(begun) - timeout
	y.Lock()
	defer y.Unlock()
	y.longest = max(y.longest, over)
	y.told[key] = err
}

// misbehave makes a door do something random to one frame in five. What it does
// to a frame that must not be lost is never known to the client, but by what it
// says.
func (w *cluster) misbehave(i int, seed uint64) {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 0))
	deeds := []deed{swallow, hangUp, runAndHide, runAndBreak, babble, misspell, miscount, speakOther, refuseFrame}
	w.doors[i].deed = func(int, frame) deed {
		mu.Lock()
		defer mu.Unlock()
		if random.IntN(5) > 0 {
			return serve
		}
		return deeds[random.IntN(len(deeds))]
	}
}

// trouble freezes, cuts off and restarts doors until it is told to end.
func (w *cluster) trouble(random *rand.Rand, done <-chan struct{}) {
	for {
		i := random.IntN(len(w.doors))
		host := fmt.Sprintf("n%d", i)
		length := time.Duration(random.IntN(2000)) * time.Millisecond
		switch random.IntN(4) {
		case 0:
			w.doors[i].freeze()
			time.Sleep(length)
			w.doors[i].thaw()
		case 1:
			w.net.Cut("c", host)
			time.Sleep(length)
			w.net.Heal("c", host)
		case 2:
			w.net.CutOneWay(host, "c")
			time.Sleep(length)
			w.net.HealOneWay(host, "c")
		case 3:
			w.doors[i].close()
			time.Sleep(length)
			w.restart(i)
		}
		select {
		case <-done:
			return
		case <-time.After(time.Duration(random.IntN(1000)) * time.Millisecond):
		}
	}
}

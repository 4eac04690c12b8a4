package client_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/kv"
)

// rotation is how many slices of sliceCalls calls it takes, behind a slow call,
// until new calls are of another session.
const (
	rotation   = 5
	sliceCalls = 4096
	// farewellsMin is how often the nodes must be told then: they forget 1,024
	// answers at once.
	farewellsMin = 4 * sliceCalls / 1024
)

// mustRun runs a slice of increments.
func mustRun(t *testing.T, c *client.Client) {
	t.Helper()
	calls := make([]quorate.Call, sliceCalls)
	for i := range calls {
		calls[i] = quorate.Call{Name: "INC", Args: [][]byte{[]byte("fast"), []byte("1")}}
	}
	for i, r := range c.Execute(t.Context(), calls) {
		if r.Err != nil {
			t.Fatalf("call %d of a slice: %v", i, r.Err)
		}
	}
}

// kept is how many answers are remembered that are not settled.
func (o *once) kept() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id := range o.known {
		if session, number, ok := engine.Session(string(id)); ok && number >= o.settled[session] {
			n++
		}
	}
	return n
}

// isFarewell says that a frame tells of sessions that are finished.
func isFarewell(f frame) bool { return f.calls[0].Name == "TXN" }

// farewells is how many such frames a door got.
func (d *door) farewells() (n int) {
	for _, f := range d.seen() {
		if isFarewell(f) {
			n++
		}
	}
	return n
}

// slowly refuses frames of the keys that still are slow, and does with farewells
// what it is told.
type slowly struct {
	mu       sync.Mutex
	slow     map[string]bool
	farewell deed
}

func (s *slowly) deed(_ int, f frame) deed {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case isFarewell(f):
		return s.farewell
	case s.slow[string(f.calls[0].Args[0])]:
		return refuseFrame
	}
	return serve
}

func (s *slowly) end(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.slow, key)
}

func TestReplacedSessionIsSettledWhenItsLastCallIsAnswered(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		s := &slowly{slow: map[string]bool{"slow": true, "slower": true}}
		w.doors[0].deed = s.deed
		c := w.open()
		defer mustClose(t, c)
		answered := make(chan error)
		for _, key := range []string{"slow", "slower"} {
			ctx := within(t, time.Hour)
			go func() {
				n, err := inc(ctx, c, key)
				if err == nil && n != 1 {
					t.Errorf("%s is %d, want 1", key, n)
				}
				answered <- err
			}()
		}
		synctest.Wait()
		for range rotation {
			mustRun(t, c)
		}
		remembered := w.doors[0].executor.(*once)
		for i, key := range []string{"slow", "slower"} {
			if n := w.doors[0].farewells(); n != 0 {
				t.Fatalf("%d farewells to a session of which %d calls wait", n, 2-i)
			}
			if n := remembered.kept(); n < sliceCalls {
				t.Fatalf("%d answers are kept; those behind the slow calls should be", n)
			}
			s.end(key)
			if err := <-answered; err != nil {
				t.Fatalf("%s: %v", key, err)
			}
			synctest.Wait()
		}
		if n := w.doors[0].farewells(); n < farewellsMin {
			t.Errorf("%d farewells, too few to forget 16 Ki answers", n)
		}
		// What the last slice left, and the farewell.
		if n := remembered.kept(); n > sliceCalls+1 {
			t.Errorf("%d answers are kept when all calls are answered", n)
		}
		if remembered.late != 0 {
			t.Errorf("%d calls came after they were said to be settled", remembered.late)
		}
	})
}

// finishOne makes a client finish a session.
func finishOne(t *testing.T, c *client.Client, s *slowly) {
	t.Helper()
	s.mu.Lock()
	s.slow = map[string]bool{"slow": true}
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(within(t, time.Hour))
	var slow sync.WaitGroup
	slow.Go(func() { _, _ = inc(ctx, c, "slow") })
	synctest.Wait()
	for range rotation {
		mustRun(t, c)
	}
	cancel()
	slow.Wait()
}

func TestFarewellThatNobodyTakesIsGivenUpAndDelaysNobody(t *testing.T) {
	for name, do := range map[string]deed{"refused": refuseFrame, "cut": hangUp} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := startCluster(t, 2)
				defer w.close()
				s := &slowly{farewell: do}
				w.doors[0].deed, w.doors[1].deed = s.deed, s.deed
				c := w.open()
				defer mustClose(t, c)
				finishOne(t, c, s)
				begun := time.Now()
				if _, err := inc(t.Context(), c, "k"); err != nil || time.Since(begun) > 100*time.Millisecond {
					t.Errorf("a call while a farewell is tried took %v: %v", time.Since(begun), err)
				}
				tried := func() int { return w.doors[0].farewells() + w.doors[1].farewells() }
				time.Sleep(time.Minute)
				after := tried()
				if after < 2 || after > 1000 {
					t.Errorf("the farewell was tried %d times", after)
				}
				time.Sleep(time.Hour)
				if n := tried(); n != after {
					t.Errorf("the farewell was tried %d times within a minute, and %d times after that", after, n-after)
				}
				s.mu.Lock()
				s.farewell = serve
				s.mu.Unlock()
				finishOne(t, c, s)
				synctest.Wait()
				if n := tried() - after; n < farewellsMin {
					t.Errorf("%d farewells to the next session, too few to forget 16 Ki answers", n)
				}
			})
		})
	}
}

func TestCloseDoesNotWaitForAFarewell(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 2)
		defer w.close()
		s := &slowly{farewell: swallow}
		w.doors[0].deed, w.doors[1].deed = s.deed, s.deed
		c := w.open()
		finishOne(t, c, s)
		synctest.Wait()
		if w.doors[0].farewells()+w.doors[1].farewells() != 1 {
			t.Fatal("no farewell is under way")
		}
		begun := time.Now()
		mustClose(t, c) // the bubble sees whether a goroutine is left
		if took := time.Since(begun); took > 0 {
			t.Errorf("the client was closed after %v", took)
		}
		if _, err := quorate.Ask(t.Context(), c, kv.Get{Key: "k"}); err == nil {
			t.Error("a closed client answers")
		}
	})
}

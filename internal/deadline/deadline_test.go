package deadline_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/deadline"
)

// early is by how much a deadline may come early.
func early(timeout time.Duration) time.Duration { return timeout / 64 }

func TestCallsThatBeginCloseToEachOtherShareADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 5 * time.Second
		base, cancel := context.WithCancel(t.Context())
		defer cancel()
		var s deadline.Shared
		contexts := make(map[context.Context]bool)
		const calls = 1000
		for range calls {
			ctx, done := s.Within(base, timeout)
			contexts[ctx] = true
			ends, ok := ctx.Deadline()
			if left := time.Until(ends); !ok || left > timeout || left < timeout-early(timeout) {
				t.Fatalf("a call that begins has %v", left)
			}
			done()
			if ctx.Err() != nil {
				t.Fatalf("a call that is over ended those beside it: %v", ctx.Err())
			}
			time.Sleep(early(timeout) / 100)
		}
		// 10 times the time in which one is shared, in 8 places.
		if n := len(contexts); n > 11*8 {
			t.Errorf("%d calls made %d contexts", calls, n)
		}
	})
}

func TestDeadlineThatIsSharedEndsTheCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base, cancel := context.WithCancel(t.Context())
		var s deadline.Shared
		began := time.Now()
		late, _ := s.Within(base, time.Second)
		<-late.Done()
		if took := time.Since(began); took != time.Second || !errors.Is(late.Err(), context.DeadlineExceeded) {
			t.Errorf("after %v the context ended with %v", took, late.Err())
		}
		next, _ := s.Within(base, time.Second)
		if next.Err() != nil {
			t.Errorf("the call behind it begins with %v", next.Err())
		}
		cancel()
		if !errors.Is(next.Err(), context.Canceled) {
			t.Errorf("a caller that gave up leaves its calls with %v", next.Err())
		}
		synctest.Wait()
	})
}

func TestCallersUnderOtherContextsDoNotEndEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s deadline.Shared
		const callers = 100
		contexts, gaveUp := make([]context.Context, callers), make([]context.CancelFunc, callers)
		for i := range callers {
			var base context.Context
			base, gaveUp[i] = context.WithCancel(t.Context())
			var done context.CancelFunc
			contexts[i], done = s.Within(base, time.Second)
			defer done()
		}
		for i := range callers {
			gaveUp[i]()
			if !errors.Is(contexts[i].Err(), context.Canceled) {
				t.Fatalf("caller %d gave up, and its call goes on", i)
			}
			if i+1 < callers && contexts[i+1].Err() != nil {
				t.Fatalf("caller %d gave up, and with it ended the call of another", i)
			}
		}
	})
}

func TestCallThatSharesNothingIsOverWhenItReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s deadline.Shared
		first, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range 200 { // all places
			s.Within(first, time.Second)
		}
		other, cancel := context.WithCancel(t.Context())
		defer cancel()
		ctx, done := s.Within(other, time.Second)
		done()
		if ctx.Err() == nil {
			t.Error("the context of a call that shares it with nobody stays")
		}
	})
}

func BenchmarkWithin(b *testing.B) {
	base, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.Run("shared", func(b *testing.B) {
		var s deadline.Shared
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, done := s.Within(base, 5*time.Second)
				done()
			}
		})
	})
	b.Run("own", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, done := context.WithTimeout(base, 5*time.Second)
				done()
			}
		})
	})
}

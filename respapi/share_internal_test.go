package respapi

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestCallsThatBeginCloseToEachOtherShareADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 5 * time.Second
		base, cancel := context.WithCancel(t.Context())
		defer cancel()
		var s shares
		contexts := make(map[context.Context]bool)
		const calls = 1000
		for range calls {
			ctx := s.begin(base, 1, timeout)
			contexts[ctx] = true
			deadline, ok := ctx.Deadline()
			if left := time.Until(deadline); !ok || left > timeout || left < timeout-timeout/shareMax {
				t.Fatalf("a call that begins has %v", left)
			}
			time.Sleep(timeout / shareMax / 10)
		}
		if n := len(contexts); n > calls/9 {
			t.Errorf("%d calls made %d contexts", calls, n)
		}
	})
}

func TestDeadlineThatIsSharedEndsTheCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base, cancel := context.WithCancel(t.Context())
		var s shares
		began := time.Now()
		late := s.begin(base, 1, time.Second)
		<-late.Done()
		if took := time.Since(began); took != time.Second || !errors.Is(late.Err(), context.DeadlineExceeded) {
			t.Errorf("after %v the context ended with %v", took, late.Err())
		}
		next := s.begin(base, 1, time.Second)
		if next.Err() != nil {
			t.Errorf("the call behind it begins with %v", next.Err())
		}
		cancel()
		if !errors.Is(next.Err(), context.Canceled) {
			t.Errorf("a server that ends leaves its calls with %v", next.Err())
		}
		synctest.Wait()
	})
}

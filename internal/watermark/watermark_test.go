package watermark_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/watermark"
)

func TestWaitReturnsWhenTheMarkGetsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mark watermark.Mark
		got := make(chan uint64, 3)
		for _, want := range []uint64{3, 5, 5} {
			go func() {
				if err := mark.Wait(t.Context(), want); err != nil {
					t.Errorf("Wait(%d): %v", want, err)
				}
				got <- want
			}()
		}
		synctest.Wait()
		mark.Advance(2)
		synctest.Wait()
		if len(got) != 0 {
			t.Fatalf("%d waits ended at mark 2", len(got))
		}
		mark.Advance(4)
		synctest.Wait()
		if len(got) != 1 || <-got != 3 {
			t.Fatalf("at mark 4 exactly the wait for 3 should end")
		}
		mark.Advance(9)
		synctest.Wait()
		if len(got) != 2 {
			t.Fatalf("%d of 2 waits ended at mark 9", len(got))
		}
	})
}

func TestMarkNeverGoesBack(t *testing.T) {
	var mark watermark.Mark
	mark.Advance(7)
	mark.Advance(3)
	if got := mark.Index(); got != 7 {
		t.Fatalf("Index() = %d after Advance(7), Advance(3)", got)
	}
	if err := mark.Wait(t.Context(), 5); err != nil {
		t.Fatalf("Wait below the mark: %v", err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mark watermark.Mark
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := mark.Wait(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Wait = %v, want the deadline", err)
		}
	})
}

package peer_test

import (
	"context"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/peer"
)

// journal notes what happens on several goroutines.
type journal struct {
	mu     sync.Mutex
	events []string
}

func (j *journal) add(event string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, event)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.events, ", ")
}

func TestNewerLogConnectionWaitsForTheOlderOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var events journal
		b := w.mustStart(t, "b", func(p *peer.Port) {
			p.Handle(peer.Log, hold, func(ctx context.Context, _ peer.Member, body []byte, reply func([]byte, error)) {
				events.add("begin " + string(body))
				if strings.HasPrefix(string(body), "slow") {
					<-ctx.Done()
					time.Sleep(time.Second) // a handler that needs a while to stop
				}
				events.add("end " + string(body))
				reply(nil, nil)
			})
		})
		older := w.mustGreet(t, b, peer.Log, stranger())
		older.Write(peer.CallFrame(1, hold, []byte("slow 1")))
		older.Write(peer.CallFrame(2, hold, []byte("never"))) // queued behind it
		synctest.Wait()

		// Two more in quick succession: the third replaces the second, which
		// is still waiting for the first.
		second := w.mustGreet(t, b, peer.Log, stranger())
		second.Write(peer.CallFrame(1, hold, []byte("never either")))
		newest := w.mustGreet(t, b, peer.Log, stranger())
		newest.Write(peer.CallFrame(1, hold, []byte("new")))
		synctest.Wait()
		if got := events.String(); got != "begin slow 1" {
			t.Fatalf("while the older handler runs: %s", got)
		}
		if _, err := io.ReadAll(older); err != nil {
			t.Errorf("the older connection: %v, want its end", err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := events.String(); got != "begin slow 1, end slow 1, begin new, end new" {
			t.Errorf("events: %s", got)
		}
		if got := b.Stats().Served; got != 1 {
			t.Errorf("%d connections, want the newest only", got)
		}
	})
}

func TestOnlyLogConnectionsOfTheSameNodeReplaceEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.mustStart(t, "b")
		w.mustGreet(t, b, peer.Log, stranger())
		w.mustGreet(t, b, peer.Log, peer.Member{ID: "00000000000000fe", Addr: "x"})
		w.mustGreet(t, b, peer.Control, stranger())
		w.mustGreet(t, b, peer.Control, stranger())
		synctest.Wait()
		if got := b.Stats().Served; got != 4 {
			t.Errorf("%d connections, want 4", got)
		}
	})
}

func TestFramesOfTheOldConnectionNeverFollowThoseOfTheNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var newest atomic.Uint64
		b := w.mustStart(t, "b", func(p *peer.Port) {
			p.Handle(peer.Log, echo, func(_ context.Context, _ peer.Member, body []byte, reply func([]byte, error)) {
				time.Sleep(time.Millisecond) // slower than frames come, so that some always wait
				number := uint64(body[0])<<8 | uint64(body[1])
				if before := newest.Swap(number); number < before {
					t.Errorf("frame %d after %d", number, before)
				}
				reply(nil, nil)
			})
		})
		a := w.mustStart(t, "a")
		for i := range 2000 {
			a.Send(b.member, peer.Log, echo, []byte{byte(i >> 8), byte(i)}, func([]byte, error) {})
			switch {
			case i%100 == 50:
				w.network.Break("a", "b")
			case i%10 == 0:
				time.Sleep(3 * time.Millisecond)
			}
		}
		time.Sleep(time.Second)
		if got := newest.Load(); got != 1999 {
			t.Errorf("the last frame that arrived is %d", got)
		}
		if got := b.Stats().Served; got != 1 {
			t.Errorf("%d connections are left", got)
		}
	})
}

package peer_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/peer"
)

// holds takes calls and never answers them; block says how long it keeps the
// reader of the connection.
func holds(lane peer.Lane, block time.Duration) serve {
	return func(p *peer.Port) {
		p.Handle(lane, hold, func(ctx context.Context, _ peer.Member, _ []byte, reply func([]byte, error)) {
			select {
			case <-time.After(block):
				reply([]byte("at last"), nil)
			case <-ctx.Done():
			}
		})
	}
}

func TestSilentPeerIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", echoes(peer.Calls), func(p *peer.Port) {
			p.Handle(peer.Calls, hold, func(context.Context, peer.Member, []byte, func([]byte, error)) {})
		})
		time.AfterFunc(30*time.Second, func() { w.network.Cut("a", "b") })
		start := time.Now()
		_, err := a.Call(t.Context(), b.member, peer.Calls, hold, nil)
		took := time.Since(start) - 30*time.Second
		if sent(err) != "maybe" || !strings.Contains(err.Error(), "silent") {
			t.Errorf("Call = %v", err)
		}
		// The last pong came up to one interval before the cut; the check
		// runs once in an interval.
		if took < 8*time.Second || took > 12*time.Second {
			t.Errorf("given up %v after the cut", took)
		}
		time.Sleep(5 * time.Second)
		if got := b.Stats().Served; got != 0 {
			t.Errorf("the acceptor still holds %d connections", got)
		}
		w.network.Heal("a", "b")
		mustEcho(t, a, b, peer.Calls)
	})
}

func TestCutShorterThanDeadAfterIsSurvived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", echoes(peer.Calls))
		mustEcho(t, a, b, peer.Calls)
		w.network.Cut("a", "b")
		time.AfterFunc(7*time.Second, func() { w.network.Heal("a", "b") })
		mustEcho(t, a, b, peer.Calls)
		if got := a.Stats().Dials; got != 1 {
			t.Errorf("%d dials", got)
		}
	})
}

func TestOneWayCutIsNoticedAtBothEnds(t *testing.T) {
	for _, way := range [][2]string{{"a", "b"}, {"b", "a"}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			a, b := w.mustStart(t, "a"), w.mustStart(t, "b", echoes(peer.Calls))
			mustEcho(t, a, b, peer.Calls)
			w.network.CutOneWay(way[0], way[1])
			time.Sleep(13 * time.Second)
			if a.Stats().Connections != 0 {
				t.Errorf("cut %v: the dialler still has a connection", way)
			}
			time.Sleep(13 * time.Second)
			if b.Stats().Connections != 0 {
				t.Errorf("cut %v: the acceptor still has a connection", way)
			}
		})
	}
}

func TestAnswersMayTakeLongerThanDeadAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		// Not blocking the reader: the answer comes from elsewhere.
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", func(p *peer.Port) {
			p.Handle(peer.Calls, hold, func(_ context.Context, _ peer.Member, body []byte, reply func([]byte, error)) {
				time.AfterFunc(time.Duration(body[0])*time.Second, func() { reply(body, nil) })
			})
		})
		done := make(chan error, 60)
		for i := range 60 { // one answer each second, so that the dialler always hears something
			a.Send(b.member, peer.Calls, hold, []byte{byte(i + 1)}, func(_ []byte, err error) { done <- err })
		}
		for range 60 {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestHandlerThatBlocksForShortKeepsItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", holds(peer.Log, 8*time.Second))
		answer, err := a.Call(t.Context(), b.member, peer.Log, hold, nil)
		if string(answer) != "at last" || err != nil {
			t.Errorf("Call = %q, %v", answer, err)
		}
	})
}

func TestHandlerThatBlocksForeverLosesItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", holds(peer.Log, time.Hour), echoes(peer.Log))
		start := time.Now()
		_, err := a.Call(t.Context(), b.member, peer.Log, hold, nil)
		if sent(err) != "maybe" || time.Since(start) > 12*time.Second {
			t.Errorf("Call = %v after %v", err, time.Since(start))
		}
		mustEcho(t, a, b, peer.Log) // the newer connection ends the blocked handler
	})
}

func TestAcceptorThatDoesNotReadFailsTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := w.mustStart(t, "a")
		liar := peer.Member{ID: peer.NewNodeID(), Addr: "liar"}
		l, err := w.network.Listen("liar")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			peer.ReadHello(conn)
			conn.Write(peer.Acceptance(peer.Accepted, w.cluster, liar.ID))
			for { // it talks but does not listen
				if _, err := conn.Write(peer.PongFrame()); err != nil {
					conn.Close()
					return
				}
				time.Sleep(time.Second)
			}
		}()
		start := time.Now()
		_, err = a.Call(t.Context(), liar, peer.Calls, echo, make([]byte, 4<<20))
		if sent(err) != "maybe" || time.Since(start) != 10*time.Second {
			t.Errorf("Call = %v after %v", err, time.Since(start))
		}
		time.Sleep(2 * time.Second) // the other end learns of it and stops
	})
}

func TestSlowButMovingConnectionIsNotDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := w.mustStart(t, "a")
		slow := peer.Member{ID: peer.NewNodeID(), Addr: "slow"}
		l, err := w.network.Listen("slow")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		body := make([]byte, 8<<20)
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			peer.ReadHello(conn)
			conn.Write(peer.Acceptance(peer.Accepted, w.cluster, slow.ID))
			left := int64(len(peer.CallFrame(1, echo, body)))
			for ; left > 0; left -= 128 << 10 { // 128 KiB/s: the frame takes a minute
				io.CopyN(io.Discard, conn, min(left, 128<<10))
				time.Sleep(time.Second)
			}
			conn.Write(peer.AnswerFrame(1, nil))
			io.Copy(io.Discard, conn)
		}()
		start := time.Now()
		if _, err := a.Call(t.Context(), slow, peer.Calls, echo, body); err != nil || time.Since(start) < time.Minute {
			t.Errorf("Call = %v after %v", err, time.Since(start))
		}
	})
}

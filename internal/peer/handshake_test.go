package peer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/peer"
)

// stranger is who dials by hand in these tests.
func stranger() peer.Member { return peer.Member{ID: "00000000000000ff", Addr: "x"} }

// mustDial connects from host x to a node, without a handshake.
func (w *world) mustDial(t testing.TB, to *node) net.Conn {
	t.Helper()
	conn, err := w.network.Host("x").Dial(t.Context(), to.member.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// mustGreet connects from host x to a node and passes the handshake.
func (w *world) mustGreet(t testing.TB, to *node, lane peer.Lane, from peer.Member) net.Conn {
	t.Helper()
	conn := w.mustDial(t, to)
	conn.Write(peer.Hello(lane, 1, w.cluster, from, to.member.ID))
	if status, _, _, err := peer.ReadAnswer(conn); status != peer.Accepted || err != nil {
		t.Fatalf("handshake: %s, %v", status, err)
	}
	return conn
}

func TestRefusalNamesBothIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", echoes(peer.Calls))
		other := peer.NewClusterID()
		otherNode := peer.NewNodeID()
		for _, c := range []struct {
			reason                   peer.Reason
			ours, theirs             peer.ClusterID
			wanted                   peer.NodeID
			inSentence, alsoSentence string
		}{
			{peer.WrongCluster, w.cluster, other, b.member.ID, w.cluster.String(), other.String()},
			{peer.NoCluster, w.cluster, peer.ClusterID{}, b.member.ID, w.cluster.String(), "cluster none"},
			{peer.WrongNode, w.cluster, w.cluster, otherNode, string(otherNode), string(b.member.ID)},
		} {
			a.cluster, b.cluster = c.ours, c.theirs
			to := peer.Member{ID: c.wanted, Addr: "b"}
			_, err := a.Call(t.Context(), to, peer.Calls, echo, nil)
			var refused *peer.Refused
			if !errors.As(err, &refused) || sent(err) != "unsent" {
				t.Errorf("%s: %v", c.reason, err)
				continue
			}
			want := peer.Refused{Reason: c.reason, Addr: "b", Cluster: c.theirs, Node: b.member.ID, WantedCluster: c.ours, WantedNode: c.wanted}
			if *refused != want {
				t.Errorf("got %+v, want %+v", *refused, want)
			}
			for _, part := range []string{c.reason.String(), c.inSentence, c.alsoSentence} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		}
		a.cluster, b.cluster = w.cluster, w.cluster
		mustEcho(t, a, b, peer.Calls)
		if a.Stats().RefusalsMet != 3 || b.Stats().RefusalsGiven != 3 {
			t.Errorf("%+v, %+v", a.Stats(), b.Stats())
		}
	})
}

func TestNodeWithoutClusterDialsOnlyProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", echoes(peer.Probe))
		a.cluster = peer.ClusterID{}
		var refused *peer.Refused
		_, err := a.Call(t.Context(), b.member, peer.Log, echo, nil)
		if !errors.As(err, &refused) || refused.Reason != peer.NoCluster || sent(err) != "unsent" {
			t.Errorf("Log: %v", err)
		}
		mustEcho(t, a, b, peer.Probe)
		a.cluster = peer.NewClusterID() // another one: Probe does not mind
		mustEcho(t, b, b, peer.Probe)   // nor does it mind who calls
		b.cluster = peer.ClusterID{}
		c := w.mustStart(t, "c")
		mustEcho(t, c, b, peer.Probe)
	})
}

func TestProbeServesNothingButProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", echoes(peer.Log))
		_, err := a.Call(t.Context(), b.member, peer.Probe, echo, nil)
		var remote *peer.RemoteError
		if !errors.As(err, &remote) || remote.Text != "kind 1 is not served on probe" {
			t.Errorf("Call = %v", err)
		}
	})
}

func TestWrongGroupAndWrongVersionAreToldApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.mustStart(t, "b")
		newer := peer.Hello(peer.Log, 1, w.cluster, stranger(), "")
		newer[4] = 2
		newer = append(newer, "and whatever else version 2 says"...)
		for want, hello := range map[peer.Reason][]byte{
			peer.WrongGroup:   peer.Hello(peer.Log, 2, w.cluster, stranger(), ""),
			peer.WrongVersion: newer,
		} {
			conn := w.mustDial(t, b)
			conn.Write(hello)
			status, cluster, node, err := peer.ReadAnswer(conn)
			if status != want || cluster != w.cluster || node != b.member.ID || err != nil {
				t.Errorf("%s, want %s; cluster %s, node %s, %v", status, want, cluster, node, err)
			}
			conn.Close()
		}
	})
}

func TestDiallerDoesNotTrustTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := w.mustStart(t, "a")
		l, err := w.network.Listen("liar")
		if err != nil {
			t.Fatal(err)
		}
		liar := peer.Member{ID: peer.NewNodeID(), Addr: "liar"}
		other := peer.ClusterID{7}
		answers := []struct {
			bytes []byte
			want  peer.Reason
		}{
			{peer.Acceptance(peer.Accepted, other, liar.ID), peer.WrongCluster},
			{peer.Acceptance(peer.Accepted, w.cluster, a.member.ID), peer.WrongNode},
			{peer.Acceptance(peer.NotAccepting, w.cluster, liar.ID), peer.NotAccepting},
		}
		go func() {
			defer l.Close()
			for _, answer := range answers {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				peer.ReadHello(conn)
				conn.Write(answer.bytes)
				defer conn.Close()
			}
		}()
		for _, answer := range answers {
			_, err := a.Call(t.Context(), liar, peer.Control, echo, nil)
			var refused *peer.Refused
			if !errors.As(err, &refused) || refused.Reason != answer.want {
				t.Errorf("Call = %v, want %s", err, answer.want)
			}
		}
	})
}

func TestBytesOfAnotherProtocolGetNoAnswer(t *testing.T) {
	broken := peer.Hello(peer.Log, 1, peer.ClusterID{1}, stranger(), "")
	broken[20] ^= 1
	unknownLane := peer.Hello(peer.Lane(77), 1, peer.ClusterID{1}, stranger(), "")
	nameless := peer.Hello(peer.Log, 1, peer.ClusterID{1}, peer.Member{Addr: "x"}, "")
	for name, said := range map[string][]byte{
		"http":         []byte("GET / HTTP/1.1\r\nHost: b\r\n\r\n"),
		"redis":        []byte("*1\r\n$4\r\nPING\r\n"),
		"zeros":        make([]byte, 1000),
		"broken":       broken,
		"unknown lane": unknownLane,
		"no node id":   nameless,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.cluster = peer.ClusterID{1}
				b := w.mustStart(t, "b")
				conn := w.mustDial(t, b)
				start := time.Now()
				conn.Write(said)
				if answer, err := io.ReadAll(conn); len(answer) > 0 || time.Since(start) != 0 {
					t.Errorf("answer %q, %v after %v", answer, err, time.Since(start))
				}
				if got := b.Stats(); got.Strangers != 1 || got.FramesIn != 0 || got.Served != 0 {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

func TestSilentAndSlowStrangersAreClosedAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.mustStart(t, "b")
		start := time.Now()
		silent, slow := w.mustDial(t, b), w.mustDial(t, b)
		var dribble sync.WaitGroup
		defer dribble.Wait()
		dribble.Go(func() {
			for _, c := range peer.Hello(peer.Log, 1, w.cluster, stranger(), "") {
				if _, err := slow.Write([]byte{c}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		for _, conn := range []net.Conn{silent, slow} {
			if answer, err := io.ReadAll(conn); len(answer) > 0 || time.Since(start) != 5*time.Second {
				t.Errorf("answer %q, %v after %v", answer, err, time.Since(start))
			}
		}
	})
}

func TestDiallerGivesUpOnASilentAcceptor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := w.mustStart(t, "a")
		l, err := w.network.Listen("silent") // its backlog takes the connection
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		start := time.Now()
		_, err = a.Call(t.Context(), peer.Member{Addr: "silent"}, peer.Calls, echo, nil)
		if sent(err) != "unsent" || time.Since(start) != 5*time.Second {
			t.Errorf("Call = %v after %v", err, time.Since(start))
		}
	})
}

func TestEndOfTheContextEndsTheHandshakeOfAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := w.mustStart(t, "a")
		l, err := w.network.Listen("silent") // its backlog takes the connection
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err = a.Stream(ctx, peer.Member{Addr: "silent"}, upload, nil, strings.NewReader("x"))
		if sent(err) != "unsent" || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("Stream = %v after %v", err, time.Since(start))
		}
	})
}

func TestCloseEndsAHandshakeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b")
		l, err := w.network.Listen("silent")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		w.mustDial(t, b)
		result := make(chan error, 1)
		go func() {
			_, err := a.Call(t.Context(), peer.Member{Addr: "silent"}, peer.Calls, echo, nil)
			result <- err
		}()
		synctest.Wait()
		start := time.Now()
		a.Close()
		b.Close()
		if err := <-result; sent(err) != "unsent" || !errors.Is(err, peer.ErrClosed) || time.Since(start) != 0 {
			t.Errorf("Call = %v after %v", err, time.Since(start))
		}
	})
}

func TestHandshakesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.mustStart(t, "b", echoes(peer.Calls))
		for range peer.HandshakesMax {
			w.mustDial(t, b)
			synctest.Wait()
		}
		start := time.Now()
		one := w.mustDial(t, b)
		if _, err := one.Read(make([]byte, 1)); err != io.EOF || time.Since(start) != 0 {
			t.Errorf("one above the limit: %v after %v", err, time.Since(start))
		}
		time.Sleep(6 * time.Second) // the silent ones are gone
		mustEcho(t, w.mustStart(t, "a"), b, peer.Calls)
		if got := b.Stats().Strangers; got != peer.HandshakesMax+1 {
			t.Errorf("%d strangers counted", got)
		}
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", echoes(peer.Calls))
		conns := make([]net.Conn, peer.ConnectionsMax)
		for i := range conns {
			conns[i] = w.mustGreet(t, b, peer.Calls, stranger())
		}
		_, err := a.Call(t.Context(), b.member, peer.Calls, echo, nil)
		var refused *peer.Refused
		if !errors.As(err, &refused) || refused.Reason != peer.NotAccepting || sent(err) != "unsent" {
			t.Errorf("one above the limit: %v", err)
		}
		conns[0].Close()
		synctest.Wait()
		mustEcho(t, a, b, peer.Calls)
	})
}

func TestFrameThatADiallerMayNotSendEndsTheConnection(t *testing.T) {
	broken := peer.CallFrame(1, echo, []byte("hello"))
	broken[20] ^= 1
	for name, c := range map[string]struct {
		lane peer.Lane
		said []byte
	}{
		"answer":               {peer.Calls, peer.AnswerFrame(1, nil)},
		"pong":                 {peer.Calls, peer.PongFrame()},
		"chunk":                {peer.Calls, peer.ChunkFrame()},
		"checksum":             {peer.Calls, broken},
		"longer than its lane": {peer.Control, peer.CallFrame(1, echo, make([]byte, 64<<10+1))},
		"chunk first":          {peer.Bulk, peer.ChunkFrame()},
		"answer in a stream":   {peer.Bulk, append(peer.CallFrame(1, upload, nil), peer.AnswerFrame(1, nil)...)},
		"chunk after the end":  {peer.Bulk, bytes.Join([][]byte{peer.CallFrame(1, upload, nil), peer.EndFrame(), peer.ChunkFrame()}, nil)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				b := w.mustStart(t, "b", echoes(peer.Calls), func(p *peer.Port) {
					p.HandleStream(upload, func(ctx context.Context, _ peer.Member, _ []byte, body io.Reader) ([]byte, error) {
						<-ctx.Done()
						return nil, nil
					})
				})
				conn := w.mustGreet(t, b, c.lane, stranger())
				start := time.Now()
				conn.Write(c.said)
				if _, err := io.ReadAll(conn); time.Since(start) != 0 {
					t.Errorf("closed after %v, %v", time.Since(start), err)
				}
			})
		})
	}
}

func TestAnswerToNoCallEndsTheConnection(t *testing.T) {
	for name, said := range map[string][]byte{
		"a call never made": peer.AnswerFrame(9, nil),
		"ping":              peer.PingFrame(),
		"call":              peer.CallFrame(1, echo, nil),
	} {
		t.Run(name, func(t *testing.T) {
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
					defer conn.Close()
					peer.ReadHello(conn)
					conn.Write(peer.Acceptance(peer.Accepted, w.cluster, liar.ID))
					io.ReadFull(conn, peer.CallFrame(1, echo, nil))
					conn.Write(said)
					io.Copy(io.Discard, conn)
				}()
				start := time.Now()
				if _, err := a.Call(t.Context(), liar, peer.Calls, echo, nil); sent(err) != "maybe" || time.Since(start) != 0 {
					t.Errorf("Call = %v after %v", err, time.Since(start))
				}
			})
		})
	}
}

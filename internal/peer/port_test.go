package peer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/peer/memnet"
)

// The kinds of the tests.
const (
	echo peer.Kind = iota + 1
	fail
	hold
	upload
	whoami
)

// world is a network with nodes of one cluster.
type world struct {
	network *memnet.Network
	cluster peer.ClusterID
}

func newWorld() *world {
	return &world{network: memnet.New(), cluster: peer.NewClusterID()}
}

// node is one port and who it says it is.
type node struct {
	*peer.Port
	member  peer.Member
	cluster peer.ClusterID
	log     *bytes.Buffer
}

// serve gives a port its handlers.
type serve func(p *peer.Port)

// echoes answers each call with its body.
func echoes(lane peer.Lane) serve {
	return func(p *peer.Port) {
		p.Handle(lane, echo, func(_ context.Context, _ peer.Member, body []byte, reply func([]byte, error)) { reply(body, nil) })
	}
}

// mustStart starts a node at the address. It is closed with the test.
func (w *world) mustStart(t testing.TB, addr string, with ...serve) *node {
	t.Helper()
	return w.mustStartAs(t, peer.Member{ID: peer.NewNodeID(), Addr: addr}, with...)
}

// mustStartAs starts a node that has an id already.
func (w *world) mustStartAs(t testing.TB, member peer.Member, with ...serve) *node {
	t.Helper()
	l, err := w.network.Listen(member.Addr)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{member: member, cluster: w.cluster, log: new(bytes.Buffer)}
	n.Port = peer.New(peer.Config{
		Listener: l,
		Dial:     w.network.Host(member.Addr).Dial,
		Group:    1,
		Self:     func() (peer.ClusterID, peer.Member) { return n.cluster, n.member },
		Log:      slog.New(slog.NewTextHandler(n.log, nil)),
	})
	for _, serve := range with {
		serve(n.Port)
	}
	n.Start()
	t.Cleanup(func() { n.Close() })
	return n
}

// mustEcho makes one call that must succeed.
func mustEcho(t testing.TB, from, to *node, lane peer.Lane) {
	t.Helper()
	answer, err := from.Call(t.Context(), to.member, lane, echo, []byte("hello"))
	if err != nil || string(answer) != "hello" {
		t.Fatalf("Call = %q, %v", answer, err)
	}
}

// sent says what an error tells about the call: it never left, it may have
// arrived, or it was answered.
func sent(err error) string {
	var remote *peer.RemoteError
	switch {
	case err == nil, errors.As(err, &remote):
		return "answered"
	case errors.Is(err, peer.ErrUnsent):
		return "unsent"
	default:
		return "maybe"
	}
}

func TestCallGetsItsAnswerOnEveryLane(t *testing.T) {
	for _, lane := range []peer.Lane{peer.Log, peer.Control, peer.Calls, peer.Probe} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			a, b := w.mustStart(t, "a"), w.mustStart(t, "b", echoes(lane))
			mustEcho(t, a, b, lane)
			mustEcho(t, a, b, lane)
			if got := b.Stats(); got.Served != 1 || a.Stats().Dials != 1 {
				t.Errorf("two calls on %s: %+v", lane, got)
			}
		})
	}
}

func TestHandlerLearnsWhoCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := w.mustStart(t, "a")
		b := w.mustStart(t, "b", func(p *peer.Port) {
			p.Handle(peer.Calls, whoami, func(_ context.Context, from peer.Member, _ []byte, reply func([]byte, error)) {
				reply([]byte(from.String()), nil)
			})
		})
		answer, err := a.Call(t.Context(), b.member, peer.Calls, whoami, nil)
		if err != nil || string(answer) != a.member.String() {
			t.Fatalf("Call = %q, %v", answer, err)
		}
	})
}

func TestErrorOfAHandlerTravelsAsText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := w.mustStart(t, "a")
		b := w.mustStart(t, "b", echoes(peer.Calls), func(p *peer.Port) {
			p.Handle(peer.Calls, fail, func(_ context.Context, _ peer.Member, _ []byte, reply func([]byte, error)) {
				reply(nil, errors.New("no such queue"))
				reply([]byte("a second reply"), nil)
			})
			p.Handle(peer.Control, whoami, func(_ context.Context, _ peer.Member, _ []byte, reply func([]byte, error)) {
				reply(make([]byte, 64<<10+1), nil)
			})
		})
		for _, c := range []struct {
			lane peer.Lane
			kind peer.Kind
			want string
		}{
			{peer.Calls, fail, "no such queue"},
			{peer.Calls, 99, "kind 99 is not served on calls"},
			{peer.Control, echo, "kind 1 is not served on control"},
			{peer.Control, whoami, "the answer has 65537 bytes, limit 65536"},
		} {
			_, err := a.Call(t.Context(), b.member, c.lane, c.kind, nil)
			var remote *peer.RemoteError
			if !errors.As(err, &remote) || remote.Text != c.want || remote.From != b.member || errors.Is(err, peer.ErrUnsent) {
				t.Errorf("kind %d on %s: %v, want %q", c.kind, c.lane, err, c.want)
			}
		}
		mustEcho(t, a, b, peer.Calls) // the connection survived them all
	})
}

func TestAnswersInAnyOrderFindTheirCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers = 50
		w := newWorld()
		a := w.mustStart(t, "a")
		var waiting []func()
		b := w.mustStart(t, "b", func(p *peer.Port) {
			p.Handle(peer.Calls, hold, func(_ context.Context, _ peer.Member, body []byte, reply func([]byte, error)) {
				waiting = append(waiting, func() { reply(append([]byte("re: "), body...), nil) })
				if len(waiting) == callers {
					for i := range waiting {
						waiting[i*37%callers]() // neither in order nor in reverse
					}
				}
			})
		})
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() {
				answer, err := a.Call(t.Context(), b.member, peer.Calls, hold, fmt.Append(nil, i))
				if want := fmt.Sprint("re: ", i); string(answer) != want || err != nil {
					t.Errorf("Call = %q, %v, want %q", answer, err, want)
				}
			})
		}
		all.Wait()
		if got := a.Stats().Dials; got != 1 {
			t.Errorf("%d dials for callers that start together", got)
		}
	})
}

func TestSendKeepsTheOrderOfItsCallsAlsoWhileDialling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sends = 2000
		w := newWorld()
		a := w.mustStart(t, "a")
		var arrived []string
		b := w.mustStart(t, "b", func(p *peer.Port) {
			p.Handle(peer.Log, echo, func(_ context.Context, _ peer.Member, body []byte, reply func([]byte, error)) {
				arrived = append(arrived, string(body))
				reply(body, nil)
			})
		})
		var answered []string
		done := make(chan struct{})
		body := make([]byte, 0, 16)
		for i := range sends {
			body = fmt.Append(body[:0], i) // Send copies: the memory may be used again
			err := a.Send(b.member, peer.Log, echo, body, func(body []byte, err error) {
				if err != nil {
					t.Errorf("done: %v", err)
				}
				if answered = append(answered, string(body)); len(answered) == sends {
					close(done)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		<-done
		for i := range sends {
			if want := fmt.Sprint(i); arrived[i] != want || answered[i] != want {
				t.Fatalf("place %d: arrived %s, answered %s", i, arrived[i], answered[i])
			}
		}
	})
}

func TestEverySendIsDoneOnce(t *testing.T) {
	for name, end := range map[string]func(w *world, a, b *node){
		"connection breaks": func(w *world, _, _ *node) { w.network.Break("a", "b") },
		"caller closes":     func(_ *world, a, _ *node) { a.Close() },
		"target closes":     func(_ *world, _, b *node) { b.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				a, b := w.mustStart(t, "a"), w.mustStart(t, "b", func(p *peer.Port) {
					p.Handle(peer.Log, hold, func(context.Context, peer.Member, []byte, func([]byte, error)) {})
				})
				var dones []string
				for i := range 10 {
					err := a.Send(b.member, peer.Log, hold, nil, func(_ []byte, err error) {
						dones = append(dones, fmt.Sprint(i, " ", sent(err)))
					})
					if err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				end(w, a, b)
				synctest.Wait()
				if want := "0 maybe,1 maybe,2 maybe,3 maybe,4 maybe,5 maybe,6 maybe,7 maybe,8 maybe,9 maybe"; strings.Join(dones, ",") != want {
					t.Errorf("done: %v", dones)
				}
			})
		})
	}
}

func TestCallToADeadPortIsUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := w.mustStart(t, "a")
		nobody := peer.Member{ID: peer.NewNodeID(), Addr: "b"}
		_, err := a.Call(t.Context(), nobody, peer.Calls, echo, nil)
		if sent(err) != "unsent" || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Call = %v", err)
		}
		_, err = a.Stream(t.Context(), nobody, upload, nil, strings.NewReader("x"))
		if sent(err) != "unsent" || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Stream = %v", err)
		}
		// Send learns of it later, and then just as surely.
		result := make(chan error, 1)
		if err := a.Send(nobody, peer.Log, echo, nil, func(_ []byte, err error) { result <- err }); err != nil {
			t.Fatal(err)
		}
		if err := <-result; sent(err) != "unsent" || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Send: %v", err)
		}
		if got := a.Stats(); got.Dials != 3 || got.DialsFailed != 3 || got.Connections != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestCallThatCannotBeDialledInTimeIsUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", echoes(peer.Calls))
		w.network.Cut("a", "b")
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := a.Call(ctx, b.member, peer.Calls, echo, nil)
		if sent(err) != "unsent" || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("Call = %v after %v", err, time.Since(start))
		}
		_, err = a.Call(t.Context(), b.member, peer.Calls, echo, nil)
		if sent(err) != "unsent" || time.Since(start) != 2*time.Second {
			t.Errorf("Call = %v after %v, want the dial timeout", err, time.Since(start))
		}
		if got := a.Stats().Dials; got != 1 {
			t.Errorf("%d dials, want one that both calls share", got)
		}
		w.network.Heal("a", "b")
		mustEcho(t, a, b, peer.Calls)
	})
}

func TestCallWhoseContextEndedBeforeIsUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", echoes(peer.Calls))
		mustEcho(t, a, b, peer.Calls)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := a.Call(ctx, b.member, peer.Calls, echo, nil); sent(err) != "unsent" || !errors.Is(err, context.Canceled) {
			t.Errorf("Call = %v", err)
		}
	})
}

func TestCallOnABrokenConnectionMayHaveArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := w.mustStart(t, "a")
		b := w.mustStart(t, "b", func(p *peer.Port) {
			p.Handle(peer.Calls, hold, func(context.Context, peer.Member, []byte, func([]byte, error)) {})
		}, echoes(peer.Calls))
		result := make(chan error, 1)
		go func() {
			_, err := a.Call(t.Context(), b.member, peer.Calls, hold, nil)
			result <- err
		}()
		synctest.Wait()
		start := time.Now()
		w.network.Break("a", "b")
		if err := <-result; sent(err) != "maybe" || time.Since(start) != 0 {
			t.Errorf("Call = %v after %v", err, time.Since(start))
		}
		mustEcho(t, a, b, peer.Calls) // the next call dials anew
	})
}

func TestCallWhoseContextEndsMayHaveArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := w.mustStart(t, "a")
		var late func([]byte, error)
		b := w.mustStart(t, "b", echoes(peer.Calls), func(p *peer.Port) {
			p.Handle(peer.Calls, hold, func(_ context.Context, _ peer.Member, _ []byte, reply func([]byte, error)) { late = reply })
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := a.Call(ctx, b.member, peer.Calls, hold, nil)
		if sent(err) != "maybe" || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Call = %v", err)
		}
		synctest.Wait()
		late([]byte("too late"), nil)
		mustEcho(t, a, b, peer.Calls)
		if got := a.Stats().Dials; got != 1 {
			t.Errorf("%d dials: a late answer must not end the connection", got)
		}
	})
}

func TestRestartedTargetIsDialledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", echoes(peer.Calls))
		mustEcho(t, a, b, peer.Calls)
		b.Close()
		synctest.Wait()
		if _, err := a.Call(t.Context(), b.member, peer.Calls, echo, nil); sent(err) != "unsent" {
			t.Errorf("Call = %v", err)
		}
		b = w.mustStartAs(t, b.member, echoes(peer.Calls))
		mustEcho(t, a, b, peer.Calls)
	})
}

func TestFrameAboveTheLimitOfItsLaneNeverLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", echoes(peer.Log))
		most := make([]byte, 12<<20)
		if answer, err := a.Call(t.Context(), b.member, peer.Log, echo, most); err != nil || len(answer) != len(most) {
			t.Fatalf("12 MiB: %d, %v", len(answer), err)
		}
		if _, err := a.Call(t.Context(), b.member, peer.Log, echo, append(most, 0)); sent(err) != "unsent" {
			t.Errorf("12 MiB + 1: %v", err)
		}
		if err := a.Send(b.member, peer.Log, echo, append(most, 0), nil); sent(err) != "unsent" {
			t.Errorf("12 MiB + 1: %v", err)
		}
	})
}

func TestFullQueueRefusesAsUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", echoes(peer.Log))
		w.network.Cut("a", "b") // the dial hangs, frames wait
		var accepted, failed int
		var full error
		for full == nil {
			full = a.Send(b.member, peer.Log, echo, make([]byte, 12<<20), func(_ []byte, err error) {
				if sent(err) == "unsent" {
					failed++
				}
			})
			if full == nil {
				accepted++
			}
		}
		if sent(full) != "unsent" || !strings.Contains(full.Error(), "busy") || accepted != 5 {
			t.Errorf("after %d x 12 MiB: %v", accepted, full)
		}
		time.Sleep(3 * time.Second) // the dial times out
		synctest.Wait()
		if failed != accepted {
			t.Errorf("%d of %d queued calls failed as unsent", failed, accepted)
		}
	})
}

func TestCallsWithoutAnswerAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		replies := make(chan func([]byte, error), 64<<10)
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", echoes(peer.Calls), func(p *peer.Port) {
			p.Handle(peer.Calls, hold, func(_ context.Context, _ peer.Member, _ []byte, reply func([]byte, error)) { replies <- reply })
		})
		var answered atomic.Int64
		for range cap(replies) {
			if err := a.Send(b.member, peer.Calls, hold, nil, func([]byte, error) { answered.Add(1) }); err != nil {
				t.Fatal(err)
			}
		}
		err := a.Send(b.member, peer.Calls, hold, nil, nil)
		if sent(err) != "unsent" || !strings.Contains(err.Error(), "busy") {
			t.Errorf("one above the limit: %v", err)
		}
		synctest.Wait()
		for range cap(replies) {
			(<-replies)(nil, nil)
		}
		synctest.Wait()
		if int(answered.Load()) != cap(replies) {
			t.Errorf("%d of %d are answered", answered.Load(), cap(replies))
		}
		mustEcho(t, a, b, peer.Calls)
	})
}

func TestAcceptorLetsAtMostSoManyCallsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 64 << 10
		w := newWorld()
		var served atomic.Int64
		replies := make(chan func([]byte, error), 2*most)
		b := w.mustStart(t, "b", func(p *peer.Port) {
			p.Handle(peer.Calls, hold, func(_ context.Context, _ peer.Member, _ []byte, reply func([]byte, error)) {
				served.Add(1)
				replies <- reply
			})
		})
		conn := w.mustGreet(t, b, peer.Calls, stranger()) // a dialler without manners
		for id := range uint64(most + 100) {
			conn.Write(peer.CallFrame(id+1, hold, nil))
		}
		synctest.Wait()
		if served.Load() != most {
			t.Errorf("%d calls wait, want %d", served.Load(), most)
		}
		for range 100 {
			(<-replies)(nil, nil)
		}
		synctest.Wait()
		if served.Load() != most+100 {
			t.Errorf("%d calls were served after 100 replies", served.Load())
		}
	})
}

func TestCallNobodyWaitsForDoesNotKeepItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", func(p *peer.Port) {
			p.Handle(peer.Calls, hold, func(context.Context, peer.Member, []byte, func([]byte, error)) {})
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Call(ctx, b.member, peer.Calls, hold, nil); sent(err) != "maybe" {
			t.Errorf("Call = %v", err)
		}
		time.Sleep(65 * time.Second)
		if got := a.Stats().Connections; got != 0 {
			t.Errorf("%d connections are left", got)
		}
	})
}

// moody is a listener whose Accept fails first.
type moody struct {
	net.Listener
	failures []error
}

func (l *moody) Accept() (net.Conn, error) {
	if len(l.failures) > 0 {
		err := l.failures[0]
		l.failures = l.failures[1:]
		return nil, err
	}
	return l.Listener.Accept()
}

func TestAcceptGoesOnAfterAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		l, err := w.network.Listen("b")
		if err != nil {
			t.Fatal(err)
		}
		b := &node{member: peer.Member{ID: peer.NewNodeID(), Addr: "b"}}
		b.Port = peer.New(peer.Config{
			Listener: &moody{l, []error{syscall.EMFILE, syscall.EMFILE, syscall.EMFILE}},
			Group:    1,
			Self:     func() (peer.ClusterID, peer.Member) { return w.cluster, b.member },
		})
		echoes(peer.Calls)(b.Port)
		b.Start()
		defer b.Close()
		start := time.Now()
		mustEcho(t, w.mustStart(t, "a"), b, peer.Calls)
		if took := time.Since(start); took != 35*time.Millisecond { // 5 + 10 + 20
			t.Errorf("the pauses took %v", took)
		}
	})
}

func TestIdleConnectionIsGivenUpAndDialledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", echoes(peer.Calls))
		mustEcho(t, a, b, peer.Calls)
		time.Sleep(30 * time.Second)
		mustEcho(t, a, b, peer.Calls)
		time.Sleep(59 * time.Second)
		if a.Stats().Connections != 1 || b.Stats().Connections != 1 {
			t.Errorf("after 59 s without a call: %+v, %+v", a.Stats(), b.Stats())
		}
		time.Sleep(5 * time.Second)
		if a.Stats().Connections != 0 || b.Stats().Connections != 0 {
			t.Errorf("after 64 s without a call: %+v, %+v", a.Stats(), b.Stats())
		}
		mustEcho(t, a, b, peer.Calls)
	})
}

func TestCloseEndsHandlersCallsAndEveryGoroutine(t *testing.T) {
	// The bubble itself fails the test if a goroutine is left behind.
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		blocking := func(p *peer.Port) {
			p.Handle(peer.Log, hold, func(ctx context.Context, _ peer.Member, _ []byte, reply func([]byte, error)) {
				<-ctx.Done()
				reply(nil, ctx.Err())
			})
			p.HandleStream(upload, func(ctx context.Context, _ peer.Member, _ []byte, body io.Reader) ([]byte, error) {
				_, err := io.Copy(io.Discard, body)
				return nil, err
			})
		}
		a, b := w.mustStart(t, "a", blocking), w.mustStart(t, "b", blocking)
		endless, writer := io.Pipe()
		var all sync.WaitGroup
		for _, pair := range [][2]*node{{a, b}, {b, a}} {
			all.Go(func() {
				if _, err := pair[0].Call(t.Context(), pair[1].member, peer.Log, hold, nil); sent(err) != "maybe" {
					t.Errorf("Call = %v", err)
				}
			})
		}
		all.Go(func() {
			if _, err := a.Stream(t.Context(), b.member, upload, nil, endless); sent(err) != "maybe" || !errors.Is(err, peer.ErrClosed) {
				t.Errorf("Stream = %v", err)
			}
		})
		synctest.Wait()
		a.Close()
		writer.Close()
		all.Wait()
		if got := a.Stats(); got.Connections != 0 || got.Served != 0 {
			t.Errorf("after Close: %+v", got)
		}
		_, err := a.Call(t.Context(), b.member, peer.Log, hold, nil)
		if sent(err) != "unsent" || !errors.Is(err, peer.ErrClosed) {
			t.Errorf("Call after Close = %v", err)
		}
	})
}

func TestPanicOfAHandlerEndsItsConnectionOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := w.mustStart(t, "a")
		b := w.mustStart(t, "b", echoes(peer.Control), func(p *peer.Port) {
			p.Handle(peer.Calls, fail, func(context.Context, peer.Member, []byte, func([]byte, error)) { panic("no such luck") })
			p.HandleStream(upload, func(context.Context, peer.Member, []byte, io.Reader) ([]byte, error) { panic("nor here") })
		})
		mustEcho(t, a, b, peer.Control)
		if _, err := a.Call(t.Context(), b.member, peer.Calls, fail, nil); sent(err) != "maybe" {
			t.Errorf("Call = %v", err)
		}
		if _, err := a.Stream(t.Context(), b.member, upload, nil, strings.NewReader("x")); sent(err) != "maybe" {
			t.Errorf("Stream = %v", err)
		}
		mustEcho(t, a, b, peer.Control)
		if got := a.Stats().Dials; got != 3 {
			t.Errorf("%d dials: the other lane must not notice", got)
		}
		b.Close()
		for _, want := range []string{"no such luck", "nor here", "port_test.go"} {
			if !strings.Contains(b.log.String(), want) {
				t.Errorf("the log does not say %q:\n%s", want, b.log)
			}
		}
	})
}

func TestPortsTalkOverTCP(t *testing.T) {
	a, b := mustStartTCP(t), mustStartTCP(t, echoes(peer.Calls), func(p *peer.Port) {
		p.HandleStream(upload, func(_ context.Context, _ peer.Member, _ []byte, body io.Reader) ([]byte, error) {
			n, err := io.Copy(io.Discard, body)
			return fmt.Append(nil, n), err
		})
	})
	mustEcho(t, a, b, peer.Calls)
	answer, err := a.Stream(t.Context(), b.member, upload, nil, io.LimitReader(zeros{}, 20<<20))
	if err != nil || string(answer) != fmt.Sprint(20<<20) {
		t.Errorf("Stream = %s, %v", answer, err)
	}
	b.Close()
	if _, err := a.Call(t.Context(), b.member, peer.Calls, echo, nil); err == nil {
		t.Error("Call to a closed port succeeds")
	}
}

// zeros is an endless reader.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// mustStartTCP starts a node on a loopback port.
func mustStartTCP(t testing.TB, with ...serve) *node {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{member: peer.Member{ID: peer.NewNodeID(), Addr: l.Addr().String()}, cluster: peer.ClusterID{1}}
	n.Port = peer.New(peer.Config{
		Listener: l,
		Self:     func() (peer.ClusterID, peer.Member) { return n.cluster, n.member },
	})
	for _, serve := range with {
		serve(n.Port)
	}
	n.Start()
	t.Cleanup(func() { n.Close() })
	return n
}

func BenchmarkRoundTrip(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			from, to := mustStartTCP(b), mustStartTCP(b, echoes(peer.Calls))
			mustEcho(b, from, to, peer.Calls)
			body := make([]byte, 128)
			var all sync.WaitGroup
			var calls atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			for range callers {
				all.Go(func() {
					for calls.Add(1) <= int64(b.N) {
						if _, err := from.Call(b.Context(), to.member, peer.Calls, echo, body); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
		})
	}
}

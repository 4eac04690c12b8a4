package peer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/peer"
)

// silent takes calls and does not answer them.
func silent(lane peer.Lane) serve {
	return func(p *peer.Port) {
		p.Handle(lane, hold, func(context.Context, peer.Member, []byte, func([]byte, error)) {})
	}
}

// What Call returns reaches people who know nothing of kinds and lanes.
func TestErrorOfACallSaysInWordsWhoWasAskedAndWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := w.mustStart(t, "a")
		b := w.mustStartAs(t, peer.Member{ID: "00000000000000bb", Addr: "b"}, silent(peer.Calls), func(p *peer.Port) {
			p.Handle(peer.Control, fail, func(_ context.Context, _ peer.Member, _ []byte, reply func([]byte, error)) {
				reply(nil, errors.New("no such index"))
			})
		})
		call := func(to peer.Member, meanwhile func()) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			got := make(chan error, 1)
			go func() {
				_, err := a.Call(ctx, to, peer.Calls, hold, nil)
				got <- err
			}()
			synctest.Wait()
			meanwhile()
			return <-got
		}
		nothing := func() {}
		_, refused := a.Call(t.Context(), b.member, peer.Control, fail, nil)
		if want := "node 00000000000000bb at b answers: no such index"; refused == nil || refused.Error() != want {
			t.Errorf("a handler that fails: %v, want %s", refused, want)
		}
		for _, c := range []struct {
			name string
			err  error
			is   error
			want string
		}{
			{"no answer in time", call(b.member, nothing), context.DeadlineExceeded,
				"no answer from node 00000000000000bb at b in time; what was asked may have arrived"},
			{"any node is meant", call(peer.Member{Addr: "b"}, nothing), context.DeadlineExceeded,
				"no answer from the node at b in time; what was asked may have arrived"},
			{"the other side closes", call(b.member, func() { b.Close() }), io.EOF,
				"no answer from node 00000000000000bb at b: the connection was closed; what was asked may have arrived"},
			{"nobody is there", call(b.member, nothing), peer.ErrUnsent,
				"ask node 00000000000000bb at b: not sent: dial b: "},
			{"this side is closed", call(b.member, func() { a.Close() }), peer.ErrUnsent, "not sent: "},
		} {
			if c.err == nil || !strings.Contains(c.err.Error(), c.want) || !errors.Is(c.err, c.is) {
				t.Errorf("%s: %v, want %s", c.name, c.err, c.want)
			}
			if strings.Contains(c.err.Error(), "kind") || strings.Contains(c.err.Error(), "lane") {
				t.Errorf("%s: %v tells what only developers know", c.name, c.err)
			}
		}
	})
}

// fields is the keys and values of one line of a JSON log. It fails where a
// key stands twice.
func fields(t *testing.T, line string) map[string]string {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(line))
	decoder.Token() // {
	found := make(map[string]string)
	for decoder.More() {
		key, _ := decoder.Token()
		value, _ := decoder.Token()
		text, ok := value.(string)
		if _, twice := found[key.(string)]; twice || !ok {
			t.Fatalf("%s stands twice or is no text (%v) in %s", key, value, line)
		}
		found[key.(string)] = text
	}
	return found
}

func TestRefusalIsLoggedInWordsWithEachKeyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		l, err := w.network.Listen("b")
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		self := peer.Member{ID: "00000000000000bb", Addr: "b"}
		port := peer.New(peer.Config{
			Listener: l, Group: 1,
			Self: func() (peer.ClusterID, peer.Member) { return peer.ClusterID{1}, self },
			Log:  slog.New(slog.NewJSONHandler(&log, nil)).With("node", "00000000000000bb"),
		})
		port.Start()
		conn, err := w.network.Host("x").Dial(t.Context(), "b")
		if err != nil {
			t.Fatal(err)
		}
		conn.Write(peer.Hello(peer.Log, 1, peer.ClusterID{2}, stranger(), "00000000000000cc"))
		if status, _, _, err := peer.ReadAnswer(conn); status != peer.WrongCluster || err != nil {
			t.Fatalf("the answer is %s, %v", status, err)
		}
		conn.Close()
		port.Close()

		got := fields(t, log.String())
		for key, want := range map[string]string{
			"level": "INFO", "msg": "peer port: refused", "node": "00000000000000bb", "reason": "wrong cluster", "lane": "log",
			"from": "node 00000000000000ff at x", "of_cluster": "02000000000000000000000000000000", "wanted": "00000000000000cc",
		} {
			if got[key] != want {
				t.Errorf("%s is %q, want %q", key, got[key], want)
			}
		}
	})
}

func TestKindOfACallThatFailedIsInTheDebugLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		port := peer.New(peer.Config{
			Self: func() (peer.ClusterID, peer.Member) { return peer.ClusterID{1}, stranger() },
			Dial: newWorld().network.Host("x").Dial,
			Log:  slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		defer port.Close()
		if _, err := port.Call(t.Context(), peer.Member{Addr: "nowhere"}, peer.Control, hold, nil); err == nil {
			t.Fatal("a call to nowhere succeeded")
		}
		if want := `to="the node at nowhere" lane=control kind=3 `; !strings.Contains(log.String(), want) {
			t.Errorf("the log says %s", &log)
		}
	})
}

func TestHandlerThatGivesUpBecauseItsPortClosesGivesNoAnswer(t *testing.T) {
	for range 20 { // whether the answer or the close comes first is up to the scheduler
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			a := w.mustStart(t, "a")
			b := w.mustStart(t, "b", func(p *peer.Port) {
				p.Handle(peer.Calls, hold, func(ctx context.Context, _ peer.Member, _ []byte, reply func([]byte, error)) {
					<-ctx.Done()
					reply(nil, ctx.Err())
				})
			})
			got := make(chan error, 1)
			go func() {
				_, err := a.Call(t.Context(), b.member, peer.Calls, hold, nil)
				got <- err
			}()
			synctest.Wait()
			b.Close()
			if err := <-got; sent(err) != "maybe" {
				t.Errorf("Call = %v", err)
			}
		})
	}
}

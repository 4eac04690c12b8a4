package office_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/examples/guide/queue"
	"github.com/quorate/quorate/examples/guide/queue/office"
	"github.com/quorate/quorate/node"
)

func mustListen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestOfficeServesItsPagesAndTheTickets(t *testing.T) {
	web, redis, peer := mustListen(t), mustListen(t), mustListen(t)
	peer.Close() // the node opens it
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- office.Serve(ctx, web, redis, node.Config{
			Dir: t.TempDir(), Peer: peer.Addr().String(), ElectionTimeout: 50 * time.Millisecond,
		})
	}()
	defer func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	home := "http://" + web.Addr().String()
	if got := mustPost(t, home+"/visa", "application/x-www-form-urlencoded", url.Values{"name": {"ann"}}.Encode()); got != "ticket 1\n" {
		t.Errorf("the page of the office answers %q", got)
	}
	if got := mustPost(t, home+"/api/take", "application/json", `{"queue":"visa"}`); !strings.HasPrefix(got, `{"value":2,`) {
		t.Errorf("the door on the mux of the office answers %s", got)
	}
	for range 2 { // the second is a retry
		called, err := office.Call(t.Context(), "desk-4/1", redis.Addr().String())
		if called.Number != 1 || called.Name != "ann" || err != nil {
			t.Errorf("a desk in another process calls %+v, %v", called, err)
		}
	}
	if called, err := office.Call(t.Context(), "desk-4/2", redis.Addr().String()); called.Number != 2 || err != nil {
		t.Errorf("and then %+v, %v", called, err)
	}
	if called, err := office.Call(t.Context(), "desk-4/3", redis.Addr().String()); called != (queue.Called{}) || err != nil {
		t.Errorf("and when nobody waits %+v, %v", called, err)
	}
}

func mustPost(t *testing.T, url, kind, body string) string {
	t.Helper()
	answer, err := http.Post(url, kind, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/httpapi"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/node"
	"github.com/quorate/quorate/respapi"
)

func TestDoorsStandOnAMuxAndAListenerOfTheProgram(t *testing.T) {
	peer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := peer.Close(); err != nil { // the node takes its address
		t.Fatal(err)
	}
	n, err := node.Open(t.Context(), kv.Service, node.Config{Dir: t.TempDir(), Peer: peer.Addr().String(), ElectionTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /mine", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "my own page") })
	door := httpapi.New(httpapi.Config{Service: kv.Service, Executor: n, Status: func(ctx context.Context) any { return n.Status(ctx) }, Ready: n.Ready})
	mux.Handle("/counted/", http.StripPrefix("/counted", door.Handler()))
	web := httptest.NewServer(mux)
	defer web.Close()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	redis := respapi.New(respapi.Config{Service: kv.Service, Executor: n})
	served := make(chan error, 1)
	go func() { served <- redis.Serve(listener) }()

	if body := fetch(t, http.MethodGet, web.URL+"/mine", ""); body != "my own page" {
		t.Errorf("the page of the program is %q", body)
	}
	var answer struct{ Value int64 }
	if body := fetch(t, http.MethodPost, web.URL+"/counted/inc", `{"key":"home"}`); json.Unmarshal([]byte(body), &answer) != nil || answer.Value != 1 {
		t.Errorf("the HTTP door below a path answers %s", body)
	}
	c, err := client.Dial(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if seen, err := quorate.Do(t.Context(), c, kv.Inc{Key: "home", By: 1}); err != nil || seen != 2 {
		t.Errorf("the Redis door on a listener of the program answers %d, %v", seen, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := redis.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func fetch(t *testing.T, method, url, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }() // read to its end
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

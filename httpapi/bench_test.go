package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/httpapi"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/values"
)

// BenchmarkDoor is what the door costs from the bytes of a request to those of
// its answer, on a connection that stays open, where the call costs nothing.
func BenchmarkDoor(b *testing.B) {
	for _, request := range []struct {
		path, body string
		value      quorate.Value
	}{
		{"/put", `{"key":"k:000000012345","value":"12345678"}`, quorate.Value{}},
		{"/inc", `{"key":"k:000000012345","value":1}`, values.Int(7)},
		{"/get", `{"key":"k:000000012345"}`, values.Bytes("12345678")},
	} {
		b.Run(request.path[1:], func(b *testing.B) {
			c := mustConnect(b, request.value)
			packet := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
				request.path, len(request.body), request.body)
			answer := mustAsk(b, c, packet)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := io.WriteString(c, packet); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, answer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// mustConnect connects to a door behind which each call comes to a value.
func mustConnect(t testing.TB, value quorate.Value) net.Conn {
	t.Helper()
	s := httpapi.New(httpapi.Config{
		Service: kv.Service,
		Executor: memory.Func(func(context.Context, []quorate.Call) []quorate.Reply {
			return []quorate.Reply{{Value: value, Index: 123456}}
		}),
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	c, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close() // all that it said was checked
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return c
}

// mustAsk sends a request and reads its answer, and returns as many bytes. The
// answer to the same request has as many again.
func mustAsk(t testing.TB, c net.Conn, packet string) []byte {
	t.Helper()
	if _, err := io.WriteString(c, packet); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4<<10)
	n := 0
	for !strings.HasSuffix(string(answer[:n]), "}\n") {
		more, err := c.Read(answer[n:])
		if err != nil {
			t.Fatalf("the answer is %q: %v", answer[:n], err)
		}
		n += more
	}
	if !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 200 OK\r\n") {
		t.Fatalf("the answer is %q", answer[:n])
	}
	return answer[:n]
}

package differ

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/quorate/quorate/internal/resp"
)

// bent is a redis-server with a bug: what clients send goes through bend.
func bent(t *testing.T, redis server, bend func(resp.Call) resp.Call) server {
	t.Helper()
	dir, err := os.MkdirTemp("", "differ")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, "bent"))
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			running.Go(func() { serveBent(client, redis, bend) })
		}
	})
	return server{name: "with a bug", addrs: []net.Addr{listener.Addr()}}
}

// serveBent is one connection. It ends when either side ends it.
func serveBent(client net.Conn, redis server, bend func(resp.Call) resp.Call) {
	defer client.Close()
	upstream, err := redis.dial(0)
	if err != nil {
		return // the client sees that it is closed
	}
	var back sync.WaitGroup
	defer back.Wait()
	defer upstream.Close()
	back.Go(func() {
		_, _ = io.Copy(client, upstream)
		client.Close()
	})
	reader := resp.NewReader(client, resp.LimitsAfter(func([]byte) bool { return true }))
	for {
		calls, err := reader.Read()
		if err != nil {
			return
		}
		var out []byte
		for _, c := range calls {
			c = bend(c)
			out = resp.AppendCall(out, string(c[0]), c[1:]...)
		}
		if _, err := upstream.Write(out); err != nil {
			return
		}
	}
}

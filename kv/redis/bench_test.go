package redis_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/internal/resp"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/kv/redis"
	"github.com/quorate/quorate/respapi"
	"github.com/quorate/quorate/values"
)

// usual is the commands that most callers send, with what they are answered to a
// value that is nothing, a text or a number.
var usual = []struct {
	name   string
	args   []string
	value  quorate.Value
	answer string
}{
	{"SET", []string{"key", "12345678"}, quorate.Value{}, "+OK\r\n"},
	{"GET", []string{"key"}, values.Bytes("12345678"), "$8\r\n12345678\r\n"},
	{"INCR", []string{"key"}, values.Int(12345678), ":12345678\r\n"},
}

// BenchmarkDoor is what the door costs from the bytes of a command to those of
// its answer, where the calls cost nothing.
func BenchmarkDoor(b *testing.B) {
	for _, u := range usual {
		for _, pipeline := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/pipeline=%d", u.name, pipeline), func(b *testing.B) {
				c := mustConnect(b, u.value)
				packet := bytes.Repeat(packetOf(u.name, u.args...), pipeline)
				answers := make([]byte, pipeline*len(u.answer))
				b.ReportAllocs()
				b.ResetTimer()
				for done := 0; done < b.N; done += pipeline {
					mustExchange(b, c, packet, answers)
				}
			})
		}
	}
}

// packetOf is a command as a client sends it.
func packetOf(name string, args ...string) []byte {
	list := make([][]byte, len(args))
	for i, arg := range args {
		list[i] = []byte(arg)
	}
	return resp.AppendCall(nil, name, list...)
}

// mustConnect connects to a door behind which each call comes to a value.
func mustConnect(t testing.TB, value quorate.Value) net.Conn {
	t.Helper()
	replies := make([]quorate.Reply, 1024)
	s := respapi.New(respapi.Config{
		Service: kv.Service, Table: redis.Table(),
		Executor: memory.Func(func(_ context.Context, calls []quorate.Call) []quorate.Reply {
			for i := range calls {
				replies[i] = quorate.Reply{Value: value}
			}
			return replies[:len(calls)]
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

// mustExchange sends a packet and reads as many bytes as answers has.
func mustExchange(t testing.TB, c net.Conn, packet, answers []byte) {
	t.Helper()
	if _, err := c.Write(packet); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, answers); err != nil {
		t.Fatal(err)
	}
}

package respapi_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/respapi"
)

// pipelined sends a call so many times at once, and waits for all answers.
func pipelined(b *testing.B, on func() quorate.Executor, call []byte, answerBytes int) {
	for _, calls := range []int{1, 16, 512} {
		b.Run(fmt.Sprintf("pipeline=%d", calls), func(b *testing.B) {
			_, address := mustServe(b, respapi.Config{Executor: on()})
			c, err := net.Dial("tcp", address)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			packet := bytes.Repeat(call, calls)
			answers := make([]byte, calls*answerBytes)
			b.ReportAllocs()
			b.ResetTimer()
			for done := 0; done < b.N; done += calls {
				if _, err := c.Write(packet); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, answers); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// inMemory is the state in memory, which costs more than the door.
func inMemory() quorate.Executor { return memory.New(notes) }

// nothing is an executor that does nothing.
func nothing() quorate.Executor {
	return memory.Func(func(_ context.Context, calls []quorate.Call) []quorate.Reply {
		return make([]quorate.Reply, len(calls))
	})
}

// BenchmarkPing is what a command of the door costs.
func BenchmarkPing(b *testing.B) { pipelined(b, nothing, callBytes("PING"), len("+PONG\r\n")) }

// BenchmarkCall is what the door costs for a command that is a call.
func BenchmarkCall(b *testing.B) {
	pipelined(b, nothing, callBytes("SET", "key", "0123456789abcdef"), len("+OK\r\n"))
}

// BenchmarkSet is a write to a state in memory.
func BenchmarkSet(b *testing.B) {
	pipelined(b, inMemory, callBytes("SET", "key", "0123456789abcdef"), len("+OK\r\n"))
}

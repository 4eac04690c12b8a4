package resp_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/resp"
)

// endless delivers the same packet again and again, each time with one read.
type endless struct{ packet []byte }

func (e endless) Read(p []byte) (int, error) { return copy(p, e.packet), nil }

// sets is a pipeline of n SETs of 16 byte keys and values of so many bytes.
func sets(n, valueBytes int) []byte {
	var packet []byte
	value := bytes.Repeat([]byte("v"), valueBytes)
	for i := range n {
		packet = resp.AppendCall(packet, "SET", fmt.Appendf(nil, "key:%012d", i), value)
	}
	return packet
}

// warm reads until the reader takes a whole packet at once.
func warm(b *testing.B, r *resp.Reader, calls int) {
	b.Helper()
	for range 100 {
		got, err := r.Read()
		if err != nil {
			b.Fatal(err)
		}
		if len(got) == calls {
			return
		}
	}
	b.Fatal("it never takes a whole pipeline")
}

func BenchmarkReadCalls(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("sets=%d", n), func(b *testing.B) {
			packet := sets(n, 16)
			var source io.Reader = &endless{packet}
			if n == 100 {
				// The first reads are smaller than the packet.
				source = io.MultiReader(bytes.NewReader(sets(1000, 16)), source)
			}
			r := resp.NewReader(source, after())
			warm(b, r, n)
			b.SetBytes(int64(len(packet)))
			b.ReportAllocs()
			for b.Loop() {
				if calls, err := r.Read(); err != nil || len(calls) != n {
					b.Fatal(len(calls), err)
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

func BenchmarkReadLargeCall(b *testing.B) {
	packet := sets(1, 1<<20-64)
	data := bytes.NewReader(packet)
	r := resp.NewReader(data, after())
	b.SetBytes(int64(len(packet)))
	b.ReportAllocs()
	for b.Loop() {
		data.Reset(packet)
		if calls, err := r.Read(); err != nil || len(calls) != 1 {
			b.Fatal(len(calls), err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	replies := []resp.Value{resp.SimpleValue("OK"), resp.IntValue(123456), resp.BulkValue(strings.Repeat("v", 16)),
		{}, resp.DoubleValue(0.1), resp.MapValue(resp.BulkValue("k"), resp.IntValue(1))}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = dst[:0]
		for _, v := range replies {
			dst = resp.Append(dst, resp.RESP3, v)
		}
	}
	b.SetBytes(int64(len(dst)))
	b.ReportMetric(float64(len(replies)*b.N)/b.Elapsed().Seconds(), "replies/s")
}

func BenchmarkReadReplies(b *testing.B) {
	for name, reply := range map[string]resp.Value{
		"simple": resp.SimpleValue("OK"), "int": resp.IntValue(123456), "bulk": resp.BulkValue(strings.Repeat("v", 16)),
	} {
		b.Run(name, func(b *testing.B) {
			packet := bytes.Repeat(resp.Append(nil, resp.RESP2, reply), 100)
			data := bytes.NewReader(packet)
			r := resp.NewReplyReader(data, resp.DefaultReplyLimits())
			b.ReportAllocs()
			for b.Loop() {
				data.Reset(packet)
				for range 100 {
					if v, err := r.Read(); err != nil || !v.Equal(reply) {
						b.Fatal(v, err)
					}
				}
			}
			b.ReportMetric(float64(100*b.N)/b.Elapsed().Seconds(), "replies/s")
		})
	}
}

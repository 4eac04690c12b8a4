package fill_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/quorate/quorate/bench/internal/fill"
	"github.com/quorate/quorate/internal/resp"
)

// door is a server that keeps all calls which it got.
type door struct {
	addr  string
	mu    sync.Mutex // guards calls
	calls [][]string
}

// openDoor answers every call with what answer says; with nothing if that is
// empty. It ends with the test.
func openDoor(t *testing.T, answer func(call []string) string) *door {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	d := &door{addr: listener.Addr().String()}
	go func() {
		for {
			wire, err := listener.Accept()
			if err != nil {
				return
			}
			go d.serve(wire, answer)
		}
	}()
	return d
}

func (d *door) serve(wire net.Conn, answer func(call []string) string) {
	defer wire.Close()
	calls := resp.NewReader(wire, resp.Limits{Calls: 1000, CallBytes: 1 << 20, BulkBytes: 1 << 20, Arguments: 1000})
	for {
		pipeline, err := calls.Read()
		if err != nil {
			return
		}
		for _, call := range pipeline {
			var words []string
			for _, word := range call {
				words = append(words, string(word))
			}
			d.mu.Lock()
			d.calls = append(d.calls, words)
			d.mu.Unlock()
			if _, err := wire.Write([]byte(answer(words))); err != nil {
				return
			}
		}
	}
}

// kept is the calls that it has got.
func (d *door) kept() [][]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.calls)
}

func well([]string) string { return "+OK\r\n" }

func numbered(number int) []byte { return fmt.Appendf(nil, "value %d", number) }

func TestEachKeyIsStoredOnceWithItsValue(t *testing.T) {
	for _, together := range []int{0, 1, 7} {
		d := openDoor(t, well)
		// More than a pipeline for each connection if keys go one by one.
		load := fill.Load{First: 500, Keys: 5000, Key: "k:%06d", Value: numbered, Together: together}
		if err := fill.RESP(t.Context(), d.addr, load); err != nil {
			t.Fatal(err)
		}
		stored := make(map[string]string)
		for _, call := range d.kept() {
			keys := (len(call) - 1) / 2
			name := "SET"
			if keys > 1 {
				name = "MSET"
			}
			if call[0] != name || keys > max(1, together) {
				t.Errorf("%d together: a call is %q", together, call)
			}
			for pair := range slices.Chunk(call[1:], 2) {
				if _, twice := stored[pair[0]]; twice {
					t.Errorf("%d together: %s is stored twice", together, pair[0])
				}
				stored[pair[0]] = pair[1]
			}
		}
		if len(stored) != load.Keys {
			t.Errorf("%d together: %d keys are stored, want %d", together, len(stored), load.Keys)
		}
		for number := load.First; number < load.First+load.Keys; number++ {
			if got, want := stored[fmt.Sprintf(load.Key, number)], fmt.Sprintf("value %d", number); got != want {
				t.Fatalf("%d together: key %d has %q, want %q", together, number, got, want)
			}
		}
	}
}

func TestOneErrorEndsItAndIsTold(t *testing.T) {
	d := openDoor(t, func(call []string) string {
		if slices.Contains(call, "k:77") {
			return "-OOM no room\r\n"
		}
		return "+OK\r\n"
	})
	err := fill.RESP(t.Context(), d.addr, fill.Load{Keys: 1000, Key: "k:%d", Value: numbered, Together: 3})
	if err == nil || !strings.Contains(err.Error(), "OOM no room") {
		t.Errorf("one of the answers was an error, and it returned %v", err)
	}
}

func TestEndOfItsContextEndsItWithoutAnAnswer(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	tired := errors.New("tired of waiting")
	d := openDoor(t, func([]string) string {
		cancel(tired)
		return ""
	})
	if err := fill.RESP(ctx, d.addr, fill.Load{Keys: 100, Key: "k:%d", Value: numbered}); !errors.Is(err, tired) {
		t.Errorf("it returned %v", err)
	}
}

package respapi_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/respapi"
)

// pipes is a listener whose connections are pipes, for tests in virtual time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newPipes() *pipes {
	closed := make(chan struct{})
	return &pipes{conns: make(chan net.Conn), closed: closed, close: sync.OnceFunc(func() { close(closed) })}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.close()
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// dial connects a client.
func (p *pipes) dial(t testing.TB) *talker {
	client, server := net.Pipe()
	p.conns <- server
	t.Cleanup(func() { _ = client.Close() })
	return newTalker(t, client)
}

// bubble runs a test in virtual time against a door, which it shuts down. No
// goroutine may be left then.
func bubble(t *testing.T, config respapi.Config, test func(t *testing.T, server *respapi.Server, listener *pipes)) {
	t.Helper()
	config.Service, config.Table = notes, mustTable(t)
	synctest.Test(t, func(t *testing.T) {
		if config.Executor == nil {
			config.Executor = memory.New(notes)
		}
		server, listener := respapi.New(config), newPipes()
		served := make(chan error, 1)
		go func() { served <- server.Serve(listener) }()
		test(t, server, listener)
		if err := server.Shutdown(t.Context()); err != nil {
			t.Errorf("shut down: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

// ended says after how long the server closed the connection, within a day.
func (c *talker) ended() (time.Duration, bool) {
	begin := time.Now()
	_ = c.SetReadDeadline(begin.Add(24 * time.Hour))
	_, err := c.Read(make([]byte, 1))
	return time.Since(begin), errors.Is(err, io.EOF)
}

func TestCallMustArriveInTime(t *testing.T) {
	bubble(t, respapi.Config{}, func(t *testing.T, _ *respapi.Server, listener *pipes) {
		c := listener.dial(t)
		c.mustAnswer("PING", "+PONG")
		time.Sleep(time.Hour)
		for _, piece := range []string{"*1\r\n", "$4\r\n", "PI"} {
			_, _ = io.WriteString(c, piece)
			time.Sleep(9 * time.Second)
		}
		_, _ = io.WriteString(c, "NG\r\n")
		if got := show(c.read()); got != "+PONG" {
			t.Errorf("what came within 30 s is answered %s", got)
		}
		for range 29 {
			_, _ = io.WriteString(c, "x")
			time.Sleep(time.Second)
		}
		if after, ok := c.ended(); !ok || after != time.Second {
			t.Errorf("what did not come within 30 s is closed %v later (%v), want 1s", after, ok)
		}
	})
}

func TestCallThatBreaksTheSilenceMustArriveInTimeToo(t *testing.T) {
	bubble(t, respapi.Config{}, func(t *testing.T, _ *respapi.Server, listener *pipes) {
		for _, silence := range []time.Duration{0, 100 * time.Millisecond, time.Minute} {
			c := listener.dial(t)
			time.Sleep(silence)
			_, _ = io.WriteString(c, "*")
			if after, ok := c.ended(); !ok || after != 30*time.Second {
				t.Errorf("after a silence of %v it is closed %v later (%v), want 30s", silence, after, ok)
			}
		}
	})
}

func TestSilentClientMayStay(t *testing.T) {
	bubble(t, respapi.Config{}, func(t *testing.T, _ *respapi.Server, listener *pipes) {
		c := listener.dial(t)
		for range 3 {
			if after, ok := c.ended(); ok {
				t.Fatalf("closed after %v", after)
			}
			c.mustAnswer("PING", "+PONG")
		}
	})
}

func TestSilentClientOfTLSMayStay(t *testing.T) {
	serverTLS, clientTLS := mustCertify(t)
	clientTLS.InsecureSkipVerify = true // virtual time is before the certificate
	bubble(t, respapi.Config{TLS: serverTLS}, func(t *testing.T, _ *respapi.Server, listener *pipes) {
		plain := listener.dial(t)
		c := newTalker(t, tls.Client(plain.Conn, clientTLS))
		for range 3 {
			c.mustAnswer("PING", "+PONG")
			time.Sleep(time.Hour)
		}
		_, _ = io.WriteString(c, "*1\r\n$4\r\nPI")
		time.Sleep(29 * time.Second)
		_, _ = io.WriteString(c, "NG\r\n")
		if got := show(c.read()); got != "+PONG" {
			t.Errorf("answered %s", got)
		}
	})
}

func TestSilentClientIsClosedIfSoConfigured(t *testing.T) {
	bubble(t, respapi.Config{IdleTimeout: time.Minute}, func(t *testing.T, _ *respapi.Server, listener *pipes) {
		c := listener.dial(t)
		time.Sleep(59 * time.Second)
		c.mustAnswer("PING", "+PONG")
		c.mustAnswer("CONFIG GET timeout", "*2 $7 timeout $2 60")
		if after, ok := c.ended(); !ok || after < time.Minute || after > time.Minute+time.Second {
			t.Errorf("closed after %v (%v), want 60 to 61s", after, ok)
		}
	})
}

func TestClientThatDoesNotReadIsClosed(t *testing.T) {
	bubble(t, respapi.Config{}, func(t *testing.T, _ *respapi.Server, listener *pipes) {
		other := listener.dial(t)
		other.call("SET", "large", strings.Repeat("x", 600<<10))
		other.read()
		// Answers of 600 KiB are more than what waits for the end of a pipeline.
		for _, pipeline := range []string{"PING", strings.TrimSpace(strings.Repeat("GET large\r\n", 20))} {
			c := listener.dial(t)
			c.mustAnswer("PING", "+PONG")
			time.Sleep(time.Minute)
			c.send(pipeline)
			begin := time.Now()
			for {
				other.send("INFO clients")
				if strings.Contains(other.read().Text(), "connected_clients:1\r\n") {
					break
				}
				time.Sleep(time.Second)
			}
			if after := time.Since(begin); after < 29*time.Second || after > 31*time.Second {
				t.Errorf("%.9s: closed after %v, want 30s", pipeline, after)
			}
		}
	})
}

func TestClientThatDoesNotGreetInTLSIsClosed(t *testing.T) {
	bubble(t, respapi.Config{TLS: new(tls.Config)}, func(t *testing.T, _ *respapi.Server, listener *pipes) {
		c := listener.dial(t)
		if after, ok := c.ended(); !ok || after != 10*time.Second {
			t.Errorf("closed after %v (%v), want 10s", after, ok)
		}
	})
}

// blocked is an executor that answers when it is let, or when the time is up.
type blocked struct {
	begun, let chan struct{}
}

func (b *blocked) Execute(ctx context.Context, calls []quorate.Call) []quorate.Reply {
	b.begun <- struct{}{}
	replies := make([]quorate.Reply, len(calls))
	select {
	case <-b.let:
	case <-ctx.Done():
		for i := range replies {
			replies[i].Err = &quorate.Error{Code: quorate.Unavailable, Message: "the time is up", Outcome: quorate.Unknown}
		}
	}
	return replies
}

func newBlocked() *blocked { return &blocked{make(chan struct{}), make(chan struct{})} }

func TestCallTakesNoLongerThanItMay(t *testing.T) {
	on := newBlocked()
	bubble(t, respapi.Config{Executor: on, Timeout: 2 * time.Second}, func(t *testing.T, _ *respapi.Server, listener *pipes) {
		on.begun, on.let = make(chan struct{}, 10), make(chan struct{})
		c := listener.dial(t)
		begin := time.Now()
		c.mustAnswer("INCR a", "-UNKNOWN the time is up")
		if after := time.Since(begin); after != 2*time.Second {
			t.Errorf("answered after %v, want 2s", after)
		}
		c.mustAnswer("GET a", "-TRYAGAIN the time is up")
		begin = time.Now()
		c.call("QUORATE", "EXECUTE", "700", string(entry.AppendCalls(nil, []quorate.Call{{Name: "INC", Args: args("a")}})))
		c.read()
		if after := time.Since(begin); after != 700*time.Millisecond {
			t.Errorf("a frame is answered after %v, want 700ms", after)
		}
	})
}

func TestShutdownClosesWhatOwesNothingAndAwaitsTheRest(t *testing.T) {
	on := newBlocked()
	bubble(t, respapi.Config{Executor: on}, func(t *testing.T, server *respapi.Server, listener *pipes) {
		on.begun, on.let = make(chan struct{}), make(chan struct{})
		idle, fresh, partial, late, running := listener.dial(t), listener.dial(t), listener.dial(t), listener.dial(t), listener.dial(t)
		idle.mustAnswer("PING", "+PONG")
		_, _ = io.WriteString(partial, "*1\r\n$4\r\nPI")
		_, _ = io.WriteString(late, "*1\r\n")
		running.send("INCR a")
		<-on.begun
		synctest.Wait()

		begin := time.Now()
		done := make(chan time.Duration)
		go func() {
			if err := server.Shutdown(context.Background()); err != nil {
				t.Errorf("shut down: %v", err)
			}
			done <- time.Since(begin)
		}()
		for name, c := range map[string]*talker{"idle": idle, "fresh": fresh} {
			if after, ok := c.ended(); !ok || after != 0 {
				t.Errorf("%s is closed after %v (%v), want at once", name, after, ok)
			}
		}
		_, _ = io.WriteString(partial, "NG\r\n")
		if got := show(partial.read()); got != "+PONG" {
			t.Errorf("what was half there is answered %s", got)
		}
		if _, ok := partial.ended(); !ok || time.Since(begin) != 0 {
			t.Errorf("what was half there is closed after %v", time.Since(begin))
		}
		if _, ok := late.ended(); !ok || time.Since(begin) != time.Second {
			t.Errorf("what does not come is closed after %v, want 1s", time.Since(begin))
		}
		time.Sleep(time.Second)
		on.let <- struct{}{}
		if got := show(running.read()); got != "_" {
			t.Errorf("what was under way is answered %s", got)
		}
		if _, ok := running.ended(); !ok {
			t.Error("what was under way stays open")
		}
		if after := <-done; after != 2*time.Second {
			t.Errorf("it took %v, want 2s", after)
		}
	})
}

func TestShutdownEndsWhatRemainsWhenItsTimeIsUp(t *testing.T) {
	on := newBlocked()
	bubble(t, respapi.Config{Executor: on, Timeout: time.Minute}, func(t *testing.T, server *respapi.Server, listener *pipes) {
		on.begun, on.let = make(chan struct{}), make(chan struct{})
		c := listener.dial(t)
		c.send("INCR a")
		<-on.begun
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("shut down: %v", err)
		}
		if after := time.Since(begin); after != 3*time.Second {
			t.Errorf("it took %v, want 3s", after)
		}
	})
}

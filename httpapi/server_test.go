package httpapi_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/httpapi"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/values"
)

// pipes is a listener whose connections are pipes, so that time on them is
// that of a synctest bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.closed)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

// dial opens a connection.
func (p *pipes) dial(t testing.TB) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close() })
	p.conns <- theirs
	return ours
}

// mustServe serves kv through an executor until the test ends.
func mustServe(t testing.TB, on quorate.Executor) (*httpapi.Server, *pipes) {
	t.Helper()
	server := httpapi.New(httpapi.Config{Service: kv.Service, Executor: on})
	listener := &pipes{make(chan net.Conn), make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return server, listener
}

// request is a request for /inc in bytes.
func request(headers string) string {
	const body = `{"key":1}`
	return "POST /inc HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n" + headers + "\r\n" + body
}

// mustAnswer reads one answer from a connection.
func mustAnswer(t testing.TB, conn net.Conn) (status int, body string) {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("read the answer: %v", err)
	}
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("read the body of the answer: %v", err)
	}
	return response.StatusCode, string(content)
}

func TestSlowClientsAreCutOff(t *testing.T) {
	whole := request("")
	for _, c := range []struct {
		name, sends string
		after       time.Duration
		status      int // of the answer before the end; 0 for none
	}{
		{"in silence before the first request", "", 5 * time.Second, 0},
		{"within a header", whole[:40], 5 * time.Second, 400},
		{"within a body", whole[:len(whole)-2], 15 * time.Second, 400},
		{"between requests", whole, time.Minute, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				on := memory.New(kv.Service)
				_, listener := mustServe(t, on)
				start := time.Now()
				conn := listener.dial(t)
				if _, err := io.WriteString(conn, c.sends); err != nil {
					t.Fatal(err)
				}
				answer, err := io.ReadAll(conn)
				if err != nil {
					t.Fatal(err)
				}
				status := 0
				if response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(answer))), nil); err == nil {
					status = response.StatusCode
				}
				// net/http lingers for half a second behind an answer to a
				// request that it did not read to its end.
				if took := time.Since(start); took < c.after || took > c.after+time.Second {
					t.Errorf("the connection ended after %v, want %v", took, c.after)
				}
				if status != c.status {
					t.Errorf("status %d, want %d: %s", status, c.status, answer)
				}
				if calls := len(on.Calls); calls > 0 != (c.status == 200) {
					t.Errorf("%d calls reached the executor", calls)
				}
			})
		})
	}
}

func TestHeaderOverTheLimitIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := memory.New(kv.Service)
		_, listener := mustServe(t, on)
		conn := listener.dial(t)
		go func() {
			_, _ = io.WriteString(conn, request("X-Long: "+strings.Repeat("x", 32<<10)+"\r\n"))
		}()
		if status, _ := mustAnswer(t, conn); status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("status %d", status)
		}
		if len(on.Calls) > 0 {
			t.Error("the call reached the executor")
		}
	})
}

// The deadline for reading a request is shorter than the longest call, and
// must not end it.
func TestCallMayTakeAsLongAsItAsksFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended error
		_, listener := mustServe(t, memory.Func(func(ctx context.Context, _ []quorate.Call) []quorate.Reply {
			select {
			case <-time.After(59 * time.Second):
				return []quorate.Reply{{Value: values.Int(1), Index: 1}}
			case <-ctx.Done():
				ended = ctx.Err()
				return []quorate.Reply{{Err: quorate.Errorf(quorate.Unavailable, "%v", ctx.Err())}}
			}
		}))
		conn := listener.dial(t)
		if _, err := io.WriteString(conn, request("Quorate-Timeout: 60s\r\n")); err != nil {
			t.Fatal(err)
		}
		if status, body := mustAnswer(t, conn); status != 200 {
			t.Errorf("%d %s: the context ended with %v", status, body, ended)
		}
	})
}

func TestClientThatHangsUpEndsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		began := make(chan struct{})
		_, listener := mustServe(t, memory.Func(func(ctx context.Context, _ []quorate.Call) []quorate.Reply {
			close(began)
			<-ctx.Done()
			ended <- ctx.Err()
			return []quorate.Reply{{Err: quorate.Errorf(quorate.Unavailable, "%v", ctx.Err())}}
		}))
		conn := listener.dial(t)
		if _, err := io.WriteString(conn, request("")); err != nil {
			t.Fatal(err)
		}
		<-began
		start := time.Now()
		_ = conn.Close()
		if err := <-ended; !errors.Is(err, context.Canceled) || time.Since(start) > 0 {
			t.Errorf("the context ended with %v after %v", err, time.Since(start))
		}
	})
}

func TestShutdownAnswersWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := make(chan struct{})
		server, listener := mustServe(t, memory.Func(func(context.Context, []quorate.Call) []quorate.Reply {
			close(began)
			<-time.After(3 * time.Second)
			return []quorate.Reply{{Value: values.Int(1), Index: 1}}
		}))
		conn := listener.dial(t)
		if _, err := io.WriteString(conn, request("")); err != nil {
			t.Fatal(err)
		}
		<-began
		down := make(chan error, 1)
		go func() { down <- server.Shutdown(t.Context()) }()
		if status, _ := mustAnswer(t, conn); status != 200 {
			t.Errorf("status %d", status)
		}
		if err := <-down; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

func TestShutdownEndsWhatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := make(chan struct{})
		server, listener := mustServe(t, memory.Func(func(ctx context.Context, _ []quorate.Call) []quorate.Reply {
			close(began)
			<-ctx.Done()
			return []quorate.Reply{{Err: quorate.Errorf(quorate.Unavailable, "%v", ctx.Err())}}
		}))
		conn := listener.dial(t)
		if _, err := io.WriteString(conn, request("Quorate-Timeout: 60s\r\n")); err != nil {
			t.Fatal(err)
		}
		<-began
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		if rest, err := io.ReadAll(conn); len(rest) > 0 {
			t.Errorf("the client read %q, %v", rest, err)
		}
	})
}

func TestShutdownDoesNotWaitForClientsThatOweARequest(t *testing.T) {
	whole := request("")
	for name, sent := range map[string]string{
		"nothing": "", "half the headers": whole[:20], "half the body": whole[:len(whole)-3],
		"half a second request": whole + whole[:20],
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answer := make(chan struct{})
				server, listener := mustServe(t, memory.Func(func(context.Context, []quorate.Call) []quorate.Reply {
					<-answer
					return []quorate.Reply{{Value: values.Int(1), Index: 1}}
				}))
				slow, patient := listener.dial(t), listener.dial(t)
				go io.WriteString(slow, sent) // blocks if nobody reads the second request
				if _, err := io.WriteString(patient, whole); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if strings.HasPrefix(sent, whole) {
					answer <- struct{}{} // one of the two
				}
				time.AfterFunc(3*time.Second, func() { close(answer) })
				began := time.Now()
				down := make(chan error, 1)
				go func() { down <- server.Shutdown(t.Context()) }()
				if _, err := io.ReadAll(slow); err != nil || time.Since(began) > 3*time.Second {
					t.Errorf("the slow client was let go after %v, %v", time.Since(began), err)
				}
				if status, _ := mustAnswer(t, patient); status != 200 {
					t.Errorf("the patient client got status %d", status)
				}
				if err := <-down; err != nil || time.Since(began) > 4*time.Second {
					t.Errorf("it took %v, %v", time.Since(began), err)
				}
			})
		})
	}
}

func TestServeSaysWhyItEnded(t *testing.T) {
	server := httpapi.New(httpapi.Config{Service: kv.Service, Executor: memory.New(kv.Service)})
	listener := &pipes{make(chan net.Conn), make(chan struct{})}
	err := server.Serve(brokenListener{listener})
	if err == nil || !strings.Contains(err.Error(), "serve HTTP on pipes: the socket is gone") {
		t.Errorf("Serve: %v", err)
	}
}

// brokenListener accepts nothing.
type brokenListener struct{ net.Listener }

func (brokenListener) Accept() (net.Conn, error) { return nil, errors.New("the socket is gone") }

// While all places for large bodies are taken, small ones pass and one more
// large one waits until its time is up.
func TestLargeBodiesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		door := httpapi.New(httpapi.Config{
			Service: kv.Service,
			Executor: memory.Func(func(_ context.Context, calls []quorate.Call) []quorate.Reply {
				if len(calls[0].Args[1]) > 64<<10 {
					<-release
				}
				return []quorate.Reply{{Index: 1}}
			}),
		}).Handler()
		large := `{"key":1,"value":"` + strings.Repeat("x", 65<<10) + `"}`
		const places = 128
		done := make(chan int, places)
		for range places {
			go func() { done <- post(door, "/put", large).Code }()
		}
		synctest.Wait()
		start := time.Now()
		response := post(door, "/put", large)
		if response.Code != 503 || !strings.Contains(response.Body.String(), `"code":"overloaded","outcome":"not_applied"`) {
			t.Errorf("one more large body: %d %s", response.Code, response.Body)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("it waited %v", took)
		}
		if response := post(door, "/put", `{"key":1,"value":1}`); response.Code != 200 {
			t.Errorf("a small body: %d %s", response.Code, response.Body)
		}
		close(release)
		for range places {
			if code := <-done; code != 200 {
				t.Errorf("a large body: %d", code)
			}
		}
		if response := post(door, "/put", large); response.Code != 200 {
			t.Errorf("a large body behind them: %d %s", response.Code, response.Body)
		}
	})
}

func TestRefusalDoesNotWaitForTheBody(t *testing.T) {
	for _, head := range []string{
		"POST /put HTTP/1.1\r\nHost: here\r\nContent-Length: 200000000\r\nExpect: 100-continue\r\n\r\n",
		"POST /nope HTTP/1.1\r\nHost: here\r\nContent-Length: 200\r\nExpect: 100-continue\r\n\r\n",
		"POST /put HTTP/1.1\r\nHost: here\r\nContent-Length: 200\r\nExpect: 100-continue\r\nQuorate-Timeout: never\r\n\r\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			_, listener := mustServe(t, memory.New(kv.Service))
			conn := listener.dial(t)
			start := time.Now()
			if _, err := io.WriteString(conn, head); err != nil {
				t.Fatal(err)
			}
			status, _ := mustAnswer(t, conn)
			if took := time.Since(start); took > time.Second || status < 400 {
				t.Errorf("%q: answered %d after %v", head, status, took)
			}
		})
	}
}

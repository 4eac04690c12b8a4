package cli_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/httpapi"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/respapi"
	"github.com/quorate/quorate/values"
)

// protocols is what bench speaks.
var protocols = []string{"http", "resp", "go"}

// mustServeProto puts the door of a protocol before an executor.
func mustServeProto(t *testing.T, proto string, executor quorate.Executor) (addr string) {
	t.Helper()
	if proto != "http" {
		return mustServe(t, executor)
	}
	server := httptest.NewServer(httpapi.New(httpapi.Config{Service: kv.Service, Executor: executor}).Handler())
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// measured is what bench prints as JSON.
type measured struct {
	Proto, Mix, Loop  string
	Addrs, Missing    []string
	Clients, Pipeline int
	Answered          int64
	Rate              float64
	Failed            map[string]struct {
		Calls int64
		First string
	}
	Waiting, Backlog int64
	Latency          map[string]float64 `json:"latency_ms"`
	Interrupted      bool
	SLO              []struct {
		Objective, Measured string
		Met                 bool
	}
}

// calls is how many calls were meant to be made. A machine that stands still for
// more than a second lets some of them wait.
func (m measured) calls() (sum int64) {
	for _, f := range m.Failed {
		sum += f.Calls
	}
	return sum + m.Answered + m.Waiting
}

// bench runs the command, which must end with an exit code, and reads its JSON.
func bench(t *testing.T, exit int, args ...string) (m measured, errors string) {
	t.Helper()
	got := run(t, "", append([]string{"bench", "-o", "json", "--warmup", "0s"}, args...)...)
	if got.exit != exit {
		t.Fatalf("%s: exit %d, errors %q, output:\n%s", args, got.exit, got.log, got.out)
	}
	if err := json.Unmarshal([]byte(got.out), &m); err != nil {
		t.Fatalf("%v in %q", err, got.out)
	}
	return m, got.log
}

func TestBenchMakesTheCallsOfItsMixOverEachProtocol(t *testing.T) {
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			state := memory.New(kv.Service)
			got, _ := bench(t, 0, "--proto", proto, "--addr", mustServeProto(t, proto, state), "--rate", "1000", "--duration", "300ms",
				"--clients", "8", "--mix", "put=1,get=1,inc=2", "--key-space", "5", "--seed", "7", "--value-size", "30")
			if got.Answered+got.Waiting != 300 || got.Answered < 100 || got.Loop != "open" || got.Clients != 8 || got.Mix != "put=1,get=1,inc=2" || got.Proto != proto {
				t.Errorf("%+v", got)
			}
			for _, name := range []string{"mean", "p50", "p90", "p99", "p99.9", "max"} {
				if got.Latency[name] <= 0 {
					t.Errorf("%s is %v", name, got.Latency[name])
				}
			}
			sum := int64(0)
			for i := range 5 {
				value, err := quorate.Ask(t.Context(), state, kv.Get{Key: kv.Key(fmt.Sprintf("bench:value:%d", i))})
				if err != nil || value.Text() != "abcdefghijklmnopqrstuvwxyzabcd" {
					t.Errorf("value %d is %v: %v", i, value, err)
				}
				counter, err := quorate.Ask(t.Context(), state, kv.Get{Key: kv.Key(fmt.Sprintf("bench:counter:%d", i))})
				if err != nil {
					t.Errorf("counter %d: %v", i, err)
				}
				sum += counter.Int()
			}
			// Half of the calls, as far as chance goes.
			if sum < got.Answered/3 || sum > 200 {
				t.Errorf("the counters are %d together, of %d calls", sum, got.Answered)
			}
			if page, err := quorate.Ask(t.Context(), state, kv.Size{}); err != nil || page.Keys != 10 {
				t.Errorf("%v keys: %v", page, err)
			}
		})
	}
}

func TestBenchMakesTheCallsThatAreTyped(t *testing.T) {
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			state := memory.New(kv.Service)
			got, _ := bench(t, 0, "--proto", proto, "--addr", mustServeProto(t, proto, state), "--rate", "1000", "--duration", "300ms",
				"--key-space", "5", "--call", "INC 'a counter {n}' 2", "--call", "INC 'a counter {n}' 2", "--call", "inc {n}",
				"--call", `PUT "list {n}" {n}`, "--call", "MGET a {n} nothing", "--call", `TXN '{"then":[{"inc":{"key":"txn {n}","value":{n}}}]}'`)
			if got.Answered+got.Waiting != 300 || got.Answered < 100 {
				t.Errorf("%+v", got)
			}
			if want := "INC 'a counter {n}' 2=2,inc {n}=1,"; !strings.HasPrefix(got.Mix, want) {
				t.Errorf("the mix is %s, want %s…", got.Mix, want)
			}
			for i := range 5 {
				for key, fits := range map[string]func(int64) bool{
					fmt.Sprintf("a counter %d", i): func(n int64) bool { return n >= 2 && n%2 == 0 },
					fmt.Sprint(i):                  func(n int64) bool { return n >= 1 },
					fmt.Sprintf("list %d", i):      func(n int64) bool { return n == int64(i) },
					fmt.Sprintf("txn %d", i):       func(n int64) bool { return i == 0 || n > 0 && n%int64(i) == 0 },
				} {
					value, err := quorate.Ask(t.Context(), state, kv.Get{Key: kv.Key(key)})
					if err != nil || !fits(value.Int()) {
						t.Errorf("under %q is %v: %v", key, value, err)
					}
				}
			}
		})
	}
}

func TestBenchSendsAPipelineAtOnce(t *testing.T) {
	t.Parallel()
	for _, proto := range []string{"resp", "go"} {
		state := memory.New(kv.Service)
		var most atomic.Int64
		spy := memory.Func(func(ctx context.Context, calls []quorate.Call) []quorate.Reply {
			if n := int64(len(calls)); n > most.Load() {
				most.Store(n) // one client at a time
			}
			return state.Execute(ctx, calls)
		})
		got, _ := bench(t, 0, "--proto", proto, "--addr", mustServe(t, spy), "--rate", "1600", "--duration", "100ms",
			"--clients", "1", "--pipeline", "16", "--mix", "put,inc")
		if got.Answered+got.Waiting != 160 || got.Pipeline != 16 || most.Load() != 16 {
			t.Errorf("%s: answered %d, at most %d at once", proto, got.Answered, most.Load())
		}
	}
}

func TestBenchTakesNothingUnderAKeyForAnAnswer(t *testing.T) {
	t.Parallel()
	for _, proto := range protocols {
		for _, more := range [][]string{nil, {"--stale", "1s"}} {
			got, _ := bench(t, 0, append([]string{"--proto", proto, "--addr", mustServeProto(t, proto, memory.New(kv.Service)),
				"--rate", "500", "--duration", "100ms", "--mix", "get"}, more...)...)
			if got.Answered+got.Waiting != 50 || got.Answered == 0 {
				t.Errorf("%s %s: %+v", proto, more, got)
			}
		}
	}
}

func TestBenchReadsAsStaleAsItIsTold(t *testing.T) {
	for _, proto := range protocols {
		node := &fake{reply: done}
		bench(t, 0, "--proto", proto, "--addr", mustServeProto(t, proto, node), "--rate", "100", "--duration", "100ms", "--mix", "put,get", "--stale", "1500ms")
		for _, call := range node.seen() {
			if call.Name == "GET" && call.Read != time.Duration(1500*time.Millisecond) || call.Name == "PUT" && call.Read != 0 {
				t.Errorf("%s: %s reads with %v", proto, call.Name, call.Read)
			}
		}
	}
}

func TestBenchCountsFailuresAndGoesOn(t *testing.T) {
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			state := memory.New(kv.Service)
			var n atomic.Int64
			some := memory.Func(func(ctx context.Context, calls []quorate.Call) []quorate.Reply {
				replies := state.Execute(ctx, calls)
				for i := range replies {
					switch n.Add(1) % 10 {
					case 3:
						replies[i] = refusing(quorate.WrongType, quorate.NotApplied, "not now")
					case 6:
						replies[i] = refusing(quorate.Internal, quorate.Unknown, "who knows")
					}
				}
				return replies
			})
			got, _ := bench(t, 0, "--proto", proto, "--addr", mustServeProto(t, proto, some), "--rate", "500", "--duration", "200ms",
				"--clients", "4", "--slo", "errors<=20%")
			if proto == "go" {
				// The client asks again where the outcome is not known.
				f := got.Failed["not_applied"]
				if got.calls() != 100 || got.Answered < 50 || f.Calls < 5 || f.First != "not now" {
					t.Errorf("%+v", got)
				}
				return
			}
			if got.calls() != 100 || got.Failed["not_applied"].Calls < 5 || got.Failed["unknown"].Calls < 5 || got.Failed["other"].Calls != 0 {
				t.Errorf("%+v", got)
			}
			for outcome, want := range map[string]string{"not_applied": "not now", "unknown": "who knows"} {
				if first := got.Failed[outcome].First; !strings.Contains(first, want) {
					t.Errorf("the first %s is %q", outcome, first)
				}
			}
		})
	}
}

func TestBenchInWhichEveryCallFailsHasTheirExitCode(t *testing.T) {
	t.Parallel()
	for _, proto := range protocols {
		for code, want := range map[quorate.Code]int{quorate.Failed: 1, quorate.Unavailable: 4} {
			node := &fake{reply: refusing(code, quorate.NotApplied, "no luck")}
			got, errors := bench(t, want, "--proto", proto, "--addr", mustServeProto(t, proto, node), "--rate", "100", "--duration", "100ms",
				"--timeout", "500ms", "--slo", "p99<10ms")
			if got.Answered != 0 || got.Failed["not_applied"].Calls == 0 || !strings.Contains(errors, "no call was answered, the first with: ") {
				t.Errorf("%s %s: %+v, errors %q", proto, code, got, errors)
			}
			if len(got.SLO) != 1 || got.SLO[0].Met || got.SLO[0].Measured != "" {
				t.Errorf("%s: latencies of nothing are %+v", proto, got.SLO)
			}
		}
	}
}

// breaking is a server that answers who asks whether it is there, and hangs up
// at the first call.
func breaking(t *testing.T) (addr string) {
	t.Helper()
	l := mustListen(t, "127.0.0.1:0")
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				reader := bufio.NewReader(conn)
				for {
					line, err := reader.ReadString('\n')
					switch {
					case err != nil, strings.HasPrefix(line, "*") && line != "*1\r\n", strings.HasPrefix(line, "POST"):
						return
					case line == "PING\r\n":
						io.WriteString(conn, "+PONG\r\n")
					case line == "GET /livez HTTP/1.1\r\n":
						io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return l.Addr().String()
}

func TestBenchKnowsWhatALostConnectionMayHaveDone(t *testing.T) {
	t.Parallel()
	for _, proto := range []string{"resp", "http"} {
		for mix, outcome := range map[string]string{"put": "unknown", "inc": "unknown", "get": "not_applied"} {
			got, _ := bench(t, 4, "--proto", proto, "--addr", breaking(t), "--rate", "50", "--duration", "100ms", "--mix", mix, "--clients", "2")
			// Each call of the two clients is over a new connection.
			if f := got.Failed[outcome]; f.Calls == 0 || f.Calls+got.Waiting != 5 || !strings.HasPrefix(f.First, got.Addrs[0]+": ") {
				t.Errorf("%s %s: %+v", proto, mix, got.Failed)
			}
		}
	}
}

func TestBenchGoesOnAtTheNextAddress(t *testing.T) {
	t.Parallel()
	for _, proto := range []string{"resp", "http"} {
		addr := mustServeProto(t, proto, memory.New(kv.Service))
		got, _ := bench(t, 0, "--proto", proto, "--addr", addr+","+breaking(t), "--rate", "500", "--duration", "200ms", "--clients", "10")
		// Half of the clients begin at the one that breaks, once each.
		if n := got.Failed["unknown"].Calls; n < 1 || n > 5 || n+got.Answered+got.Waiting != 100 || got.Answered < 50 {
			t.Errorf("%s: %+v", proto, got)
		}
	}
}

func TestBenchSpreadsItsClientsOverTheAddresses(t *testing.T) {
	t.Parallel()
	for _, proto := range protocols {
		nodes := []*fake{{reply: done}, {reply: done}, {reply: done}}
		var addrs []string
		for _, node := range nodes {
			addrs = append(addrs, mustServeProto(t, proto, node))
		}
		missing := nobody(t)
		got, _ := bench(t, 0, "--proto", proto, "--addr", strings.Join(append(addrs, missing), ","), "--rate", "600", "--duration", "200ms", "--clients", "6")
		for i, node := range nodes {
			if n := len(node.seen()); n < 10 {
				t.Errorf("%s: node %d got %d calls", proto, i, n)
			}
		}
		if len(got.Addrs) != 3 || fmt.Sprint(got.Missing) != "["+missing+"]" || got.Failed["unknown"].Calls+got.Failed["not_applied"].Calls != 0 {
			t.Errorf("%s: %+v", proto, got)
		}
	}
}

func TestInterruptedBenchPrintsWhatItHas(t *testing.T) {
	t.Parallel()
	for _, proto := range protocols {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		began := time.Now()
		got := runUntil(ctx, "", "bench", "--proto", proto, "--addr", mustServeProto(t, proto, memory.New(kv.Service)), "--warmup", "0s", "--duration", "1h", "--rate", "500")
		if got.exit != 130 || got.log != "interrupted\n" || !strings.Contains(got.out, "interrupted after 0.") || !strings.Contains(got.out, "| "+proto+" | put |") {
			t.Errorf("%s: exit %d, errors %q, output:\n%s", proto, got.exit, got.log, got.out)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it took %v", proto, took)
		}
		early, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		got = runUntil(early, "", "bench", "--proto", proto, "--addr", mustServeProto(t, proto, memory.New(kv.Service)), "--warmup", "1h", "--rate", "100")
		if got.exit != 130 || got.log != "interrupted before anything was measured\n" || got.out != "" {
			t.Errorf("%s: exit %d, errors %q, output:\n%s", proto, got.exit, got.log, got.out)
		}
	}
}

func TestBenchOfNobodySaysAtOnceHowToStart(t *testing.T) {
	for _, proto := range protocols {
		began := time.Now()
		addr := nobody(t)
		got := run(t, "", "bench", "--proto", proto, "--addr", addr, "--timeout", "10s")
		if want := "nothing answers at " + addr + ": start a node with: cli.test dev\n"; got.exit != 4 || got.log != want || got.out != "" {
			t.Errorf("%s: exit %d, errors %q", proto, got.exit, got.log)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it took %v", proto, took)
		}
	}
}

func TestBenchNamesWhatIsNoNode(t *testing.T) {
	t.Parallel()
	resp, http := mustServe(t, &fake{reply: done}), mustServeProto(t, "http", &fake{reply: done})
	web := httptest.NewServer(nil)
	t.Cleanup(web.Close)
	locked := mustServe(t, &fake{reply: done}, func(c *respapi.Config) { c.Password = "sesame" })
	full := mustServe(t, &fake{reply: done}, func(c *respapi.Config) { c.MaxClients = 1 })
	mute := mustListen(t, "127.0.0.1:0")
	t.Cleanup(func() { mute.Close() })
	occupy(t, full)
	for _, c := range []struct {
		args []string
		exit int
		want string
	}{
		{[]string{"--proto", "http", "--addr", resp}, 1, " does not speak HTTP: give the address of a node's HTTP port, such as 127.0.0.1:7300"},
		{[]string{"--proto", "http", "--addr", web.Listener.Addr().String()}, 1, " speaks HTTP, but is not a node"},
		{[]string{"--proto", "http", "--addr", mute.Addr().String(), "--timeout", "100ms"}, 4, " took the connection and said nothing"},
		{[]string{"--proto", "resp", "--addr", mute.Addr().String(), "--timeout", "100ms"}, 4, " took the connection and said nothing"},
		{[]string{"--proto", "resp", "--addr", http}, 1, " speaks HTTP: give the address of a node's Redis port"},
		{[]string{"--proto", "go", "--addr", locked}, 1, " wants a password: name its file with --password-file"},
		{[]string{"--proto", "resp", "--addr", full}, 4, "max number of clients reached"},
	} {
		got := run(t, "", append([]string{"bench", "--duration", "100ms"}, c.args...)...)
		if got.exit != c.exit || !strings.Contains(got.log, c.want) || strings.Count(got.log, "\n") != 1 {
			t.Errorf("%s: exit %d, errors %q", c.args, got.exit, got.log)
		}
	}
}

// occupy takes a place at a node for as long as the test runs.
func occupy(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	io.WriteString(conn, "PING\r\n")
	if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
}

func TestBenchSpeaksTLSAndTellsItsPassword(t *testing.T) {
	config, ca := mustCertify(t)
	password := mustWrite(t, "password", "sesame\n")
	addr := mustServe(t, memory.New(kv.Service), func(c *respapi.Config) { c.TLS, c.Password = config, "sesame" })
	for _, proto := range []string{"resp", "go"} {
		got, _ := bench(t, 0, "--proto", proto, "--addr", addr, "--tls-ca", ca, "--password-file", password, "--rate", "100", "--duration", "100ms", "--clients", "3")
		if got.Answered+got.Waiting != 10 || got.Answered == 0 {
			t.Errorf("%s: %+v", proto, got)
		}
	}
}

func TestBenchRemovesItsKeysAndNoOthers(t *testing.T) {
	t.Parallel()
	state := memory.New(kv.Service)
	for _, key := range []kv.Key{"bench", "benches", "bench:an earlier run", "a", "z"} {
		if _, err := quorate.Do(t.Context(), state, kv.Put{Key: key, Value: values.Int(1)}); err != nil {
			t.Fatal(err)
		}
	}
	// More than are asked for at once.
	var pairs []quorate.Value
	for i := range 2500 {
		pairs = append(pairs, values.Bytes(fmt.Sprintf("bench:value:%d", i)), values.Int(1))
	}
	if _, err := quorate.Do(t.Context(), state, kv.MPut{Pairs: pairs}); err != nil {
		t.Fatal(err)
	}
	got, _ := bench(t, 0, "--addr", mustServe(t, state), "--rate", "200", "--duration", "200ms", "--mix", "put,inc", "--clean")
	if got.Answered+got.Waiting != 40 {
		t.Errorf("%+v", got)
	}
	page, err := quorate.Ask(t.Context(), state, kv.Scan{Limit: 100})
	if err != nil || fmt.Sprint(page.Keys) != "[a bench benches z]" {
		t.Errorf("left are %v: %v", page.Keys, err)
	}
}

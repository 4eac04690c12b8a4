package cli_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/cli"
	"github.com/quorate/quorate/kv"
)

// result is what one run of the program came to.
type result struct {
	exit     int
	out, log string
}

func run(t *testing.T, in string, args ...string) result {
	t.Helper()
	var out, log bytes.Buffer
	exit := cli.Run(t.Context(), kv.Service, args, strings.NewReader(in), &out, &log)
	return result{exit, out.String(), log.String()}
}

// fake is a node that gives every request the same answer.
type fake struct {
	addr     string
	requests atomic.Int64
	method   string
	path     string
	query    string
	header   http.Header
	body     string
}

func newFake(t *testing.T, status int, answer string) *fake {
	t.Helper()
	f := &fake{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.requests.Add(1)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read the request: %v", err)
		}
		f.method, f.path, f.query, f.header, f.body = r.Method, r.URL.Path, r.URL.RawQuery, r.Header, string(body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	f.addr = server.Listener.Addr().String()
	return f
}

// newDeaf is a node that takes every request and does not answer before the
// client is gone.
func newDeaf(t *testing.T) *fake {
	t.Helper()
	f := &fake{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		f.requests.Add(1)
		io.Copy(io.Discard, r.Body) // net/http sees the client leave only behind the body
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	f.addr = server.Listener.Addr().String()
	return f
}

// newRude is a node that takes every request and closes the connection.
func newRude(t *testing.T) *fake {
	t.Helper()
	f := &fake{}
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		f.requests.Add(1)
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	f.addr = server.Listener.Addr().String()
	return f
}

// nobody is an address at which nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

const done = `{"value":1,"index":17}`

func TestVerbsSendTheirFields(t *testing.T) {
	file := filepath.Join(t.TempDir(), "value")
	mustWrite(t, file, "from a file\n")
	binary := filepath.Join(t.TempDir(), "binary")
	mustWrite(t, binary, "\xff\x00")

	for _, c := range []struct {
		in   string
		args []string
		path string
		body string
	}{
		{"", []string{"put", "color", "green"}, "/v1/PUT", `{"key":"color","value":"green"}`},
		{"", []string{"put", "7", "7"}, "/v1/PUT", `{"key":"7","value":7}`},
		{"", []string{"put", "k", "9223372036854775807"}, "/v1/PUT", `{"key":"k","value":9223372036854775807}`},
		{"", []string{"put", "k", "-9223372036854775808"}, "/v1/PUT", `{"key":"k","value":-9223372036854775808}`},
		{"", []string{"put", "k", "9223372036854775808"}, "/v1/PUT", `{"key":"k","value":"9223372036854775808"}`},
		{"", []string{"put", "k", "007"}, "/v1/PUT", `{"key":"k","value":"007"}`},
		{"", []string{"put", "k", "-0"}, "/v1/PUT", `{"key":"k","value":"-0"}`},
		{"", []string{"put", "k", "+1"}, "/v1/PUT", `{"key":"k","value":"+1"}`},
		{"", []string{"put", "k", ""}, "/v1/PUT", `{"key":"k","value":""}`},
		{"", []string{"put", "k", "7", "--string"}, "/v1/PUT", `{"key":"k","value":"7"}`},
		{"", []string{"put", "--string", "k", "-7"}, "/v1/PUT", `{"key":"k","value":"-7"}`},
		{"piped", []string{"put", "k", "-"}, "/v1/PUT", `{"key":"k","value":"piped"}`},
		{"42", []string{"put", "k", "-"}, "/v1/PUT", `{"key":"k","value":42}`},
		{"42\n", []string{"put", "k", "-"}, "/v1/PUT", `{"key":"k","value":"42\n"}`},
		{"42", []string{"put", "k", "-", "--string"}, "/v1/PUT", `{"key":"k","value":"42"}`},
		{"", []string{"put", "k", "@" + file}, "/v1/PUT", `{"key":"k","value":"from a file\n"}`},
		{"", []string{"put", "k", "@" + binary}, "/v1/PUT", `{"key":"k","value":{"base64":"/wA="}}`},
		{strings.Repeat("\x00", 12), []string{"put", "k", "-"}, "/v1/PUT", `{"key":"k","value":{"base64":"AAAAAAAAAAAAAAAA"}}`},
		{"", []string{"put", "k", "<&>"}, "/v1/PUT", `{"key":"k","value":"<&>"}`},
		{"", []string{"put", "@k", "v"}, "/v1/PUT", `{"key":"@k","value":"v"}`},
		{"", []string{"get", "color"}, "/v1/GET", `{"key":"color"}`},
		{"", []string{"get", "-5"}, "/v1/GET", `{"key":"-5"}`},
		{"", []string{"delete", "color"}, "/v1/DELETE", `{"key":"color"}`},
		{"", []string{"inc", "hits"}, "/v1/INC", `{"key":"hits"}`},
		{"", []string{"inc", "hits", "5"}, "/v1/INC", `{"key":"hits","value":5}`},
		{"", []string{"inc", "hits", "-5"}, "/v1/INC", `{"key":"hits","value":-5}`},
		{"", []string{"inc", "--", "hits", "-5"}, "/v1/INC", `{"key":"hits","value":-5}`},
		{"", []string{"inc", "hits", "-5", "-o", "json", "--timeout", "3s"}, "/v1/INC", `{"key":"hits","value":-5}`},
		{"", []string{"cas", "k", "1", "2"}, "/v1/CAS", `{"expect":1,"key":"k","value":2}`},
		{"", []string{"cas", "k", "-1", "-2"}, "/v1/CAS", `{"expect":-1,"key":"k","value":-2}`},
		{"", []string{"cas", "k", "1", "2", "--string"}, "/v1/CAS", `{"expect":"1","key":"k","value":"2"}`},
		{"", []string{"cas", "--absent", "k", "2"}, "/v1/CAS", `{"key":"k","value":2}`},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			node := newFake(t, http.StatusOK, done)
			got := run(t, c.in, append(c.args[:1:1], append([]string{"--addr", node.addr}, c.args[1:]...)...)...)
			if got.exit != 0 {
				t.Fatalf("exit %d: %s", got.exit, got.log)
			}
			if node.method != http.MethodPost || node.path != c.path || node.body != c.body {
				t.Errorf("sent %s %s %s, want POST %s %s", node.method, node.path, node.body, c.path, c.body)
			}
		})
	}
}

func mustWrite(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestHeadersCarryTimeoutAndID(t *testing.T) {
	node := newFake(t, http.StatusOK, done)
	if got := run(t, "", "inc", "hits", "--addr", "http://"+node.addr+"/", "--timeout", "2s", "--id", "call-1"); got.exit != 0 {
		t.Fatalf("exit %d: %s", got.exit, got.log)
	}
	if got := node.header.Get("Idempotency-Key"); got != "call-1" {
		t.Errorf("Idempotency-Key is %q", got)
	}
	// The node must give up before the client does, but not long before.
	if got := node.header.Get("Quorate-Timeout"); got != "1.8s" && !strings.HasPrefix(got, "1.79") {
		t.Errorf("Quorate-Timeout is %q of 2s", got)
	}
	if got := run(t, "", "inc", "hits", "--addr", node.addr, "--timeout", "10m"); got.exit != 0 {
		t.Fatalf("exit %d: %s", got.exit, got.log)
	}
	if got := node.header.Get("Quorate-Timeout"); got != "1m0s" {
		t.Errorf("Quorate-Timeout is %q of 10m, over what a node takes", got)
	}
}

func TestAgeOfAStaleReadIsAskedForAndPassedOnAsJSON(t *testing.T) {
	const answer = `{"value":"green","index":17,"age":"12ms"}`
	node := newFake(t, http.StatusOK, answer)
	for form, want := range map[string]string{"json": answer + "\n", "table": "green\n", "raw": "green"} {
		got := run(t, "", "get", "color", "--addr", node.addr, "--stale", "500ms", "-o", form)
		if got.exit != 0 || got.out != want || node.path != "/v1/GET" || node.query != "stale=500ms" {
			t.Errorf("%s: exit %d, output %q, errors %q, sent %s?%s", form, got.exit, got.out, got.log, node.path, node.query)
		}
	}
	if got := run(t, "", "get", "color", "--addr", node.addr); got.exit != 0 || node.query != "" {
		t.Errorf("without --stale: exit %d, sent ?%s", got.exit, node.query)
	}
}

func TestOutputForms(t *testing.T) {
	const big = `{"value":9007199254740993,"index":17}`
	for _, c := range []struct {
		answer, form, want string
	}{
		{big, "table", "9007199254740993\n"},
		{big, "json", big + "\n"},
		{big, "raw", "9007199254740993"},
		{"{ \"value\": 1,\n \"index\": 2 }\n", "json", "{\"value\":1,\"index\":2}\n"},
		{`{"value":"a<b\n","index":1}`, "table", "a<b\n\n"},
		{`{"value":"a<b\n","index":1}`, "raw", "a<b\n"},
		{`{"value":"a<b\n","index":1}`, "json", `{"value":"a<b\n","index":1}` + "\n"},
		{`{"value":{"base64":"/wA="},"index":1}`, "table", `{"base64":"/wA="}` + "\n"},
		{`{"value":{"base64":"/wA="},"index":1}`, "raw", "\xff\x00"},
		{`{"value":true,"index":1}`, "table", "true\n"},
		{`{"value":false,"index":1}`, "raw", "false"},
		{`{"value":null,"index":1}`, "table", "\n"},
		{`{"value":null,"index":1}`, "raw", ""},
		{`{"value":[1,"a"],"index":1}`, "table", `[1,"a"]` + "\n"},
	} {
		t.Run(c.form+" "+c.answer, func(t *testing.T) {
			node := newFake(t, http.StatusOK, c.answer)
			got := run(t, "", "get", "k", "--addr", node.addr, "-o", c.form)
			if got.exit != 0 || got.out != c.want || got.log != "" {
				t.Errorf("exit %d, output %q, errors %q, want output %q", got.exit, got.out, got.log, c.want)
			}
		})
	}
}

func TestExitCodesFollowTheAnswer(t *testing.T) {
	for _, c := range []struct {
		verb   string
		status int
		answer string
		exit   int
		log    string
	}{
		{"get", 404, `{"error":"there is nothing under key \"k\"","code":"not_found"}`, 3, `there is nothing under key "k"`},
		{"put", 409, `{"error":"not as expected","code":"conflict","outcome":"not_applied","value":"blue"}`, 6, `not as expected: it is "blue"`},
		{"put", 409, `{"error":"not as expected","code":"conflict","outcome":"not_applied","value":null}`, 6, `not as expected: there is nothing`},
		{"put", 409, `{"error":"holds a string","code":"wrong_type","outcome":"not_applied"}`, 1, `holds a string`},
		{"put", 409, `{"error":"does not fit","code":"overflow","outcome":"not_applied"}`, 1, `does not fit`},
		{"put", 400, `{"error":"the key is empty","code":"invalid","outcome":"not_applied"}`, 2, `the key is empty`},
		{"put", 413, `{"error":"too large","code":"too_large","outcome":"not_applied"}`, 2, `too large`},
		{"put", 503, `{"error":"no leader","code":"unavailable","outcome":"not_applied"}`, 4, `no leader`},
		{"put", 503, `{"error":"the queue is full","code":"overloaded","outcome":"not_applied"}`, 4, `the queue is full`},
		{"put", 503, `{"error":"no majority","code":"unavailable","outcome":"unknown"}`, 4,
			`no majority; it may have been applied: repeat the command with --id x, under which it takes effect once`},
		{"put", 500, `{"error":"the node is at fault","code":"internal","outcome":"unknown"}`, 4,
			`the node is at fault; it may have been applied: repeat the command with --id x, under which it takes effect once`},
		{"put", 422, `{"error":"the id was used for another call","code":"id_reused","outcome":"not_applied"}`, 1, `the id was used for another call`},
		{"get", 500, `{"error":"the node is at fault","code":"internal"}`, 1, `the node is at fault`},
		{"get", 503, `{"error":"no leader","code":"unavailable","outcome":"not_applied"}`, 4, `no leader`},
		{"put", 409, `{"error":"two\nlines","code":"sold_out","outcome":"not_applied"}`, 1, `two; lines`},
	} {
		t.Run(c.verb+" "+c.answer, func(t *testing.T) {
			node := newFake(t, c.status, c.answer)
			args := []string{"put", "k", "v", "--id", "x"}
			if c.verb == "get" {
				args = []string{"get", "k"}
			}
			args = append(args, "--addr", node.addr, "--timeout", "150ms")
			got := run(t, "", args...)
			if got.exit != c.exit || got.log != c.log+"\n" || got.out != "" {
				t.Errorf("exit %d, output %q, errors %q, want exit %d and errors %q", got.exit, got.out, got.log, c.exit, c.log)
			}
		})
	}
}

func TestErrorsAreJSONWhereJSONWasAskedFor(t *testing.T) {
	conflict := newFake(t, http.StatusConflict, `{"error":"not as expected","code":"conflict","outcome":"not_applied","value":9007199254740993}`)
	silent := nobody(t)
	for _, c := range []struct {
		args []string
		exit int
		want string
	}{
		{[]string{"cas", "k", "1", "2", "--addr", conflict.addr, "-o", "json"}, 6,
			`{"error":"not as expected","code":"conflict","outcome":"not_applied","value":9007199254740993}`},
		{[]string{"inc", "k", "--addr", silent, "--timeout", "50ms", "--output=json"}, 4,
			`{"error":"nothing answers at ` + silent + `: start a node with: cli.test dev","code":"unavailable","outcome":"not_applied"}`},
		{[]string{"inc", "k", "x", "-ojson"}, 2, `{"error":"\"x\" is not an integer of 64 bits","code":"usage"}`},
		{[]string{"get", "k", "--nonsense", "-o=json"}, 2,
			`{"error":"unknown flag: --nonsense; usage: cli.test get KEY [flags]","code":"usage"}`},
	} {
		got := run(t, "", c.args...)
		if got.exit != c.exit || got.log != c.want+"\n" || got.out != "" {
			t.Errorf("%s: exit %d, output %q, errors %q, want exit %d and errors %q", c.args, got.exit, got.out, got.log, c.exit, c.want)
		}
	}
}

func TestUsageErrorsAreOneLineAndExitTwo(t *testing.T) {
	node := newFake(t, http.StatusOK, done)
	large := strings.Repeat("x", 1<<20+1)
	for _, c := range []struct {
		in   string
		args []string
		want string
	}{
		{"", []string{"nonsense"}, `unknown command "nonsense"`},
		{"", []string{"gte"}, "Did you mean this? get"},
		{"", []string{"get"}, "accepts 1 arg(s), received 0; usage: cli.test get KEY"},
		{"", []string{"put", "k", "v", "w"}, "accepts 2 arg(s), received 3"},
		{"", []string{"cas", "k", "v"}, "accepts 3 arg(s), received 2"},
		{"", []string{"cas", "--absent", "k", "v", "w"}, "accepts 2 arg(s), received 3; usage: cli.test cas {KEY OLD NEW | --absent KEY NEW} [flags]"},
		{"", []string{"status", "x"}, "status"},
		{"", []string{"get", "k", "-o", "xml"}, `--output is "xml": must be one of table, json, raw`},
		{"", []string{"get", "k", "--timeout", "soon"}, `--timeout is "soon": must be a duration such as 500ms or 5s`},
		{"", []string{"get", "k", "--stale", "0s"}, `--stale is "0s": must be a duration over 0 such as 500ms`},
		{"", []string{"get", "k", "--stale", "old"}, `--stale is "old": must be a duration over 0 such as 500ms`},
		{"", []string{"put", "k", "v", "--stale", "1s"}, "unknown flag: --stale"},
		{"", []string{"status", "--stale", "1s"}, "unknown flag: --stale"},
		{"", []string{"put", "k", "v", "--string=zz"}, `--string is "zz": must be true or false`},
		{"", []string{"serve", "--snapshot-entries", "-1"}, `--snapshot-entries is "-1": must be a whole number from 0 on`},
		{"", []string{"get", "k", "--timeout", "0s"}, "a timeout of 0s leaves no time"},
		{"", []string{"get", "k", "--timeout", "-5"}, "--timeout"},
		{"", []string{"get", "k", "--addr", "somewhere"}, `address "somewhere": write it as host:port`},
		{"", []string{"get", "k", "--addr", "https://127.0.0.1:1"}, "only http is spoken"},
		{"", []string{"get", "k", "--addr", "127.0.0.1:1/v1"}, "write it as host:port"},
		{"", []string{"get", "k", "--addr", ""}, "names no address"},
		{"", []string{"put", "k", "v", "--id", "a b"}, "printable ASCII"},
		{"", []string{"put", "k", "v", "--id", strings.Repeat("x", quorate.CallIDBytesMax+1)}, "over the limit"},
		{"", []string{"get", "k", "--id", "x"}, "unknown flag: --id"},
		{"", []string{"put", "k", "@/no/such/file"}, "standard input"},
		{large, []string{"put", "k", "-"}, "standard input holds more than 1048576 bytes, the limit of a key and its values together"},
		{"v", []string{"cas", "k", "-", "-"}, "only one value can come from standard input"},
		{"", []string{"inc", "k", "1.5"}, `"1.5" is not an integer`},
		{"", []string{"-5"}, "-5"},
		{"", []string{"serve"}, "--data-dir is missing: give it, or set QUORATE_DATA_DIR"},
		{"", []string{"serve", "--data-dir", "d", "--http", "127.0.0.1:1"}, "--peer is missing"},
		{"", []string{"serve", "--data-dir", "d", "--http", "nowhere", "--peer", "127.0.0.1:1"}, `address "nowhere"`},
		{"", []string{"serve", "--data-dir", "d", "--http", "127.0.0.1:1", "--peer", "127.0.0.1:1", "--join", "a:1,b"}, `--join: address "b"`},
		{"", []string{"serve", "--data-dir", "d", "--http", "127.0.0.1:1", "--peer", "0.0.0.0:7302"},
			`--peer: address "0.0.0.0:7302": name the host under which the other nodes reach this one`},
		{"", []string{"serve", "--data-dir", "d", "--http", "127.0.0.1:1", "--peer", ":7302"}, "--peer: address \":7302\": name the host"},
		{"", []string{"serve", "--data-dir", "d", "--http", "127.0.0.1:1", "--peer", "n1:0"}, "--peer: address \"n1:0\": name a port"},
		{"", []string{"serve", "--data-dir", "d", "--http", "127.0.0.1:1", "--peer", "n1:1", "--join", "n1:1,[::]:1"}, `--join: address "[::]:1": name the host`},
		{"", []string{"dev", "--peer", "0.0.0.0:7302"}, "--peer: address"},
		{"", []string{"dev", "--log-level", "loud"}, `--log-level is "loud": must be one of debug, info, warn, error`},
		{"", []string{"dev", "--snapshot-entries", "1"}, "unknown flag"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			got := run(t, c.in, c.args...)
			if got.exit != 2 || !strings.Contains(got.log, c.want) || strings.Count(got.log, "\n") != 1 || got.out != "" {
				t.Errorf("exit %d, output %q, errors %q, want exit 2 and one line with %q", got.exit, got.out, got.log, c.want)
			}
		})
	}
	if n := node.requests.Load(); n != 0 {
		t.Errorf("a node got %d requests", n)
	}
}

// A node takes bodies of up to 1.5 MiB.
func TestLargestValueFitsARequest(t *testing.T) {
	for _, text := range []string{"x", "\x00", "<", "\xff", "\"", "\u2028"} {
		node := newFake(t, http.StatusOK, done)
		value := strings.Repeat(text, 1<<20/len(text))
		if got := run(t, value, "put", "k", "-", "--addr", node.addr); got.exit != 0 {
			t.Fatalf("%q: exit %d: %s", text, got.exit, got.log)
		}
		if got := len(node.body); got > 3<<19 {
			t.Errorf("a value of %q makes a body of %d bytes", text, got)
		}
	}
}

func TestProgramHasTheVerbsOfItsService(t *testing.T) {
	tickets := quorate.Define("tickets", quorate.Write[kv.Inc]("INC"))
	var out, log bytes.Buffer
	if exit := cli.Run(t.Context(), tickets, []string{"--help"}, strings.NewReader(""), &out, &log); exit != 0 {
		t.Fatalf("exit %d: %s", exit, log.String())
	}
	if text := out.String(); !strings.Contains(text, "  inc ") || strings.Contains(text, "  put ") {
		t.Errorf("a service with INC alone has this help:\n%s", text)
	}
	if exit := cli.Run(t.Context(), tickets, []string{"get", "k"}, strings.NewReader(""), &out, &log); exit != 2 {
		t.Errorf("get on a service without GET: exit %d", exit)
	}
}

func TestHelpTellsExitCodes(t *testing.T) {
	got := run(t, "", "--help")
	want := "Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 unavailable or outcome\nunknown, 6 conflict."
	if got.exit != 0 || !strings.Contains(got.out, want) {
		t.Errorf("exit %d, help:\n%s", got.exit, got.out)
	}
}

func TestVersionIsOneLine(t *testing.T) {
	got := run(t, "", "version")
	if got.exit != 0 || !strings.HasPrefix(got.out, "cli.test ") || strings.Count(got.out, "\n") != 1 {
		t.Errorf("exit %d, output %q", got.exit, got.out)
	}
}

func TestInterruptEndsACall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, log bytes.Buffer
	exit := cli.Run(ctx, kv.Service, []string{"get", "k", "--addr", nobody(t)}, strings.NewReader(""), &out, &log)
	if exit != 1 || log.String() != "interrupted\n" {
		t.Errorf("exit %d, errors %q", exit, log.String())
	}
}

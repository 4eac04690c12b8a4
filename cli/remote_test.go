package cli_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/respapi"
	"github.com/quorate/quorate/values"
)

func TestReadWithoutAnswerDoesNotSpeakOfEffects(t *testing.T) {
	t.Parallel()
	node := mustStart(t, &wire{executor: &fake{reply: done}, deed: always(hang)})
	got := run(t, "", "get", "k", "--addr", node.addr, "--timeout", "500ms")
	if got.exit != 4 || strings.Contains(got.log, "applied") || !strings.HasPrefix(got.log, node.addr+": ") {
		t.Errorf("exit %d, errors %q", got.exit, got.log)
	}
}

func TestWhereNothingAnswersTheLineSaysAtOnceHowToStart(t *testing.T) {
	a, b := min(nobody(t), nobody(t)), nobody(t)
	a, b = min(a, b), max(a, b)
	for _, args := range [][]string{{"put", "k", "v"}, {"get", "k"}, {"scan"}, {"exec", "size"}, {"status"}} {
		began := time.Now()
		got := run(t, "", append(args, "--addr", a, "--addr", b, "--timeout", "10s")...)
		if want := "nothing answers at " + a + ", " + b + ": start a node with: cli.test dev\n"; got.exit != 4 || got.log != want {
			t.Errorf("%s: exit %d, errors %q, want %q", args, got.exit, got.log, want)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Fatalf("%s: it took %v", args, took)
		}
	}
}

func TestTheNodeThatAnswersIsHeardOverOneThatDoesNot(t *testing.T) {
	t.Parallel()
	busy := mustServe(t, &fake{reply: notApplied})
	for _, addrs := range []string{busy + "," + nobody(t), nobody(t) + "," + busy} {
		if got := run(t, "", "put", "k", "v", "--addr", addrs, "--timeout", "1s"); got.exit != 4 || got.log != "no leader\n" {
			t.Errorf("exit %d, errors %q", got.exit, got.log)
		}
	}
}

func TestWhatIsNoNodeIsNamed(t *testing.T) {
	web := httptest.NewServer(nil)
	t.Cleanup(web.Close)
	certified, ca := mustCertify(t)
	_, otherCA := mustCertify(t)
	secured := mustServe(t, &fake{reply: done}, func(c *respapi.Config) { c.TLS = certified })
	locked := mustServe(t, &fake{reply: done}, func(c *respapi.Config) { c.Password = "sesame" })
	open := mustServe(t, &fake{reply: done})
	password, wrong := mustWrite(t, "password", "sesame\n"), mustWrite(t, "wrong", "sesam")
	greets := func(text string) string { return mustStart(t, &wire{greeting: text}).addr }

	for _, c := range []struct {
		name string
		addr string
		args []string
		exit int
		want string
	}{
		{"HTTP", web.Listener.Addr().String(), nil, 1, " speaks HTTP: give the address of a node's Redis port, such as 127.0.0.1:7301"},
		{"an alert of TLS", greets("\x15\x03\x01\x00\x02\x02\x46"), nil, 1, " speaks TLS: name the file of its certificates with --tls-ca"},
		{"TLS", secured, nil, 4, " hangs up without a word: is it the Redis address of a node? One that speaks TLS needs --tls-ca"},
		{"TLS of another CA", secured, []string{"--tls-ca", otherCA}, 1, " is none that --tls-ca vouches for: x509: certificate signed by unknown authority"},
		{"no TLS", open, []string{"--tls-ca", ca}, 1, "leave --tls-ca out if it speaks none"},
		{"a password", locked, nil, 1, " wants a password: name its file with --password-file"},
		{"another password", locked, []string{"--password-file", wrong}, 1, " does not take the password of --password-file"},
		{"no password", open, []string{"--password-file", password}, 1, " has no password: leave --password-file out"},
		{"Redis", greets("-ERR unknown command 'QUORATE', with args beginning with: \r\n"), nil, 1, " speaks the protocol of Redis, but is not a node"},
		{"no host", "nowhere.invalid:7301", nil, 4, ": there is no host of this name"},
		{"a mail server", greets("220 mail.example.org ESMTP\r\n"), nil, 1, ` answers "220 mail.example.org ESMTP": is it the Redis address of a node?`},
	} {
		for _, verb := range [][]string{{"put", "k", "v"}, {"get", "k"}, {"status"}} {
			t.Run(c.name+" "+verb[0], func(t *testing.T) {
				began := time.Now()
				got := run(t, "", append(append(verb, "--addr", c.addr, "--timeout", "10s"), c.args...)...)
				if got.exit != c.exit || !strings.Contains(got.log, c.addr) || !strings.Contains(got.log, c.want) || strings.Count(got.log, "\n") != 1 {
					t.Errorf("exit %d, errors %q, want exit %d and %q", got.exit, got.log, c.exit, c.want)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		}
	}
}

func TestSeveralThatHangUpAreGivenUpAtOnce(t *testing.T) {
	certified, _ := mustCertify(t)
	secure := func(c *respapi.Config) { c.TLS = certified }
	addrs := mustServe(t, &fake{reply: done}, secure) + "," + mustServe(t, &fake{reply: done}, secure)
	began := time.Now()
	got := run(t, "", "put", "k", "v", "--addr", addrs, "--timeout", "10s")
	if got.exit != 4 || !strings.Contains(got.log, "hangs up without a word") {
		t.Errorf("exit %d, errors %q", got.exit, got.log)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestWhoSaysNothingIsGivenUpAtTheDeadline(t *testing.T) {
	t.Parallel()
	l := mustListen(t, "127.0.0.1:0")
	t.Cleanup(func() { l.Close() })
	addr := l.Addr().String()
	for verb, want := range map[string]string{
		"get":    addr + " took the connection and said nothing\n",
		"delete": addr + " took the connection and said nothing\n",
	} {
		if got := run(t, "", verb, "k", "--addr", addr, "--timeout", "500ms"); got.exit != 4 || got.log != want {
			t.Errorf("%s: exit %d, errors %q, want %q", verb, got.exit, got.log, want)
		}
	}
	if got := run(t, "", "status", "--addr", addr, "--timeout", "500ms"); got.exit != 4 || !strings.Contains(got.log, "said nothing") {
		t.Errorf("status: exit %d, errors %q", got.exit, got.log)
	}
}

func TestNodeThatIsFullIsTriedAgain(t *testing.T) {
	t.Parallel()
	crowded := mustStart(t, &wire{greeting: "-ERR max number of clients reached\r\n"})
	got := run(t, "", "put", "k", "v", "--addr", crowded.addr, "--timeout", "500ms")
	if got.exit != 4 || got.log != crowded.addr+" answers: ERR max number of clients reached\n" {
		t.Errorf("exit %d, errors %q", got.exit, got.log)
	}
}

func TestPasswordAndTLS(t *testing.T) {
	config, ca := mustCertify(t)
	password := mustWrite(t, "password", "sesame\n")
	node := mustServe(t, &fake{reply: done}, func(c *respapi.Config) {
		c.TLS = &tls.Config{Certificates: config.Certificates, MinVersion: tls.VersionTLS13}
		c.Password = "sesame"
		c.Status = func(context.Context) any { return map[string]string{"id": "n1"} }
	})
	if got := run(t, "", "inc", "k", "--addr", node, "--tls-ca", ca, "--password-file", password); got.exit != 0 || got.out != "1\n" {
		t.Errorf("exit %d, output %q, errors %q", got.exit, got.out, got.log)
	}
	t.Setenv("QUORATE_TLS_CA", ca)
	t.Setenv("QUORATE_PASSWORD_FILE", password)
	if got := run(t, "", "status", "-o", "json", "--addr", node); got.exit != 0 || got.out != `{"id":"n1"}`+"\n" {
		t.Errorf("exit %d, output %q, errors %q", got.exit, got.out, got.log)
	}
}

// withStatus makes a node that sees itself so.
func withStatus(text string) func(*respapi.Config) {
	return func(c *respapi.Config) {
		c.Status = func(context.Context) any { return json.RawMessage(text) }
	}
}

func TestStatusShowsTheNodeAndOneLineForEachMember(t *testing.T) {
	const answer = `{"id":"n1","cluster":"c1","service":"kv","peer":"127.0.0.1:1","role":"follower","term":3,
"leader":"n2","leader_peer":"127.0.0.1:2","applied_index":18446744073709551615,"commit_index":90,"last_index":91,
"first_index":1,"snapshot_index":0,"state_hash":"aa","members":[
{"id":"n1","peer":"127.0.0.1:1","voter":true,"reached":true,"role":"follower","term":3,"applied_index":18446744073709551615,"lag":0,"state_hash":"aa"},
{"id":"n2","peer":"127.0.0.1:22","voter":true,"reached":true,"role":"leader","term":3,"applied_index":90,"lag":1,"state_hash":"bb"},
{"id":"n3","peer":"127.0.0.1:3","voter":false,"reached":false,"lag":0,"error":"no route"}]}`
	const want = `node     n1 at 127.0.0.1:1, follower in term 3
cluster  c1, service kv, leader n2 at 127.0.0.1:2
log      entries 1 to 91, committed 90, applied 18446744073709551615, snapshot at 0

ID  PEER          ROLE       VOTER  TERM  APPLIED               LAG  HASH
n1  127.0.0.1:1   follower   yes    3     18446744073709551615  0    aa
n2  127.0.0.1:22  leader     yes    3     90                    1    bb
n3  127.0.0.1:3   unreached  no     -     -                     -    -
`
	node := mustServe(t, &fake{reply: done}, withStatus(answer))
	if got := run(t, "", "status", "--addr", nobody(t)+","+node); got.exit != 0 || got.out != want {
		t.Errorf("exit %d, errors %q, output:\n%s", got.exit, got.log, got.out)
	}
	compact := strings.ReplaceAll(answer, "\n", "")
	if got := run(t, "", "status", "--addr", node, "-o", "json"); got.exit != 0 || got.out != compact+"\n" {
		t.Errorf("exit %d, errors %q, JSON:\n%s", got.exit, got.log, got.out)
	}
	if got := run(t, "", "status", "--addr", node, "-o", "raw"); got.exit != 0 || got.out != compact {
		t.Errorf("exit %d, errors %q, raw:\n%s", got.exit, got.log, got.out)
	}
	mute := mustServe(t, &fake{reply: done})
	if got := run(t, "", "status", "--addr", mute); got.exit != 4 || !strings.Contains(got.log, "no status") {
		t.Errorf("exit %d, errors %q", got.exit, got.log)
	}
}

func TestResultsOfSeveralPartsAreLines(t *testing.T) {
	state := memory.New(kv.Service)
	node := mustServe(t, state)
	mustRun := func(want string, args ...string) {
		t.Helper()
		if got := run(t, "", append(args, "--addr", node)...); got.exit != 0 || got.out != want {
			t.Errorf("%s: exit %d, output %q, errors %q, want %q", args, got.exit, got.out, got.log, want)
		}
	}
	mustRun("3\n", "mput", "a", "1", "b", "two", "c", "\xff")
	mustRun("1\n\ntwo\n{\"base64\":\"/w==\"}\n", "mget", "a", "nothing", "b", "c")
	mustRun(`{"value":[1,null],"index":1}`+"\n", "mget", "a", "nothing", "-o", "json")
	mustRun(`[1,null]`, "mget", "a", "nothing", "-o", "raw")
	mustRun("true\n", "expire", "a", "90s")
	mustRun("1m30s\n", "ttl", "a")
	mustRun("forever\n", "ttl", "b")
	mustRun(`{"value":{"ttl":90000,"until":1000090000},"index":2}`+"\n", "ttl", "a", "-o", "json")
	mustRun("true\n", "persist", "a")
	mustRun("false\n", "persist", "a")
	mustRun(`{"held":true,"results":[{"value":2},{"value":null}]}`+"\n", "txn", `{"if":[{"get":{"key":"a"},"equals":1}],"then":[{"inc":{"key":"a"}},{"getput":{"key":"d","value":1}}]}`)
	mustRun("3\n", "exec", "append", "b", "", "-o", "table")
	mustRun("2\n", "delete", "c", "d", "nothing")
}

func TestScanGoesOnUntilTheEndOrTheLimit(t *testing.T) {
	state := memory.New(kv.Service)
	node := mustServe(t, state)
	var pairs []quorate.Value
	var all, lines strings.Builder
	for i := range 2500 {
		key := fmt.Sprintf("k/%04d", i)
		pairs = append(pairs, values.Bytes(key), values.Int(int64(i)))
		fmt.Fprintln(&all, key)
		fmt.Fprintf(&lines, "%s\t%d\n", key, i)
	}
	pairs = append(pairs, values.Bytes("\xff"), values.Bytes("\xfe"))
	if _, err := quorate.Do(t.Context(), state, kv.MPut{Pairs: pairs}); err != nil {
		t.Fatal(err)
	}
	head := func(text string, n int) string {
		return strings.Join(strings.SplitAfter(text, "\n")[:n], "")
	}
	const odd = `{"base64":"/w=="}`
	for _, c := range []struct {
		args  []string
		want  string
		pages int
	}{
		{[]string{"scan"}, all.String() + odd + "\n", 3},
		{[]string{"scan", "k/"}, all.String(), 3},
		{[]string{"scan", "k/", "--values"}, lines.String(), 3},
		{[]string{"scan", "k/", "--limit", "1001"}, head(all.String(), 1001), 2},
		{[]string{"scan", "k/", "--limit", "1000"}, head(all.String(), 1000), 1},
		{[]string{"scan", "k/00", "--limit", "2", "--values"}, head(lines.String(), 2), 1},
		{[]string{"scan", "nothing"}, "", 1},
		{[]string{"scan", "\xff", "--values"}, odd + "\t" + `{"base64":"/g=="}` + "\n", 1},
		{[]string{"scan", "\xff", "--values", "-o", "raw"}, "\xff\t\xfe\n", 1},
		{[]string{"scan", "k/000", "--limit", "2", "-o", "json"}, `{"value":{"keys":["k/0000","k/0001"],"values":[],"next":"k/0001","more":true},"index":1}` + "\n", 1},
	} {
		before := len(state.Calls)
		got := run(t, "", append(c.args, "--addr", node)...)
		if got.exit != 0 || got.out != c.want {
			t.Errorf("%s: exit %d, errors %q, output of %d bytes:\n%.300s", c.args, got.exit, got.log, len(got.out), got.out)
		}
		if pages := len(state.Calls) - before; pages != c.pages {
			t.Errorf("%s: %d pages, want %d", c.args, pages, c.pages)
		}
	}
	if got := run(t, "", "scan", "-o", "json", "--stale", "1s", "--addr", node); strings.Count(got.out, `"age":"`) != 3 || strings.Count(got.out, "\n") != 3 {
		t.Errorf("exit %d, errors %q, output:\n%.300s", got.exit, got.log, got.out)
	}
}

func TestPageThatDoesNotGoOnEndsAScan(t *testing.T) {
	more := values.Map(values.Bytes("keys"), values.List(), values.Bytes("values"), values.List(),
		values.Bytes("next"), values.Bytes(""), values.Bytes("more"), values.Bool(true))
	for _, value := range []quorate.Value{more, values.Int(7)} {
		got := run(t, "", "scan", "--addr", mustServe(t, &fake{reply: quorate.Reply{Value: value, Index: 1}}))
		if got.exit != 1 || !strings.Contains(got.log, "not understood") {
			t.Errorf("exit %d, errors %q", got.exit, got.log)
		}
	}
}

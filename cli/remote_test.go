package cli_test

import (
	"net/http"
	"strings"
	"testing"
)

const (
	notApplied = `{"error":"no leader","code":"unavailable","outcome":"not_applied"}`
	unknown    = `{"error":"no majority","code":"unavailable","outcome":"unknown"}`
)

// The order in which a verb meets its nodes: a first that does not serve it,
// and a second that does.
func TestWhetherTheNextAddressIsTried(t *testing.T) {
	silent := func(t *testing.T) *fake { return &fake{addr: nobody(t)} }
	answer := func(status int, body string) func(*testing.T) *fake {
		return func(t *testing.T) *fake { return newFake(t, status, body) }
	}
	for _, c := range []struct {
		name        string
		first       func(*testing.T) *fake
		write, read bool // whether the second node is asked
	}{
		{"nothing listens", silent, true, true},
		{"the call was surely not applied", answer(503, notApplied), true, true},
		{"the queue is full", answer(503, `{"error":"full","code":"overloaded","outcome":"not_applied"}`), true, true},
		{"the outcome is unknown", answer(503, unknown), false, true},
		{"the outcome is not told", answer(503, `{"error":"no leader","code":"unavailable"}`), false, true},
		{"the node is at fault", answer(500, `{"error":"at fault","code":"internal","outcome":"unknown"}`), false, true},
		{"the connection breaks", newRude, false, true},
		{"no answer comes", newDeaf, false, true},
		{"the answer is not that of a node", answer(502, "<html>"), false, true},
		{"the answer is cut", answer(200, `{"value":1,`), false, true},
		{"there is nothing under the key", answer(404, `{"error":"nothing","code":"not_found"}`), false, false},
		{"the call is invalid", answer(400, `{"error":"bad","code":"invalid"}`), false, false},
	} {
		for _, verb := range []string{"inc", "get"} {
			t.Run(verb+" where "+c.name, func(t *testing.T) {
				first, second := c.first(t), newFake(t, http.StatusOK, done)
				want := c.write
				if verb == "get" {
					want = c.read
				}
				got := run(t, "", verb, "k", "--addr", first.addr+","+second.addr, "--timeout", "600ms")
				if asked := second.requests.Load() == 1; asked != want {
					t.Errorf("the second node was asked: %v, want %v (exit %d, %s)", asked, want, got.exit, got.log)
				}
				if served := got.exit == 0 && got.out == "1\n"; served != want {
					t.Errorf("exit %d, output %q, errors %q", got.exit, got.out, got.log)
				}
				if first.requests.Load() > 1 {
					t.Errorf("the first node was asked %d times", first.requests.Load())
				}
			})
		}
	}
}

func TestWriteOfUnknownOutcomeSaysSo(t *testing.T) {
	for name, node := range map[string]*fake{
		"deaf":     newDeaf(t),
		"rude":     newRude(t),
		"unknown":  newFake(t, http.StatusServiceUnavailable, unknown),
		"foreign":  newFake(t, http.StatusBadGateway, "<html>"),
		"cut":      newFake(t, http.StatusOK, `{"value":1,`),
		"nonsense": newFake(t, http.StatusOK, `null`),
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, "", "inc", "k", "--addr", node.addr, "--timeout", "200ms")
			want := "it may have been applied: run it again only if that is harmless\n"
			if got.exit != 4 || !strings.HasSuffix(got.log, want) || strings.Count(got.log, "\n") != 1 {
				t.Errorf("exit %d, errors %q", got.exit, got.log)
			}
			got = run(t, "", "inc", "k", "--addr", node.addr, "--timeout", "200ms", "-o", "json")
			if got.exit != 4 || !strings.Contains(got.log, `"outcome":"unknown"`) {
				t.Errorf("in JSON: exit %d, errors %q", got.exit, got.log)
			}
		})
	}
}

func TestReadWithoutAnswerDoesNotSpeakOfEffects(t *testing.T) {
	got := run(t, "", "get", "k", "--addr", newDeaf(t).addr, "--timeout", "100ms")
	if got.exit != 4 || strings.Contains(got.log, "applied") || !strings.Contains(got.log, "did not answer: the time is over") {
		t.Errorf("exit %d, errors %q", got.exit, got.log)
	}
}

func TestWhereNothingAnswersTheLineSaysHowToStart(t *testing.T) {
	a, b := nobody(t), nobody(t)
	got := run(t, "", "put", "k", "v", "--addr", a, "--addr", b)
	if want := "nothing answers at " + a + ", " + b + ": start a node with: cli.test dev\n"; got.exit != 4 || got.log != want {
		t.Errorf("exit %d, errors %q, want %q", got.exit, got.log, want)
	}
}

func TestTheNodeThatAnswersIsHeardOverOneThatDoesNot(t *testing.T) {
	busy := newFake(t, http.StatusServiceUnavailable, notApplied)
	for _, addrs := range []string{busy.addr + "," + nobody(t), nobody(t) + "," + busy.addr} {
		if got := run(t, "", "put", "k", "v", "--addr", addrs); got.exit != 4 || got.log != "no leader\n" {
			t.Errorf("exit %d, errors %q", got.exit, got.log)
		}
	}
}

func TestAnAddressThatIsNoNodeIsNamed(t *testing.T) {
	web := newFake(t, http.StatusNotFound, "<html>")
	got := run(t, "", "put", "k", "v", "--addr", web.addr)
	if got.exit != 1 || !strings.Contains(got.log, "is it the HTTP address of one?") {
		t.Errorf("exit %d, errors %q", got.exit, got.log)
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
	node := newFake(t, http.StatusOK, answer)
	if got := run(t, "", "status", "--addr", node.addr); got.exit != 0 || got.out != want {
		t.Errorf("exit %d, errors %q, output:\n%s", got.exit, got.log, got.out)
	}
	if node.method != http.MethodGet || node.path != "/v1/status" {
		t.Errorf("sent %s %s", node.method, node.path)
	}
	got := run(t, "", "status", "--addr", node.addr, "-o", "json")
	if compact := strings.ReplaceAll(answer, "\n", ""); got.exit != 0 || got.out != compact+"\n" {
		t.Errorf("exit %d, errors %q, JSON:\n%s", got.exit, got.log, got.out)
	}
	if got := run(t, "", "status", "--addr", node.addr, "-o", "raw"); got.exit != 0 || got.out != answer {
		t.Errorf("exit %d, errors %q, raw:\n%s", got.exit, got.log, got.out)
	}
}

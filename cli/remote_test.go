package cli_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestReadWithoutAnswerDoesNotSpeakOfEffects(t *testing.T) {
	got := run(t, "", "get", "k", "--addr", newDeaf(t).addr, "--timeout", "100ms")
	if got.exit != 4 || strings.Contains(got.log, "applied") || !strings.Contains(got.log, "did not answer: the time is over") {
		t.Errorf("exit %d, errors %q", got.exit, got.log)
	}
}

func TestWhereNothingAnswersTheLineSaysHowToStart(t *testing.T) {
	a, b := nobody(t), nobody(t)
	got := run(t, "", "put", "k", "v", "--addr", a, "--addr", b, "--timeout", "150ms")
	if want := "nothing answers at " + a + ", " + b + ": start a node with: cli.test dev\n"; got.exit != 4 || got.log != want {
		t.Errorf("exit %d, errors %q, want %q", got.exit, got.log, want)
	}
}

func TestTheNodeThatAnswersIsHeardOverOneThatDoesNot(t *testing.T) {
	busy := newFake(t, http.StatusServiceUnavailable, notApplied)
	for _, addrs := range []string{busy.addr + "," + nobody(t), nobody(t) + "," + busy.addr} {
		if got := run(t, "", "put", "k", "v", "--addr", addrs, "--timeout", "200ms"); got.exit != 4 || got.log != "no leader\n" {
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

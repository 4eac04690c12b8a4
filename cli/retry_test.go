package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quorate/quorate/cli"
	"github.com/quorate/quorate/kv"
)

const (
	notApplied = `{"error":"no leader","code":"unavailable","outcome":"not_applied"}`
	unknown    = `{"error":"no majority","code":"unavailable","outcome":"unknown"}`
)

// counter is a node with one counter that remembers the ids of its calls. What
// it does with each request after it has applied it is a matter of a plan.
type counter struct {
	addr string
	// plan is what becomes of the answer to request i; nil sends it.
	plan func(i int) http.HandlerFunc

	// mu guards what follows.
	mu       sync.Mutex
	requests int
	effects  int64
	answers  map[string]int64
}

func newCounter(t *testing.T, plan func(i int) http.HandlerFunc) *counter {
	t.Helper()
	c := &counter{plan: plan, answers: make(map[string]int64)}
	server := httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(server.Close)
	c.addr = server.Listener.Addr().String()
	return c
}

func (c *counter) serve(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	answer, i := c.apply(r.Header.Get("Idempotency-Key"))
	if instead := c.plan(i); instead != nil {
		instead(w, r)
		return
	}
	fmt.Fprintf(w, `{"value":%d,"index":17}`, answer)
}

// apply counts once for each id, and once for each call without one.
func (c *counter) apply(id string) (answer int64, request int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	request = c.requests
	c.requests++
	if answer, ok := c.answers[id]; ok && id != "" {
		return answer, request
	}
	c.effects++
	c.answers[id] = c.effects
	return c.effects, request
}

func (c *counter) counts() (requests int, effects int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests, c.effects
}

func (c *counter) ids() (ids []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.answers {
		ids = append(ids, id)
	}
	return ids
}

// What may become of an answer.
func breaks(http.ResponseWriter, *http.Request)    { panic(http.ErrAbortHandler) }
func hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
func says(status int, answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}
}

func TestWriteWhoseAnswerIsLostIsRetriedAndTakesEffectOnce(t *testing.T) {
	for name, lost := range map[string]http.HandlerFunc{
		"the connection breaks":             breaks,
		"the outcome is unknown":            says(503, unknown),
		"the node is at fault":              says(500, `{"error":"at fault","code":"internal","outcome":"unknown"}`),
		"a proxy gives up":                  says(504, "<html>"),
		"the answer is cut":                 says(200, `{"value":1,`),
		"the node lost the leader for sure": says(503, notApplied),
	} {
		t.Run(name, func(t *testing.T) {
			node := newCounter(t, func(i int) http.HandlerFunc {
				if i < 3 {
					return lost
				}
				return nil
			})
			got := run(t, "", "inc", "hits", "--addr", node.addr)
			requests, effects := node.counts()
			if got.exit != 0 || got.out != "1\n" || got.log != "" || requests != 4 || effects != 1 {
				t.Errorf("exit %d, output %q, errors %q after %d requests with %d effects", got.exit, got.out, got.log, requests, effects)
			}
		})
	}
}

func TestWriteThatHangsIsRetriedElsewhereUnderTheSameID(t *testing.T) {
	one := newCounter(t, func(int) http.HandlerFunc { return hangs })
	other := newCounter(t, func(int) http.HandlerFunc { return nil })
	got := run(t, "", "inc", "hits", "--addr", one.addr+","+other.addr, "--timeout", "800ms")
	if got.exit != 0 || got.out != "1\n" {
		t.Fatalf("exit %d, output %q, errors %q", got.exit, got.out, got.log)
	}
	if a, b := one.ids(), other.ids(); len(a) != 1 || len(b) != 1 || a[0] != b[0] {
		t.Errorf("the ids are %q and %q", a, b)
	}
}

func TestEachWriteHasAnIDOfItsOwn(t *testing.T) {
	node := newCounter(t, func(int) http.HandlerFunc { return nil })
	for want := range int64(3) {
		if got := run(t, "", "inc", "hits", "--addr", node.addr); got.out != fmt.Sprintln(want+1) {
			t.Errorf("exit %d, output %q, errors %q", got.exit, got.out, got.log)
		}
	}
	for _, id := range node.ids() {
		if len(id) != 26 || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
			t.Errorf("the id %q is not 130 printed random bits", id)
		}
	}
	if ids := node.ids(); len(ids) != 3 {
		t.Errorf("three calls have the ids %q", ids)
	}
	query := newFake(t, http.StatusOK, done)
	if got := run(t, "", "get", "hits", "--addr", query.addr); got.exit != 0 || len(query.header.Values("Idempotency-Key")) != 0 {
		t.Errorf("a query: exit %d, id %q", got.exit, query.header.Values("Idempotency-Key"))
	}
}

// A first node that does not serve a call, and a second that does.
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
		{"the copy is too old", answer(503, `{"error":"old","code":"too_old","outcome":"not_applied"}`), true, true},
		{"the outcome is unknown", answer(503, unknown), true, true},
		{"the outcome is not told", answer(503, `{"error":"no leader","code":"unavailable"}`), true, true},
		{"the node is at fault", answer(500, `{"error":"at fault","code":"internal","outcome":"unknown"}`), true, true},
		{"the connection breaks", newRude, true, true},
		{"no answer comes", newDeaf, true, true},
		{"the answer is not that of a node", answer(502, "<html>"), true, true},
		{"the answer is cut", answer(200, `{"value":1,`), true, true},
		{"the address is that of something else", answer(404, "<html>"), false, false},
		{"there is nothing under the key", answer(404, `{"error":"nothing","code":"not_found"}`), false, false},
		{"the call is invalid", answer(400, `{"error":"bad","code":"invalid","outcome":"not_applied"}`), false, false},
		{"the id was used before", answer(422, `{"error":"other","code":"id_reused","outcome":"not_applied"}`), false, false},
		{"the state is another", answer(409, `{"error":"other","code":"conflict","outcome":"not_applied"}`), false, false},
		{"the command panics", answer(500, `{"error":"panic","code":"panicked","outcome":"not_applied"}`), false, false},
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

func TestWriteOfUnknownOutcomeSaysSoAndNamesItsID(t *testing.T) {
	for name, node := range map[string]*fake{
		"deaf":     newDeaf(t),
		"rude":     newRude(t),
		"unknown":  newFake(t, http.StatusServiceUnavailable, unknown),
		"foreign":  newFake(t, http.StatusBadGateway, "<html>"),
		"cut":      newFake(t, http.StatusOK, `{"value":1,`),
		"nonsense": newFake(t, http.StatusOK, `null`),
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, "", "inc", "k", "--addr", node.addr, "--timeout", "200ms", "--id", "mine")
			want := "; it may have been applied: repeat the command with --id mine, under which it takes effect once\n"
			if got.exit != 4 || !strings.HasSuffix(got.log, want) || strings.Count(got.log, "\n") != 1 {
				t.Errorf("exit %d, errors %q", got.exit, got.log)
			}
			got = run(t, "", "inc", "k", "--addr", node.addr, "--timeout", "200ms", "-o", "json")
			var told struct{ Outcome, ID, Error string }
			if err := json.Unmarshal([]byte(got.log), &told); err != nil || got.exit != 4 || told.Outcome != "unknown" || len(told.ID) != 26 {
				t.Errorf("in JSON: exit %d, errors %q, %v", got.exit, got.log, err)
			}
			if !strings.Contains(told.Error, "--id "+told.ID+",") {
				t.Errorf("the sentence %q does not name the id %q", told.Error, told.ID)
			}
		})
	}
}

func TestIDOfAnUnknownOutcomeIsEnoughToAskAgain(t *testing.T) {
	var up atomic.Bool
	node := newCounter(t, func(int) http.HandlerFunc {
		if up.Load() {
			return nil
		}
		return breaks
	})
	got := run(t, "", "inc", "hits", "--addr", node.addr, "--timeout", "300ms", "-o", "json")
	var told struct{ ID string }
	requests, _ := node.counts()
	if err := json.Unmarshal([]byte(got.log), &told); err != nil || got.exit != 4 || requests < 2 {
		t.Fatalf("exit %d, errors %q after %d requests, %v", got.exit, got.log, requests, err)
	}
	up.Store(true)
	got = run(t, "", "inc", "hits", "--addr", node.addr, "--id", told.ID)
	if _, effects := node.counts(); got.exit != 0 || got.out != "1\n" || effects != 1 {
		t.Errorf("exit %d, output %q, errors %q, %d effects", got.exit, got.out, got.log, effects)
	}
}

// The first attempt may have been applied. What a second node says settles
// that only if it comes from what is remembered under the id.
func TestRefusalAfterAnUnknownOutcomeLeavesItUnknown(t *testing.T) {
	for _, c := range []struct {
		status int
		answer string
		exit   int
		log    string
	}{
		{409, `{"error":"not as expected","code":"conflict","outcome":"not_applied","value":7}`, 6, "not as expected: it is 7\n"},
		{422, `{"error":"other content","code":"id_reused","outcome":"not_applied"}`, 1, "other content\n"},
		{503, notApplied, 4, "; it may have been applied: "},
		{503, `{"error":"full","code":"overloaded","outcome":"not_applied"}`, 4, "; it may have been applied: "},
		{400, `{"error":"too new","code":"invalid","outcome":"not_applied"}`, 4, "too new; it may have been applied: "},
		{404, `{"error":"too new","code":"unknown_operation","outcome":"not_applied"}`, 4, "too new; it may have been applied: "},
		{413, `{"error":"too new","code":"too_large","outcome":"not_applied"}`, 4, "too new; it may have been applied: "},
		{404, `<html>`, 4, "is it the HTTP address of one?; it may have been applied: "},
	} {
		first, second := newRude(t), newFake(t, c.status, c.answer)
		got := run(t, "", "inc", "k", "--addr", first.addr+","+second.addr, "--timeout", "400ms")
		if got.exit != c.exit || !strings.Contains(got.log, c.log) || first.requests.Load() == 0 || second.requests.Load() == 0 {
			t.Errorf("%s: exit %d, errors %q", c.answer, got.exit, got.log)
		}
	}
}

func TestNodeThatRefusesForSureIsNotCalledUnknownAtTheDeadline(t *testing.T) {
	node := newFake(t, http.StatusServiceUnavailable, notApplied)
	got := run(t, "", "inc", "k", "--addr", node.addr, "--timeout", "700ms", "-o", "json")
	if got.exit != 4 || got.log != notApplied+"\n" || node.requests.Load() < 2 {
		t.Errorf("exit %d, errors %q after %d requests", got.exit, got.log, node.requests.Load())
	}
}

func TestNodeThatComesBackServesTheCallThatWaitsForIt(t *testing.T) {
	addr := nobody(t)
	var once sync.Once
	busy := newCounter(t, func(int) http.HandlerFunc {
		once.Do(func() {
			listener, err := net.Listen("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			server := &http.Server{Handler: says(200, done)}
			t.Cleanup(func() { server.Close() })
			go server.Serve(listener)
		})
		return says(503, notApplied)
	})
	if got := run(t, "", "get", "k", "--addr", addr+","+busy.addr); got.exit != 0 || got.out != "1\n" {
		t.Errorf("exit %d, output %q, errors %q", got.exit, got.out, got.log)
	}
}

func TestInterruptedWriteThatWasSentIsOfUnknownOutcome(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	node := newCounter(t, func(int) http.HandlerFunc {
		interrupt()
		return hangs
	})
	var out, log bytes.Buffer
	exit := cli.Run(ctx, kv.Service, []string{"inc", "k", "--id", "x", "--addr", node.addr}, strings.NewReader(""), &out, &log)
	if exit != 4 || !strings.Contains(log.String(), "interrupted; it may have been applied: repeat the command with --id x,") {
		t.Errorf("exit %d, errors %q", exit, log.String())
	}
}

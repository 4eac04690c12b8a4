package torture

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// outcome is what a client knows of its call.
type outcome int

const (
	acknowledged outcome = iota
	// refused is the answer of a command or query that the state does not
	// allow: it changed nothing, and says what was there.
	refused
	// notApplied is surely so: nobody did anything with the call.
	notApplied
	unknown
)

// answered says that the outcome tells of the state.
func (o outcome) answered() bool { return o == acknowledged || o == refused }

// answer is the body of a response.
type answer struct {
	Value   json.RawMessage `json:"value"`
	Index   uint64          `json:"index"`
	Error   string          `json:"error"`
	Code    string          `json:"code"`
	Outcome string          `json:"outcome"`
}

// String is the answer for people.
func (a answer) String() string {
	return fmt.Sprintf("{value %s, index %d, error %q, code %s, outcome %s}", a.Value, a.Index, a.Error, a.Code, a.Outcome)
}

// same says that two answers of the same call are equal, as all answers under
// one id must be.
func (a answer) same(b answer) bool {
	return a.Index == b.Index && a.Code == b.Code && bytes.Equal(a.Value, b.Value)
}

// integer is the value of an answer; null is none.
func (a answer) integer() (value int64, found bool, err error) {
	text := string(bytes.TrimSpace(a.Value))
	if text == "" || text == "null" {
		return 0, false, nil
	}
	value, err = strconv.ParseInt(text, 10, 64)
	return value, true, err
}

// call is one POST.
type call struct {
	path, body string
	id         string        // none if empty
	timeout    time.Duration // of the node; its own if 0
}

// newClient is an HTTP client for one of many concurrent callers.
func newClient(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout:   timeout,
		Transport: &http.Transport{MaxIdleConnsPerHost: 4, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext},
	}
}

// post sends one call and says what became of it. Any goroutine may call it.
func (c *cluster) post(ctx context.Context, client *http.Client, node int, call call) (answer, outcome) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.nodes[node].config.HTTP+call.path, strings.NewReader(call.body))
	if err != nil {
		c.t.Error(err)
		return answer{}, notApplied
	}
	if call.id != "" {
		req.Header.Set("Idempotency-Key", call.id)
		// net/http would send a request with this header again by itself, and
		// then an error of the second dial says nothing of the first attempt.
		req.GetBody = nil
	}
	if call.timeout > 0 {
		req.Header.Set("Quorate-Timeout", call.timeout.String())
	}
	resp, err := client.Do(req)
	if err != nil {
		// A call whose connection was never made never left.
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
			return answer{}, notApplied
		}
		return answer{}, unknown
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	var a answer
	if err != nil || json.Unmarshal(data, &a) != nil {
		return a, unknown
	}
	return a, outcomeOf(resp.StatusCode, a)
}

// outcomeOf reads what a node says of a call.
func outcomeOf(code int, a answer) outcome {
	switch code {
	case http.StatusOK:
		return acknowledged
	case http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity:
		return refused
	}
	if a.Outcome == "not_applied" {
		return notApplied
	}
	return unknown
}

// ask sends a call of the test itself.
func (c *cluster) ask(node int, call call) (answer, outcome) {
	return c.post(context.Background(), c.http, node, call)
}

// keyBody is the body of a call that has no more than a key.
func keyBody(key string) string { return `{"key":` + strconv.Quote(key) + `}` }

// get reads an integer through a node; 0 if there is none.
func (c *cluster) get(node int, key string) (int64, error) {
	a, out := c.ask(node, call{path: "/get", body: keyBody(key)})
	switch {
	case out == acknowledged:
		value, _, err := a.integer()
		return value, err
	case a.Code == "not_found":
		return 0, nil
	}
	return 0, fmt.Errorf("get %s: %s", key, a.Error)
}

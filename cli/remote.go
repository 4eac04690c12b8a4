package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate"
)

// answerBytesMax bounds an answer: a value of 1 MiB in which every byte is
// escaped as \u00XX is 6 MiB.
const answerBytesMax = 8 << 20

// nodeTimeoutMax is the longest that a node lets a call wait.
const nodeTimeoutMax = time.Minute

// remote is the nodes that a command talks to.
type remote struct {
	program string // what the user types to start one
	addrs   []string
	timeout time.Duration
	id      string
	stale   age
	output  choice
}

// message is one HTTP request to a node.
type message struct {
	method string
	path   string
	body   []byte
	writes bool
	// id is the same for each attempt at one write; a read has none.
	id string
}

// clientFlags adds the flags that all commands which talk to a node have.
func (r *remote) clientFlags(cmd *cobra.Command) {
	r.output = choice{outputTable, []string{outputTable, outputJSON, outputRaw}}
	flags := cmd.Flags()
	flags.StringSliceVar(&r.addrs, "addr", []string{defaultHTTP}, "HTTP addresses of nodes; the next is tried where one does not serve the call")
	flags.DurationVar(&r.timeout, "timeout", 5*time.Second, "how long to try, over all addresses")
	flags.VarP(&r.output, "output", "o", "form of the output: raw is the bytes of the value and nothing else")
}

// idFlag adds the flag that commands which write have too.
func (r *remote) idFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.id, "id", "", "call id: what is sent under one id within an hour takes effect once (default: a random one)")
}

// staleFlag adds the flag that commands which only read have too.
func (r *remote) staleFlag(cmd *cobra.Command) {
	cmd.Flags().Var(&r.stale, "stale", "take an answer that may be so old: a node gives it without asking the others")
}

// check refuses flags that cannot work, and brings addresses into one form.
func (r *remote) check() error {
	if len(r.addrs) == 0 {
		return usage("--addr names no address")
	}
	for i, text := range r.addrs {
		addr, err := httpAddress(text)
		if err != nil {
			return usage("%v", err)
		}
		r.addrs[i] = addr
	}
	if r.timeout <= 0 {
		return usage("a timeout of %v leaves no time to answer", r.timeout)
	}
	return checkID(r.id)
}

// checkID refuses an id that does not fit into an HTTP header as it is.
func checkID(id string) error {
	if len(id) > quorate.CallIDBytesMax {
		return usage("a call id of %d bytes is over the limit of %d", len(id), quorate.CallIDBytesMax)
	}
	for _, c := range []byte(id) {
		if c <= ' ' || c > '~' {
			return usage("the call id %q may hold printable ASCII without blanks only", id)
		}
	}
	return nil
}

// try gives a message to one node and gives it up after its share of the time.
func (r *remote) try(ctx context.Context, addr string, share time.Duration, m message) ([]byte, *failure) {
	ctx, cancel := context.WithTimeout(ctx, share)
	defer cancel()
	var sent bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent = true }}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), m.method, "http://"+addr+m.path, bytes.NewReader(m.body))
	if err != nil {
		return nil, usage("address %q: %v", addr, err)
	}
	setHeaders(request, share, m)
	status, body, err := exchange(request, share)
	if err != nil {
		return nil, silence(addr, sent, m, err)
	}
	return understand(addr, status, body, m)
}

func setHeaders(request *http.Request, share time.Duration, m message) {
	request.Header.Set("Content-Type", "application/json")
	// The node gives up a little before this side does: it can say what
	// became of the call, and this side cannot.
	margin := min(share/10, 250*time.Millisecond)
	timeout := min(max(share-margin, time.Millisecond), nodeTimeoutMax)
	request.Header.Set("Quorate-Timeout", timeout.Round(time.Millisecond).String())
	if m.id != "" {
		request.Header.Set("Idempotency-Key", m.id)
	}
}

// exchange sends a request over a connection of its own, so that nothing is
// ever sent twice behind our back.
func exchange(request *http.Request, dialTime time.Duration) (status int, body []byte, err error) {
	client := http.Client{
		Transport: &http.Transport{
			DialContext:       (&net.Dialer{Timeout: dialTime}).DialContext,
			DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, answerBytesMax+1))
	if err == nil && len(body) > answerBytesMax {
		err = fmt.Errorf("the answer is over the limit of %d bytes", answerBytesMax)
	}
	return response.StatusCode, body, err
}

// silence is the failure of a message that got no answer.
func silence(addr string, sent bool, m message, err error) *failure {
	switch {
	case sent && m.writes:
		return unavailable(quorate.Unknown, "%s took the call and did not answer: %v", addr, cause(err))
	case sent:
		return unavailable(quorate.NotApplied, "%s did not answer: %v", addr, cause(err))
	}
	f := unavailable(quorate.NotApplied, "nothing answers at %s: %v", addr, cause(err))
	f.silent = true
	return f
}

// cause is an error without the words that net/http puts in front.
func cause(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("the time is over")
	}
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// understand is the answer of a node, or the problem it answers with.
func understand(addr string, status int, body []byte, m message) ([]byte, *failure) {
	var p problem
	object := json.Valid(body) && bytes.HasPrefix(bytes.TrimSpace(body), []byte("{"))
	atFault := status == http.StatusOK || status >= http.StatusInternalServerError
	switch {
	case object && status == http.StatusOK:
		return body, nil
	case object && json.Unmarshal(body, &p) == nil && p.Code != "":
		if m.writes && atFault && p.Outcome == "" {
			p.Outcome = quorate.Unknown.String() // what is not told is not known
		}
		return nil, answered(p)
	case m.writes && atFault:
		return nil, unavailable(quorate.Unknown, "%s answers with HTTP %d and no JSON of a node", addr, status)
	}
	f := failed("%s answers with HTTP %d and no JSON of a node: is it the HTTP address of one?", addr, status)
	if atFault {
		f.Code = quorate.Internal // the next attempt may meet a node
	}
	return nil, f
}

package cli_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/cli"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/resp"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/respapi"
	"github.com/quorate/quorate/values"
)

// result is what one run of the program came to.
type result struct {
	exit     int
	out, log string
}

func run(t *testing.T, in string, args ...string) result {
	t.Helper()
	return runUntil(t.Context(), in, args...)
}

func runUntil(ctx context.Context, in string, args ...string) result {
	var out, log bytes.Buffer
	exit := cli.Run(ctx, kv.Service, args, strings.NewReader(in), &out, &log)
	return result{exit, out.String(), log.String()}
}

// mustServe puts the door of a node before an executor, and returns its address.
func mustServe(t *testing.T, executor quorate.Executor, change ...func(*respapi.Config)) (addr string) {
	t.Helper()
	l := mustListen(t, "127.0.0.1:0")
	serveAt(t, l, executor, change...)
	return l.Addr().String()
}

func serveAt(t *testing.T, l net.Listener, executor quorate.Executor, change ...func(*respapi.Config)) {
	t.Helper()
	config := respapi.Config{Service: kv.Service, Executor: executor}
	for _, f := range change {
		f(&config)
	}
	door := respapi.New(config)
	served := make(chan error, 1)
	go func() { served <- door.Serve(l) }()
	t.Cleanup(func() {
		// Its clients are gone, or wait for what will not come.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = door.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

func mustListen(t *testing.T, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// nobody is an address at which nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	l := mustListen(t, "127.0.0.1:0")
	defer l.Close()
	return l.Addr().String()
}

// done is the reply of an executor that has nothing else to say.
var done = quorate.Reply{Value: values.Int(1), Index: 17}

// fake is an executor that gives every call the same reply.
type fake struct {
	reply quorate.Reply

	// mu guards calls.
	mu    sync.Mutex
	calls []quorate.Call
}

// Execute implements quorate.Executor.
func (f *fake) Execute(_ context.Context, calls []quorate.Call) []quorate.Reply {
	f.mu.Lock()
	defer f.mu.Unlock()
	replies := make([]quorate.Reply, len(calls))
	for i, call := range calls {
		f.calls = append(f.calls, call)
		replies[i] = f.reply
	}
	return replies
}

// seen is the calls so far.
func (f *fake) seen() []quorate.Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// last is the newest call.
func (f *fake) last(t *testing.T) quorate.Call {
	t.Helper()
	seen := f.seen()
	if len(seen) == 0 {
		t.Fatal("no call came")
	}
	return seen[len(seen)-1]
}

// refusing is the reply to a call that was refused before the log.
func refusing(code quorate.Code, outcome quorate.Outcome, message string) quorate.Reply {
	return quorate.Reply{Err: &quorate.Error{Code: code, Outcome: outcome, Message: message}}
}

// deed is what a wire does with a frame of calls after it has run them.
type deed int

const (
	serve  deed = iota
	hang        // never answer
	hangUp      // close the connection
	cut         // close the connection within the answer
	babble      // answer what is not of the protocol
	misuse      // answer a value of another kind
)

// wire speaks the frames of a node before an executor, and misbehaves where it
// is told to.
type wire struct {
	addr     string
	executor quorate.Executor
	// deed says what to do with frame n, the first being 0. It may be nil.
	deed func(n int) deed
	// greeting, if not empty, is all that it ever answers.
	greeting string

	ended chan struct{}
	// mu guards frames.
	mu     sync.Mutex
	frames int
}

// mustStart makes a wire that listens.
func mustStart(t *testing.T, w *wire) *wire {
	t.Helper()
	l := mustListen(t, "127.0.0.1:0")
	w.addr, w.ended = l.Addr().String(), make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(t.Context(), func() { conn.Close() })()
				w.handle(conn)
			})
		}
	})
	t.Cleanup(func() {
		close(w.ended)
		l.Close()
		running.Wait()
	})
	return w
}

func (w *wire) handle(conn net.Conn) {
	reader := resp.NewReader(conn, resp.Limits{Calls: 1, CallBytes: 4 << 20, BulkBytes: 2 << 20, Arguments: 8})
	for {
		calls, err := reader.Read()
		if err != nil {
			return
		}
		if w.greeting != "" {
			conn.Write([]byte(w.greeting))
			return
		}
		if !w.answer(conn, calls[0]) {
			return
		}
	}
}

// answer answers QUORATE EXECUTE. False ends the connection.
func (w *wire) answer(conn net.Conn, frame resp.Call) bool {
	calls, _, err := entry.ReadCalls(frame[3])
	if err != nil {
		return false
	}
	var replies []quorate.Reply
	do := serve
	if len(calls) > 0 { // the first of a connection has none
		replies = w.executor.Execute(context.Background(), calls)
		do = w.next()
	}
	answer := resp.AppendBulk(nil, entry.AppendReplies(nil, replies))
	switch do {
	case hang:
		<-w.ended
		return false
	case hangUp:
		return false
	case cut:
		conn.Write(answer[:len(answer)-3])
		return false
	case babble:
		answer = []byte("<html>\r\n")
	case misuse:
		answer = resp.AppendInt(nil, 7)
	}
	_, err = conn.Write(answer)
	return err == nil
}

// next is what to do with the next frame.
func (w *wire) next() deed {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.frames
	w.frames++
	if w.deed == nil {
		return serve
	}
	return w.deed(n)
}

// asked is how many frames came.
func (w *wire) asked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.frames
}

// always does the same with every frame.
func always(do deed) func(int) deed { return func(int) deed { return do } }

// counter is an executor with one counter that remembers the ids of its calls.
type counter struct {
	// plan is the reply to call i after it was run; without an error it is the
	// counter.
	plan func(i int) quorate.Reply

	// mu guards what follows.
	mu      sync.Mutex
	calls   int
	effects int64
	answers map[quorate.CallID]int64
}

// Execute implements quorate.Executor.
func (c *counter) Execute(_ context.Context, calls []quorate.Call) []quorate.Reply {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers == nil {
		c.answers = make(map[quorate.CallID]int64)
	}
	replies := make([]quorate.Reply, len(calls))
	for i, call := range calls {
		n, known := c.answers[call.ID]
		if !known || call.ID == "" {
			c.effects++
			n = c.effects
			c.answers[call.ID] = n
		}
		replies[i] = quorate.Reply{Value: values.Int(n), Index: 17}
		if c.plan != nil {
			if instead := c.plan(c.calls); instead.Err != nil {
				replies[i] = instead
			}
		}
		c.calls++
	}
	return replies
}

func (c *counter) counts() (calls int, effects int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls, c.effects
}

func (c *counter) ids() (ids []quorate.CallID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.answers {
		ids = append(ids, id)
	}
	return ids
}

// mustCall is the call that a program in Go would make.
func mustCall(t *testing.T, operation any) quorate.Call {
	t.Helper()
	call, err := quorate.NewCall(operation)
	if err != nil {
		t.Fatal(err)
	}
	return call
}

func mustWrite(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mustCertify makes a certificate for the loopback, and a file of it.
func mustCertify(t *testing.T) (config *tls.Config, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, mustWrite(t, "ca.pem", string(text))
}

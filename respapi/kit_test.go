package respapi_test

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/internal/resp"
	"github.com/quorate/quorate/respapi"
	"github.com/quorate/quorate/values"
)

// notes is a service of strings, as small as one can be that has all kinds of
// operations.
var notes = quorate.Define("notes",
	quorate.Write[put]("PUT"),
	quorate.Read[take]("TAKE"),
	quorate.Write[inc]("INC"),
	quorate.Write[drop]("DROP"),
	quorate.Read[seen]("SEEN"),
	quorate.Read[forms]("FORMS"),
	quorate.Write[boom]("BOOM"),
)

// touch notes that what is under a key has changed, for WATCH.
func touch(tx *quorate.Tx, key string) {
	tx.Set([]byte("\x00"+key), strconv.AppendUint(nil, tx.Revision(), 10))
}

type put struct{ Key, Value string }

func (p put) Apply(tx *quorate.Tx) (string, error) {
	tx.Set([]byte(p.Key), []byte(p.Value))
	touch(tx, p.Key)
	return p.Value, nil
}

type take struct{ Key string }

func (t take) Read(view *quorate.View) (string, error) {
	value, found := view.Get([]byte(t.Key))
	if !found {
		return "", quorate.Errorf(quorate.NotFound, "there is no note %q", t.Key)
	}
	return string(value), nil
}

type inc struct{ Key string }

func (i inc) Apply(tx *quorate.Tx) (int64, error) {
	value, found := tx.Get([]byte(i.Key))
	if !found {
		value = []byte("0")
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		return 0, quorate.Errorf("not_a_number", "value is not an integer or out of range")
	}
	tx.Set([]byte(i.Key), strconv.AppendInt(nil, n+1, 10))
	touch(tx, i.Key)
	return n + 1, nil
}

type drop struct{ Keys []string }

func (d drop) Apply(tx *quorate.Tx) (int64, error) {
	var n int64
	for _, key := range d.Keys {
		if _, found := tx.Get([]byte(key)); found {
			tx.Delete([]byte(key))
			touch(tx, key)
			n++
		}
	}
	return n, nil
}

// seen is what WATCH asks.
type seen struct{ Key string }

func (s seen) Read(view *quorate.View) (string, error) { return take{"\x00" + s.Key}.Read(view) }

// forms has a result of each kind.
type forms struct{ Kind string }

func (f forms) Read(*quorate.View) (quorate.Value, error) {
	switch f.Kind {
	case "none":
		return quorate.Value{}, nil
	case "bool":
		return values.Bool(true), nil
	case "int":
		return values.Int(-7), nil
	case "uint":
		return values.Uint(7), nil
	case "big":
		return values.Uint(1<<64 - 1), nil
	case "float":
		return values.Float(0.5), nil
	case "list":
		return values.List(values.Int(1), values.Bytes("a")), nil
	case "map":
		return values.Map(values.Bytes("a"), values.Int(1)), nil
	}
	return quorate.Value{}, quorate.Errorf(quorate.Code(f.Kind), "it is %s", f.Kind)
}

// boom is a command that panics.
type boom struct{}

func (boom) Apply(*quorate.Tx) (bool, error) { panic("boom") }

// tableDocs is what Redis tells of the commands of the table.
//
//go:embed testdata/table.resp3
var tableDocs []byte

// tableNames are the commands of the table that Redis has too.
var tableNames = []string{"DEL", "GET", "INCR", "MGET", "SET"}

// mustTable is a table of a few commands over notes.
func mustTable(t testing.TB) respapi.Table {
	t.Helper()
	docs, err := respapi.ReadDocs(tableDocs)
	if err != nil {
		t.Fatal(err)
	}
	text := func(args [][]byte, reply quorate.Reply) resp.Value { return respapi.Answer(reply) }
	call := func(name string) func(args [][]byte) (quorate.Call, error) {
		return func(args [][]byte) (quorate.Call, error) { return quorate.Call{Name: name, Args: args}, nil }
	}
	return respapi.Table{
		Watch: func(key []byte) quorate.Call { return quorate.Call{Name: "SEEN", Args: [][]byte{key}} },
		Keys: func(ctx context.Context, on quorate.Executor) (int64, int64, error) {
			return 5, 2, nil
		},
		Commands: []respapi.Command{
			{Name: "GET", Docs: docs["GET"], Call: call("TAKE"), Reply: text},
			{Name: "INCR", Docs: docs["INCR"], Call: call("INC"), Reply: text},
			{
				Name: "SET", Docs: docs["SET"],
				Call: func(args [][]byte) (quorate.Call, error) {
					if len(args) != 2 {
						return quorate.Call{}, &respapi.Refusal{Prefix: "ERR", Text: "syntax error"}
					}
					return quorate.Call{Name: "PUT", Args: args}, nil
				},
				Reply: func(_ [][]byte, reply quorate.Reply) resp.Value {
					if reply.Err != nil {
						return respapi.Failure(reply.Err)
					}
					return resp.SimpleValue("OK")
				},
			},
			{
				Name: "DEL", Docs: docs["DEL"],
				Call: func(args [][]byte) (quorate.Call, error) {
					keys := make([]string, len(args))
					for i, arg := range args {
						keys[i] = string(arg)
					}
					return quorate.NewCall(drop{Keys: keys})
				},
				Reply: text,
			},
			{
				Name: "MGET", Docs: docs["MGET"],
				Run: func(ctx context.Context, on quorate.Executor, args [][]byte) resp.Value {
					list := make([]resp.Value, len(args))
					for i, key := range args {
						list[i] = respapi.Answer(on.Execute(ctx, []quorate.Call{{Name: "TAKE", Args: [][]byte{key}}})[0])
					}
					return resp.ArrayValue(list...)
				},
			},
		},
	}
}

// remembering is an executor that remembers ids, as a node does.
type remembering struct {
	on    quorate.Executor
	mu    sync.Mutex
	known map[quorate.CallID]quorate.Reply
}

func (r *remembering) Execute(ctx context.Context, calls []quorate.Call) []quorate.Reply {
	r.mu.Lock()
	defer r.mu.Unlock()
	replies := make([]quorate.Reply, len(calls))
	for i, call := range calls {
		if reply, ok := r.known[call.ID]; ok && call.ID != "" {
			replies[i] = reply
			continue
		}
		replies[i] = r.on.Execute(ctx, calls[i:i+1])[0]
		if call.ID != "" {
			r.known[call.ID] = replies[i]
		}
	}
	return replies
}

// mustServe runs a door over notes and returns its address. What config leaves
// out is filled in.
func mustServe(t testing.TB, config respapi.Config) (*respapi.Server, string) {
	t.Helper()
	if config.Service == nil {
		config.Service = notes
	}
	if config.Executor == nil {
		config.Executor = &remembering{on: memory.New(config.Service), known: make(map[quorate.CallID]quorate.Reply)}
	}
	if config.Table.Commands == nil {
		config.Table = mustTable(t)
	}
	server := respapi.New(config)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("shut down: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return server, listener.Addr().String()
}

// talker is a client of raw bytes.
type talker struct {
	t testing.TB
	net.Conn
	replies *resp.ReplyReader
}

// mustDial connects a client.
func mustDial(t testing.TB, address string) *talker {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return newTalker(t, c)
}

func newTalker(t testing.TB, c net.Conn) *talker {
	return &talker{t, c, resp.NewReplyReader(bufio.NewReader(c), resp.DefaultReplyLimits())}
}

// send sends lines, each a call.
func (c *talker) send(lines ...string) {
	c.t.Helper()
	if _, err := io.WriteString(c, strings.Join(lines, "\r\n")+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
}

// call sends a call.
func (c *talker) call(name string, args ...string) {
	c.t.Helper()
	if _, err := c.Write(callBytes(name, args...)); err != nil {
		c.t.Fatal(err)
	}
}

func callBytes(name string, args ...string) []byte {
	list := make([][]byte, len(args))
	for i, arg := range args {
		list[i] = []byte(arg)
	}
	return resp.AppendCall(nil, name, list...)
}

// read is the next answer.
func (c *talker) read() resp.Value {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	v, err := c.replies.Read()
	if err != nil {
		c.t.Fatalf("read an answer: %v", err)
	}
	return v
}

// do sends a line and returns its answer as text.
func (c *talker) do(line string) string {
	c.t.Helper()
	c.send(line)
	return show(c.read())
}

// mustAnswer sends a line and compares the answer.
func (c *talker) mustAnswer(line, want string) {
	c.t.Helper()
	if got := c.do(line); got != want {
		c.t.Fatalf("%s: answered %s, want %s", line, got, want)
	}
}

// mustEnd waits for the server to close the connection, without an answer
// before that.
func (c *talker) mustEnd() {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	v, err := c.replies.Read()
	if err == nil {
		c.t.Fatalf("answered %s, want the end", show(v))
	}
	if netErr, ok := errors.AsType[net.Error](err); ok && netErr.Timeout() {
		c.t.Fatal("the connection was not closed")
	}
}

// show is a value as it is sent, without the line ends.
func show(v resp.Value) string {
	return strings.TrimSpace(strings.ReplaceAll(string(resp.Append(nil, resp.RESP3, v)), "\r\n", " "))
}

// exchange sends bytes on a connection of their own and returns all that is
// answered until nothing comes any more. The end of what is sent is told by a
// half-close, so that nothing has to be waited for.
func exchange(t testing.TB, address, packet string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	go func() {
		_, _ = io.WriteString(c, packet) // the server may close before it has read all
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	answer, err := io.ReadAll(c)
	if netErr, ok := errors.AsType[net.Error](err); ok && netErr.Timeout() {
		t.Fatalf("%.200q: the connection stays open", packet)
	}
	return string(answer)
}

// mustRedis runs a redis-server and returns its address. Without one the test is
// skipped.
func mustRedis(t testing.TB, options ...string) string {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("compares with redis-server, which is not installed")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close() // the port is for the server
	_, port, _ := net.SplitHostPort(address)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir(),
		"--databases", "1"}, options...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if c, err := net.Dial("tcp", address); err == nil {
			defer c.Close()
			_, _ = io.WriteString(c, "PING\r\n")
			line, err := bufio.NewReader(c).ReadString('\n')
			if err == nil && !strings.HasPrefix(line, "-LOADING") {
				return address
			}
		}
		time.Sleep(10 * time.Millisecond) // for another process to begin
	}
	t.Fatal("redis-server did not answer")
	return ""
}

// lines is a log that a test reads. It may be used by many goroutines.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

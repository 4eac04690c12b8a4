package redis_test

import (
	"flag"

	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/internal/resp"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/kv/redis"
	"github.com/quorate/quorate/respapi"
)

var (
	rewrite = flag.Bool("rewrite", false, "write down what redis-server tells of commands")
	seed    = flag.Uint64("seed", 0, "seed of the random commands; 0 draws one")
)

// server answers commands.
type server interface {
	do(args ...string) resp.Value
}

// ours answers commands as a door would, on a state in memory.
type ours struct {
	t        testing.TB
	commands map[string]*respapi.Command
	table    respapi.Table
	on       *memory.Executor
}

func newOurs(t testing.TB) *ours {
	o := &ours{t: t, table: redis.Table(), commands: make(map[string]*respapi.Command), on: memory.New(kv.Service)}
	for i := range o.table.Commands {
		o.commands[o.table.Commands[i].Name] = &o.table.Commands[i]
	}
	return o
}

func (o *ours) do(args ...string) resp.Value {
	o.t.Helper()
	name := strings.ToUpper(args[0])
	cmd, ok := o.commands[name]
	if !ok {
		o.t.Fatalf("there is no command %s", name)
	}
	if arity := int(cmd.Docs.Info.List()[1].Int()); arity > 0 && len(args) != arity || len(args) < -arity {
		return resp.ErrorValue("ERR", "wrong number of arguments for '"+strings.ToLower(name)+"' command")
	}
	rest := make([][]byte, len(args)-1)
	for i, arg := range args[1:] {
		rest[i] = []byte(arg)
	}
	kept := slices.Clone(rest)
	if cmd.Run != nil {
		return cmd.Run(o.t.Context(), o.on, rest)
	}
	call, err := cmd.Call(rest)
	if err != nil {
		return respapi.Failure(err)
	}
	answer := cmd.Reply(rest, o.on.Execute(o.t.Context(), []quorate.Call{call})[0])
	for i := range rest {
		if string(rest[i]) != args[i+1] || string(kept[i]) != args[i+1] {
			o.t.Fatalf("%s modified argument %d", name, i)
		}
	}
	return answer
}

// theirs is a redis-server.
type theirs struct {
	t     testing.TB
	conn  net.Conn
	reply *resp.ReplyReader
}

// mustRedis starts a redis-server 7.0 that ends with the test, or skips it.
func mustRedis(t testing.TB) *theirs {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed: what is compared with it is not tested")
	}
	if version, err := exec.Command(path, "--version").Output(); err != nil || !strings.Contains(string(version), " v=7.0.") {
		t.Skipf("this is not redis-server 7.0: %s", version)
	}
	socket := filepath.Join(t.TempDir(), "s")
	process := exec.Command(path, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", filepath.Dir(socket))
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := process.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = process.Wait() // it says that it was killed
	})
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) { // another process has no virtual time
		conn, err := net.Dial("unix", socket)
		if err == nil {
			t.Cleanup(func() { _ = conn.Close() })
			return &theirs{t: t, conn: conn, reply: resp.NewReplyReader(conn, resp.DefaultReplyLimits())}
		}
		if time.Since(began) > 10*time.Second {
			t.Fatal(err)
		}
	}
}

func (r *theirs) do(args ...string) resp.Value {
	r.t.Helper()
	rest := make([][]byte, len(args)-1)
	for i, arg := range args[1:] {
		rest[i] = []byte(arg)
	}
	if _, err := r.conn.Write(resp.AppendCall(nil, args[0], rest...)); err != nil {
		r.t.Fatal(err)
	}
	v, err := r.reply.Read()
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

var wordPattern = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\S+`)

// words splits a line; a word in quotes is as in Go.
func words(t testing.TB, line string) []string {
	t.Helper()
	list := wordPattern.FindAllString(line, -1)
	for i, word := range list {
		if word[0] != '"' {
			continue
		}
		var err error
		if list[i], err = strconv.Unquote(word); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	return list
}

// shown is an answer in one line.
func shown(v resp.Value) string {
	switch v.Kind() {
	case resp.Null, resp.NullArray:
		return "null"
	case resp.Simple:
		return "+" + v.Text()
	case resp.Error:
		return "-" + strings.ToValidUTF8(v.Text(), "?")
	case resp.Int:
		return ":" + strconv.FormatInt(v.Int(), 10)
	case resp.Bulk:
		return strconv.Quote(v.Text())
	}
	elements := make([]string, len(v.List()))
	for i, element := range v.List() {
		elements[i] = shown(element)
	}
	return v.Kind().String() + " [" + strings.Join(elements, " ") + "]"
}

// ordered is an answer whose order says nothing in one that does.
func ordered(v resp.Value) resp.Value {
	list := slices.Clone(v.List())
	slices.SortFunc(list, func(a, b resp.Value) int { return strings.Compare(a.Text(), b.Text()) })
	return resp.ArrayValue(list...)
}

// scanAll is all keys that SCAN shows, in order.
func scanAll(t testing.TB, on server, options ...string) []string {
	t.Helper()
	var keys []string
	cursor := "0"
	for range 100_000 {
		page := on.do(append([]string{"SCAN", cursor}, options...)...)
		if len(page.List()) != 2 {
			t.Fatalf("SCAN %s: %s", cursor, shown(page))
		}
		for _, key := range page.List()[1].List() {
			keys = append(keys, key.Text())
		}
		if cursor = page.List()[0].Text(); cursor == "0" {
			slices.Sort(keys)
			return slices.Compact(keys)
		}
	}
	t.Fatal("SCAN does not end")
	return nil
}

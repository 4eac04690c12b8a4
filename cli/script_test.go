//go:build !windows

// The scripts end nodes with an interrupt, which one process cannot send to
// another on Windows.

package cli_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/quorate/quorate/cli"
	"github.com/quorate/quorate/internal/resp"
)

// The scripts are the manual of a program of one's own: tickets, which is its
// service and cli.Main.

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"tickets": func() { cli.Main(tickets) },
		"odd":     func() { cli.Main(odd) },
	})
}

var rewrite = flag.Bool("rewrite", false, "write the golden parts of the scripts anew; review them as prose")

// scriptMax bounds all scripts together: a node is ready in a second or two.
const scriptMax = time.Minute

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		Deadline:      time.Now().Add(scriptMax),
		UpdateScripts: *rewrite,
		Setup: func(env *testscript.Env) error {
			// A program with the race detector would wait a second before it ends.
			env.Setenv("GORACE", "atexit_sleep_ms=10")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ports": ports, "ready": ready, "curl": curl, "redis": redis,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// ports sets variables to addresses on the loopback that are free.
func ports(ts *testscript.TestScript, _ bool, names []string) {
	for _, name := range names {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		defer listener.Close() // all stay open until the last is chosen
		ts.Setenv(name, listener.Addr().String())
	}
}

// ready waits until the node at an HTTP address serves.
func ready(ts *testscript.TestScript, _ bool, addrs []string) {
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	end := time.Now().Add(scriptMax / 2)
	for !serves(addrs[0]) {
		if time.Now().After(end) {
			ts.Fatalf("the node at %s is not ready", addrs[0])
		}
		<-poll.C
	}
}

func serves(addr string) bool {
	client := http.Client{Timeout: time.Second}
	response, err := client.Get("http://" + addr + "/readyz")
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// curl gets an address, or posts a body to it, and prints status and answer.
func curl(ts *testscript.TestScript, _ bool, args []string) {
	client := http.Client{Timeout: 10 * time.Second}
	var response *http.Response
	var err error
	if len(args) == 1 {
		response, err = client.Get("http://" + args[0])
	} else {
		response, err = client.Post("http://"+args[0], "application/json", strings.NewReader(args[1]))
	}
	ts.Check(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d %s", response.StatusCode, body)
}

// redis sends a command over the Redis protocol and prints the first line of the
// answer.
func redis(ts *testscript.TestScript, _ bool, args []string) {
	conn, err := net.DialTimeout("tcp", args[0], 10*time.Second)
	ts.Check(err)
	defer conn.Close()
	ts.Check(conn.SetDeadline(time.Now().Add(10 * time.Second)))
	var words [][]byte
	for _, word := range args[2:] {
		words = append(words, []byte(word))
	}
	_, err = conn.Write(resp.AppendCall(nil, args[1], words...))
	ts.Check(err)
	line, err := bufio.NewReader(conn).ReadBytes('\n')
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%s\n", bytes.TrimSpace(line))
}

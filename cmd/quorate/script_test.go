//go:build !windows

// The scripts end nodes with an interrupt, which one process cannot send to
// another on Windows.

package main

import (
	"errors"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts under testdata are the manual of the program: what a person
// types, and what comes of it.

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"quorate": main})
}

// scriptMax bounds one script: three nodes form a cluster in about 3 s on two
// busy cores.
const scriptMax = 90 * time.Second

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:      "testdata/script",
		Deadline: time.Now().Add(scriptMax),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ports": ports,
			"ready": ready,
			"exits": exits,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// ports sets each of the variables it is given to an address on the loopback
// that is free.
func ports(ts *testscript.TestScript, neg bool, names []string) {
	if neg || len(names) == 0 {
		ts.Fatalf("usage: ports VARIABLE...")
	}
	for _, name := range names {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		// All stay open until the last is chosen, so that none is given twice.
		defer listener.Close()
		ts.Setenv(name, listener.Addr().String())
	}
}

// exits runs a program that must end with this exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGUMENT...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		code = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// readyMax is how long a node may take to get ready.
const readyMax = 30 * time.Second

// ready waits until the nodes at these HTTP addresses serve.
func ready(ts *testscript.TestScript, neg bool, addrs []string) {
	if neg || len(addrs) == 0 {
		ts.Fatalf("usage: ready ADDRESS...")
	}
	client := http.Client{Timeout: time.Second}
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	end := time.Now().Add(readyMax)
	for _, addr := range addrs {
		for !serves(&client, addr) {
			if time.Now().After(end) {
				ts.Fatalf("the node at %s is not ready after %v", addr, readyMax)
			}
			<-poll.C
		}
	}
}

func serves(client *http.Client, addr string) bool {
	response, err := client.Get("http://" + addr + "/readyz")
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

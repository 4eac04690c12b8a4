//go:build !windows

// The scripts end nodes with an interrupt, which one process cannot send to
// another on Windows.

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
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

// scriptMax bounds all scripts together, of which some run at the same time:
// three nodes form a cluster in about 3 s on two busy cores.
const scriptMax = 90 * time.Second

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:      "testdata/script",
		Deadline: time.Now().Add(scriptMax),
		Setup: func(env *testscript.Env) error {
			// A program with the race detector would wait a second before each
			// of its ends, of which there are hundreds here.
			env.Setenv("GORACE", "atexit_sleep_ms=10")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ports":       ports,
			"ready":       ready,
			"exits":       exits,
			"certificate": certificate,
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

// certificate makes files of a certificate for the loopback and of its key.
func certificate(ts *testscript.TestScript, neg bool, files []string) {
	if neg || len(files) != 2 {
		ts.Fatalf("usage: certificate CERTIFICATE KEY")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	for i, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: private}} {
		ts.Check(os.WriteFile(ts.MkAbs(files[i]), pem.EncodeToMemory(block), 0o600))
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

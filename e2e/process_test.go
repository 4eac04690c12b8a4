package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// process is a program that runs until the test ends. Its methods are for the
// goroutine of the test.
type process struct {
	t    testing.TB
	name string
	args []string
	log  string
	cmd  *exec.Cmd // nil while it does not run
	// ended is closed when the program has ended.
	ended chan struct{}
}

// newProcess is a program that does not run yet. If the test fails, the end of
// what it printed is shown.
func newProcess(t testing.TB, name string, args ...string) *process {
	p := &process{t: t, name: name, args: args, log: filepath.Join(t.TempDir(), "log")}
	t.Cleanup(func() {
		p.kill()
		if printed, _ := os.ReadFile(p.log); t.Failed() {
			t.Logf("%s printed, at its end:\n%s", filepath.Base(name), printed[max(0, len(printed)-3000):])
		}
	})
	return p
}

// start runs the program. It does not wait until it is ready.
func (p *process) start() {
	p.t.Helper()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(p.name, p.args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	endWithTest(p.cmd)
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait() // how it ended is told by what it printed
		close(ended)
	}(p.cmd, p.ended)
}

// alive fails the test if the program ended by itself.
func (p *process) alive() {
	p.t.Helper()
	select {
	case <-p.ended:
		p.t.Fatalf("%s ended by itself", filepath.Base(p.name))
	default:
	}
}

// kill ends the program as a crash does: with SIGKILL, at once.
func (p *process) kill() {
	if p.cmd == nil {
		return
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Error(err)
	}
	<-p.ended
	p.cmd = nil
}

// waitFor polls until f is nil, and fails the test if it does not get there.
func waitFor(t testing.TB, limit time.Duration, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, limit, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Systems give ports above 32767 to connections that dial. A node that is down
// for a moment could find its port taken by one of those.
const portMin, portMax = 12_000, 32_000

// freeAddrs finds addresses on which nobody listens at the moment.
func freeAddrs(t testing.TB, n int) []string {
	t.Helper()
	var addrs []string
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", portMin+rand.IntN(portMax-portMin)))
		if err != nil {
			continue
		}
		defer l.Close()
		if addrs = append(addrs, l.Addr().String()); len(addrs) == n {
			return addrs
		}
	}
	t.Fatalf("there are no %d free ports", n)
	return nil
}

// startRedis runs a redis-server and returns its address.
func startRedis(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath(*redisFlag)
	if err != nil {
		t.Skipf("runs on a redis-server 7.0, and there is none (%v): install it, or say -redis=PATH", err)
	}
	addr := freeAddrs(t, 1)[0]
	_, port, _ := net.SplitHostPort(addr)
	p := newProcess(t, path, "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--databases", "1")
	p.start()
	waitFor(t, 10*time.Second, "redis-server answers", func() error {
		p.alive()
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err
	})
	return addr
}

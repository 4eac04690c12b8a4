package differ

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// server is one side of a comparison. Each connection of a sequence goes to the
// next of its addresses: those of the nodes of a cluster, or only one.
type server struct {
	name  string
	addrs []net.Addr
}

// dial opens the connection with a number.
func (s server) dial(number int) (net.Conn, error) {
	addr := s.addrs[number%len(s.addrs)]
	return net.DialTimeout(addr.Network(), addr.String(), answerMax)
}

// startRedis runs a redis-server until the test ends. It is as small as ours:
// strings of 1 MiB at most, and one database.
func startRedis(t testing.TB) server {
	t.Helper()
	path, err := exec.LookPath(*redisFlag)
	if err != nil {
		t.Skipf("compares with a redis-server 7.0, and there is none (%v): install it, or say -redis=PATH", err)
	}
	// The path of a socket is short, and that of t.TempDir may be long.
	dir, err := os.MkdirTemp("", "differ")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := &net.UnixAddr{Net: "unix", Name: filepath.Join(dir, "redis")}
	var out bytes.Buffer
	cmd := exec.Command(path, "--port", "0", "--unixsocket", socket.Name, "--dir", dir,
		"--save", "", "--databases", "1", "--proto-max-bulk-len", "1mb")
	cmd.Stdout, cmd.Stderr = &out, &out
	endWithTest(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		_ = cmd.Wait() // it was killed
	})
	s := server{name: "redis-server", addrs: []net.Addr{socket}}
	for deadline := time.Now().Add(answerMax); ; time.Sleep(5 * time.Millisecond) {
		if c, err := s.dial(0); err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer within %v", path, answerMax)
		}
	}
	mustBeRedis7(t, s)
	return s
}

// mustBeRedis7 skips the test where the redis-server is another version: its
// words differ.
func mustBeRedis7(t testing.TB, s server) {
	t.Helper()
	c, err := newConn(s, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.send([]call{{args: []string{"INFO", "server"}}}); err != nil {
		t.Fatal(err)
	}
	info, err := c.reply()
	if err != nil {
		t.Fatal(err)
	}
	if _, version, _ := strings.Cut(string(info), "redis_version:"); !strings.HasPrefix(version, "7.0.") {
		t.Skipf("compares with Redis 7.0, and this is %.8q", version)
	}
}

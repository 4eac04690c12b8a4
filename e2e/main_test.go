package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/redis/go-redis/v9/logging"
)

var (
	sizeFlag  = flag.String("e2e", "small", "how much: small or full")
	redisFlag = flag.String("redis", "redis-server", "the redis-server 7.0 on which the tests must pass too")
)

// count is a number of a test: small by default.
func count(small, full int) int {
	if *sizeFlag == "full" {
		return full
	}
	return small
}

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	logging.Disable() // it prints each dial that fails, and nodes are killed here
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "quorate")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	build := exec.Command("go", "build", "-o", binary, "./cmd/quorate")
	build.Dir = ".." // the module of the program, with the versions it is built with
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the binary: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

package torture

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

var (
	size     = flag.String("torture", "small", "how much: small, full, or how long the whole run may take, such as 10m")
	seedFlag = flag.Uint64("seed", 0, "seed of faults and load; 0 draws one")
)

// began is when the process did.
var began = time.Now()

// nodeVariable is the variable of the environment that makes this program a
// node. It holds a nodeConfig.
const nodeVariable = "QUORATE_TORTURE_NODE"

// count is the number of operations of a test: small by default.
func count(small, full int) int {
	if *size == "full" {
		return full
	}
	return small
}

// lasting is how long -torture says that the whole run takes; 0 if it does
// not say.
func lasting() (time.Duration, error) {
	if *size == "small" || *size == "full" {
		return 0, nil
	}
	lasts, err := time.ParseDuration(*size)
	if err == nil && lasts < time.Minute {
		err = fmt.Errorf("%v is less than a minute, which the other tests take", lasts)
	}
	if limit := flag.Lookup("test.timeout").Value.(flag.Getter).Get().(time.Duration); err == nil && limit != 0 && lasts > limit {
		err = fmt.Errorf("go test ends everything after %v: add -timeout %v", limit, lasts+time.Minute)
	}
	return lasts, err
}

// newSeed is the seed of a test, and says how to run it again.
func newSeed(t testing.TB) uint64 {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d; again: go test ./internal/torture -run '^%s$' -torture=%s -seed=%d -v", seed, t.Name(), *size, seed)
	return seed
}

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	if config := os.Getenv(nodeVariable); config != "" {
		os.Exit(runNode(config))
	}
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if _, err := lasting(); err != nil {
		fmt.Fprintf(os.Stderr, "-torture=%s: %v\n", *size, err)
		return 2
	}
	dir, err := os.MkdirTemp("", "torture")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "quorate")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	build := exec.Command("go", "build", "-o", binary, "github.com/quorate/quorate/cmd/quorate")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the binary: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

package quoratetest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Option says how much CheckDeterminism or CheckLinearizable does.
type Option func(*effort)

// effort is how much is done.
type effort struct {
	seed    uint64
	span    time.Duration
	calls   int
	callers int
	nodes   int
}

// The defaults make a check a few seconds long: what may stand in a plain
// `go test`.
const (
	spanDefault    = 3 * time.Second
	callsDefault   = 1000
	callersDefault = 4
	nodesDefault   = 3
)

// Seed is what a check draws its numbers from. The default is 1, so that a check is
// the same each time as far as that can be. 0 draws one. The variable
// QUORATETEST_SEED in the environment goes before it.
func Seed(seed uint64) Option { return func(e *effort) { e.seed = seed } }

// For is how long CheckLinearizable goes on, in real time. The default is 3 s. The
// variable QUORATETEST_FOR in the environment, such as 60s, goes before it.
func For(span time.Duration) Option { return func(e *effort) { e.span = span } }

// Calls is how many calls CheckDeterminism makes. The default is 1,000.
func Calls(count int) Option { return func(e *effort) { e.calls = count } }

// Callers is how many callers CheckLinearizable lets call at a time. The default
// is 4. Each more makes what they do harder to explain: a check of what ten do in
// one part of a state may not come to an end.
func Callers(count int) Option { return func(e *effort) { e.callers = count } }

// Members is how many nodes the cluster of CheckLinearizable has. The default is 3.
func Members(count int) Option { return func(e *effort) { e.nodes = count } }

// The variables that whoever runs a test can set.
const (
	seedVariable = "QUORATETEST_SEED"
	forVariable  = "QUORATETEST_FOR"
)

func effortOf(t testing.TB, options []Option) effort {
	t.Helper()
	e := effort{seed: 1, span: spanDefault, calls: callsDefault, callers: callersDefault, nodes: nodesDefault}
	for _, option := range options {
		option(&e)
	}
	if text := os.Getenv(seedVariable); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
		e.seed = seed
	}
	if text := os.Getenv(forVariable); text != "" {
		span, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("%s: %v", forVariable, err)
		}
		e.span = span
	}
	if e.seed == 0 {
		e.seed = rand.Uint64()>>16 + 1
	}
	return e
}

// again is the command that runs a seed once more.
func again(t testing.TB, seed uint64) string {
	name := strings.ReplaceAll(regexp.QuoteMeta(t.Name()), "/", "$/^")
	return fmt.Sprintf("seed %d; again: %s=%d go test -run '^%s$' -count=1", seed, seedVariable, seed, name)
}

// source is a generator of random numbers for one part of a check, so that the
// others draw the same whatever it draws.
func source(seed uint64, part string) *rand.Rand {
	return rand.New(rand.NewPCG(seed, uint64(sumOf(part, nil))))
}

// Package redisbench runs redis-benchmark, a load generator that nobody here
// has written, and reads what it prints.
package redisbench

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/bench/internal/cluster"
)

// Plan says what it does.
type Plan struct {
	// Addr is the server's.
	Addr string
	// Clients have a connection each, and send Pipeline calls at once.
	Clients, Pipeline int
	// Calls is how many are made.
	Calls int
	// Keys is how many numbers __rand_int__ may be, from 0, of 12 digits.
	Keys int
	// Command is the call.
	Command []string
}

// Result is what came of it.
type Result struct {
	// Rate is calls answered in a second.
	Rate float64
	// P50 and P99 are latencies, of a whole pipeline if there is one.
	P50, P99 time.Duration
}

// Run makes the calls. It fails if one answer is an error.
func Run(ctx context.Context, p Plan) (Result, error) {
	host, port, err := net.SplitHostPort(p.Addr)
	if err != nil {
		return Result{}, err
	}
	args := append([]string{
		"-h", host, "-p", port, "-c", strconv.Itoa(p.Clients), "-P", strconv.Itoa(p.Pipeline),
		"-n", strconv.Itoa(p.Calls), "-r", strconv.Itoa(p.Keys), "--csv",
	}, p.Command...)
	cmd := cluster.Command(ctx, "redis-benchmark", args...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return Result{}, fmt.Errorf("run redis-benchmark: %w: %s", err, complaints.String())
	}
	return parse(string(out))
}

// parse reads what redis-benchmark prints with --csv: a line of names, and
// one of values.
//
//	"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
//	"GET k:__rand_int__","17543.86","0.446","0.176","0.431","0.647","0.767","0.975"
func parse(text string) (Result, error) {
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(lines) != 2 {
		return Result{}, errors.Join(fmt.Errorf("redis-benchmark printed no line of names and one of values, but %q", text), err)
	}
	values := make(map[string]float64)
	for i, name := range lines[0] {
		if name == "test" {
			continue
		}
		if values[name], err = strconv.ParseFloat(lines[1][i], 64); err != nil {
			return Result{}, fmt.Errorf("read %s of redis-benchmark: %w", name, err)
		}
	}
	millis := func(name string) time.Duration { return time.Duration(values[name] * float64(time.Millisecond)) }
	r := Result{Rate: values["rps"], P50: millis("p50_latency_ms"), P99: millis("p99_latency_ms")}
	if r.Rate <= 0 || r.P50 <= 0 || r.P99 < r.P50 {
		return Result{}, fmt.Errorf("redis-benchmark printed figures that cannot be: %q", text)
	}
	return r, nil
}

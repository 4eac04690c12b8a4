package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/bench/internal/cluster"
	"github.com/quorate/quorate/internal/resp"
)

// value is what is written, everywhere.
const value = "12345678"

// keyFormat is how redis-benchmark writes the keys of a work.
const keyFormat = "k:%012d"

// commands is what redis-benchmark sends for each work. It ends with a message
// and no figure if one answer is an error.
var commands = map[op][]string{
	opWrite: {"SET", "k:__rand_int__", value},
	opRead:  {"GET", "k:__rand_int__"},
	opHot:   {"INCR", "hot"},
	opMany:  {"INCR", "c:__rand_int__"},
}

// generator is one redis-benchmark on one node.
type generator struct {
	addr string
	work work
}

// generators is one for the leader, or one for each node with a part of the
// callers.
func generators(ctx context.Context, c *cluster.Cluster, w work) ([]generator, error) {
	if !w.spread {
		leader, err := c.Leader(ctx)
		if err != nil {
			return nil, err
		}
		return []generator{{leader.RESP, w}}, nil
	}
	var all []generator
	for i, n := range c.Nodes {
		part := w
		part.callers = w.callers*(i+1)/len(c.Nodes) - w.callers*i/len(c.Nodes)
		all = append(all, generator{n.RESP, part})
	}
	return all, nil
}

func measureRESP(ctx context.Context, c *cluster.Cluster, w work, p pace, m *meter) (figure, error) {
	all, err := generators(ctx, c, w)
	if err != nil {
		return figure{}, err
	}
	// How many calls last how long is found out by calling: a few, then as
	// many as fill the warm-up, whose pace tells how many are measured.
	counts := make([]int, len(all))
	for i, g := range all {
		counts[i] = max(500, 4*g.work.callers*g.work.pipeline)
	}
	for _, lasts := range []time.Duration{p.warmup, p.duration} {
		figures, err := runAll(ctx, all, counts)
		if err != nil {
			return figure{}, err
		}
		for i, f := range figures {
			counts[i] = max(counts[i], int(f.Rate*lasts.Seconds()))
		}
	}
	m.open()
	figures, err := runAll(ctx, all, counts)
	m.shut()
	return sum(figures), err
}

// runAll runs all generators at once.
func runAll(ctx context.Context, all []generator, counts []int) ([]figure, error) {
	figures, errs := make([]figure, len(all)), make([]error, len(all))
	var running sync.WaitGroup
	for i, g := range all {
		running.Go(func() { figures[i], errs[i] = g.run(ctx, counts[i]) })
	}
	running.Wait()
	return figures, errors.Join(errs...)
}

// sum is the figure of generators that ran at once.
func sum(parts []figure) (all figure) {
	for _, f := range parts {
		all.Rate += f.Rate
		all.Calls += f.Calls
		all.P50, all.P99 = max(all.P50, f.P50), max(all.P99, f.P99)
	}
	return all
}

// run makes so many calls.
func (g generator) run(ctx context.Context, calls int) (figure, error) {
	host, port, err := net.SplitHostPort(g.addr)
	if err != nil {
		return figure{}, err
	}
	args := append([]string{
		"-h", host, "-p", port, "-c", strconv.Itoa(g.work.callers), "-P", strconv.Itoa(g.work.pipeline),
		"-n", strconv.Itoa(calls), "-r", strconv.Itoa(keyCount), "--csv",
	}, commands[g.work.op]...)
	cmd := cluster.Command(ctx, "redis-benchmark", args...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return figure{}, fmt.Errorf("run redis-benchmark: %w: %s", err, complaints.String())
	}
	f, err := parseCSV(string(out))
	f.Calls = float64(calls)
	return f, err
}

// parseCSV reads what redis-benchmark prints with --csv: a line of names, and
// one of values.
//
//	"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
//	"GET k:__rand_int__","17543.86","0.446","0.176","0.431","0.647","0.767","0.975"
func parseCSV(text string) (figure, error) {
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(lines) != 2 {
		return figure{}, errors.Join(fmt.Errorf("redis-benchmark printed no line of names and one of values, but %q", text), err)
	}
	values := make(map[string]float64)
	for i, name := range lines[0] {
		if name == "test" {
			continue
		}
		if values[name], err = strconv.ParseFloat(lines[1][i], 64); err != nil {
			return figure{}, fmt.Errorf("read %s of redis-benchmark: %w", name, err)
		}
	}
	millis := func(name string) time.Duration { return time.Duration(values[name] * float64(time.Millisecond)) }
	f := figure{Rate: values["rps"], P50: millis("p50_latency_ms"), P99: millis("p99_latency_ms")}
	if f.Rate <= 0 || f.P50 <= 0 || f.P99 < f.P50 {
		return figure{}, fmt.Errorf("redis-benchmark printed figures that cannot be: %q", text)
	}
	return f, nil
}

// fillRESP stores all keys, a thousand with each call.
func fillRESP(ctx context.Context, c *cluster.Cluster) error {
	leader, err := c.Leader(ctx)
	if err != nil {
		return err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", leader.RESP)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	const slice = 1000
	answers := bufio.NewReader(conn)
	for first := 0; first < keyCount; first += slice {
		var arguments [][]byte
		for i := range slice {
			arguments = append(arguments, fmt.Appendf(nil, keyFormat, first+i), []byte(value))
		}
		if _, err := conn.Write(resp.AppendCall(nil, "MSET", arguments...)); err != nil {
			return err
		}
		answer, err := answers.ReadString('\n')
		if err != nil {
			return err
		}
		if answer != "+OK\r\n" {
			return fmt.Errorf("MSET was answered with %q", answer)
		}
	}
	return nil
}

// redisVersion is what redis-server says of itself.
func redisVersion() string {
	out, err := exec.Command("redis-server", "--version").Output()
	if err != nil {
		return "version unknown"
	}
	text, _, _ := strings.Cut(string(out), " sha=")
	return strings.TrimSpace(text)
}

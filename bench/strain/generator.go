package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/quorate/quorate/bench/internal/cluster"
)

// load is what `quorate bench` does: writes of 8 bytes under random keys.
type load struct {
	// proto is resp or http, and addr a door that speaks it.
	proto, addr string
	clients     int
	// rate is calls a second, or 0 for a closed loop.
	rate int
	keys int
	// warmup goes before what is measured, which lasts duration.
	warmup, duration time.Duration
}

// keyFormat is how `quorate bench` names keys.
const keyFormat = "bench:value:%d"

// made is what came of a load, as `quorate bench` has it.
type made struct {
	Answered int64
	Rate     float64
	Failed   map[string]failures
	// Waiting had no answer when the time was over.
	Waiting int64
	// Latency is in milliseconds, by name: mean, p50, p99 and so on.
	Latency map[string]float64 `json:"latency_ms"`
}

// failures is the calls that failed with one outcome.
type failures struct {
	Calls int64
	First string
}

// notApplied is the outcome of what surely had no effect.
const notApplied = "not_applied"

// dubious is the calls that failed without saying that they had no effect, and
// what the first of one kind said.
func (m made) dubious() (calls int64, first string) {
	for outcome, f := range m.Failed {
		if outcome != notApplied && f.Calls > 0 {
			calls += f.Calls
			first = f.First
		}
	}
	return calls, first
}

// bench makes a load.
func (l *lab) bench(ctx context.Context, load load) (made, error) {
	cmd := cluster.Command(ctx, l.binary, "bench", "-o", "json",
		"--proto", load.proto, "--addr", load.addr, "--clients", strconv.Itoa(load.clients),
		"--rate", strconv.Itoa(load.rate), "--key-space", strconv.Itoa(load.keys),
		"--warmup", load.warmup.String(), "--duration", load.duration.String())
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return made{}, fmt.Errorf("run quorate bench with %d clients: %w: %s", load.clients, err, complaints.String())
	}
	var m made
	if err := json.Unmarshal(out, &m); err != nil {
		return made{}, fmt.Errorf("read what quorate bench printed: %w", err)
	}
	return m, nil
}

package main

import (
	"strings"
	"time"

	"github.com/quorate/quorate/bench/internal/cluster"
)

// linesMax bounds how much of a log the report shows.
const linesMax = 30

// linesSince is what a node has printed since a moment, as far as it can be
// read: its lines begin with time=….
func linesSince(n *cluster.Node, since time.Time) (lines []string) {
	printed, err := n.Log()
	if err != nil {
		return []string{err.Error()}
	}
	return newer(string(printed), since)
}

func newer(log string, since time.Time) (lines []string) {
	for line := range strings.Lines(log) {
		stamp, _, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if err == nil && !at.Before(since.Truncate(time.Millisecond)) && len(lines) < linesMax {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

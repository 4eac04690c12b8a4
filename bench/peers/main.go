// Command peers measures Quorate beside what a user would pick instead: etcd,
// dragonboat and Redis. All do the same work on one machine in one run, with
// every write synced to disk before it is answered.
//
//	go -C bench run ./peers            about a quarter of an hour
//	go -C bench run ./peers -quick     less than 5; for a first look
//
// What is measured is the table in work.go, and how each system is run the one
// in system.go. Works come in groups. In every round each group runs on each of
// its systems, one right after the other and in another order in every round,
// on a cluster that was started for it and is gone afterwards: so there is never
// an idle system that takes its share of the machine or has to find its leader
// again, none works on what another group left, and the machine's drift meets
// all alike. What counts is the medians over the rounds of a figure, and of the
// ratio of two figures of the same round.
//
// Load comes from redis-benchmark wherever the Redis protocol is spoken, from
// etcd's own client, and from loops that do as little as can be (HTTP, and
// goroutines in the leader's process). It runs on the same machine and takes
// its share of it. An answer that is an error voids the figure. A call that is
// refused because the system is busy is counted apart.
//
// The folder that -out names gets peers.md, peers.json with every figure of
// every round, and peers.svg and peers.png.
package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"time"

	"github.com/quorate/quorate/bench/internal/program"
)

func main() { os.Exit(program.Main("peers", parse, run)) }

// plan is what the command line asks for.
type plan struct {
	program.Options
	rounds int
	pace   pace
}

// pace is how long a measurement lasts.
type pace struct{ warmup, duration time.Duration }

// quickSeconds is how long a measurement lasts with -quick. Three rounds of 37
// of them, with warm-ups, are 2 minutes, and clusters start in another 2.
const quickSeconds = 0.7

func parse(args []string) (plan, error) {
	flags := program.NewFlags("peers", "works", "measure for 0.7 seconds each, in less than 5 minutes")
	rounds := flags.Int("rounds", 3, "how often everything is measured")
	seconds := flags.Float64("seconds", 5, "how long one measurement lasts (with -quick: 0.7)")
	options, err := flags.Parse(args)
	if err != nil {
		return plan{}, err
	}
	set := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
	if options.Quick && !set["seconds"] {
		*seconds = quickSeconds
	}
	if *rounds < 1 || *seconds <= 0 {
		return plan{}, flags.Refuse("-rounds and -seconds must be positive")
	}
	duration := time.Duration(*seconds * float64(time.Second))
	return plan{options, *rounds, pace{warmup: min(time.Second, duration/2), duration: duration}}, nil
}

// run measures, and writes the report. What was measured before ctx ended is
// reported, too.
func run(ctx context.Context, p plan) error {
	dir, err := p.Folder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p.Dir = dir
	results := &results{Machine: describe(ctx, p)}
	began := time.Now()
	err = measureAll(ctx, p, results)
	results.Took = time.Since(began).Round(time.Second).String()
	if len(results.Figures) == 0 {
		return errors.Join(err, errors.New("nothing was measured"))
	}
	return errors.Join(err, write(results, p.Out))
}

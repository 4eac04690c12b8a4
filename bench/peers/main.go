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
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/quorate/quorate/bench/internal/member"
)

func main() {
	if status, is := member.Main(); is {
		os.Exit(status)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	plan, err := parse(os.Args[1:])
	if err != nil {
		os.Exit(2) // the flags have printed why
	}
	if err := run(ctx, plan); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		stop()
		os.Exit(1)
	}
}

// plan is what the command line asks for.
type plan struct {
	rounds int
	pace   pace
	// only is which works are done, by name.
	only *regexp.Regexp
	// out is where the report goes, dir where the data of the clusters.
	out, dir string
	command  string
}

// pace is how long a measurement lasts.
type pace struct{ warmup, duration time.Duration }

// quickSeconds is how long a measurement lasts with -quick. Three rounds of 37
// of them, with warm-ups, are 2 minutes, and clusters start in another 2.
const quickSeconds = 0.7

func parse(args []string) (plan, error) {
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "measure for 0.7 seconds each, in less than 5 minutes")
	rounds := flags.Int("rounds", 3, "how often everything is measured")
	seconds := flags.Float64("seconds", 5, "how long one measurement lasts (with -quick: 0.7)")
	only := flags.String("only", "", "do only the works whose names match this regular expression")
	out := flags.String("out", "results", "folder for the report")
	dir := flags.String("dir", "", "folder on the disk that is measured (default: the one for temporary files)")
	if err := flags.Parse(args); err != nil {
		return plan{}, err
	}
	set := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
	if *quick && !set["seconds"] {
		*seconds = quickSeconds
	}
	matches, err := regexp.Compile(*only)
	switch {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("there is nothing to say beside flags: %q", flags.Args())
	case *rounds < 1 || *seconds <= 0:
		err = errors.New("-rounds and -seconds must be positive")
	}
	if err != nil {
		fmt.Fprintln(flags.Output(), err)
		return plan{}, err
	}
	duration := time.Duration(*seconds * float64(time.Second))
	return plan{
		rounds:  *rounds,
		pace:    pace{warmup: min(time.Second, duration/2), duration: duration},
		only:    matches,
		out:     *out,
		dir:     *dir,
		command: strings.TrimSpace("go -C bench run ./peers " + strings.Join(args, " ")),
	}, nil
}

// run measures, and writes the report. What was measured before ctx ended is
// reported, too.
func run(ctx context.Context, p plan) error {
	dir, err := os.MkdirTemp(p.dir, "peers-")
	if err != nil {
		return fmt.Errorf("make a directory for the clusters: %w", err)
	}
	defer os.RemoveAll(dir)
	p.dir = dir
	results := &results{Machine: describe(ctx, p)}
	if err := results.Machine.check(dir); err != nil {
		return err
	}
	began := time.Now()
	err = measureAll(ctx, p, results)
	results.Took = time.Since(began).Round(time.Second).String()
	if len(results.Figures) == 0 {
		return errors.Join(err, errors.New("nothing was measured"))
	}
	return errors.Join(err, write(results, p.out))
}

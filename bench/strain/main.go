// Command strain looks for the limits of Quorate: many keys, memory, snapshots,
// restarts and overload. Three nodes run on this machine, with every write
// synced to disk before it is answered.
//
//	go -C bench run ./strain            about a quarter of an hour
//	go -C bench run ./strain -quick     less than 4 minutes, with less of everything
//
// Each scenario is a row of the table in scenario.go, has fresh clusters, and
// says itself how it was done. They run one after the other; one that cannot be
// run says why, and the others go on. Where two cases are compared they take
// turns, round by round, so that the machine's drift meets both; what counts is
// the median over the rounds of the ratio of the two within one round.
//
// The load runs on the same machine and takes its share of it: redis-benchmark
// for pipelines, and otherwise `quorate bench`, which counts what fails by its
// outcome.
//
// The folder that -out names gets strain.md, and strain.json with the figures
// of every round.
package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/quorate/quorate/bench/internal/cluster"
	"github.com/quorate/quorate/bench/internal/host"
	"github.com/quorate/quorate/bench/internal/program"
)

func main() { os.Exit(program.Main("strain", parse, run)) }

// wish is what the command line asks for.
type wish struct {
	program.Options
	size size
	// binary is the program that is measured; empty is one from this tree.
	binary string
}

func parse(args []string) (wish, error) {
	flags := program.NewFlags("strain", "scenarios", "less of everything, in less than 4 minutes")
	binary := flags.String("binary", "", "the program quorate to measure (default: built from this tree)")
	options, err := flags.Parse(args)
	if err != nil {
		return wish{}, err
	}
	w := wish{Options: options, size: full(), binary: *binary}
	if w.Quick {
		w.size = quick()
	}
	return w, nil
}

// run runs the scenarios, and writes the report. What was measured before ctx
// ended is reported, too.
func run(ctx context.Context, w wish) error {
	dir, err := w.Folder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if w.binary == "" {
		if w.binary, err = cluster.Build(ctx, dir); err != nil {
			return err
		}
	}
	all := &results{Machine: host.Describe(ctx, w.Command), Binary: w.binary}
	began := time.Now()
	for _, s := range scenarios() {
		if ctx.Err() != nil {
			break
		}
		if w.Only.MatchString(s.name) {
			all.Outcomes = append(all.Outcomes, s.play(ctx, w, dir))
		}
	}
	all.Took = time.Since(began).Round(time.Second).String()
	if len(all.Outcomes) == 0 {
		return errors.Join(ctx.Err(), errors.New("no scenario was run"))
	}
	return errors.Join(all.write(w.Out), ctx.Err())
}

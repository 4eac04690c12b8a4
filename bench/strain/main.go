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
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/quorate/quorate/bench/internal/cluster"
	"github.com/quorate/quorate/bench/internal/host"
	"github.com/quorate/quorate/bench/internal/member"
)

func main() {
	if status, is := member.Main(); is {
		os.Exit(status)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	wish, err := parse(os.Args[1:])
	if err != nil {
		os.Exit(2) // the flags have printed why
	}
	if err := run(ctx, wish); err != nil {
		fmt.Fprintln(os.Stderr, "strain:", err)
		stop()
		os.Exit(1)
	}
}

// wish is what the command line asks for.
type wish struct {
	size size
	// only is which scenarios are run, by name.
	only *regexp.Regexp
	// out is where the report goes, dir where the data of the clusters.
	out, dir string
	// binary is the program that is measured; empty is one from this tree.
	binary  string
	command string
}

func parse(args []string) (wish, error) {
	w := wish{size: full(), command: strings.TrimSpace("go -C bench run ./strain " + strings.Join(args, " "))}
	flags := flag.NewFlagSet("strain", flag.ContinueOnError)
	flags.BoolFunc("quick", "less of everything, in less than 4 minutes", func(string) error {
		w.size = quick()
		return nil
	})
	flags.Func("only", "run only the scenarios whose names match this regular expression", func(text string) (err error) {
		w.only, err = regexp.Compile(text)
		return err
	})
	flags.StringVar(&w.out, "out", "results", "folder for the report")
	flags.StringVar(&w.dir, "dir", "", "folder on the disk that is measured (default: the one for temporary files)")
	flags.StringVar(&w.binary, "binary", "", "the program quorate to measure (default: built from this tree)")
	if err := flags.Parse(args); err != nil {
		return wish{}, err
	}
	if flags.NArg() > 0 {
		err := fmt.Errorf("there is nothing to say beside flags: %q", flags.Args())
		fmt.Fprintln(flags.Output(), err)
		return wish{}, err
	}
	return w, nil
}

// run runs the scenarios, and writes the report. What was measured before ctx
// ended is reported, too.
func run(ctx context.Context, w wish) error {
	dir, err := os.MkdirTemp(w.dir, "strain-")
	if err != nil {
		return fmt.Errorf("make a directory for the clusters: %w", err)
	}
	defer os.RemoveAll(dir)
	if host.InMemory(dir) {
		return fmt.Errorf("%s is in memory, where a sync costs nothing: say -dir=FOLDER, one on the disk that counts", dir)
	}
	if w.binary == "" {
		if w.binary, err = cluster.Build(ctx, dir); err != nil {
			return err
		}
	}
	all := &results{Machine: host.Describe(ctx, w.command), Binary: w.binary}
	began := time.Now()
	for _, s := range scenarios() {
		if ctx.Err() != nil {
			break
		}
		if w.only == nil || w.only.MatchString(s.name) {
			all.Outcomes = append(all.Outcomes, s.play(ctx, w, dir))
		}
	}
	all.Took = time.Since(began).Round(time.Second).String()
	if len(all.Outcomes) == 0 {
		return errors.Join(ctx.Err(), errors.New("no scenario was run"))
	}
	return errors.Join(all.write(w.out), ctx.Err())
}

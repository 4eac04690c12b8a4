// Package program is what the programs of this module have in common: how they
// are called, where their data goes and how they end.
package program

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"

	"github.com/quorate/quorate/bench/internal/host"
	"github.com/quorate/quorate/bench/internal/member"
)

// Main runs a program, and returns the status to exit with. What parse makes
// of the command line is what run gets; its context ends with SIGINT and
// SIGTERM. parse has printed why it fails. A process that was started as a
// member of a cluster is that instead.
func Main[P any](name string, parse func(args []string) (P, error), run func(ctx context.Context, plan P) error) (status int) {
	if status, is := member.Main(); is {
		return status
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	plan, err := parse(os.Args[1:])
	if err != nil {
		return 2
	}
	if err := run(ctx, plan); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// Options is what every program can be told.
type Options struct {
	// Quick asks for less of everything.
	Quick bool
	// Only is which parts are done, by name. It is never nil.
	Only *regexp.Regexp
	// Out is where the report goes, Dir where the data of the clusters.
	Out, Dir string
	// Command is how to do the same again.
	Command string
}

// Folder makes a folder for the data, which is on a disk. Who is done with it
// removes it.
func (o Options) Folder() (string, error) {
	dir, err := os.MkdirTemp(o.Dir, "bench-")
	if err != nil {
		return "", fmt.Errorf("make a directory for the clusters: %w", err)
	}
	if host.InMemory(dir) {
		_ = os.Remove(dir) // it is empty
		return "", fmt.Errorf("%s is in memory, where a sync costs nothing: say -dir=FOLDER, one on the disk that counts", dir)
	}
	return dir, nil
}

// Flags is the flags of a program: those for Options, and what it adds.
type Flags struct {
	*flag.FlagSet
	options Options
}

// NewFlags is the flags of a program. Only is about its parts, as it calls
// them, and Quick does what is said.
func NewFlags(name, parts, quick string) *Flags {
	f := &Flags{flag.NewFlagSet(name, flag.ContinueOnError), Options{Only: new(regexp.Regexp)}}
	all := regexp.MustCompile("")
	f.BoolVar(&f.options.Quick, "quick", false, quick)
	f.TextVar(f.options.Only, "only", all, "do only the "+parts+" whose names match this regular `expression`")
	f.StringVar(&f.options.Out, "out", "results", "folder for the report")
	f.StringVar(&f.options.Dir, "dir", "", "folder on the disk that is measured (default: the one for temporary files)")
	return f
}

// Parse reads a command line, and prints what is wrong with it.
func (f *Flags) Parse(args []string) (Options, error) {
	if err := f.FlagSet.Parse(args); err != nil {
		return Options{}, err
	}
	if f.NArg() > 0 {
		return Options{}, f.Refuse("there is nothing to say beside flags: %q", f.Args())
	}
	f.options.Command = strings.TrimSpace("go -C bench run ./" + f.Name() + " " + strings.Join(args, " "))
	return f.options, nil
}

// Refuse prints what is wrong with a command line, and returns it.
func (f *Flags) Refuse(format string, a ...any) error {
	err := fmt.Errorf(format, a...)
	fmt.Fprintln(f.Output(), err)
	return err
}

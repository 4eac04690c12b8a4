// Package cli is the program around a service: the commands that run a node, a
// command for each operation of the service, and what else talks to a node.
//
// A command is made of an operation alone: its name in lower case, its fields as
// flags or as words in their order, what Doc and the doc tags say as its help. The
// built-in service has some made by hand, which another service has too if its
// operations take the same fields. An operation whose name is that of another
// command, such as STATUS, is called by exec.
//
// Flags and environment variables end here; rooms below get plain values. The
// package keeps three rules. Standard output is data and nothing else. An
// error is one line that says what to do, or JSON where JSON was asked for. An
// exit code means one thing. It does not know how a node works, nor how a call
// finds one that serves it: package client does.
package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/respapi"
)

// Main runs the command that the process was called with and ends the process
// with its exit code. Flags are in environment variables that begin with the name
// of the service: TICKETS_ADDR is --addr of the service tickets. An interrupt or SIGTERM ends the command in order; a
// second one ends it at once.
func Main(service *quorate.Service, options ...Option) {
	// Started from the Windows Explorer, cobra would explain itself and
	// leave. The text is a global of cobra, so it is set where the process
	// begins and nowhere else.
	cobra.MousetrapHelpText = ""
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(Run(ctx, service, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, options...))
}

// Option changes the program.
type Option func(*program)

// Redis gives a service commands of Redis beside its operations, such as
// redis.Table of package kv/redis.
func Redis(table respapi.Table) Option { return func(p *program) { p.table = table } }

// Run runs one command and returns its exit code. It returns when the command
// is done or has come to its end in order after ctx is cancelled.
func Run(ctx context.Context, service *quorate.Service, args []string, in io.Reader, out, log io.Writer, options ...Option) int {
	p := newProgram(service, programName(), in, out, log)
	for _, option := range options {
		option(p)
	}
	root := p.rootCommand()
	root.SetArgs(shieldNegatives(root, args))
	ran, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	f, ok := errors.AsType[*failure](err)
	if !ok {
		// What cobra itself refuses is always the way the command was typed.
		f = usage("%s; %s", strings.Join(strings.Fields(err.Error()), " "), howTo(ran))
	}
	f.print(log, p.jsonAsked(args))
	return f.exit
}

// howTo says where to find how a command is typed.
func howTo(cmd *cobra.Command) string {
	if !cmd.Runnable() {
		return "see: " + cmd.CommandPath() + " --help"
	}
	return "usage: " + cmd.UseLine()
}

// program is one run of the binary.
type program struct {
	service *quorate.Service
	table   respapi.Table
	name    string // under which the user called it
	in      io.Reader
	out     io.Writer // data only
	log     io.Writer // errors and logs

	// verbs is the operations that have a command made for them, by name, and
	// nameless those that have no command because it has another meaning.
	verbs    map[string]bool
	nameless []string
}

func newProgram(service *quorate.Service, name string, in io.Reader, out, log io.Writer) *program {
	return &program{service: service, name: name, in: in, out: out, log: log, verbs: make(map[string]bool)}
}

// project is the name that stands in those of environment variables and in that
// of the directory of dev. It does not depend on how the file of the program is
// called. The built-in service is that of quorate.
func (p *program) project() string {
	if name := p.service.Name(); name != "kv" {
		return name
	}
	return "quorate"
}

func programName() string {
	return strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
}

func (p *program) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   p.name,
		Short: "Run and use the " + p.service.Name() + " service",
		Long: "Run and use the " + p.service.Name() + ` service, replicated, durable and linearizable.

Every flag that is no argument of an operation has an environment variable,
shown beside it; the flag wins.
Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 unavailable or outcome
unknown, 6 conflict. bench adds 8 objective missed, 130 interrupted.`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.log)
	root.SetFlagErrorFunc(explainFlag)
	root.AddGroup(
		&cobra.Group{ID: groupServer, Title: "Run a node:"},
		&cobra.Group{ID: groupClient, Title: "Use one:"},
		&cobra.Group{ID: groupOperations, Title: "Call an operation of the " + p.service.Name() + " service:"},
	)
	root.AddCommand(p.devCommand(), p.serveCommand(), p.statusCommand(), p.versionCommand())
	root.AddCommand(p.verbCommands()...)
	root.AddCommand(p.benchCommand())
	if op := p.scans(); op != nil {
		p.verbs[op.Name()] = true
		root.AddCommand(p.scanCommand(op))
	}
	exec := p.execCommand()
	root.AddCommand(exec)
	root.AddCommand(p.operationCommands(root.Commands())...)
	if len(p.nameless) > 0 {
		note := "\n\nOnly exec calls " + strings.Join(p.nameless, ", ") + ": a command of that name does something else."
		root.Long += note
		exec.Long += note
	}
	p.bindEnvironment(root)
	return root
}

// The groups of commands in the help text.
const (
	groupServer     = "server"
	groupClient     = "client"
	groupOperations = "operations"
)

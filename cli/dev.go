package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/node"
)

func (p *program) devCommand() *cobra.Command {
	s := server{program: p}
	var logs logFlags
	cmd := &cobra.Command{
		Use:     "dev",
		Short:   "Run one durable node on this machine",
		Long:    "Run one node on this machine, a cluster of its own. It is as durable as any\nother: what was written is there at the next start.",
		GroupID: groupServer,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s.config.Log = logs.logger(p.log)
			s.listening = func(l listening) { p.greet(l) }
			return s.run(cmd.Context())
		},
	}
	s.bind(cmd, node.Config{Dir: "./" + p.dirName() + "-data", Peer: defaultPeer}, defaultHTTP, defaultRESP)
	logs.bind(cmd, "warn")
	return cmd
}

// greet says where everything is and what to type next.
func (p *program) greet(l listening) {
	var text strings.Builder
	fmt.Fprintf(&text, "http  http://%s\nredis %s\npeer  %s\ndata  %s (durable)\n\nTry, in another terminal:\n",
		l.http, cmp.Or(l.resp, "(not served)"), l.peer, l.dir)
	at := ""
	if l.resp != defaultRESP {
		at = " --addr " + l.resp
	}
	command, path := p.firstCall()
	if l.resp != "" {
		fmt.Fprintf(&text, "  %s %s%s\n", p.typed(), command, at)
	}
	fmt.Fprintf(&text, "  curl http://%s/v1/%s\n", l.http, path)
	io.WriteString(p.out, text.String())
}

// firstCall is a call to try: what is typed behind the program, and behind the
// address of the service.
func (p *program) firstCall() (command, path string) {
	if p.verbs["INC"] {
		return "inc hits", `INC -d '{"key":"hits"}'`
	}
	op := &p.service.Operations()[0]
	if quorate.Engine().Arguments(op) == nil {
		return "status", "status"
	}
	words := exampleOf(op)
	verb := commandName(op.Name())
	if slices.Contains(p.nameless, op.Name()) {
		verb = "exec " + op.Name()
	}
	return strings.Join(append([]string{verb}, words...), " "), op.Name() + " -d '" + string(bodyOf(op, words)) + "'"
}

// dirName is the name of the project as a part of a path.
func (p *program) dirName() string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, p.project())
}

// typed is what the user types to run this program. A program that was built
// by go run is not on the path, so that is what to type again.
func (p *program) typed() string {
	build, ok := debug.ReadBuildInfo()
	if ok && strings.Contains(os.Args[0], "go-build") {
		return "go run " + build.Path
	}
	return p.name
}

package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/node"
)

func (p *program) devCommand() *cobra.Command {
	var s server
	var logs logFlags
	cmd := &cobra.Command{
		Use:     "dev",
		Short:   "Run one durable node on this machine",
		Long:    "Run one node on this machine, a cluster of its own. It is as durable as any\nother: what was written is there at the next start.",
		GroupID: groupServer,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s.service, s.table = p.service, p.table
			s.config.Log = logs.logger(p.log)
			s.listening = func(l listening) { greet(p.out, p.typed(), p.service, l) }
			return s.run(cmd.Context())
		},
	}
	s.bind(cmd, node.Config{Dir: "./quorate-data", Peer: defaultPeer}, defaultHTTP, defaultRESP)
	logs.bind(cmd, "warn")
	return cmd
}

// greet says where everything is and what to type next.
func greet(w io.Writer, program string, service *quorate.Service, l listening) {
	var text strings.Builder
	fmt.Fprintf(&text, "http  http://%s\nredis %s\npeer  %s\ndata  %s (durable)\n\nTry, in another terminal:\n",
		l.http, cmp.Or(l.resp, "(not served)"), l.peer, l.dir)
	at := ""
	if l.resp != defaultRESP {
		at = " --addr " + l.resp
	}
	command, path := "status", "status"
	if slices.ContainsFunc(service.Operations(), func(o quorate.Operation) bool { return o.Name() == "INC" }) {
		command, path = "inc hits", `INC -d '{"key":"hits"}'`
	}
	if l.resp != "" {
		fmt.Fprintf(&text, "  %s %s%s\n", program, command, at)
	}
	fmt.Fprintf(&text, "  curl http://%s/v1/%s\n", l.http, path)
	io.WriteString(w, text.String())
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

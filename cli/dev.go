package cli

import (
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
			s.service = p.service
			s.config.Log = logs.logger(p.log)
			s.listening = func(l listening) { greet(p.out, p.typed(), p.service, l) }
			return s.run(cmd.Context())
		},
	}
	s.bind(cmd, node.Config{Dir: "./quorate-data", Peer: defaultPeer}, defaultHTTP)
	logs.bind(cmd, "warn")
	return cmd
}

// greet says where everything is and what to type next.
func greet(w io.Writer, program string, service *quorate.Service, l listening) {
	var text strings.Builder
	fmt.Fprintf(&text, "http  http://%s\npeer  %s\ndata  %s (durable)\n\nTry, in another terminal:\n", l.http, l.peer, l.dir)
	at := ""
	if l.http != defaultHTTP {
		at = " --addr " + l.http
	}
	if slices.ContainsFunc(service.Operations(), func(o quorate.Operation) bool { return o.Name() == "INC" }) {
		fmt.Fprintf(&text, "  %s inc hits%s\n", program, at)
		fmt.Fprintf(&text, "  curl http://%s/v1/INC -d '{\"key\":\"hits\"}'\n", l.http)
	} else {
		fmt.Fprintf(&text, "  %s status%s\n", program, at)
		fmt.Fprintf(&text, "  curl http://%s/v1/status\n", l.http)
	}
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

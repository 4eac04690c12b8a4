package cli

import (
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/node"
)

func (p *program) serveCommand() *cobra.Command {
	s := server{program: p}
	var logs logFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a node of a cluster",
		Long: `Run a node of a cluster. The line is the same at the first start and at every
restart: --join is what forms the cluster, once all first members see each
other, and is ignored once the node belongs to one. Without --join the node is
a cluster of its own.

The node logs to standard error and prints nothing else.`,
		Example: "  " + p.name + " serve --data-dir /var/lib/" + p.dirName() + " --http 10.0.0.1:7300 --resp 10.0.0.1:7301 \\\n" +
			"      --peer 10.0.0.1:7302 --join 10.0.0.1:7302,10.0.0.2:7302,10.0.0.3:7302",
		GroupID: groupServer,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s.config.Log = logs.logger(p.log)
			s.listening = func(l listening) {
				s.config.Log.Info("listening", slog.String("http", l.http), slog.String("resp", l.resp), slog.String("peer", l.peer), slog.String("data", l.dir))
			}
			return s.run(cmd.Context())
		},
	}
	s.bind(cmd, node.Config{}, "", "")
	flags := cmd.Flags()
	flags.StringSliceVar(&s.config.Join, "join", nil, "peer addresses of the first members; its own may be among them")
	flags.Uint64Var(&s.config.SnapshotEntries, "snapshot-entries", 8192, "log entries after which a snapshot is taken and the log is cut")
	flags.Uint64Var(&s.config.TrailingEntries, "trailing-entries", 4096, "log entries that stay behind a cut")
	flags.DurationVar(&s.config.ElectionTimeout, "election-timeout", time.Second, "how long to wait for a leader before asking for votes")
	logs.bind(cmd, "info")
	return cmd
}

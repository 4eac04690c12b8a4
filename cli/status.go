package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/node"
)

func (p *program) statusCommand() *cobra.Command {
	nodes := &remote{program: p.name}
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show a node and the members of its cluster",
		GroupID: groupClient,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := nodes.send(cmd.Context(), message{method: http.MethodGet, path: "/v1/status"})
			if err != nil {
				return err
			}
			switch nodes.output.value {
			case outputJSON:
				return printed(printJSON(p.out, answer))
			case outputRaw:
				_, err := p.out.Write(answer)
				return printed(err)
			}
			var status node.Status
			if err := json.Unmarshal(answer, &status); err != nil {
				return failed("the answer is not understood: %v", err)
			}
			return printed(printStatus(p.out, status))
		},
	}
	nodes.clientFlags(cmd)
	return cmd
}

func printStatus(w io.Writer, s node.Status) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	leader := "none"
	if s.Leader != "" {
		leader = s.Leader + " at " + s.LeaderPeer
	}
	cluster := "none yet"
	if s.Cluster != "" {
		cluster = s.Cluster
	}
	fmt.Fprintf(w, "node     %s at %s, %s in term %d\n", s.ID, s.Peer, s.Role, s.Term)
	fmt.Fprintf(w, "cluster  %s, service %s, leader %s\n", cluster, s.Service, leader)
	fmt.Fprintf(w, "log      entries %d to %d, committed %d, applied %d, snapshot at %d\n\n",
		s.FirstIndex, s.LastIndex, s.CommitIndex, s.AppliedIndex, s.SnapshotIndex)
	fmt.Fprintln(table, "ID\tPEER\tROLE\tVOTER\tTERM\tAPPLIED\tLAG\tHASH")
	for _, m := range s.Members {
		if !m.Reached {
			fmt.Fprintf(table, "%s\t%s\tunreached\t%s\t-\t-\t-\t-\n", m.ID, m.Peer, yes(m.Voter))
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n",
			m.ID, m.Peer, m.Role, yes(m.Voter), m.Term, m.AppliedIndex, m.Lag, m.StateHash)
	}
	return table.Flush()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

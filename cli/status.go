package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/resp"
	"github.com/quorate/quorate/node"
)

func (p *program) statusCommand() *cobra.Command {
	nodes := &remote{program: p.name}
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show a node and the members of its cluster",
		Long:    "Show the first node that answers, and the members of its cluster as it sees\nthem.",
		GroupID: groupClient,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := nodes.status(cmd.Context())
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

// status asks one node after the other how it sees itself, until one says. It
// is not asked again: it needs no leader for an answer.
func (r *remote) status(ctx context.Context) ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	d := newDialler(r.addrs, r.tls, func() {})
	timed, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	var last error
	for i, addr := range r.addrs {
		end, _ := timed.Deadline()
		share, cancel := context.WithTimeout(timed, time.Until(end)/time.Duration(len(r.addrs)-i))
		answer, err := d.askStatus(share, addr, r.password)
		cancel()
		if err == nil {
			return answer, nil
		}
		last = err
	}
	if ctx.Err() != nil {
		return nil, failed("interrupted")
	}
	if f := d.nobody(r.program); f != nil {
		return nil, f
	}
	return nil, unavailable(quorate.NotApplied, "%v", last)
}

// askStatus sends QUORATE STATUS over a connection of its own.
func (d *dialler) askStatus(ctx context.Context, addr, password string) ([]byte, error) {
	wire, err := d.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	defer wire.Close()
	defer context.AfterFunc(ctx, func() { _ = wire.Close() })()
	text, err := exchangeStatus(wire, password)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%s did not answer: the time is over", addr)
	}
	return text, err
}

func exchangeStatus(wire net.Conn, password string) ([]byte, error) {
	var asked []byte
	lines := 1
	if password != "" {
		asked = resp.AppendCall(asked, "AUTH", []byte(password))
		lines++
	}
	asked = resp.AppendCall(asked, "QUORATE", []byte("STATUS"))
	if _, err := wire.Write(asked); err != nil {
		return nil, fmt.Errorf("ask %s for its status: %w", wire.RemoteAddr(), err)
	}
	replies := resp.NewReplyReader(wire, resp.DefaultReplyLimits())
	var answer resp.Value
	for range lines {
		var err error
		if answer, err = replies.Read(); err != nil {
			return nil, fmt.Errorf("read the status of %s: %w", wire.RemoteAddr(), err)
		}
		if answer.IsError() {
			return nil, fmt.Errorf("%s answers: %s", wire.RemoteAddr(), answer.Text())
		}
	}
	return []byte(answer.Text()), nil
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

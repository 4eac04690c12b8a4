package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/values"
)

// scanOperation is the operation behind scan.
const scanOperation = "SCAN"

// scanPageMax is how many keys are asked for at once: enough that the time
// goes to the answers and not to the way there, and few enough that a page is
// small beside what a node reads in the time of one call.
const scanPageMax = 1000

// scan is one run of the command.
type scan struct {
	prefix string
	limit  uint64 // 0 is none
	values bool
}

// page is the answer of the operation.
type page struct {
	Keys   []string
	Values []quorate.Value
	Next   string
	More   bool
}

// scans is the operation behind scan, or nil: one that has only its name is
// something else.
func (p *program) scans() *quorate.Operation {
	op := p.operation(scanOperation)
	if op == nil {
		return nil
	}
	if _, err := (scan{prefix: "p", values: true}).fields("a", 1).args(op); err != nil {
		return nil
	}
	return op
}

func (p *program) scanCommand(op *quorate.Operation) *cobra.Command {
	nodes := &remote{program: p.name}
	var s scan
	cmd := &cobra.Command{
		Use:   "scan [PREFIX]",
		Short: "Print the keys that begin with a prefix",
		Long: `Print the keys that begin with a prefix, or all, in the order of their bytes: one
key a line, and with --values its value behind a tab. They come in pages, each
of one moment and with --timeout for itself; a key that is there all the time is
printed once. In JSON each page is one line; raw does not put into JSON what is
no text.`,
		GroupID: groupOperations,
		Example: "  " + p.name + " scan user/ --limit 10 --values",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, words []string) error {
			s.prefix = strings.Join(words, "") // at most one
			l, err := nodes.open(cmd.Context())
			if err != nil {
				return err
			}
			defer l.close()
			return s.run(l, op, p.out)
		},
	}
	nodes.clientFlags(cmd)
	nodes.staleFlag(cmd)
	flags := cmd.Flags()
	flags.Uint64Var(&s.limit, "limit", 0, "how many keys to print at most (default: all)")
	flags.BoolVar(&s.values, "values", false, "print the values too")
	return cmd
}

// run prints page after page.
func (s scan) run(l *link, op *quorate.Operation, out io.Writer) error {
	left := s.limit
	for after, more := "", true; more; {
		size := uint64(scanPageMax)
		if s.limit > 0 {
			size = min(size, left)
		}
		args, err := s.fields(after, size).args(op)
		if err != nil {
			return unbound(err)
		}
		reply, err := l.run(quorate.Call{Name: op.Name(), Args: args}, op.Writes())
		if err != nil {
			return err
		}
		var got page
		err = reply.Value.Into(&got)
		if err != nil || s.values && len(got.Values) != len(got.Keys) || got.More && got.Next <= after {
			return failed("the answer is not understood: it is no page of keys")
		}
		if err := s.print(l.remote, out, reply, got); err != nil {
			return printed(err)
		}
		left -= min(left, uint64(len(got.Keys)))
		after, more = got.Next, got.More && (s.limit == 0 || left > 0)
	}
	return nil
}

func (s scan) fields(after string, size uint64) fields {
	return fields{}.
		with("prefix", values.Bytes(s.prefix)).
		with("after", values.Bytes(after)).
		with("limit", values.Int(int64(size))).
		with("values", values.Bool(s.values))
}

// print writes one page.
func (s scan) print(r *remote, out io.Writer, reply quorate.Reply, got page) error {
	if r.output.value == outputJSON {
		return printReply(out, outputJSON, reply, r.stale > 0)
	}
	form := shown
	if r.output.value == outputRaw {
		form = content
	}
	var lines strings.Builder
	for i, key := range got.Keys {
		lines.WriteString(form(values.Bytes(key)))
		if s.values {
			lines.WriteString("\t" + form(got.Values[i]))
		}
		lines.WriteString("\n")
	}
	_, err := io.WriteString(out, lines.String())
	return err
}

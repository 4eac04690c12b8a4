package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate"
)

// execCommand calls any operation of the service by its name.
func (p *program) execCommand() *cobra.Command {
	nodes := &remote{program: p.name}
	cmd := &cobra.Command{
		Use:   "exec NAME [ARGUMENT...]",
		Short: "Call any operation of the service",
		Long: "Call any operation of the service, with its arguments in their order:\n\n" + p.usages() + `
What is optional may be left out from the end on. A result that is a list or has
fields is printed as JSON.`,
		Example: "  " + p.name + " exec " + p.exampleCall(),
		GroupID: groupClient,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, words []string) error {
			op := p.operation(strings.ToUpper(words[0]))
			if op == nil {
				return usage("service %s has no operation %.64q; it has %s", p.service.Name(), words[0], strings.Join(p.names(), ", "))
			}
			if err := nodes.checkUse(op); err != nil {
				return err
			}
			args, err := quorate.Engine().ArgsFromText(op, bytesOf(words[1:]))
			if err != nil {
				return unbound(err)
			}
			return p.call(cmd, nodes, op, args)
		},
	}
	nodes.clientFlags(cmd)
	nodes.idFlag(cmd)
	nodes.staleFlag(cmd)
	return cmd
}

// checkUse refuses flags that are not for a command, or not for a query.
func (r *remote) checkUse(op *quorate.Operation) error {
	switch {
	case op.Writes() && r.stale > 0:
		return usage("%s is a command: only a query can be --stale", op.Name())
	case !op.Writes() && r.id != "":
		return usage("%s is a query: only a command has an --id", op.Name())
	}
	return nil
}

// exampleCall is a call of the first operation.
func (p *program) exampleCall() string {
	op := &p.service.Operations()[0]
	if quorate.Engine().Arguments(op) == nil {
		return op.Name() + " '{}'"
	}
	return strings.Join(append([]string{op.Name()}, exampleOf(op)...), " ")
}

// usages is a line for each operation.
func (p *program) usages() string {
	var lines strings.Builder
	for _, op := range p.service.Operations() {
		lines.WriteString("  " + op.Name() + " " + quorate.Engine().Usage(&op) + "\n")
	}
	return lines.String()
}

func bytesOf(words []string) [][]byte {
	text := make([][]byte, len(words))
	for i, word := range words {
		text[i] = []byte(word)
	}
	return text
}

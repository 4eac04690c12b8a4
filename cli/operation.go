package cli

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate"
)

// operationCommands is a command for each operation that has none yet: its name
// in lower case with dashes, with a flag for each argument. An operation whose
// name is that of another command has none, and is left to exec.
func (p *program) operationCommands(others []*cobra.Command) (commands []*cobra.Command) {
	taken := map[string]bool{"help": true, "completion": true}
	for _, cmd := range others {
		taken[cmd.Name()] = true
	}
	operations := p.service.Operations()
	for i := range operations {
		op := &operations[i]
		name := commandName(op.Name())
		switch {
		case p.verbs[op.Name()]:
		case taken[name] || strings.HasPrefix(name, "-"):
			p.nameless = append(p.nameless, op.Name())
		default:
			taken[name] = true
			commands = append(commands, p.operationCommand(op, name))
		}
	}
	return commands
}

// commandName is what a person types for an operation.
func commandName(operation string) string {
	return strings.ReplaceAll(strings.ToLower(operation), "_", "-")
}

func (p *program) operationCommand(op *quorate.Operation, name string) *cobra.Command {
	nodes := &remote{program: p.name}
	cmd := &cobra.Command{
		Use:     name,
		GroupID: groupOperations,
	}
	if asTyped := strings.ToLower(op.Name()); asTyped != name {
		cmd.Aliases = []string{asTyped}
	}
	cmd.Flags().SortFlags = false // the arguments stand in their order, and first
	given := newGiven(cmd, op)
	nodes.clientFlags(cmd)
	nodes.useFlag(cmd, op)
	cmd.Use += given.usage()
	cmd.Long = cmp.Or(op.Doc(), "Call "+op.Name()+given.usage())
	cmd.Short = firstSentence(cmd.Long)
	cmd.Example = given.example(p.name + " " + name)
	cmd.Args = given.count
	cmd.RunE = func(cmd *cobra.Command, words []string) error {
		args, err := given.args(words)
		if err != nil {
			return err
		}
		return p.call(cmd, nodes, op, args)
	}
	return cmd
}

// useFlag adds the flag that only commands, or only queries, have.
func (r *remote) useFlag(cmd *cobra.Command, op *quorate.Operation) {
	if op.Writes() {
		r.idFlag(cmd)
	} else {
		r.staleFlag(cmd)
	}
}

// call runs an operation with arguments and prints its result. What the
// operation itself finds wrong with its arguments needs no node to be told.
func (p *program) call(cmd *cobra.Command, nodes *remote, op *quorate.Operation, args [][]byte) error {
	call := quorate.Call{Name: op.Name(), Args: args}
	if _, err := quorate.Engine().Check(p.service, call); err != nil {
		e, ok := errors.AsType[*quorate.Error](err)
		if !ok {
			return usage("%v", err)
		}
		return refused(e, op.Writes())
	}
	reply, err := nodes.once(cmd.Context(), call, op.Writes())
	if err != nil {
		return err
	}
	return printed(nodes.print(p.out, reply, nil))
}

// firstSentence is the part of a text that stands alone in a list, without its
// full stop.
func firstSentence(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	first, _, _ := strings.Cut(text, ". ")
	return strings.TrimSuffix(first, ".")
}

// nameOf is the name of a flag for a field, in kebab case.
func nameOf(field string) string {
	var name strings.Builder
	before := 'A'
	for _, r := range field {
		switch {
		case r >= 'A' && r <= 'Z':
			if before >= 'a' && before <= 'z' || before >= '0' && before <= '9' {
				name.WriteByte('-')
			}
			name.WriteRune(r - 'A' + 'a')
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.':
			name.WriteRune(r)
		default:
			name.WriteByte('-')
		}
		before = r
	}
	return strings.Trim(name.String(), "-.")
}

// exampleOf is arguments that an operation takes: the required ones, a text
// being the name of its field.
func exampleOf(op *quorate.Operation) (words []string) {
	arguments := quorate.Engine().Arguments(op)
	last := -1
	for i, a := range arguments {
		if !a.Optional && !a.List {
			last = i
		}
	}
	for _, a := range arguments[:last+1] {
		words = append(words, exampleWord(a))
	}
	if len(arguments) > 0 && last == len(arguments)-2 && arguments[last+1].List {
		words = append(words, exampleWord(arguments[last+1]))
	}
	return slices.Clip(words)
}

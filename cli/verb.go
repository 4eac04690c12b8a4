package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate"
)

// verbCommands is the verbs whose operation the service has. An operation that
// has only the name of one is something else.
func (p *program) verbCommands() (commands []*cobra.Command) {
	for _, v := range verbs() {
		op := p.operation(v.operation)
		if op == nil || !v.fits(op, v.sample) {
			continue
		}
		if v.many != "" {
			if many := p.operation(v.many); many != nil && v.fits(many, []string{"k", "l"}) {
				v.use += "..."
				v.long += " Of\nseveral keys it prints how many there were."
			} else {
				v.many, v.args = "", cobra.ExactArgs(1)
			}
		}
		p.verbs[op.Name()] = true
		commands = append(commands, p.verbCommand(v, op))
	}
	return commands
}

// fits says that an operation takes what the verb makes of words, with all its
// flags.
func (v verb) fits(op *quorate.Operation, words []string) bool {
	flags := v.sampled
	_, err := v.bind(op, &flags, words)
	return err == nil
}

// operation is that of a name in the service, or nil.
func (p *program) operation(name string) *quorate.Operation {
	op, _ := quorate.Engine().Lookup(p.service, quorate.Call{Name: name})
	return op
}

func (p *program) verbCommand(v verb, op *quorate.Operation) *cobra.Command {
	nodes := &remote{program: p.name}
	flags := &verbFlags{arguments: arguments{in: p.in}}
	cmd := &cobra.Command{
		Use: v.use, Short: v.short, Long: v.short + ". " + v.long, GroupID: groupOperations,
		Example: "  " + p.name + " " + v.example,
		Args:    v.args,
	}
	cmd.RunE = func(cmd *cobra.Command, words []string) error {
		op := op
		if v.many != "" && len(words) > 1 {
			op = p.operation(v.many)
		}
		args, err := v.bind(op, flags, words)
		if err != nil {
			return err
		}
		reply, err := nodes.once(cmd.Context(), quorate.Call{Name: op.Name(), Args: args}, op.Writes())
		if err != nil {
			return err
		}
		return printed(nodes.print(p.out, reply, v.lines))
	}
	nodes.clientFlags(cmd)
	nodes.useFlag(cmd, op)
	if v.flags != nil {
		v.flags(cmd, flags)
	}
	return cmd
}

// bind makes the arguments of the call from the words behind the verb. A verb
// without fields takes them as a JSON object.
func (v verb) bind(op *quorate.Operation, flags *verbFlags, words []string) (args [][]byte, err error) {
	if v.fields == nil {
		var object string
		if object, err = flags.content(words[0], objectBytesMax); err != nil {
			return nil, err
		}
		args, err = quorate.Engine().ArgsFromJSON(op, []byte(object))
	} else {
		var call fields
		if call, err = v.fields(flags, words); err != nil {
			return nil, err
		}
		args, err = call.args(op)
	}
	if err != nil {
		return nil, unbound(err)
	}
	return args, nil
}

// print writes a reply in the form that the flags ask for.
func (r *remote) print(w io.Writer, reply quorate.Reply, lines func(quorate.Value) ([]string, error)) error {
	if lines == nil || r.output.value != outputTable {
		return printReply(w, r.output.value, reply, r.stale > 0)
	}
	text, err := lines(reply.Value)
	if err != nil {
		return failed("the answer is not understood: %v", err)
	}
	_, err = io.WriteString(w, strings.Join(text, "\n")+"\n")
	return err
}

// elements is a line for each element of a list.
func elements(v quorate.Value) ([]string, error) {
	var lines []string
	for _, element := range v.List() {
		lines = append(lines, shown(element))
	}
	return lines, nil
}

// lifetime is how long something stays.
func lifetime(v quorate.Value) ([]string, error) {
	var stays struct {
		TTL *int64 `json:"ttl"`
	}
	if err := v.Into(&stays); err != nil {
		return nil, err
	}
	if stays.TTL == nil {
		return []string{"forever"}, nil
	}
	return []string{fmt.Sprint(time.Duration(*stays.TTL) * time.Millisecond)}, nil
}

// names lists the operations of the service.
func (p *program) names() (names []string) {
	for _, op := range p.service.Operations() {
		names = append(names, op.Name())
	}
	slices.Sort(names)
	return names
}

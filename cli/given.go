package cli

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/values"
)

// given is the arguments of one operation as a person gives them: as words in
// the order of the fields, or each by its flag.
type given struct {
	op    *quorate.Operation
	flags []*argumentFlag // one for each argument
}

// argumentFlag is the flag of one argument. It keeps what was typed.
type argumentFlag struct {
	argument engine.Argument[quorate.Value]
	name     string
	texts    []string
}

// argumentMark is on the flags of arguments. They are data: they have no
// environment variable.
const argumentMark = "quorate_argument"

// newGiven adds a flag for each argument of an operation. Where the name is that
// of a flag which has to do with nodes it has arg- in front.
func newGiven(cmd *cobra.Command, op *quorate.Operation) *given {
	var others cobra.Command
	var nodes remote
	nodes.clientFlags(&others)
	nodes.idFlag(&others)
	nodes.staleFlag(&others)
	g := &given{op: op}
	flags := cmd.Flags()
	for _, argument := range quorate.Engine().Arguments(op) {
		f := &argumentFlag{argument: argument, name: nameOf(argument.Name)}
		for f.name == "" || f.name == "help" || others.Flags().Lookup(f.name) != nil || flags.Lookup(f.name) != nil {
			f.name = strings.TrimSuffix("arg-"+f.name, "-")
		}
		made := flags.VarPF(f, f.name, "", f.usage())
		made.Annotations = map[string][]string{argumentMark: nil}
		if argument.Type.Kind() == reflect.Bool && !argument.List {
			made.NoOptDefVal = "true"
		}
		g.flags = append(g.flags, f)
	}
	return g
}

// String is what was typed.
func (f *argumentFlag) String() string { return strings.Join(f.texts, " ") }

// Set takes one value. That of a list stands behind the ones before it.
func (f *argumentFlag) Set(text string) error {
	if !f.argument.List {
		f.texts = nil
	}
	f.texts = append(f.texts, text)
	return nil
}

// Type is how the help text shows the value.
func (f *argumentFlag) Type() string {
	word := typeWord(f.argument.Type)
	if f.argument.List {
		word += "..."
	}
	return word
}

func typeWord(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[quorate.Value]():
		return "int|string"
	case t == durationType:
		return "duration"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "bool"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "int"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "uint"
	case reflect.Float32, reflect.Float64:
		return "float"
	}
	return "string"
}

// durationType is a type whose integers a person writes as 90s.
var durationType = reflect.TypeFor[time.Duration]()

// usage is the help of the flag. A word in back quotes would be taken for the
// name of its value.
func (f *argumentFlag) usage() string {
	text := strings.ReplaceAll(f.argument.Doc, "`", "'")
	more := ""
	switch {
	case f.argument.List:
		more = "(may be repeated)"
	case f.argument.Default.Kind() != values.KindNone:
		more = "(default " + f.shownDefault() + ")"
	case f.argument.Optional:
		more = "(optional)"
	default:
		more = "(required)"
	}
	return strings.TrimSpace(text + " " + more)
}

func (f *argumentFlag) shownDefault() string {
	v := f.argument.Default
	switch {
	case f.argument.Type == durationType:
		return time.Duration(v.Int()).String()
	case v.Kind() == values.KindBytes:
		return strconv.Quote(v.Text())
	}
	return v.String()
}

// bytes is the text of one value as the operation reads it.
func (f *argumentFlag) bytes(text string) []byte {
	if f.argument.Type == durationType {
		if d, err := time.ParseDuration(text); err == nil {
			return strconv.AppendInt(nil, int64(d), 10)
		}
	}
	return []byte(text)
}

// usage is the words behind the command, in capitals.
func (g *given) usage() string {
	var text strings.Builder
	for _, f := range g.flags {
		word := strings.ToUpper(strings.ReplaceAll(nameOf(f.argument.Name), "-", "_"))
		switch {
		case f.argument.List:
			word = "[" + word + "...]"
		case f.argument.Optional:
			word = "[" + word + "]"
		}
		text.WriteString(" " + word)
	}
	return text.String()
}

// example shows both ways to give the arguments.
func (g *given) example(command string) string {
	words := exampleOf(g.op)
	if len(words) == 0 {
		return "  " + command
	}
	byName := "  " + command
	for i, word := range words {
		if byName += " --" + g.flags[i].name; g.flags[i].Type() != "bool" {
			byName += " " + word
		}
	}
	return "  " + command + " " + strings.Join(words, " ") + "\n" + byName
}

// exampleWord is a value that an argument may have.
func exampleWord(a engine.Argument[quorate.Value]) string {
	switch typeWord(a.Type) {
	case "bool":
		return "true"
	case "duration":
		return "90s"
	case "string":
		return nameOf(a.Name)
	}
	return "1"
}

// count refuses more words than there are arguments.
func (g *given) count(cmd *cobra.Command, words []string) error {
	if n := len(g.flags); n > 0 && g.flags[n-1].argument.List {
		return nil
	}
	return cobra.MaximumNArgs(len(g.flags))(cmd, words)
}

// args makes the arguments of the call of words and flags.
func (g *given) args(words []string) ([][]byte, error) {
	var text [][]byte
	for i, f := range g.flags {
		values := f.texts
		if i < len(words) {
			end := i + 1
			if f.argument.List {
				end = len(words)
			}
			if len(values) > 0 {
				return nil, misfit(f.argument.Name, "%s is given twice, as the word %.40q and as --%s: leave one of them out",
					f.argument.Name, words[i], f.name)
			}
			values = words[i:end]
		}
		switch {
		case len(values) == 0 && !f.argument.Optional && !f.argument.List:
			return nil, misfit(f.argument.Name, "--%s is missing: give it, or a word in its place: %s%s", f.name, commandName(g.op.Name()), g.usage())
		case len(values) == 0 && !f.argument.List:
			text = append(text, nil)
		}
		for _, value := range values {
			text = append(text, f.bytes(value))
		}
	}
	args, err := quorate.Engine().ArgsFromText(g.op, text)
	if err != nil {
		return nil, unbound(err)
	}
	return args, nil
}

// misfit makes the failure of a command line in which one argument is wrong.
func misfit(field, format string, args ...any) *failure {
	f := usage("%s", fmt.Sprintf(format, args...))
	f.Field = field
	return f
}

// unbound is the failure of words that the operation does not take.
func unbound(err error) *failure {
	f := usage("%v", err)
	if e, ok := errors.AsType[*quorate.Error](err); ok {
		f.Field = e.Field
	}
	return f
}

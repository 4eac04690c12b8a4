package cli

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// bindEnvironment gives every flag of a command, and of the commands below
// it, an environment variable, but for those that are arguments of an operation.
// It walks the tree, so that no flag can be forgotten. A flag that was typed wins
// over its variable, and the variable over the default.
func (p *program) bindEnvironment(cmd *cobra.Command) {
	for _, child := range cmd.Commands() {
		p.bindEnvironment(child)
	}
	if !cmd.Runnable() {
		return
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if !isArgument(f) {
			f.Usage += " [$" + p.variable(f.Name) + "]"
		}
	})
	check := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := p.fromEnvironment(cmd.Flags()); err != nil {
			return err
		}
		if check == nil {
			return cobra.ArbitraryArgs(cmd, args)
		}
		return check(cmd, args)
	}
}

// isArgument says that a flag is an argument of an operation.
func isArgument(f *pflag.Flag) bool {
	_, marked := f.Annotations[argumentMark]
	return marked
}

// variable is the environment variable of a flag.
func (p *program) variable(flag string) string {
	name := strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return unicode.ToUpper(r)
		}
		return '_'
	}, p.project()+"_"+flag)
	if unicode.IsDigit(rune(name[0])) {
		return "_" + name
	}
	return name
}

// fromEnvironment sets the flags that were not typed. An empty variable counts
// as one that is not there.
func (p *program) fromEnvironment(flags *pflag.FlagSet) (err error) {
	flags.VisitAll(func(f *pflag.Flag) {
		value := os.Getenv(p.variable(f.Name))
		if err != nil || f.Changed || value == "" || f.Name == "help" || isArgument(f) {
			return
		}
		if bad := f.Value.Set(value); bad != nil {
			err = usage("environment variable %s is %q: %s", p.variable(f.Name), value, wanted(f, bad))
			return
		}
		f.Changed = true
	})
	return err
}

// explainFlag says what a flag wants instead of what was typed. Other mistakes
// are named by cobra.
func explainFlag(_ *cobra.Command, err error) error {
	bad, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	f := bad.GetFlag()
	return usage("--%s is %q: %s", f.Name, bad.GetValue(), wanted(f, bad.Unwrap()))
}

// wanted says in words what a flag takes. The errors of our own kinds of flags
// do; those of pflag are the errors of a parser.
func wanted(f *pflag.Flag, err error) string {
	switch f.Value.(type) {
	case *choice, *span:
		return err.Error()
	}
	switch f.Value.Type() {
	case "bool":
		return "must be true or false"
	case "duration":
		return "must be a duration such as 500ms or 5s"
	case "uint64":
		return "must be a whole number from 0 on"
	}
	return err.Error()
}

// choice is a flag that has one of a few words as its value.
type choice struct {
	value string
	words []string
}

// String is the word that was chosen.
func (c *choice) String() string { return c.value }

// Set chooses a word.
func (c *choice) Set(word string) error {
	for _, known := range c.words {
		if word == known {
			c.value = word
			return nil
		}
	}
	return fmt.Errorf("must be one of %s", strings.Join(c.words, ", "))
}

// Type is how the help text shows the value.
func (c *choice) Type() string { return strings.Join(c.words, "|") }

// span is a flag of a length of time over zero; zero is not given.
type span time.Duration

// String is the length that was given.
func (s *span) String() string {
	if *s == 0 {
		return ""
	}
	return time.Duration(*s).String()
}

// Set takes a length over zero: nothing is younger than what it tells of, and
// nothing stays for less.
func (s *span) Set(text string) error {
	d, err := parseSpan(text)
	*s = span(d)
	return err
}

// Type is how the help text shows the value.
func (s *span) Type() string { return "duration" }

// parseSpan reads a length of time over zero.
func parseSpan(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, errors.New("must be a duration over 0 such as 500ms")
	}
	return d, nil
}

// shieldNegatives moves the flags of a command line in front of its words,
// with a "--" in between, if one of the words is a negative number, which
// would otherwise read as a flag: inc hits -5.
func shieldNegatives(root *cobra.Command, args []string) []string {
	var flags, words []string
	var negative bool
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			words = append(words, args[i+1:]...)
			i = len(args)
		case isNegative(arg):
			words = append(words, arg)
			negative = true
		case len(arg) > 1 && arg[0] == '-':
			flags = append(flags, arg)
			if takesNext(commandOf(root, words), arg) && i+1 < len(args) {
				i++
				flags = append(flags, args[i])
			}
		default:
			words = append(words, arg)
		}
	}
	if !negative {
		return args
	}
	shielded := append([]string{words[0]}, flags...)
	return append(append(shielded, "--"), words[1:]...)
}

func isNegative(arg string) bool {
	_, err := strconv.ParseInt(arg, 10, 64)
	return err == nil && arg[0] == '-'
}

// commandOf is the command that the first word names, or all of them while
// there is none.
func commandOf(root *cobra.Command, words []string) []*cobra.Command {
	if len(words) > 0 {
		for _, cmd := range root.Commands() {
			if cmd.Name() == words[0] || cmd.HasAlias(words[0]) {
				return []*cobra.Command{cmd}
			}
		}
	}
	return root.Commands()
}

// takesNext says that the argument behind a flag is its value. In front of the
// name of the command stand only flags which are of the same type in all.
func takesNext(commands []*cobra.Command, arg string) bool {
	for _, cmd := range commands {
		f := cmd.Flags().Lookup(strings.TrimLeft(arg, "-"))
		if f == nil && len(arg) == 2 {
			f = cmd.Flags().ShorthandLookup(arg[1:])
		}
		if f != nil {
			return f.NoOptDefVal == ""
		}
	}
	return false
}

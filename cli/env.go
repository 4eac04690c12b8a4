package cli

import (
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// bindEnvironment gives every flag of a command, and of the commands below
// it, an environment variable. It walks the tree, so that no flag can be
// forgotten. A flag that was typed wins over its variable, and the variable
// over the default.
func bindEnvironment(cmd *cobra.Command) {
	for _, child := range cmd.Commands() {
		bindEnvironment(child)
	}
	if !cmd.Runnable() {
		return
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		f.Usage += " [$" + variable(f.Name) + "]"
	})
	check := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := fromEnvironment(cmd.Flags()); err != nil {
			return err
		}
		if check == nil {
			return cobra.ArbitraryArgs(cmd, args)
		}
		return check(cmd, args)
	}
}

// variable is the environment variable of a flag.
func variable(flag string) string {
	return "QUORATE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fromEnvironment sets the flags that were not typed. An empty variable counts
// as one that is not there.
func fromEnvironment(flags *pflag.FlagSet) (err error) {
	flags.VisitAll(func(f *pflag.Flag) {
		value := os.Getenv(variable(f.Name))
		if err != nil || f.Changed || value == "" || f.Name == "help" {
			return
		}
		if bad := f.Value.Set(value); bad != nil {
			err = usage("environment variable %s is %q: %v", variable(f.Name), value, bad)
			return
		}
		f.Changed = true
	})
	return err
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
	return usage("must be one of %s", strings.Join(c.words, ", "))
}

// Type is how the help text shows the value.
func (c *choice) Type() string { return strings.Join(c.words, "|") }

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
			if takesNext(root, arg) && i+1 < len(args) {
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

// takesNext says that the argument behind a flag is its value. Flags of the
// same name are of the same type in all commands.
func takesNext(root *cobra.Command, arg string) bool {
	for _, cmd := range root.Commands() {
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

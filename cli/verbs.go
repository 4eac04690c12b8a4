package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate"
)

// verb is a command that is one call of one operation. A program has it if
// its service has the operation.
type verb struct {
	operation string
	// many, if not empty, is the operation for more than one word. Without it
	// the service takes one word.
	many    string
	use     string
	short   string
	long    string
	example string // without the name of the program
	args    cobra.PositionalArgs
	// sample is words behind the verb, and sampled flags, of which the verb makes
	// all fields that it can make.
	sample  []string
	sampled verbFlags
	flags   func(cmd *cobra.Command, f *verbFlags)
	// fields makes the fields of the call from the words behind the verb.
	fields func(f *verbFlags, words []string) (fields, error)
	// lines, if not nil, is the result as a person reads it, line by line.
	lines func(v quorate.Value) ([]string, error)
}

// verbFlags is the flags of a verb.
type verbFlags struct {
	arguments
	// absent says that there must be no value yet, present that there must be
	// one.
	absent, present bool
	// ttl is how long the value stays.
	ttl span
}

const valueHelp = `A value that reads as an integer of 64 bits is one, anything else is a string.
With - the value is read from standard input, with @FILE from a file; the bytes
are kept as they are, a line end at the end among them. The key and the values
of one call may have 1 MiB together.`

const durationHelp = `A duration is written as 500ms, 90s or 24h; what is below a millisecond does not
count.`

func verbs() []verb {
	return []verb{
		{
			operation: "PUT", use: "put KEY VALUE", short: "Store a value under a key",
			long: "It stays for good without --ttl. With --nx\n" +
				"it is an error, with exit code 6, if there is something already, and with --xx\n" +
				"if there is nothing.\n\n" + valueHelp,
			example: "put color green --ttl 24h", args: cobra.ExactArgs(2),
			sample: []string{"k", "v"}, sampled: verbFlags{absent: true, present: true, ttl: span(time.Second)},
			flags: putFlags, fields: putFields,
		},
		{
			operation: "GET", use: "get KEY", short: "Print the value under a key",
			long: "It is an error, with exit code 3, if there is none.", example: "get color", args: cobra.ExactArgs(1),
			sample: []string{"k"}, fields: keyFields,
		},
		{
			operation: "DELETE", many: "MDELETE", use: "delete KEY", short: "Delete a key",
			long:    "It prints true, or false if there was none.",
			example: "delete color", args: cobra.MinimumNArgs(1),
			sample: []string{"k"}, fields: keysFields,
		},
		{
			operation: "INC", use: "inc KEY [N]", short: "Add to the integer under a key",
			long:    "It adds N, or 1, and prints the new value. A key that is not there begins at 0.",
			example: "inc hits -5", args: cobra.RangeArgs(1, 2),
			sample: []string{"k", "1"}, fields: incFields,
		},
		{
			operation: "CAS", use: "cas {KEY OLD NEW | --absent KEY NEW}", short: "Store a value if the old one is still there",
			long: "It is an error, with exit code 6, if another value is there. cas --absent KEY NEW\n" +
				"stores a value only if there is none.\n\n" + valueHelp,
			example: "cas color green blue", args: casArgs, flags: casFlags,
			sample: []string{"k", "v", "w"}, fields: casFields,
		},
		{
			operation: "MGET", use: "mget KEY...", short: "Print the values under several keys",
			long: "All are of one moment. Each has a line, an empty one where there is none; JSON\n" +
				"tells that from an empty value.",
			example: "mget color shape", args: cobra.MinimumNArgs(1),
			sample: []string{"k", "l"}, fields: listFields, lines: elements,
		},
		{
			operation: "MPUT", use: "mput {KEY VALUE}...", short: "Store values under several keys, all or none",
			long: "It prints how many. With --nx it is an error, with exit code 6, if there is\n" +
				"something under one of the keys.\n\n" + valueHelp,
			example: "mput color green shape round", args: pairArgs, flags: mputFlags,
			sample: []string{"k", "v"}, sampled: verbFlags{absent: true}, fields: mputFields,
		},
		{
			operation: "EXPIRE", use: "expire KEY DURATION", short: "Let a key end after a time",
			long: "It prints true, or false if there is nothing under the key.\n\n" + durationHelp, example: "expire color 90s",
			args: cobra.ExactArgs(2), sample: []string{"k", "1s"}, fields: expireFields,
		},
		{
			operation: "TTL", use: "ttl KEY", short: "Print how long a key stays",
			long: "It is an error, with exit code 3, if there is nothing. For a key that stays for\n" +
				"good it prints forever.",
			example: "ttl color", args: cobra.ExactArgs(1),
			sample: []string{"k"}, fields: keyFields, lines: lifetime,
		},
		{
			operation: "PERSIST", use: "persist KEY", short: "Let a key stay for good",
			long: "It prints true, or false if the key would not have ended.", example: "persist color",
			args: cobra.ExactArgs(1), sample: []string{"k"}, fields: keyFields,
		},
		{
			operation: "TXN", use: "txn JSON", short: "Run several calls as one, if conditions hold",
			long: `They are a JSON
object, or - for standard input, or @FILE:

  {"if":   [{"get":{"key":"a"},"equals":5}, {"get":{"key":"b"},"fails":"not_found"}],
   "then": [{"put":{"key":"a","value":6}}, {"inc":{"key":"n"}}],
   "else": []}

Where all conditions hold it runs then, and else it runs else. All of it takes
effect or nothing. It prints whether they held, and what each call came to.`,
			example: `txn '{"then":[{"inc":{"key":"a"}},{"inc":{"key":"b","value":-1}}]}'`,
			args:    cobra.ExactArgs(1), sample: []string{"{}"},
		},
	}
}

func stringFlag(cmd *cobra.Command, f *verbFlags) {
	cmd.Flags().BoolVar(&f.text, "string", false, "take values as strings, also where they read as integers")
}

func nxFlag(cmd *cobra.Command, f *verbFlags) {
	cmd.Flags().BoolVar(&f.absent, "nx", false, "store only where there is nothing")
}

func putFlags(cmd *cobra.Command, f *verbFlags) {
	stringFlag(cmd, f)
	nxFlag(cmd, f)
	cmd.Flags().BoolVar(&f.present, "xx", false, "store only where there is something")
	cmd.Flags().Var(&f.ttl, "ttl", "how long the value stays, such as 90s or 24h (default: for good)")
}

func mputFlags(cmd *cobra.Command, f *verbFlags) {
	stringFlag(cmd, f)
	nxFlag(cmd, f)
}

func casFlags(cmd *cobra.Command, f *verbFlags) {
	stringFlag(cmd, f)
	cmd.Flags().BoolVar(&f.absent, "absent", false, "store the value only if there is none")
}

func casArgs(cmd *cobra.Command, words []string) error {
	if absent, err := cmd.Flags().GetBool("absent"); err == nil && absent {
		return cobra.ExactArgs(2)(cmd, words)
	}
	return cobra.ExactArgs(3)(cmd, words)
}

func pairArgs(cmd *cobra.Command, words []string) error {
	if len(words)%2 != 0 {
		return fmt.Errorf("accepts keys and values in turns, received %d arg(s)", len(words))
	}
	return cobra.MinimumNArgs(2)(cmd, words)
}

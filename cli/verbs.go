package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate"
)

// verb is a command that is one call of one operation. A program has it if
// its service has the operation.
type verb struct {
	operation string
	use       string
	short     string
	long      string
	example   string // without the name of the program
	args      cobra.PositionalArgs
	flags     func(cmd *cobra.Command, f *verbFlags)
	// fields makes the fields of the call from the words behind the verb.
	fields func(f *verbFlags, words []string) (fields, error)
}

// fields is the arguments of a call by their names.
type fields map[string]quorate.Value

// json is the call as the body of a request.
func (f fields) json() ([]byte, error) {
	forms := make(map[string]json.RawMessage, len(f))
	for name, value := range f {
		form, err := jsonForm(value)
		if err != nil {
			return nil, err
		}
		forms[name] = form
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(forms)
	return bytes.TrimSpace(body.Bytes()), err
}

// jsonForm is a value as JSON. Text of which JSON would make more than base64
// does, such as a megabyte of zero bytes, goes as base64: any value within the
// limit then fits a request.
func jsonForm(v quorate.Value) (json.RawMessage, error) {
	form, err := v.MarshalJSON()
	if err != nil || v.Kind() != quorate.Bytes {
		return form, err
	}
	encoded := len(`{"base64":""}`) + base64.StdEncoding.EncodedLen(len(v.Text()))
	if len(form) <= encoded {
		return form, nil
	}
	form = append(make([]byte, 0, encoded), `{"base64":"`...)
	form = base64.StdEncoding.AppendEncode(form, []byte(v.Text()))
	return append(form, `"}`...), nil
}

// verbFlags is the flags of a verb.
type verbFlags struct {
	arguments
	// absent says that there must be no value yet.
	absent bool
}

const valueHelp = `A value that reads as an integer of 64 bits is one, anything else is a string.
With - the value is read from standard input, with @FILE from a file; the bytes
are kept as they are, a line end at the end among them. The key and the values
of one call may have 1 MiB together.`

func verbs() []verb {
	return []verb{
		{
			operation: "PUT", use: "put KEY VALUE", short: "Store a value under a key",
			long: valueHelp, example: "put color green", args: cobra.ExactArgs(2),
			flags: stringFlag, fields: putFields,
		},
		{
			operation: "GET", use: "get KEY", short: "Print the value under a key",
			long: "It is an error, with exit code 3, if there is none.", example: "get color", args: cobra.ExactArgs(1),
			fields: keyFields,
		},
		{
			operation: "DELETE", use: "delete KEY", short: "Delete a key",
			long: "It prints true, or false if there was none.", example: "delete color", args: cobra.ExactArgs(1),
			fields: keyFields,
		},
		{
			operation: "INC", use: "inc KEY [N]", short: "Add to the integer under a key",
			long:    "It adds N, or 1, and prints the new value. A key that is not there begins at 0.",
			example: "inc hits -5", args: cobra.RangeArgs(1, 2), fields: incFields,
		},
		{
			operation: "CAS", use: "cas {KEY OLD NEW | --absent KEY NEW}", short: "Store a value if the old one is still there",
			long: "It is an error, with exit code 6, if another value is there. cas --absent KEY NEW\n" +
				"stores a value only if there is none.\n\n" + valueHelp,
			example: "cas color green blue", args: casArgs, flags: casFlags, fields: casFields,
		},
	}
}

func stringFlag(cmd *cobra.Command, f *verbFlags) {
	cmd.Flags().BoolVar(&f.text, "string", false, "take values as strings, also where they read as integers")
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

func keyFields(_ *verbFlags, words []string) (fields, error) {
	return fields{"key": quorate.BytesValue(words[0])}, nil
}

func putFields(f *verbFlags, words []string) (fields, error) {
	value, err := f.value(words[1])
	return fields{"key": quorate.BytesValue(words[0]), "value": value}, err
}

func incFields(f *verbFlags, words []string) (fields, error) {
	call := fields{"key": quorate.BytesValue(words[0])}
	if len(words) == 1 {
		return call, nil
	}
	value, err := f.integer(words[1])
	call["value"] = value
	return call, err
}

func casFields(f *verbFlags, words []string) (call fields, err error) {
	call = fields{"key": quorate.BytesValue(words[0])}
	if !f.absent {
		if call["expect"], err = f.value(words[1]); err != nil {
			return nil, err
		}
	}
	call["value"], err = f.value(words[len(words)-1])
	return call, err
}

// verbCommands is the verbs whose operation the service has.
func (p *program) verbCommands() (commands []*cobra.Command) {
	for _, v := range verbs() {
		operations := p.service.Operations()
		i := slices.IndexFunc(operations, func(o quorate.Operation) bool { return o.Name() == v.operation })
		if i >= 0 {
			commands = append(commands, p.verbCommand(v, operations[i].Writes()))
		}
	}
	return commands
}

func (p *program) verbCommand(v verb, writes bool) *cobra.Command {
	nodes := &remote{program: p.name}
	flags := &verbFlags{arguments: arguments{in: p.in}}
	cmd := &cobra.Command{
		Use: v.use, Short: v.short, Long: v.short + ". " + v.long, GroupID: groupClient,
		Example: "  " + p.name + " " + v.example,
		Args:    v.args,
	}
	cmd.RunE = func(cmd *cobra.Command, words []string) error {
		call, err := v.fields(flags, words)
		if err != nil {
			return err
		}
		body, err := call.json()
		if err != nil {
			return failed("write the call as JSON: %v", err)
		}
		path := "/v1/" + v.operation
		if nodes.stale > 0 {
			path += "?stale=" + nodes.stale.String()
		}
		answer, err := nodes.send(cmd.Context(), message{method: http.MethodPost, path: path, body: body, writes: writes})
		if err != nil {
			return err
		}
		return printed(printValue(p.out, nodes.output.value, answer))
	}
	nodes.clientFlags(cmd)
	if writes {
		nodes.idFlag(cmd)
	} else {
		nodes.staleFlag(cmd)
	}
	if v.flags != nil {
		v.flags(cmd, flags)
	}
	return cmd
}

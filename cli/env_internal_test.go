package cli

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/quorate/quorate/kv"
)

// errParsed ends a command as soon as its flags have their values.
var errParsed = errors.New("parsed")

// samples is, for one type of flag, two values that differ from any default,
// and one that the flag refuses. Flags that take any text refuse nothing.
type samples struct{ one, other, bad string }

func samplesOf(t *testing.T, f *pflag.Flag) samples {
	if c, ok := f.Value.(*choice); ok {
		return samples{c.words[len(c.words)-1], c.words[1], "nonsense"}
	}
	switch f.Value.Type() {
	case "string":
		return samples{"one", "other", ""}
	case "stringSlice":
		return samples{"a:1,b:2", "c:3", ""}
	case "stringArray":
		return samples{"GET a", "GET b", ""}
	case "duration":
		return samples{"77ms", "88s", "soon"}
	case "uint64", "uint":
		return samples{"77", "88", "-1"}
	case "bool":
		return samples{"true", "false", "perhaps"}
	}
	t.Fatalf("flag %s is of type %s, which this test does not know", f.Name, f.Value.Type())
	return samples{}
}

// parse runs a command up to where its flags have their values and returns
// that of one flag, as its type prints it.
func parse(t *testing.T, command, flag string, args ...string) (string, error) {
	t.Helper()
	// As many words as the command takes; what they are does not matter here.
	for words := range 4 {
		p := newProgram(kv.Service, "quorate", strings.NewReader(""), new(bytes.Buffer), new(bytes.Buffer))
		root := p.rootCommand()
		cmd, _, err := root.Find([]string{command})
		if err != nil {
			t.Fatal(err)
		}
		cmd.RunE = func(*cobra.Command, []string) error { return errParsed }
		root.SetArgs(slices.Concat([]string{command}, args, slices.Repeat([]string{"w"}, words)))
		err = root.ExecuteContext(t.Context())
		if err == nil || !strings.Contains(err.Error(), " arg(s)") {
			return cmd.Flags().Lookup(flag).Value.String(), err
		}
	}
	t.Fatalf("%s takes no number of words", command)
	return "", nil
}

func TestEveryFlagHasAVariableThatLosesToTheFlag(t *testing.T) {
	p := newProgram(kv.Service, "quorate", nil, nil, nil)
	tested := 0
	for _, cmd := range p.rootCommand().Commands() {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if isArgument(f) {
				return // it is data
			}
			tested++
			t.Run(cmd.Name()+" "+f.Name, func(t *testing.T) { checkVariable(t, cmd.Name(), f) })
		})
	}
	if tested < 30 {
		t.Errorf("only %d flags were found", tested)
	}
}

func checkVariable(t *testing.T, command string, f *pflag.Flag) {
	name := "QUORATE_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
	if !strings.Contains(f.Usage, "[$"+name+"]") {
		t.Errorf("the help text %q does not name %s", f.Usage, name)
	}
	v := samplesOf(t, f)
	shown := func(value string) string {
		switch f.Value.Type() {
		case "stringArray":
			return "[" + value + "]"
		case "stringSlice":
			return "[" + value + "]"
		}
		if f.Value.Type() == "duration" && value == "88s" {
			return "1m28s"
		}
		return value
	}
	expect := func(want string, args ...string) {
		t.Helper()
		if got, err := parse(t, command, f.Name, args...); got != want || !errors.Is(err, errParsed) {
			t.Errorf("with %q: %q, %v; want %q", args, got, err, want)
		}
	}

	t.Setenv(name, "")
	expect(f.DefValue)
	t.Setenv(name, v.one)
	expect(shown(v.one))
	expect(shown(v.other), "--"+f.Name+"="+v.other)
	if v.bad == "" {
		return
	}
	t.Setenv(name, v.bad)
	if _, err := parse(t, command, f.Name); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("with a bad value: %v; want an error that names %s", err, name)
	}
	expect(shown(v.other), "--"+f.Name+"="+v.other)
}

func TestBadValueOfAVariableIsExplainedInWords(t *testing.T) {
	for _, c := range []struct{ command, flag, value, want string }{
		{"put", "string", "zz", `environment variable QUORATE_STRING is "zz": must be true or false`},
		{"get", "timeout", "soon", `environment variable QUORATE_TIMEOUT is "soon": must be a duration such as 500ms or 5s`},
		{"get", "stale", "-1s", `environment variable QUORATE_STALE is "-1s": must be a duration over 0 such as 500ms`},
		{"get", "output", "xml", `environment variable QUORATE_OUTPUT is "xml": must be one of table, json, raw`},
		{"serve", "snapshot-entries", "many", `environment variable QUORATE_SNAPSHOT_ENTRIES is "many": must be a whole number from 0 on`},
	} {
		t.Run(c.flag, func(t *testing.T) {
			t.Setenv(newProgram(kv.Service, "quorate", nil, nil, nil).variable(c.flag), c.value)
			if _, err := parse(t, c.command, c.flag); err == nil || err.Error() != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

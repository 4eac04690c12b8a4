package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/invariant"
	"github.com/quorate/quorate/values"
)

// The forms of output.
const (
	outputTable = "table"
	outputJSON  = "json"
	outputRaw   = "raw"
)

// jsonAsked says that errors are to be JSON too. It looks at what was typed
// and not at the flag: the error may be that the flags are not understood.
func (p *program) jsonAsked(args []string) bool {
	asked := os.Getenv(p.variable("output"))
	for i, arg := range args {
		for _, name := range []string{"--output", "-o"} {
			if arg == name && i+1 < len(args) {
				asked = args[i+1]
			} else if word, ok := strings.CutPrefix(arg, name); ok {
				asked = strings.TrimPrefix(word, "=")
			}
		}
	}
	return asked == outputJSON
}

// printReply writes the value in a reply. In JSON it is the whole reply, as
// a node gives it over HTTP; raw is the bytes of the value and nothing else.
func printReply(w io.Writer, output string, reply quorate.Reply, aged bool) (err error) {
	switch output {
	case outputJSON:
		_, err = w.Write(append(replyJSON(reply, aged), '\n'))
	case outputRaw:
		_, err = io.WriteString(w, content(reply.Value))
	default:
		_, err = io.WriteString(w, shown(reply.Value)+"\n")
	}
	return err
}

// replyJSON is a reply as JSON. The age goes with a read that tolerates one.
func replyJSON(reply quorate.Reply, aged bool) []byte {
	text := append([]byte(`{"value":`), jsonOf(reply.Value)...)
	text = strconv.AppendUint(append(text, `,"index":`...), reply.Index, 10)
	if aged {
		text = fmt.Appendf(text, `,"age":%q`, reply.Age.Round(ageUnit).String())
	}
	return append(text, '}')
}

// ageUnit is how finely the age of an answer is told.
const ageUnit = time.Microsecond

// jsonOf is a value as JSON.
func jsonOf(v quorate.Value) json.RawMessage {
	text, err := v.MarshalJSON()
	invariant.Must(err == nil, "every value has a form in JSON")
	return text
}

// content is the bytes of a value: its own where it has some, and JSON where it
// is a list or a map.
func content(v quorate.Value) string {
	switch v.Kind() {
	case values.KindNone:
		return ""
	case values.KindBytes:
		return v.Text()
	}
	return string(jsonOf(v))
}

// shown is a value as a person reads it: bytes that are no text are JSON.
func shown(v quorate.Value) string {
	if v.Kind() == values.KindBytes && !utf8.ValidString(v.Text()) {
		return string(jsonOf(v))
	}
	return content(v)
}

// printJSON writes a JSON object on one line, with its numbers as they are.
func printJSON(w io.Writer, object []byte) error {
	var line bytes.Buffer
	if err := json.Compact(&line, object); err != nil {
		return failed("the answer is not JSON: %v", err)
	}
	line.WriteByte('\n')
	_, err := line.WriteTo(w)
	return err
}

// printed makes a failure of an error of standard output.
func printed(err error) error {
	if _, ours := errors.AsType[*failure](err); err == nil || ours {
		return err
	}
	return failed("write to standard output: %v", err)
}

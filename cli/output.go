package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// The forms of output.
const (
	outputTable = "table"
	outputJSON  = "json"
	outputRaw   = "raw"
)

// jsonAsked says that errors are to be JSON too. It looks at what was typed
// and not at the flag: the error may be that the flags are not understood.
func jsonAsked(args []string) bool {
	asked := os.Getenv(variable("output"))
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

// printValue writes the value in the answer of a node. In JSON it is the whole
// answer; raw is the bytes of the value and nothing else.
func printValue(w io.Writer, output string, answer []byte) error {
	if output == outputJSON {
		return printJSON(w, answer)
	}
	var body struct {
		Value json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(answer, &body); err != nil {
		return failed("the answer is not understood: %v", err)
	}
	content, text := content(body.Value)
	if output == outputRaw {
		_, err := w.Write(content)
		return err
	}
	if !text {
		content = body.Value
	}
	_, err := fmt.Fprintf(w, "%s\n", content)
	return err
}

// content is the bytes of a value, and whether they are text: only bytes that
// are not arrive as {"base64":"…"}. A number keeps all its digits.
func content(value json.RawMessage) (_ []byte, text bool) {
	var s string
	var encoded struct {
		Base64 *string `json:"base64"`
	}
	switch {
	case len(value) == 0 || string(value) == "null":
		return nil, true
	case json.Unmarshal(value, &s) == nil:
		return []byte(s), true
	case value[0] == '{' && json.Unmarshal(value, &encoded) == nil && encoded.Base64 != nil:
		if decoded, err := base64.StdEncoding.DecodeString(*encoded.Base64); err == nil {
			return decoded, false
		}
	}
	return value, true
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

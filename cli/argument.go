package cli

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/values"
)

const (
	// valueBytesMax bounds a value that is read from a file or from standard
	// input: no call carries more.
	valueBytesMax = quorate.ArgsBytesMax
	// objectBytesMax bounds a call that is written as JSON: arguments of 1 MiB
	// in base64 are 1.33 MiB, which leaves room for the names of the fields.
	objectBytesMax = 2 * quorate.ArgsBytesMax
)

// arguments reads the values of one command line.
type arguments struct {
	in io.Reader
	// text forces strings: an integer is then its digits.
	text bool
	// drained says that standard input was read.
	drained bool
}

// value is what the user wrote, with - for standard input and @FILE for a
// file. An integer in its one decimal form is an integer, anything else a
// string of exactly these bytes.
func (a *arguments) value(word string) (quorate.Value, error) {
	content, err := a.content(word, valueBytesMax)
	if err != nil {
		return quorate.Value{}, err
	}
	n, err := strconv.ParseInt(content, 10, 64)
	if err == nil && strconv.FormatInt(n, 10) == content && !a.text {
		return values.Int(n), nil
	}
	return values.Bytes(content), nil
}

// integer is a value that must be an integer.
func (a *arguments) integer(word string) (quorate.Value, error) {
	v, err := a.value(word)
	if err == nil && v.Kind() != values.KindInt {
		return v, usage("%.40q is not an integer of 64 bits", v.Text())
	}
	return v, err
}

// content is what the user wrote, or what it stands for, of at most so many
// bytes.
func (a *arguments) content(word string, bytesMax int64) (string, error) {
	if word == "-" {
		if a.drained {
			return "", usage("only one value can come from standard input")
		}
		a.drained = true
		return readContent(a.in, "standard input", bytesMax)
	}
	name, isFile := strings.CutPrefix(word, "@")
	if !isFile {
		return word, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return "", usage("%v; a text that begins with @ can be given through standard input, with - in its place", err)
	}
	defer f.Close()
	return readContent(f, name, bytesMax)
}

func readContent(r io.Reader, name string, bytesMax int64) (string, error) {
	content, err := io.ReadAll(io.LimitReader(r, bytesMax+1))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(content)) > bytesMax {
		return "", usage("%s holds more than %d bytes, which is the limit of one call", name, bytesMax)
	}
	return string(content), nil
}

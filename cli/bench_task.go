package cli

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/quorate/quorate"
)

// placeholder is what a number stands for in a call, another one each time.
const placeholder = "{n}"

// pattern is a text with places for a number: what stands between them.
type pattern [][]byte

func newPattern(text string) pattern {
	return bytes.Split([]byte(text), []byte(placeholder))
}

// append appends the text with a number in its places.
func (p pattern) append(dst []byte, n uint64) []byte {
	for i, part := range p {
		if i > 0 {
			dst = strconv.AppendUint(dst, n, 10)
		}
		dst = append(dst, part...)
	}
	return dst
}

// with is the text with a number, which nobody may change.
func (p pattern) with(n uint64) []byte {
	if len(p) == 1 {
		return p[0]
	}
	return p.append(nil, n)
}

// task is a call that bench makes over and over.
type task struct {
	// label is how a person writes it.
	label     string
	operation *quorate.Operation
	// command is what it is in the Redis protocol, and words its arguments.
	command string
	words   []pattern
	// body is the arguments as JSON.
	body pattern
}

// writes says that a call which was lost may have taken effect.
func (t *task) writes() bool { return t.operation.Writes() }

// varied says that its calls differ.
func (t *task) varied() bool {
	return slices.ContainsFunc(t.words, func(p pattern) bool { return len(p) > 1 })
}

// size is about how many bytes the arguments of a call are.
func (t *task) size() (size uint64) {
	for _, word := range t.words {
		size += uint64(len(word.with(0)))
	}
	return size
}

// args is the arguments of one call.
func (t *task) args(n uint64) ([][]byte, error) {
	text := make([][]byte, len(t.words))
	for i, word := range t.words {
		text[i] = word.with(n)
	}
	return quorate.Engine().ArgsFromText(t.operation, text)
}

// newTask makes the task of calling an operation with words.
func newTask(label string, op *quorate.Operation, words []string) (*task, error) {
	t := &task{label: label, operation: op, command: op.Name(), body: newPattern(string(bodyOf(op, words)))}
	for _, word := range words {
		t.words = append(t.words, newPattern(word))
	}
	return t, t.check()
}

// check refuses words that the operation does not take, or that JSON has no form
// for.
func (t *task) check() error {
	for _, n := range []uint64{0, 1, 10} {
		args, err := t.args(n)
		if err != nil {
			return err
		}
		same, err := quorate.Engine().ArgsFromJSON(t.operation, t.body.with(n))
		if err != nil {
			return err
		}
		if !slices.EqualFunc(args, same, bytes.Equal) {
			return errors.New("these words with a number in them are not the same over HTTP as elsewhere")
		}
	}
	return nil
}

// parseCall reads a call as it is typed behind exec, with words in quotes where
// they hold blanks.
func (p *program) parseCall(text string) (*task, error) {
	words, err := splitWords(text)
	if err != nil {
		return nil, err
	}
	if len(words) == 0 {
		return nil, errors.New("it names nothing to call")
	}
	op := p.operation(strings.ToUpper(words[0]))
	if op == nil {
		return nil, fmt.Errorf("service %s has no operation %.64q; it has %s", p.service.Name(), words[0], strings.Join(p.names(), ", "))
	}
	t, err := newTask(text, op, words[1:])
	if err != nil {
		return nil, err
	}
	args, err := t.args(0)
	if err == nil {
		_, err = quorate.Engine().Check(p.service, quorate.Call{Name: op.Name(), Args: args})
	}
	return t, err
}

// splitWords splits a line at its blanks, but for those in quotes.
func splitWords(line string) (words []string, err error) {
	var word strings.Builder
	var quote byte
	begun := false
	for i := range len(line) {
		c := line[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, begun = c, true
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n'):
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quote %c is not closed", quote)
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}

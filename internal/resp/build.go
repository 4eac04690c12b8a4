package resp

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// builder makes a Value of a reply that is there as a whole. There is room for
// all texts and all values from the beginning, so slices of both stay valid.
type builder struct {
	from   cursor
	texts  strings.Builder
	values []Value
}

// build makes the reply that is found.
func (r *ReplyReader) build() (Value, error) {
	b := builder{from: r.buffer.from(r.buffer.start)}
	b.texts.Grow(r.texts)
	if r.values > 0 {
		b.values = make([]Value, r.values)
	}
	return b.value()
}

// value makes the next value. Its depth is known to be bounded.
func (b *builder) value() (Value, error) {
	for {
		switch c := b.from.ahead()[0]; c {
		case '|':
			// Attributes say how an answer came about. They are passed over.
			if _, err := b.list(Array, 2); err != nil {
				return Value{}, err
			}
		case ':':
			return IntValue(b.from.number()), nil
		case '$', '=', '!':
			return b.bulk(c)
		case '*':
			return b.list(Array, 1)
		case '~':
			return b.list(Set, 1)
		case '>':
			return b.list(Push, 1)
		case '%':
			return b.list(Map, 2)
		default:
			return b.line(c)
		}
	}
}

// line makes a value that stands on a line.
func (b *builder) line(marker byte) (Value, error) {
	b.from.skip(1)
	line := b.from.until('\r')
	b.from.skip(1)
	switch marker {
	case '+':
		return Value{kind: Simple, text: b.text(line)}, nil
	case '-':
		return Value{kind: Error, text: b.text(line)}, nil
	case '#':
		return BoolValue(line[0] == 't'), nil
	case ',':
		return parseDouble(line)
	case '(':
		if !decimal(line) {
			return Value{}, refuse("invalid big number in reply")
		}
		return Value{kind: BigNumber, text: b.text(line)}, nil
	}
	return Value{}, nil
}

// text keeps the bytes of a text.
func (b *builder) text(line []byte) string {
	begin := b.texts.Len()
	b.texts.Write(line)
	return b.texts.String()[begin:]
}

// bulk makes a string of any bytes.
func (b *builder) bulk(marker byte) (Value, error) {
	n := int(b.from.number())
	if n < 0 {
		return Value{}, nil
	}
	begin := b.texts.Len()
	for left := n; left > 0; {
		piece := b.from.ahead()
		piece = piece[:min(left, len(piece))]
		b.texts.Write(piece)
		b.from.piece = b.from.piece[len(piece):]
		left -= len(piece)
	}
	text := b.texts.String()[begin:]
	var end [2]byte
	if string(b.from.appendTo(end[:0], len(end))) != "\r\n" {
		return Value{}, refuse("a bulk string of the reply is longer than its length")
	}
	switch {
	case marker == '!':
		return Value{kind: BlobError, text: text}, nil
	case marker == '$':
		return Value{kind: Bulk, text: text}, nil
	case text[formatBytes] != ':':
		return Value{}, refuse("a verbatim string of the reply has no format")
	}
	return VerbatimValue(text[:formatBytes], text[formatBytes+1:]), nil
}

// list makes a value of values, of which there are so many times each.
func (b *builder) list(kind Kind, each int) (Value, error) {
	n := int(b.from.number()) * each
	if n < 0 {
		return NullArrayValue(), nil
	}
	list := b.values[:n:n]
	b.values = b.values[n:]
	for i := range list {
		var err error
		if list[i], err = b.value(); err != nil {
			return Value{}, err
		}
	}
	return Value{kind: kind, list: list}, nil
}

// parseDouble reads a double in decimal, and the three that are no numbers.
func parseDouble(text []byte) (Value, error) {
	switch string(text) {
	case "inf":
		return DoubleValue(math.Inf(1)), nil
	case "-inf":
		return DoubleValue(math.Inf(-1)), nil
	case "nan", "-nan": // C may print a sign
		return DoubleValue(math.NaN()), nil
	}
	// ParseFloat would take more: words, hexadecimal digits, underscores.
	if len(bytes.Trim(text, "0123456789+-.eE")) > 0 {
		return Value{}, refuse("invalid double in reply")
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return Value{}, refuse("invalid double in reply")
	}
	return DoubleValue(f), nil
}

// decimal says that text is digits with or without a sign.
func decimal(text []byte) bool {
	if len(text) > 1 && (text[0] == '-' || text[0] == '+') {
		text = text[1:]
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) > 0
}

package cli

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/values"
)

// bodyOf is words, as they are typed by position, as the JSON object that HTTP
// takes for them. Of a transaction the one word is the object.
func bodyOf(op *quorate.Operation, words []string) []byte {
	arguments := quorate.Engine().Arguments(op)
	if arguments == nil {
		return []byte(strings.Join(words, " "))
	}
	body := []byte{'{'}
	for i, a := range arguments {
		if i >= len(words) {
			break
		}
		if i > 0 {
			body = append(body, ',')
		}
		body = append(append(body, jsonOf(values.Bytes(a.Name))...), ':')
		if !a.List {
			body = appendWord(body, a.Type, words[i])
			continue
		}
		body = append(body, '[')
		for k, word := range words[i:] {
			if k > 0 {
				body = append(body, ',')
			}
			body = appendWord(body, a.Type, word)
		}
		body = append(body, ']')
	}
	return append(body, '}')
}

// appendWord appends a word as a JSON value for an argument of a type.
func appendWord(dst []byte, t reflect.Type, word string) []byte {
	bare := false
	switch typeWord(t) {
	case "string":
	case "int|string":
		probe := strings.ReplaceAll(word, placeholder, "1")
		n, err := strconv.ParseInt(probe, 10, 64)
		bare = err == nil && strconv.FormatInt(n, 10) == probe
	case "bool":
		if b, err := strconv.ParseBool(word); err == nil {
			return strconv.AppendBool(dst, b)
		}
		bare = true
	default:
		bare = true
	}
	if bare {
		return append(dst, word...)
	}
	return append(dst, jsonOf(values.Bytes(word))...)
}

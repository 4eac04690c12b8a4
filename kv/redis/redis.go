// Package redis is the Redis commands of the built-in service: how each of them
// is an operation of package kv, and how what the operation came to is answered.
//
// It keeps the meaning, the replies, the texts of errors and the order of checks
// of Redis 7.0; docs/REDIS.md lists where it differs. What a command reads and
// writes is one operation, so it is as atomic as in Redis; KEYS, DBSIZE and
// FLUSHALL, which go over all keys, are several.
//
// A value of Redis is text. What reads as an integer of 64 bits is stored as
// one, so that it is an integer at the other doors too, and everything else as
// a string. The commands look at the text of a value, whatever it is stored as.
//
// Nothing here is part of the state: a command that must come to the same on
// all nodes is one of package kv.
package redis

import (
	"bytes"
	_ "embed"
	"slices"
	"strconv"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/invariant"
	"github.com/quorate/quorate/internal/resp"
	"github.com/quorate/quorate/respapi"
	"github.com/quorate/quorate/values"
)

// captured is what a redis-server 7.0.15 tells of the commands of this package.
// It is checked and made again by
//
//	go test ./kv/redis -run TestDocsAreThoseOfRedis [-rewrite]
//
//go:embed docs.resp3
var captured []byte

// Table is the Redis commands of kv.Service. Each Table remembers by itself
// where the scans of its clients stand.
func Table() respapi.Table {
	docs, err := respapi.ReadDocs(captured)
	invariant.Must(err == nil, "docs.resp3 is what a redis-server answered: %v", err)
	commands := slices.Concat(stringCommands(), numberCommands(), lifetimeCommands(), keyCommands(), spaceCommands())
	for i := range commands {
		d, found := docs[commands[i].Name]
		invariant.Must(found, "docs.resp3 tells of %s", commands[i].Name)
		commands[i].Docs = d
	}
	return respapi.Table{Commands: commands, Watch: watch, Keys: new(census).keys}
}

// watch asks for what changes with each write to a key.
func watch(key []byte) quorate.Call { return quorate.Call{Name: "VERSION", Args: [][]byte{key}} }

// call makes the call of an operation. Arguments that are left out are nil.
func call(name string, args ...[]byte) (quorate.Call, error) {
	for len(args) > 0 && args[len(args)-1] == nil {
		args = args[:len(args)-1]
	}
	return quorate.Call{Name: name, Args: args}, nil
}

// operation is the Call of a command whose arguments are those of an operation.
func operation(name string) func(args [][]byte) (quorate.Call, error) {
	return func(args [][]byte) (quorate.Call, error) { return call(name, args...) }
}

// valueArg is text as an argument that is a quorate.Value: an integer if it
// reads as one, and else a string, which has one more zero byte in front if it
// begins with one.
func valueArg(text []byte) []byte {
	if len(text) > 0 && text[0] == 0 {
		return append([]byte{0}, text...)
	}
	return text
}

// keyAndValue is a key and a text as arguments, of which the text is a
// quorate.Value. Nearly all of them are as they arrived.
func keyAndValue(args [][]byte) [][]byte {
	if len(args[1]) > 0 && args[1][0] == 0 {
		return [][]byte{args[0], valueArg(args[1])}
	}
	return args
}

// yes is an option that is on.
var yes = []byte{'1'}

// on is an option that is on, or left out.
func on(given bool) []byte {
	if given {
		return yes
	}
	return nil
}

// refuse is an error as Redis words it.
func refuse(text string) error { return &respapi.Refusal{Prefix: "ERR", Text: text} }

// The errors that several commands have.
var (
	errSyntax     = refuse("syntax error")
	errNotInteger = refuse("value is not an integer or out of range")
	errNotFloat   = refuse("value is not a valid float")
)

// errExpireTime is the error of a command whose expire time is none.
func errExpireTime(command string) error {
	return refuse("invalid expire time in '" + command + "' command")
}

// errArguments is the error of a command with too few or too many arguments.
func errArguments(command string) error {
	return refuse("wrong number of arguments for '" + command + "' command")
}

// known is an error of an operation that the command answers in its own way.
type known struct {
	code   quorate.Code
	answer resp.Value
}

// failing is an error of an operation that Redis has a text for.
func failing(code quorate.Code, err error) known { return known{code, respapi.Failure(err)} }

// answer is a Reply: what is made of the result of the operation, or what the
// command answers to an error that is known.
func answer(of func(quorate.Value) resp.Value, errors ...known) func(args [][]byte, reply quorate.Reply) resp.Value {
	return func(_ [][]byte, reply quorate.Reply) resp.Value {
		if reply.Err == nil {
			return of(reply.Value)
		}
		code := quorate.CodeOf(reply.Err)
		for _, e := range errors {
			if e.code == code {
				return e.answer
			}
		}
		return respapi.Failure(reply.Err)
	}
}

// null is nothing.
var null resp.Value

// text is the text of a value, and null if there is none.
func text(v quorate.Value) resp.Value {
	if v.Kind() == values.KindNone {
		return null
	}
	return resp.BulkValue(v.String())
}

// texts is a list of texts.
func texts(v quorate.Value) resp.Value {
	list := make([]resp.Value, len(v.List()))
	for i, element := range v.List() {
		list[i] = text(element)
	}
	return resp.ArrayValue(list...)
}

// integer is an integer.
func integer(v quorate.Value) resp.Value { return resp.IntValue(v.Int()) }

// oneOrZero is 1 for true.
func oneOrZero(v quorate.Value) resp.Value {
	if v.Bool() {
		return resp.IntValue(1)
	}
	return resp.IntValue(0)
}

// always answers the same.
func always(v resp.Value) func(quorate.Value) resp.Value {
	return func(quorate.Value) resp.Value { return v }
}

// ok is what Redis answers where there is nothing to tell.
func ok() resp.Value { return resp.SimpleValue("OK") }

// word is an argument as the name of an option, in upper case. As in C, a zero
// byte ends it, and only letters of ASCII have two cases.
func word(arg []byte) string {
	arg, _, _ = bytes.Cut(arg, []byte{0})
	return string(bytes.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, arg))
}

// parseInt reads an integer in its one decimal form.
func parseInt(arg []byte) (int64, error) {
	n, err := strconv.ParseInt(string(arg), 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != string(arg) {
		return 0, errNotInteger
	}
	return n, nil
}

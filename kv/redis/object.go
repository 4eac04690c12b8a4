package redis

import (
	"bytes"
	"math"
	"strings"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/resp"
	"github.com/quorate/quorate/respapi"
	"github.com/quorate/quorate/values"
)

// object is OBJECT subcommand [key].
func object(args [][]byte) (quorate.Call, error) {
	name := word(args[0])
	arguments := 2
	switch name {
	case "HELP":
		arguments = 1
	case "ENCODING", "REFCOUNT", "IDLETIME", "FREQ":
	default:
		return quorate.Call{}, refuse("unknown subcommand '" + printed(args[0]) + "'. Try OBJECT HELP.")
	}
	if len(args) != arguments {
		return quorate.Call{}, errArguments("object|" + strings.ToLower(name))
	}
	if name == "HELP" {
		// Every command is a call. This one costs little and answers nothing.
		return call("EXISTS", args[0])
	}
	return call("GET", args[1])
}

func objectReply(args [][]byte, reply quorate.Reply) resp.Value {
	of := map[string]func(quorate.Value) resp.Value{
		"HELP":     always(objectHelp()),
		"ENCODING": encoding,
		"REFCOUNT": refCount,
		"IDLETIME": always(resp.IntValue(0)), // nobody takes down when a key was read
		"FREQ":     always(respapi.Failure(errNoFrequency)),
	}
	return answer(of[word(args[0])], known{quorate.NotFound, null})(args, reply)
}

var errNoFrequency = refuse("An LFU maxmemory policy is not selected, access frequency not tracked. " +
	"Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.")

// embeddedMax is the longest string that Redis keeps together with its header.
const embeddedMax = 44

// encoding is how Redis would keep a value.
func encoding(v quorate.Value) resp.Value {
	switch {
	case v.Kind() == values.KindInt:
		return resp.BulkValue("int")
	case len(v.Text()) <= embeddedMax:
		return resp.BulkValue("embstr")
	}
	return resp.BulkValue("raw")
}

// refCount is how many hold a value: those from 0 to 9,999 are shared in Redis.
func refCount(v quorate.Value) resp.Value {
	const sharedMax = 9_999
	if v.Kind() == values.KindInt && v.Int() >= 0 && v.Int() <= sharedMax {
		return resp.IntValue(math.MaxInt32)
	}
	return resp.IntValue(1)
}

func objectHelp() resp.Value {
	var lines []resp.Value
	for _, line := range []string{
		"OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
		"ENCODING <key>",
		"    Return the kind of internal representation used in order to store the value",
		"    associated with a <key>.",
		"FREQ <key>",
		"    Return the access frequency index of the <key>. The returned integer is",
		"    proportional to the logarithm of the recent access frequency of the key.",
		"IDLETIME <key>",
		"    Return the idle time of the <key>, that is the approximated number of",
		"    seconds elapsed since the last access to the key.",
		"REFCOUNT <key>",
		"    Return the number of references of the value associated with the specified",
		"    <key>.",
		"HELP",
		"    Prints this help.",
	} {
		lines = append(lines, resp.SimpleValue(line))
	}
	return resp.ArrayValue(lines...)
}

// printedMax is how much of an argument stands in an error.
const printedMax = 128

// printed is an argument as it stands in an error: as in C, a zero byte ends it.
func printed(arg []byte) string {
	arg, _, _ = bytes.Cut(arg, []byte{0})
	return string(arg[:min(len(arg), printedMax)])
}

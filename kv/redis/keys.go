package redis

import (
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/resp"
	"github.com/quorate/quorate/respapi"
)

// keyCommands are the commands about keys by their names.
func keyCommands() []respapi.Command {
	noSuchKey := failing(quorate.NotFound, refuse("no such key"))
	return []respapi.Command{
		{Name: "DEL", Call: operation("MDELETE"), Reply: answer(integer)},
		{Name: "UNLINK", Call: operation("MDELETE"), Reply: answer(integer)},
		{Name: "EXISTS", Call: operation("EXISTS"), Reply: answer(integer)},
		{Name: "TOUCH", Call: operation("EXISTS"), Reply: answer(integer)},
		{Name: "TYPE", Call: operation("EXISTS"), Reply: answer(typeOf)},
		{Name: "RENAME", Call: operation("RENAME"), Reply: answer(always(ok()), noSuchKey)},
		{Name: "RENAMENX", Call: renameNX, Reply: answer(oneOrZero, noSuchKey)},
		{Name: "COPY", Call: copyKey, Reply: answer(oneOrZero)},
		{Name: "RANDOMKEY", Call: randomKey, Reply: answer(text, known{quorate.NotFound, null})},
		{Name: "OBJECT", Call: object, Reply: objectReply},
	}
}

// typeOf is the type of a key that is there once, or not.
func typeOf(v quorate.Value) resp.Value {
	if v.Int() == 0 {
		return resp.SimpleValue("none")
	}
	return resp.SimpleValue(typeString)
}

// typeString is the type of all that there is.
const typeString = "string"

// renameNX is RENAMENX key newkey.
func renameNX(args [][]byte) (quorate.Call, error) { return call("RENAME", args[0], args[1], yes) }

// copyKey is COPY source destination [DB number] [REPLACE].
func copyKey(args [][]byte) (quorate.Call, error) {
	replace := false
	for i := 2; i < len(args); i++ {
		switch name := word(args[i]); {
		case name == "REPLACE":
			replace = true
		case name == "DB" && i+1 < len(args):
			i++
			if err := checkDB(args[i]); err != nil {
				return quorate.Call{}, err
			}
		default:
			return quorate.Call{}, errSyntax
		}
	}
	if string(args[0]) == string(args[1]) {
		return quorate.Call{}, refuse("source and destination objects are the same")
	}
	return call("COPY", args[0], args[1], on(replace))
}

// checkDB refuses all databases but the one there is.
func checkDB(arg []byte) error {
	n, err := parseInt(arg)
	switch {
	case err != nil:
		return err
	case n < math.MinInt32 || n > math.MaxInt32:
		return refuse("value is out of range, value must between -2147483648 and 2147483647")
	case n != 0:
		return refuse("DB index is out of range")
	}
	return nil
}

// randomKey is RANDOMKEY. All nodes come to the same answer to a call, so the
// random number is part of it.
func randomKey([][]byte) (quorate.Call, error) {
	return call("RANDOM", strconv.AppendUint(nil, rand.Uint64(), 10))
}

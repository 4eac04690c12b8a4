package redis

import (
	"math"
	"strconv"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/respapi"
)

// numberCommands are the commands that take text for a number.
func numberCommands() []respapi.Command {
	sum := answer(integer,
		failing(quorate.WrongType, errNotInteger),
		failing(quorate.Overflow, refuse("increment or decrement would overflow")))
	return []respapi.Command{
		{Name: "INCR", Call: step("1"), Reply: sum},
		{Name: "DECR", Call: step("-1"), Reply: sum},
		{Name: "INCRBY", Call: incrBy, Reply: sum},
		{Name: "DECRBY", Call: decrBy, Reply: sum},
		{Name: "INCRBYFLOAT", Call: incrByFloat, Reply: answer(text,
			failing(quorate.WrongType, errNotFloat),
			failing(quorate.Overflow, refuse("increment would produce NaN or Infinity")))},
	}
}

// step is INCR key, or DECR key.
func step(by string) func(args [][]byte) (quorate.Call, error) {
	made := []byte(by) // shared: nobody modifies the bytes of a call
	return func(args [][]byte) (quorate.Call, error) { return call("INC", args[0], made, yes) }
}

// incrBy is INCRBY key increment.
func incrBy(args [][]byte) (quorate.Call, error) {
	if _, err := parseInt(args[1]); err != nil {
		return quorate.Call{}, err
	}
	return call("INC", args[0], args[1], yes)
}

// decrBy is DECRBY key decrement.
func decrBy(args [][]byte) (quorate.Call, error) {
	by, err := parseInt(args[1])
	if err != nil {
		return quorate.Call{}, err
	}
	if by == math.MinInt64 {
		return quorate.Call{}, refuse("decrement would overflow")
	}
	return call("INC", args[0], strconv.AppendInt(nil, -by, 10), yes)
}

// incrByFloat is INCRBYFLOAT key increment.
func incrByFloat(args [][]byte) (quorate.Call, error) {
	if kv.Number(args[1]).Check() != nil {
		return quorate.Call{}, errNotFloat
	}
	return call("INCFLOAT", args[0], args[1])
}

package redis

import (
	"math"
	"strconv"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/resp"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/respapi"
)

// lifetimeCommands are the commands about when a key ends.
func lifetimeCommands() []respapi.Command {
	return []respapi.Command{
		expire("EXPIRE", "expire", end{unit: seconds}),
		expire("PEXPIRE", "pexpire", end{unit: milliseconds}),
		expire("EXPIREAT", "expireat", end{unit: seconds, absolute: true}),
		expire("PEXPIREAT", "pexpireat", end{unit: milliseconds, absolute: true}),
		lifetime("TTL", seconds, left),
		lifetime("PTTL", milliseconds, left),
		lifetime("EXPIRETIME", seconds, until),
		lifetime("PEXPIRETIME", milliseconds, until),
		{Name: "PERSIST", Call: operation("PERSIST"), Reply: answer(oneOrZero)},
	}
}

// expire is EXPIRE key time [NX | XX | GT | LT], or one of its relatives. An
// expire time may be in the past, or negative.
func expire(name, command string, form end) respapi.Command {
	return respapi.Command{
		Name:  name,
		Reply: answer(oneOrZero, failing(quorate.Overflow, errExpireTime(command))),
		Call: func(args [][]byte) (quorate.Call, error) {
			conditions, err := readConditions(args[2:])
			if err != nil {
				return quorate.Call{}, err
			}
			n, err := parseInt(args[1])
			if err != nil {
				return quorate.Call{}, err
			}
			each := int64(form.unit)
			if n > math.MaxInt64/each || n < math.MinInt64/each {
				return quorate.Call{}, errExpireTime(command)
			}
			made := [][]byte{args[0], strconv.AppendInt(nil, n*each, 10), nil}
			if form.absolute {
				made[1], made[2] = nil, made[1]
			}
			return call("EXPIRE", append(made, conditions...)...)
		},
	}
}

// readConditions reads the options of EXPIRE: nx, xx, gt and lt.
func readConditions(args [][]byte) ([][]byte, error) {
	var nx, xx, gt, lt bool
	for _, arg := range args {
		switch word(arg) {
		case "NX":
			nx = true
		case "XX":
			xx = true
		case "GT":
			gt = true
		case "LT":
			lt = true
		default:
			return nil, refuse("Unsupported option " + printed(arg))
		}
	}
	switch {
	case nx && (xx || gt || lt):
		return nil, refuse("NX and XX, GT or LT options at the same time are not compatible")
	case gt && lt:
		return nil, refuse("GT and LT options at the same time are not compatible")
	}
	return [][]byte{on(nx), on(xx), on(gt), on(lt)}, nil
}

// What TTL and its relatives say of a key.
const (
	noKey    = -2
	noExpiry = -1
)

// lifetime is TTL key, or one of its relatives.
func lifetime(name string, unit unit, of func(kv.Lifetime) *int64) respapi.Command {
	return respapi.Command{
		Name: name,
		Call: operation("TTL"),
		Reply: answer(func(v quorate.Value) resp.Value {
			var life kv.Lifetime
			if err := v.Into(&life); err != nil {
				return respapi.Failure(err)
			}
			at := of(life)
			if at == nil {
				return resp.IntValue(noExpiry)
			}
			return resp.IntValue(rounded(*at, unit))
		}, known{quorate.NotFound, resp.IntValue(noKey)}),
	}
}

func left(l kv.Lifetime) *int64  { return l.TTL }
func until(l kv.Lifetime) *int64 { return l.Until }

// rounded is milliseconds in a unit, to the nearest.
func rounded(ms int64, unit unit) int64 { return (ms + int64(unit)/2) / int64(unit) }

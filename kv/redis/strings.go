package redis

import (
	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/resp"
	"github.com/quorate/quorate/respapi"
)

// stringCommands are the commands that put and get text.
func stringCommands() []respapi.Command {
	notFound := known{quorate.NotFound, null}
	refused := known{quorate.Conflict, resp.IntValue(0)}
	return []respapi.Command{
		{Name: "GET", Call: operation("GET"), Reply: answer(text, notFound)},
		{Name: "SET", Call: set, Reply: setReply()},
		{Name: "SETNX", Call: setNX, Reply: answer(always(resp.IntValue(1)), refused)},
		{Name: "SETEX", Call: setFor("setex", seconds), Reply: answer(always(ok()), failing(quorate.Overflow, errExpireTime("setex")))},
		{Name: "PSETEX", Call: setFor("psetex", milliseconds), Reply: answer(always(ok()), failing(quorate.Overflow, errExpireTime("psetex")))},
		{Name: "GETSET", Call: getSet, Reply: answer(text)},
		{Name: "GETDEL", Call: operation("GETDEL"), Reply: answer(text, notFound)},
		{Name: "GETEX", Call: getEx, Reply: getExReply()},
		{Name: "MGET", Call: operation("MGET"), Reply: answer(texts)},
		{Name: "MSET", Call: mset("mset", nil), Reply: answer(always(ok()))},
		{Name: "MSETNX", Call: mset("msetnx", yes), Reply: answer(always(resp.IntValue(1)), refused)},
		{Name: "APPEND", Call: appendText, Reply: answer(integer)},
		{Name: "STRLEN", Call: operation("LENGTH"), Reply: answer(integer)},
		{Name: "GETRANGE", Call: getRange, Reply: answer(text)},
		{Name: "SETRANGE", Call: setRange, Reply: answer(integer)},
	}
}

// set is SET key value [options].
func set(args [][]byte) (quorate.Call, error) {
	if len(args) == 2 {
		return call("PUT", keyAndValue(args)...)
	}
	o, err := readOptions(args[2:], false)
	if err != nil {
		return quorate.Call{}, err
	}
	ttl, until, err := o.end.args("set")
	if err != nil {
		return quorate.Call{}, err
	}
	name := "PUT"
	if o.get {
		name = "GETPUT"
	}
	return call(name, args[0], valueArg(args[1]), ttl, until, on(o.nx), on(o.xx), on(o.keepTTL))
}

// setReply answers OK or nothing, and with GET what was there before. What it
// answers to most calls is made once.
func setReply() func(args [][]byte, reply quorate.Reply) resp.Value {
	overflow := failing(quorate.Overflow, errExpireTime("set"))
	plain := answer(always(ok()), known{quorate.Conflict, null}, overflow)
	return func(args [][]byte, reply quorate.Reply) resp.Value {
		if o, err := readOptions(args[2:], false); err != nil || !o.get {
			return plain(args, reply)
		}
		return answer(text, known{quorate.Conflict, text(conflicting(reply.Err))}, overflow)(args, reply)
	}
}

// setNX is SETNX key value.
func setNX(args [][]byte) (quorate.Call, error) {
	return call("PUT", args[0], valueArg(args[1]), nil, nil, yes)
}

// setFor is SETEX key seconds value, or PSETEX.
func setFor(command string, unit unit) func(args [][]byte) (quorate.Call, error) {
	return func(args [][]byte) (quorate.Call, error) {
		ttl, _, err := end{unit: unit, text: args[1]}.args(command)
		if err != nil {
			return quorate.Call{}, err
		}
		return call("PUT", args[0], valueArg(args[2]), ttl)
	}
}

// getSet is GETSET key value.
func getSet(args [][]byte) (quorate.Call, error) {
	return call("GETPUT", keyAndValue(args)...)
}

// getEx is GETEX key [options]. Redis looks at the expire time only where there
// is something under the key: one that is none makes the command a GET, and
// getExReply an error of what is found.
func getEx(args [][]byte) (quorate.Call, error) {
	o, err := readOptions(args[1:], true)
	if err != nil {
		return quorate.Call{}, err
	}
	ttl, until, err := o.end.args("getex")
	if err != nil || ttl == nil && until == nil && !o.persist {
		return call("GET", args[0])
	}
	return call("GETEX", args[0], ttl, until, on(o.persist))
}

func getExReply() func(args [][]byte, reply quorate.Reply) resp.Value {
	notFound := known{quorate.NotFound, null}
	overflow := failing(quorate.Overflow, errExpireTime("getex"))
	plain := answer(text, notFound, overflow)
	return func(args [][]byte, reply quorate.Reply) resp.Value {
		if o, err := readOptions(args[1:], true); err == nil {
			if _, _, err = o.end.args("getex"); err != nil {
				return answer(always(respapi.Failure(err)), notFound, overflow)(args, reply)
			}
		}
		return plain(args, reply)
	}
}

// mset is MSET key value …, or MSETNX.
func mset(command string, nx []byte) func(args [][]byte) (quorate.Call, error) {
	return func(args [][]byte) (quorate.Call, error) {
		if len(args)%2 != 0 {
			return quorate.Call{}, errArguments(command)
		}
		made := make([][]byte, 0, 1+len(args))
		made = append(made, nx)
		for _, arg := range args {
			made = append(made, valueArg(arg))
		}
		return call("MPUT", made...)
	}
}

// appendText is APPEND key value.
func appendText(args [][]byte) (quorate.Call, error) {
	return call("APPEND", keyAndValue(args)...)
}

// getRange is GETRANGE key start end.
func getRange(args [][]byte) (quorate.Call, error) {
	for _, position := range args[1:] {
		if _, err := parseInt(position); err != nil {
			return quorate.Call{}, err
		}
	}
	return call("RANGE", args...)
}

// setRange is SETRANGE key offset value.
func setRange(args [][]byte) (quorate.Call, error) {
	offset, err := parseInt(args[1])
	if err != nil {
		return quorate.Call{}, err
	}
	if offset < 0 {
		return quorate.Call{}, refuse("offset is out of range")
	}
	return call("SETRANGE", args...)
}

package redis

import (
	"errors"
	"math"
	"strconv"

	"github.com/quorate/quorate"
)

// unit is what a time is given in.
type unit int64

const (
	milliseconds unit = 1
	seconds      unit = 1000
)

// end is when something is to end, as the arguments say it. Without text they
// say nothing.
type end struct {
	unit     unit
	absolute bool // since 1970, and not from now on
	text     []byte
}

// args is the ttl or the until of an operation.
func (e end) args(command string) (ttl, until []byte, err error) {
	if e.text == nil {
		return nil, nil, nil
	}
	n, err := parseInt(e.text)
	if err != nil {
		return nil, nil, err
	}
	if n <= 0 || n > math.MaxInt64/int64(e.unit) {
		return nil, nil, errExpireTime(command)
	}
	made := strconv.AppendInt(nil, n*int64(e.unit), 10)
	if e.absolute {
		return nil, made, nil
	}
	return made, nil, nil
}

// options are those of SET and GETEX.
type options struct {
	end                           end
	nx, xx, get, keepTTL, persist bool
}

// readOptions reads the options of SET, or of GETEX. An option may stand there
// twice, and of an expire time the last one counts; what contradicts an option
// before it is a syntax error.
func readOptions(args [][]byte, getting bool) (options, error) {
	var o options
	var timed string // EX, PX, EXAT or PXAT
	for i := 0; i < len(args); i++ {
		name := word(args[i])
		lasting := timed == "" && !o.keepTTL && !o.persist
		switch {
		case name == "NX" && !o.xx && !getting:
			o.nx = true
		case name == "XX" && !o.nx && !getting:
			o.xx = true
		case name == "GET" && !getting:
			o.get = true
		case name == "KEEPTTL" && timed == "" && !getting:
			o.keepTTL = true
		case name == "PERSIST" && timed == "" && getting:
			o.persist = true
		case isTime(name) && (lasting || timed == name) && i+1 < len(args):
			i++
			timed = name
			o.end = timeOf(name, args[i])
		default:
			return options{}, errSyntax
		}
	}
	return o, nil
}

func isTime(name string) bool {
	return name == "EX" || name == "PX" || name == "EXAT" || name == "PXAT"
}

// timeOf is the end that EX, PX, EXAT or PXAT give.
func timeOf(name string, text []byte) end {
	made := end{unit: seconds, absolute: len(name) == len("EXAT"), text: text}
	if name[0] == 'P' {
		made.unit = milliseconds
	}
	return made
}

// conflicting is what the state holds instead, after a Conflict.
func conflicting(err error) quorate.Value {
	if failure, ok := errors.AsType[*quorate.Error](err); ok {
		return failure.Value
	}
	return quorate.Value{}
}

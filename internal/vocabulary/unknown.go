package vocabulary

import (
	"fmt"
	"strconv"

	"github.com/quorate/quorate"
)

// txnName is the operation that holds calls of others.
const txnName = "TXN"

// Unknown is what a call uses and w does not know, the first of it, as it is
// called in a sentence. It is empty if w knows all of it.
func (w Words) Unknown(call *quorate.Call) string {
	if what := w.unknown(call.Name, len(call.Args)); what != "" {
		return what
	}
	if call.Name == txnName {
		return w.unknownInside(call.Args)
	}
	return ""
}

func (w Words) unknown(name string, arguments int) string {
	known, ok := w.find(name)
	switch {
	case !ok:
		return fmt.Sprintf("operation %.64s", name)
	case arguments > known.Arguments && known.Arguments < Any:
		return beyond(known)
	}
	return ""
}

// unknownInside is the same for the calls inside of a transaction. Its
// arguments are those that quorate.Txn makes:
//
//	mode, number of conditions, number of calls in Then
//	conditions: each a call, and what it must come to
//	calls
//
// where a call is a name, the number of its arguments, and these. One that has
// another form is of a program that knows more.
func (w Words) unknownInside(args [][]byte) string {
	const strange = "this form of operation " + txnName
	if len(args) < 3 {
		return strange
	}
	conditions, ok := number(args[1])
	if !ok {
		return strange
	}
	for args = args[3:]; len(args) > 0; conditions-- {
		behind := 0
		if conditions > 0 {
			behind = 1
		}
		if len(args) < 2 {
			return strange
		}
		count, ok := number(args[1])
		if !ok || count+behind > len(args)-2 {
			return strange
		}
		if what := w.unknown(string(args[0]), count); what != "" {
			return what
		}
		args = args[2+count+behind:]
	}
	return ""
}

// number is what an argument counts.
func number(arg []byte) (int, bool) {
	n, err := strconv.ParseUint(string(arg), 10, 31)
	return int(n), err == nil
}

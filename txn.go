package quorate

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/quorate/quorate/values"
)

// txnName is the operation that each service has.
const txnName = "TXN"

const txnDoc = "Run several calls as one, if conditions hold. Where all of if hold it runs then, and else it runs else: " +
	"all of it or nothing, but for each, which makes an error one of the results."

// Txn runs calls of a service as one command: Then if all conditions hold, and else
// Else. The first call that fails takes back the others, and its error is that of the
// transaction. A call goes by its name; all results together have 12 MiB at most.
type Txn struct {
	If   []Condition
	Then []Call
	Else []Call
	Each bool // a call that fails is one of the results, and the others stand
}

// Condition is a query and what it must come to.
type Condition struct {
	Call   Call
	Equals Value // the result that it must have
	Fails  Code  // if not empty, what it must fail with instead, such as NotFound
}

// TxnResult is what a Txn came to.
type TxnResult struct {
	Held    bool       // all conditions held, so that Then was run
	Results []TxnReply // of each call that was run, in their order
}

// TxnReply is what one call of a Txn came to.
type TxnReply struct {
	Value Value
	Err   *Error // why it failed, which only a Txn with Each goes on after
}

// Apply implements Command.
func (t Txn) Apply(tx *Tx) (TxnResult, error) {
	result := TxnResult{Held: true}
	for i, condition := range t.If {
		held, err := condition.holds(tx)
		if err != nil {
			return TxnResult{}, placed(err, "if", i, condition.Call.Name)
		}
		result.Held = result.Held && held
	}
	calls, branch := t.Then, "then"
	if !result.Held {
		calls, branch = t.Else, "else"
	}
	result.Results = make([]TxnReply, len(calls))
	for i, call := range calls {
		value, err := tx.Call(call)
		if err != nil && !t.Each {
			return TxnResult{}, placed(err, branch, i, call.Name)
		}
		result.Results[i] = TxnReply{Value: value, Err: replyError(err)}
	}
	return result, nil
}

// replyError is the error of a call in a transaction as it is answered.
func replyError(err error) *Error {
	if err == nil {
		return nil
	}
	e := result(err).(*Error)
	return &Error{Code: e.Code, Message: e.Error(), Value: e.Value, cause: e.cause}
}

// placed says which call of a transaction an error is from.
func placed(err error, branch string, position int, name string) error {
	e := replyError(err)
	if inner, ok := errors.AsType[*Error](err); ok {
		e.Field = inner.Field
	}
	e.Message = fmt.Sprintf("%s[%d] %.64s: %s", branch, position, name, e.Message)
	return inside(fmt.Sprintf("%s[%d].%.64s", branch, position, strings.ToLower(name)), e)
}

func (c Condition) holds(tx *Tx) (bool, error) {
	value, err := tx.Call(c.Call)
	switch {
	case c.Fails != "":
		return CodeOf(err) == c.Fails, nil
	case err != nil:
		return false, nil
	}
	return sameJSON(value, c.Equals)
}

// sameJSON says that two values look the same in JSON, where an integer is one
// whatever its sign can be.
func sameJSON(a, b Value) (bool, error) {
	left, err := a.AppendJSON(nil)
	if err != nil {
		return false, err
	}
	right, err := b.AppendJSON(nil)
	return bytes.Equal(left, right), err
}

// txnOperation makes the operation of a service.
func txnOperation(s *Service) Operation {
	return Operation{
		name: txnName, writes: true, kind: reflect.TypeFor[Txn](), binds: txnBinding{s}, doc: txnDoc, gives: txnGives(),
		check: func(args [][]byte) error {
			t, err := readTxn(args)
			if err != nil {
				return err
			}
			return t.check(s)
		},
		apply: func(tx *Tx, args [][]byte) (Value, error) {
			t, err := readTxn(args)
			if err != nil {
				return Value{}, err
			}
			r, err := t.Apply(tx)
			if err != nil {
				return Value{}, err
			}
			return r.value(), nil
		},
	}
}

// check says what keeps a transaction from the log.
func (t Txn) check(s *Service) error {
	for i, condition := range t.If {
		op, err := s.sound(condition.Call)
		if err == nil && op.writes {
			err = Errorf(Invalid, "a condition is a query, and %s is a command", op.name)
		}
		if err != nil {
			return placed(err, "if", i, condition.Call.Name)
		}
	}
	for i, call := range slices.Concat(t.Then, t.Else) {
		op, err := s.sound(call)
		if err == nil && op.name == txnName {
			err = Errorf(Invalid, "a transaction holds no other")
		}
		if branch := "then"; err != nil {
			if i >= len(t.Then) {
				branch, i = "else", i-len(t.Then)
			}
			return placed(err, branch, i, call.Name)
		}
	}
	return nil
}

// value is the result in the form in which it is answered.
func (r TxnResult) value() Value {
	list := make([]Value, len(r.Results))
	for i, reply := range r.Results {
		if reply.Err == nil {
			list[i] = values.Map(values.Bytes("value"), reply.Value)
			continue
		}
		pairs := []Value{
			values.Bytes("error"), values.Bytes(reply.Err.Error()),
			values.Bytes("code"), values.Bytes(string(reply.Err.Code)),
		}
		if reply.Err.Value.Kind() != values.KindNone {
			pairs = append(pairs, values.Bytes("value"), reply.Err.Value)
		}
		list[i] = values.Map(pairs...)
	}
	return values.Map(values.Bytes("held"), values.Bool(r.Held), values.Bytes("results"), values.List(list...))
}

// FromValue reads what a Txn is answered with.
func (r *TxnResult) FromValue(v Value) error {
	*r = TxnResult{Held: v.Field("held").Bool()}
	results := v.Field("results")
	if v.Kind() != values.KindMap || results.Kind() != values.KindList {
		return fmt.Errorf("a result of kind %s is not that of a transaction", v.Kind())
	}
	for _, element := range results.List() {
		reply := TxnReply{Value: element.Field("value")}
		if code := element.Field("code"); code.Kind() == values.KindBytes {
			reply = TxnReply{Err: &Error{Code: Code(code.Text()), Message: element.Field("error").Text(), Value: reply.Value}}
		}
		r.Results = append(r.Results, reply)
	}
	return nil
}

package quorate

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// txnName is the operation that each service has.
const txnName = "TXN"

const txnDoc = "Run several calls as one, if conditions hold. Where all of if hold it runs then, and else it runs else: " +
	"all of it or nothing, but for each, which makes an error one of the results."

// Txn runs calls of a service as one command: nobody sees a part of what they
// do. If all conditions hold it runs Then, and else it runs Else. It is all or
// nothing: the first call that fails takes back the others, and its error is
// that of the transaction.
//
// A call in it goes by its name, which is that of its Go type unless it says
// otherwise. What the calls come to has ResultsBytesMax bytes together.
type Txn struct {
	If   []Condition
	Then []Call
	Else []Call
	// Each makes a call that fails one of the results: what it wrote is taken
	// back, and the others stand.
	Each bool
}

// Condition is a query and what it must come to.
type Condition struct {
	Call Call
	// Equals is the result that it must have.
	Equals Value
	// Fails, if not empty, is the code that it must fail with instead, such as
	// NotFound.
	Fails Code
}

// TxnResult is what a Txn came to.
type TxnResult struct {
	// Held says that all conditions held, so that Then was run.
	Held bool
	// Results is what each call that was run came to, in their order.
	Results []TxnReply
}

// TxnReply is what one call of a Txn came to.
type TxnReply struct {
	Value Value
	// Err is why the call failed, which only a Txn with Each goes on after.
	Err *Error
}

// Apply implements Command. It needs the Tx of a command of the service.
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
		op, err := s.Check(condition.Call)
		if err == nil && op.writes {
			err = Errorf(Invalid, "a condition is a query, and %s is a command", op.name)
		}
		if err != nil {
			return placed(err, "if", i, condition.Call.Name)
		}
	}
	for i, call := range slices.Concat(t.Then, t.Else) {
		op, err := s.Check(call)
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
			list[i] = MapValue(BytesValue("value"), reply.Value)
			continue
		}
		pairs := []Value{
			BytesValue("error"), BytesValue(reply.Err.Error()),
			BytesValue("code"), BytesValue(string(reply.Err.Code)),
		}
		if reply.Err.Value.Kind() != None {
			pairs = append(pairs, BytesValue("value"), reply.Err.Value)
		}
		list[i] = MapValue(pairs...)
	}
	return MapValue(BytesValue("held"), BoolValue(r.Held), BytesValue("results"), ListValue(list...))
}

// from is the other way round from value.
func (r *TxnResult) from(v Value) error {
	*r = TxnResult{Held: v.field("held").Bool()}
	results := v.field("results")
	if v.kind != Map || results.kind != List {
		return fmt.Errorf("a result of kind %s is not that of a transaction", v.kind)
	}
	for _, element := range results.list {
		reply := TxnReply{Value: element.field("value")}
		if code := element.field("code"); code.kind == Bytes {
			reply = TxnReply{Err: &Error{Code: Code(code.text), Message: element.field("error").text, Value: reply.Value}}
		}
		r.Results = append(r.Results, reply)
	}
	return nil
}

// field is the value under a name in a Map; None if there is none.
func (v Value) field(name string) Value {
	if v.kind == Map {
		for i := 0; i+1 < len(v.list); i += 2 {
			if v.list[i].text == name {
				return v.list[i+1]
			}
		}
	}
	return Value{}
}

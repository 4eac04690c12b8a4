package quorate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/quorate/quorate/internal/jsonform"
	"github.com/quorate/quorate/values"
)

// The arguments of a transaction, by position:
//
//	mode             "all" or "each"
//	number of conditions, number of calls in Then
//	conditions       each a call, and behind it = and JSON, or ! and a code
//	calls            those of Then, and then those of Else
//
// A call is its name, the number of its arguments, and these.
//
// Example: if GET k is 1 then PUT k 2 is
//
//	all 1 1  GET 1 k =1  PUT 2 k 2

// The modes of a transaction.
const (
	modeAll  = "all"
	modeEach = "each"
)

// What stands before the expectation of a condition.
const (
	markEquals = '='
	markFails  = '!'
)

// call makes the call of a transaction.
func (t Txn) call() (Call, error) {
	mode := modeAll
	if t.Each {
		mode = modeEach
	}
	args := [][]byte{[]byte(mode), decimal(len(t.If)), decimal(len(t.Then))}
	for _, condition := range t.If {
		want, err := condition.want()
		if err != nil {
			return Call{}, err
		}
		args = append(appendNested(args, condition.Call), want)
	}
	for _, call := range slices.Concat(t.Then, t.Else) {
		args = appendNested(args, call)
	}
	return Call{Name: txnName, Args: args, kind: reflect.TypeFor[Txn]()}, nil
}

func decimal(n int) []byte { return strconv.AppendInt(nil, int64(n), 10) }

func appendNested(args [][]byte, call Call) [][]byte {
	args = append(args, []byte(call.Name), decimal(len(call.Args)))
	return append(args, call.Args...)
}

func (c Condition) want() ([]byte, error) {
	if c.Fails != "" {
		return append([]byte{markFails}, c.Fails...), nil
	}
	return c.Equals.AppendJSON([]byte{markEquals})
}

// readTxn makes a transaction of its arguments.
func readTxn(args [][]byte) (Txn, error) {
	r := txnReader{args: args}
	t := Txn{}
	switch mode := string(r.next()); mode {
	case modeAll:
	case modeEach:
		t.Each = true
	default:
		return Txn{}, Errorf(Invalid, "the mode of a transaction is %.40q, not %s or %s", mode, modeAll, modeEach)
	}
	conditions, then := r.count(), r.count()
	for range conditions {
		t.If = append(t.If, r.condition())
	}
	for len(r.args) > 0 && r.err == nil {
		call := r.call()
		if len(t.Then) < then {
			t.Then = append(t.Then, call)
		} else {
			t.Else = append(t.Else, call)
		}
	}
	if r.err == nil && len(t.Then) < then {
		r.err = Errorf(Invalid, "a transaction has %d calls of %d", len(t.Then), then)
	}
	return t, r.err
}

// txnReader takes arguments of a transaction from the front.
type txnReader struct {
	args [][]byte
	err  error
}

func (r *txnReader) next() []byte {
	if len(r.args) == 0 {
		if r.err == nil {
			r.err = Errorf(Invalid, "the arguments of a transaction end too early")
		}
		return nil
	}
	arg := r.args[0]
	r.args = r.args[1:]
	return arg
}

// count takes a number of things that are still to come: not more than there
// are arguments.
func (r *txnReader) count() int {
	arg := r.next()
	n, err := strconv.ParseUint(string(arg), 10, 32)
	if (err != nil || n > uint64(len(r.args))) && r.err == nil {
		r.err = Errorf(Invalid, "a transaction counts %.40q of what are at most %d", arg, len(r.args))
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

func (r *txnReader) call() Call {
	call := Call{Name: string(r.next())}
	if n := r.count(); n > 0 {
		call.Args, r.args = r.args[:n:n], r.args[n:]
	}
	return call
}

func (r *txnReader) condition() Condition {
	c := Condition{Call: r.call()}
	want := r.next()
	switch {
	case r.err != nil:
	case len(want) > 1 && want[0] == markFails:
		c.Fails = Code(want[1:])
	case len(want) > 1 && want[0] == markEquals:
		if c.Equals, r.err = anyValue(want[1:], valuesDeep); r.err != nil {
			r.err = Errorf(Invalid, "what a condition expects %v", r.err)
		}
	default:
		r.err = Errorf(Invalid, "a condition expects %.40q, which is neither a value nor a code", want)
	}
	return c
}

// txnBinding is how a transaction takes its arguments.
type txnBinding struct{ service *Service }

func (txnBinding) describe() string {
	return `if (list, optional), then (list, optional), else (list, optional), each (bool, optional); ` +
		`an element is {"<operation>":{<fields>}}, and one of if has "equals" or "fails" beside it`
}

func (txnBinding) surplus([][]byte) bool { return false }

func (txnBinding) missing(args [][]byte) (string, bool) { return "mode", len(args) == 0 }

// newer says that an operation in the transaction is not known here, or has
// arguments that are not.
func (b txnBinding) newer(args [][]byte) bool {
	t, err := readTxn(args)
	if err != nil {
		return true // it was checked before it went into the log
	}
	unknown := func(call Call) bool {
		op, ok := b.service.lookup(&call)
		return !ok || op.newer(call.Args)
	}
	return slices.ContainsFunc(t.If, func(c Condition) bool { return unknown(c.Call) }) ||
		slices.ContainsFunc(slices.Concat(t.Then, t.Else), unknown)
}

func (b txnBinding) fromText(text [][]byte) ([][]byte, error) {
	if len(text) != 1 {
		return nil, Errorf(Invalid, "%s takes one JSON object: %s", txnName, b.describe())
	}
	return b.fromJSON(txnName, text[0])
}

func (b txnBinding) fromJSON(operation string, body []byte) ([][]byte, error) {
	given, err := jsonObject(body)
	if err != nil {
		return nil, err
	}
	var t Txn
	for name, raw := range given {
		switch name {
		case "if":
			t.If, err = jsonList(raw, name, b.condition)
		case "then":
			t.Then, err = jsonList(raw, name, b.call)
		case "else":
			t.Else, err = jsonList(raw, name, b.call)
		case "each":
			if t.Each = string(raw) == "true"; !t.Each && string(raw) != "false" {
				err = errField(name, "field %q is %s, not true or false", name, jsonform.Describe(raw))
			}
		default:
			err = errField(name, "field %.64q is not known: %s takes %s", name, operation, b.describe())
		}
		if err != nil {
			return nil, err
		}
	}
	call, err := t.call()
	return call.Args, err
}

// jsonList reads each element of a list, where something stands at all.
func jsonList[T any](raw json.RawMessage, name string, read func(json.RawMessage) (T, error)) ([]T, error) {
	var elements []json.RawMessage
	if err := json.Unmarshal(raw, &elements); err != nil {
		return nil, errField(name, "field %q is %s, not a list", name, jsonform.Describe(raw))
	}
	list := make([]T, len(elements))
	for i, element := range elements {
		var err error
		if list[i], err = read(element); err != nil {
			e := Errorf(CodeOf(err), "%s[%d]: %v", name, i, err)
			if inner, ok := errors.AsType[*Error](err); ok {
				e.Field = inner.Field
			}
			return nil, inside(fmt.Sprintf("%s[%d]", name, i), e)
		}
	}
	return list, nil
}

// call reads {"put":{"key":1,"value":2}}.
func (b txnBinding) call(raw json.RawMessage) (Call, error) {
	fields, err := jsonObject(raw)
	if err != nil {
		return Call{}, err
	}
	return b.only(fields)
}

// condition reads {"get":{"key":1},"equals":2}.
func (b txnBinding) condition(raw json.RawMessage) (c Condition, err error) {
	fields, err := jsonObject(raw)
	if err != nil {
		return c, err
	}
	equals, expects := fields["equals"]
	fails, expectsError := fields["fails"]
	delete(fields, "equals")
	delete(fields, "fails")
	if expects == expectsError {
		return c, Errorf(Invalid, `a condition has either "equals" or "fails"`)
	}
	if expects {
		if c.Equals, err = anyValue(equals, valuesDeep); err != nil {
			return c, errField("equals", `field "equals" %v`, err)
		}
	} else {
		code, err := jsonform.Bytes(fails, "a string")
		if err != nil || code == "" {
			return c, errField("fails", `field "fails" is %s, not a code such as %q`, jsonform.Describe(fails), NotFound)
		}
		c.Fails = Code(code)
	}
	c.Call, err = b.only(fields)
	return c, err
}

// only reads the one operation that fields name.
func (b txnBinding) only(fields map[string]json.RawMessage) (Call, error) {
	if len(fields) != 1 {
		return Call{}, Errorf(Invalid, "%d fields name an operation, not 1", len(fields))
	}
	for name, body := range fields {
		op, ok := b.service.lookup(&Call{Name: strings.ToUpper(name)})
		if !ok {
			return Call{}, Errorf(UnknownOperation, "service %s has no operation %.64q", b.service.name, name)
		}
		args, err := op.argsFromJSON(body)
		if e, ok := errors.AsType[*Error](err); ok {
			err = inside(strings.ToLower(op.name), e)
		}
		return Call{Name: op.name, Args: args}, err
	}
	return Call{}, nil
}

// valuesDeep bounds how deep lists stand in what a condition expects.
const valuesDeep = 8

// anyValue reads a JSON value of any kind but an object, which a Value cannot
// be compared with in one way only.
func anyValue(raw json.RawMessage, deep int) (v Value, err error) {
	raw = bytes.Trim(raw, jsonform.Space)
	switch {
	case !json.Valid(raw):
		return v, fmt.Errorf("is not JSON")
	case raw[0] == 'n':
		return Value{}, nil
	case raw[0] == 't' || raw[0] == 'f':
		return values.Bool(raw[0] == 't'), nil
	case jsonform.IsNumber(raw):
		return anyNumber(raw)
	case raw[0] == '[' && deep > 0:
		var elements []json.RawMessage
		if err := json.Unmarshal(raw, &elements); err != nil {
			return v, err
		}
		list := make([]Value, len(elements))
		for i, element := range elements {
			if list[i], err = anyValue(element, deep-1); err != nil {
				return v, err
			}
		}
		return values.List(list...), nil
	}
	text, err := jsonform.Bytes(raw, "a value")
	return values.Bytes(text), err
}

func anyNumber(raw []byte) (Value, error) {
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return values.Int(n), nil
	}
	if n, err := strconv.ParseUint(string(raw), 10, 64); err == nil {
		return values.Uint(n), nil
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return Value{}, fmt.Errorf("is %s, which does not fit a number of 64 bits", jsonform.Describe(raw))
	}
	return values.Float(f), nil
}

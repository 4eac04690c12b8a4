package quorate

import (
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/values"
)

// Service is a name and the operations that stand under it. It never changes.
type Service struct {
	name       string
	operations []Operation
	byName     map[string]*Operation
	byType     map[reflect.Type]*Operation
}

// Operation is one command or query of a service, made by Write or Read.
type Operation struct {
	name   string
	writes bool
	kind   reflect.Type
	gives  schema // the result in JSON
	binds  binding
	doc    string
	// service is where the operation stands; Define sets it.
	service *Service
	err     error // what is wrong with the type; Define refuses it
	check   func(args [][]byte) error
	apply   func(tx *Tx, args [][]byte) (Value, error)
	read    func(view *View, args [][]byte) (Value, error)
}

// operationNameMax bounds the name of an operation; it stands in every call.
const operationNameMax = 64

// Define makes a service of operations, and of TXN, which each service has. It panics
// if a name stands twice or is not in upper case, or a type has no form.
func Define(name string, operations ...Operation) *Service {
	s := &Service{
		name:       name,
		operations: slices.Clone(operations),
		byName:     make(map[string]*Operation),
		byType:     make(map[reflect.Type]*Operation),
	}
	if err := s.index(); err != nil {
		panic(fmt.Sprintf("quorate: define service %q: %v", name, err))
	}
	return s
}

func (s *Service) index() error {
	if s.name == "" {
		return errors.New("it has no name")
	}
	s.operations = append(s.operations, txnOperation(s))
	for i := range s.operations {
		op := &s.operations[i]
		op.service = s
		if err := op.valid(); err != nil {
			return err
		}
		if _, twice := s.byName[op.name]; twice {
			return fmt.Errorf("operation %s stands twice", op.name)
		}
		if other, twice := s.byType[op.kind]; twice {
			return fmt.Errorf("operations %s and %s are the same type %s", other.name, op.name, op.kind)
		}
		s.byName[op.name] = op
		s.byType[op.kind] = op
	}
	// Where only a name goes, as in a transaction or to another process, a type
	// is found by its own.
	for _, op := range s.byName {
		if other, ok := s.byName[strings.ToUpper(op.kind.Name())]; ok && other != op {
			return fmt.Errorf("operation %s has the name of the type of operation %s", other.name, op.name)
		}
	}
	return nil
}

func (o *Operation) valid() error {
	if o.err != nil {
		return fmt.Errorf("operation %s: %w", o.name, o.err)
	}
	if o.name == "" || len(o.name) > operationNameMax || strings.Trim(o.name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" {
		return fmt.Errorf("operation %q: a name has 1 to %d letters in upper case, digits, dots, dashes and underscores",
			o.name, operationNameMax)
	}
	return nil
}

// Name is the name of the service.
func (s *Service) Name() string { return s.name }

// Operations is all of them as defined, TXN last. It must not be modified.
func (s *Service) Operations() []Operation { return s.operations }

// lookup finds the operation of a call: by its type if Do or Ask made it, and
// else by its name.
func (s *Service) lookup(call *Call) (*Operation, bool) {
	if call.kind != nil {
		if op, ok := s.byType[call.kind]; ok {
			return op, true
		}
	}
	op, ok := s.byName[call.Name]
	return op, ok
}

// sound says why a call may not go to the log, or nil. It returns the operation
// too.
func (s *Service) sound(call Call) (*Operation, error) {
	op, ok := s.lookup(&call)
	if !ok {
		return nil, Errorf(UnknownOperation, "service %s has no operation %.64q", s.name, call.Name)
	}
	if len(call.ID) > CallIDBytesMax {
		return nil, Errorf(Invalid, "a call id of %d bytes is over the limit of %d", len(call.ID), CallIDBytesMax)
	}
	if call.Settled > 0 {
		if _, number, ok := engine.Session(string(call.ID)); !ok || call.Settled > number {
			return nil, Errorf(Invalid, "call id %.64q cannot settle the calls of its session below %d", string(call.ID), call.Settled)
		}
	}
	if len(call.Args) > ArgsMax {
		return nil, Errorf(TooLarge, "%d arguments are over the limit of %d", len(call.Args), ArgsMax)
	}
	var size int
	for _, arg := range call.Args {
		size += len(arg)
	}
	if size > ArgsBytesMax {
		return nil, Errorf(TooLarge, "arguments of %d bytes are over the limit of %d", size, ArgsBytesMax)
	}
	if op.binds.surplus(call.Args) {
		return nil, Errorf(Invalid, "%s takes %s", op.name, op.usage())
	}
	if name, missing := op.binds.missing(call.Args); missing {
		return nil, errField(name, "argument %s is missing: %s takes %s", name, op.name, op.usage())
	}
	return op, op.checked(call.Args)
}

// checked runs the check of the operation on arguments.
func (o *Operation) checked(args [][]byte) (err error) {
	defer o.recovered(new(Value), &err)
	return o.check(args)
}

// Write makes an operation of a command type, as in Write[Take]("TAKE").
func Write[C Command[R], R any](name string, options ...func(*Operation)) Operation {
	op, maker := newOperation[C, R](name, options)
	op.writes = true
	op.apply = func(tx *Tx, args [][]byte) (Value, error) {
		c, err := maker.make(args)
		if err != nil {
			return Value{}, err
		}
		r, err := c.made.Apply(tx)
		maker.giveBack(c)
		if tx.err != nil || err != nil || tx.exhausted {
			return Value{}, errors.Join(tx.err, tx.errExhausted(), err)
		}
		return valueFrom(r)
	}
	return op
}

// Read makes an operation of a query type, as in Read[Last]("LAST").
func Read[Q Query[R], R any](name string, options ...func(*Operation)) Operation {
	op, maker := newOperation[Q, R](name, options)
	op.read = func(view *View, args [][]byte) (Value, error) {
		q, err := maker.make(args)
		if err != nil {
			return Value{}, err
		}
		r, err := q.made.Read(view)
		maker.giveBack(q)
		if err != nil || view.exhausted {
			return Value{}, errors.Join(view.errExhausted(), err)
		}
		return valueFrom(r)
	}
	return op
}

// newOperation is what commands and queries have in common.
func newOperation[C, R any](name string, options []func(*Operation)) (Operation, *maker[C]) {
	result := reflect.TypeFor[R]()
	op := Operation{name: name, kind: structType[C](), err: values.CheckType(result)}
	for _, option := range options {
		option(&op)
	}
	if op.err != nil {
		return op, nil
	}
	op.gives = resultSchema(result)
	if op.kind.Kind() != reflect.Struct {
		op.err = fmt.Errorf("%s is not a struct", op.kind)
		return op, nil
	}
	shape, err := shapeOf(op.kind)
	if err != nil {
		op.err = err
		return op, nil
	}
	maker := newMaker[C](shape)
	op.binds, op.check = shape, maker.check
	return op, maker
}

// invalid gives an error of Check a code where it has none.
func invalid(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return Errorf(Invalid, "%v", err)
}

// structType is the struct behind C, which may be a pointer to it.
func structType[C any]() reflect.Type {
	t := reflect.TypeFor[C]()
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// Name is the name of the operation in its service.
func (o *Operation) Name() string { return o.name }

// Writes says that the operation is a command.
func (o *Operation) Writes() bool { return o.writes }

// binding is how an operation takes its arguments.
type binding interface {
	// describe lists the arguments, as an error shows them.
	describe() string
	// surplus says that there are more than there is a place for.
	surplus(args [][]byte) bool
	// missing is the first required one that is not there.
	missing(args [][]byte) (name string, missing bool)
	// fromJSON and fromText make arguments from what a person wrote. Their
	// errors are of code Invalid.
	fromJSON(operation string, body []byte) ([][]byte, error)
	fromText(text [][]byte) ([][]byte, error)
	// newer says that only a newer program can know what the arguments mean.
	newer(args [][]byte) bool
	// arguments and schema tell of the arguments.
	arguments() []argument
	schema() schema
}

// usage lists the arguments, as an error shows them.
func (o *Operation) usage() string { return o.binds.describe() }

// argsFromJSON makes arguments from a JSON object whose fields are those of
// the operation. Its errors are of code Invalid and name the field.
func (o *Operation) argsFromJSON(body []byte) ([][]byte, error) {
	return o.binds.fromJSON(o.name, body)
}

// argsFromText makes arguments from what a person typed, by position. Text
// that reads as an integer is one where the argument may be either, and nil is
// one that was left out. Its errors are of code Invalid and name the argument.
func (o *Operation) argsFromText(text [][]byte) ([][]byte, error) {
	if o.binds.surplus(text) {
		return nil, Errorf(Invalid, "%s takes %s", o.name, o.usage())
	}
	return o.binds.fromText(text)
}

// newer says that a call in the log needs a newer program: it has more
// arguments than this one knows. Such a call must stop a node, for it cannot
// know what the others make of it.
func (o *Operation) newer(args [][]byte) bool { return o.binds.newer(args) }

// run runs a command on the state behind tx. The caller drops what it wrote
// if there is an error. A panic of the command is an error of code Panicked,
// whose cause is the panic with its stack.
func (o *Operation) run(tx *Tx, args [][]byte) (v Value, err error) {
	defer o.recovered(&v, &err)
	tx.service = o.service
	v, err = o.apply(tx, args)
	return v, result(err)
}

// ask runs a query on view. Errors are as for run.
func (o *Operation) ask(view *View, args [][]byte) (v Value, err error) {
	defer o.recovered(&v, &err)
	v, err = o.read(view, args)
	return v, result(err)
}

// recovered turns a panic into an error. What the panic said stays out of the
// message: it may differ from node to node, and the message is replicated.
func (o *Operation) recovered(v *Value, err *error) {
	if p := recover(); p != nil {
		*v = Value{}
		*err = &Error{
			Code:    Panicked,
			Message: "operation " + o.name + " panicked",
			cause:   fmt.Errorf("%v\n%s", p, debug.Stack()),
		}
	}
}

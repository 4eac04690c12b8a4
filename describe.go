package quorate

import (
	"reflect"
	"strings"
)

// OperationOption says more about an operation of Write or Read.
type OperationOption func(*Operation)

// Doc says in sentences what an operation does and gives. The first stands
// alone in lists. What a field is for stands in its tag: `doc:"which queue"`.
func Doc(text string) OperationOption {
	return func(o *Operation) { o.doc = strings.TrimSpace(text) }
}

// Argument is one argument of an operation, as a person is told of it.
type Argument struct {
	Name     string       // in JSON
	Type     reflect.Type // of the value, or of each one of a List
	Optional bool         // it may be left out
	List     bool         // it takes all arguments that remain
	Default  Value        // what it is where it is left out; None if nothing
	Doc      string       // the tag of its field
}

// Doc is what Doc said of the operation, or empty.
func (o *Operation) Doc() string { return o.doc }

// Arguments is the arguments in their order. TXN has none of this form.
func (o *Operation) Arguments() []Argument { return o.binds.arguments() }

// arguments tells of the fields.
func (s *shape) arguments() []Argument {
	list := make([]Argument, len(s.fields))
	for i := range s.fields {
		f := &s.fields[i]
		list[i] = Argument{Name: f.name, Type: f.kind, Optional: f.optional, List: f.rest, Default: f.value(), Doc: f.doc}
	}
	return list
}

// value is what the field is where it is left out.
func (f *field) value() Value {
	if f.preset == nil {
		return Value{}
	}
	at := reflect.New(f.kind).Elem()
	if err := f.form.parse(placeOf(at), f.preset, new(texts)); err != nil {
		return Value{} // the form has made it itself
	}
	v, err := valueOf(at)
	if err != nil {
		return Value{} // whatever is an argument has a form as a result
	}
	return v
}

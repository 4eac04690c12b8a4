package quorate

import (
	"reflect"
	"strings"

	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/values"
)

// Doc says what an operation does. The tag doc:"…" says it of a field.
func Doc(text string) func(*Operation) {
	return func(o *Operation) { o.doc = strings.TrimSpace(text) }
}

// Doc is what Doc said of the operation, or empty.
func (o *Operation) Doc() string { return o.doc }

// argument is one argument, as a person is told of it.
type argument = engine.Argument[Value]

// arguments tells of the fields.
func (s *shape) arguments() []argument {
	list := make([]argument, len(s.fields))
	for i := range s.fields {
		f := &s.fields[i]
		list[i] = argument{Name: f.name, Type: f.kind, Optional: f.optional, List: f.rest, Default: f.value(), Doc: f.doc}
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
	v, err := values.Of(at.Interface())
	if err != nil {
		return Value{} // whatever is an argument has a form as a result
	}
	return v
}

package quorate

import (
	"reflect"
	"strings"
	"sync"
)

// A command is made of its arguments on the leader, to be checked, and on each
// node, to be applied. So that this costs little, it is made in a room that was
// used before. What the room holds is copied to Check, Apply and Read, unless
// these are methods of a pointer: they could keep it, and so get a struct of
// their own.

// maker makes commands or queries of a type.
type maker[C any] struct {
	shape *shape
	// pointed says that C is a pointer to a struct.
	pointed bool
	checks  checks
	rooms   sync.Pool // of *room[C]
}

// checks is how a type implements Checker.
type checks uint8

const (
	unchecked checks = iota
	checkedByValue
	checkedByPointer
)

// room is where one command or query at a time is made.
type room[C any] struct {
	made   C
	target reflect.Value // made
	// places is the fields of made, or of what it points to.
	places []place
	texts  texts
}

func newMaker[C any](s *shape) *maker[C] {
	t, checker := reflect.TypeFor[C](), reflect.TypeFor[Checker]()
	m := &maker[C]{shape: s, pointed: t.Kind() == reflect.Pointer}
	switch {
	case t.Implements(checker):
		m.checks = checkedByValue
	case reflect.PointerTo(t).Implements(checker):
		m.checks = checkedByPointer
	}
	m.rooms.New = func() any {
		r := new(room[C])
		r.target = reflect.ValueOf(&r.made).Elem()
		if !m.pointed {
			r.places = s.appendPlaces(nil, r.target)
		}
		return r
	}
	return m
}

// make makes a command or query of arguments. The room is given back where
// nothing is wrong with them and nothing panics; otherwise it is dropped.
func (m *maker[C]) make(args [][]byte) (*room[C], error) {
	r := m.rooms.Get().(*room[C])
	if m.pointed {
		r.target.Set(reflect.New(r.target.Type().Elem()))
		r.places = m.shape.appendPlaces(r.places[:0], r.target.Elem())
	}
	return r, m.shape.fill(r.places, args, &r.texts)
}

// giveBack empties a room for the next.
func (m *maker[C]) giveBack(r *room[C]) {
	var empty C
	r.made = empty
	m.rooms.Put(r)
}

// check says what is wrong with arguments, or nil.
func (m *maker[C]) check(args [][]byte) error {
	r, err := m.make(args)
	if err != nil {
		return err
	}
	switch {
	case m.checks == unchecked:
	case m.checks == checkedByPointer:
		own := r.made
		err = any(&own).(Checker).Check()
	case m.pointed:
		err = any(r.made).(Checker).Check()
	default:
		// What a struct can do, a pointer to it can, and needs no copy of it in
		// an interface.
		err = any(&r.made).(Checker).Check()
	}
	m.giveBack(r)
	return invalid(err)
}

// place is a field of a struct value that is set from an argument.
type place struct {
	reflect.Value
	// value is the same, if that is a Value: through a pointer it is set without
	// one in an interface, which would be allocated.
	value *Value
}

func placeOf(v reflect.Value) place {
	if v.Type() == valueType {
		return place{v, v.Addr().Interface().(*Value)}
	}
	return place{Value: v}
}

// appendPlaces appends the places of a struct value.
func (s *shape) appendPlaces(places []place, v reflect.Value) []place {
	for i := range s.fields {
		places = append(places, placeOf(v.Field(s.fields[i].index)))
	}
	return places
}

// fill sets the places of a struct value, which is all zero, from arguments.
func (s *shape) fill(places []place, args [][]byte, texts *texts) error {
	for i := range max(s.filled, min(len(args), len(s.fields))) {
		f := &s.fields[i]
		if f.rest {
			return f.fillRest(places[i].Value, args[min(i, len(args)):], texts)
		}
		arg := f.preset
		if i < len(args) && args[i] != nil {
			arg = args[i]
		}
		if arg == nil {
			continue
		}
		to := places[i]
		if to.Kind() == reflect.Pointer {
			to.Set(reflect.New(to.Type().Elem()))
			to = placeOf(to.Elem())
		}
		if err := f.form.parse(to, arg, texts); err != nil {
			return errField(f.name, "argument %s %v", f.name, err)
		}
	}
	return nil
}

func (f *field) fillRest(v reflect.Value, args [][]byte, texts *texts) error {
	v.Set(reflect.MakeSlice(v.Type(), len(args), len(args)))
	for i, arg := range args {
		if err := f.form.parse(placeOf(v.Index(i)), arg, texts); err != nil {
			return errField(f.name, "argument %s %v", f.name, err)
		}
	}
	return nil
}

// textsBytes is how much texts stand in one piece: some fifty short ones. All of
// it stays in memory as long as one of them does, which is until the call is
// answered.
const textsBytes = 1 << 10

// texts makes strings of bytes, many short ones in one piece of memory. The zero
// texts is ready.
type texts struct{ piece strings.Builder }

// of is b as a string.
func (t *texts) of(b []byte) string {
	if len(b) > textsBytes/8 {
		return string(b)
	}
	if t.piece.Cap()-t.piece.Len() < len(b) {
		// A new piece, and never one that grows: it would be copied.
		t.piece.Reset()
		t.piece.Grow(textsBytes)
	}
	from := t.piece.Len()
	t.piece.Write(b)
	return t.piece.String()[from:]
}

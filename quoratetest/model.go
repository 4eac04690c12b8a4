package quoratetest

import (
	"bytes"
	"fmt"
	"reflect"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/values"
)

// Model is a service as one would explain it to somebody: what a call does to a
// state S, and what it may answer. It is held against what callers of a cluster
// see, by CheckLinearizable.
type Model[S any] struct {
	// Init is the state before the first call.
	Init S
	// Step says what a call, as the generator made it, does to a state, and whether
	// it may be answered as it was. It returns another state and leaves the one
	// that it is given as it is.
	//
	//	Step: func(state int64, call any, got quoratetest.Answer) (int64, bool) {
	//		switch call.(type) {
	//		case Take:
	//			return state + 1, got.Is(state + 1)
	//		}
	//		return state, got.Is(state)
	//	},
	Step func(state S, call any, got Answer) (next S, ok bool)
	// Part names the part of the state that a call touches: calls of different
	// parts know nothing of each other, each part begins as Init, and Step sees one
	// part alone. It makes the check faster by much. Default: there is one part.
	Part func(call any) string
	// Equal says that two states are the same. Default: reflect.DeepEqual.
	Equal func(a, b S) bool
}

// Answer is what a call came to, as its caller knows it. What became of a call is
// unknown if its answer was lost: it may have taken effect, or do so later, or
// never. Is and Fails are true then, so that a Step need not care.
type Answer struct {
	known bool
	value quorate.Value
	err   error
}

// Known says that the answer was heard.
func (a Answer) Known() bool { return a.known }

// Is says that the call was answered with this result, or that it may have been.
func (a Answer) Is(result any) bool {
	if !a.known {
		return true
	}
	want, err := values.Of(result)
	if err != nil {
		panic(fmt.Sprintf("quoratetest: a model compares an answer with a %T: %v", result, err))
	}
	return a.err == nil && sameJSON(a.value, want)
}

// sameJSON says that two values look the same to a caller: a number is one
// whatever type it has in Go.
func sameJSON(a, b quorate.Value) bool {
	left, errLeft := a.AppendJSON(nil)
	right, errRight := b.AppendJSON(nil)
	if errLeft != nil || errRight != nil {
		return a.Equal(b)
	}
	return bytes.Equal(left, right)
}

// Fails says that the call was answered with an error of this code, or that it may
// have been.
func (a Answer) Fails(code quorate.Code) bool {
	return !a.known || quorate.CodeOf(a.err) == code
}

// Into stores the result in what target points to. It is false if the call failed,
// if its answer was lost, or if the result does not fit.
func (a Answer) Into(target any) bool {
	return a.known && a.err == nil && a.value.Into(target) == nil
}

// Err is the error with which the call was answered, or nil.
func (a Answer) Err() error { return a.err }

// String is the answer as it stands in a message.
func (a Answer) String() string {
	switch {
	case !a.known:
		return "unknown"
	case a.err != nil:
		return fmt.Sprintf("%s: %v", quorate.CodeOf(a.err), a.err)
	case a.value.Kind() == values.KindNone:
		return "done"
	case a.value.Kind() == values.KindBytes:
		return fmt.Sprintf("%q", a.value.Text())
	}
	return a.value.String()
}

// explained is a Model whose states are of any type.
type explained struct {
	init  any
	step  func(state, call any, got Answer) (next any, ok bool)
	part  func(call any) string
	equal func(a, b any) bool
}

func (m Model[S]) explained() explained {
	e := explained{
		init: m.Init,
		step: func(state, call any, got Answer) (any, bool) { return m.Step(state.(S), call, got) },
		part: m.Part, equal: reflect.DeepEqual,
	}
	if e.part == nil {
		e.part = func(any) string { return "" }
	}
	if m.Equal != nil {
		e.equal = func(a, b any) bool { return m.Equal(a.(S), b.(S)) }
	}
	return e
}

package sim_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/quorate/quorate"
)

// step is what an operation does to what is under its key, and answers: the kv
// service as one would explain it.
func step(was content, o *operation) (now content, says answer) {
	switch o.Name {
	case "get":
		if was == "" {
			return was, answer{Code: quorate.NotFound}
		}
		return was, answer{Value: was}
	case "put":
		return o.Put, answer{Value: o.Put}
	case "cas":
		if was != o.Expect {
			return was, answer{Code: quorate.Conflict, There: was}
		}
		return o.Put, answer{Value: o.Put}
	case "delete":
		return "", answer{Value: content(fmt.Sprintf("b%v", was != ""))}
	}
	if was != "" && was[0] != 'i' {
		return was, answer{Code: quorate.WrongType}
	}
	n := o.By
	if was != "" {
		held, _ := strconv.ParseInt(string(was[1:]), 10, 64)
		n += held
	}
	now = content("i" + strconv.FormatInt(n, 10))
	return now, answer{Value: now}
}

// model is the kv service for porcupine, for the operations of one key.
var model = porcupine.Model{
	Init: func() any { return content("") },
	Step: func(state, input, output any) (bool, any) {
		now, says := step(state.(content), input.(*operation))
		got, known := output.(answer)
		if !known {
			return true, now
		}
		got.Index = 0
		return got == says, now
	},
	DescribeOperation: func(input, output any) string {
		o := input.(*operation)
		call := o.Name
		switch o.Name {
		case "inc":
			call += fmt.Sprintf(" by %d", o.By)
		case "put":
			call += fmt.Sprintf(" %.12s", o.Put)
		case "cas":
			call += fmt.Sprintf(" %.12s for %.12s", o.Put, o.Expect)
		}
		if got, known := output.(answer); known {
			return fmt.Sprintf("%s: %.12s%s %.12s @%d", call, got.Value, got.Code, got.There, got.Index)
		}
		return call + ": unknown"
	},
	DescribeState: func(state any) string { return fmt.Sprintf("%.24s", state) },
}

// porcupineMax is how long porcupine may think about one key, of real time.
const porcupineMax = 10 * time.Second

// linearizable checks the history of every key. It returns how many operations
// it looked at, and for the first key that fails what is wrong and the
// drawing.
func linearizable(all []*operation) (checked int, wrong string, drawing *porcupine.LinearizationInfo) {
	byKey := make(map[string][]porcupine.Operation)
	for _, o := range all {
		op := porcupine.Operation{ClientId: o.Client, Input: o, Call: o.Called, Output: o.Answer, Return: o.Returned}
		switch {
		case o.Stale > 0 || o.Outcome == notApplied || o.Outcome == unknown && !o.writes():
			continue
		case o.Outcome == unknown:
			op.Output, op.Return = nil, math.MaxInt64
		}
		byKey[o.Key] = append(byKey[o.Key], op)
	}
	for _, key := range sortedKeys(byKey) {
		operations := byKey[key]
		checked += len(operations)
		result := porcupine.CheckOperationsTimeout(model, operations, porcupineMax)
		if result != porcupine.Ok && wrong == "" {
			_, info := porcupine.CheckOperationsVerbose(model, operations, porcupineMax)
			wrong = fmt.Sprintf("the %d operations on key %s: porcupine says %s", len(operations), key, strings.ToLower(string(result)))
			drawing = &info
		}
	}
	return checked, wrong, drawing
}

// sortedKeys is the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

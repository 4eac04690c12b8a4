package main

import (
	"errors"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/quoratetest"
)

func TestIncBeginsAtNothingAndDoesNotWrapAround(t *testing.T) {
	tx := quoratetest.NewTx(t)
	for _, tt := range []struct {
		by, want int64
		code     quorate.Code
	}{
		{by: -3, want: -3},
		{by: 0, want: -3},
		{by: 3, want: 0},
		{by: math.MaxInt64, want: math.MaxInt64},
		{by: 1, code: quorate.Overflow},
		{by: -1, want: math.MaxInt64 - 1},
	} {
		got, err := Inc{Key: -1, Value: tt.by}.Apply(tx)
		if got != tt.want || quorate.CodeOf(err) != tt.code {
			t.Errorf("inc by %d is %d, %v, want %d", tt.by, got, err, tt.want)
		}
	}
}

// The service is what the built-in one does with integers, seen through JSON.
func TestAnswersAreThoseOfTheBuiltInService(t *testing.T) {
	const calls = 2000
	ours, builtIn := quoratetest.Local(t, service), quoratetest.Local(t, kv.Service)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range calls {
		name, body := random(r)
		got, want := mustCall(t, ours, service, name, body), mustCall(t, builtIn, kv.Service, name, body)
		if !got.Value.Equal(want.Value) || quorate.CodeOf(got.Err) != quorate.CodeOf(want.Err) || got.Index != want.Index {
			t.Fatalf("call %d, %s %s: %v, %v at %d, and built in %v, %v at %d",
				i, name, body, got.Value, got.Err, got.Index, want.Value, want.Err, want.Index)
		}
	}
}

// random is a call as it comes in a POST.
func random(r *rand.Rand) (name, body string) {
	key := `{"key":` + strconv.FormatInt(r.Int64N(5)-2, 10)
	value := `,"value":` + strconv.FormatInt([]int64{r.Int64N(100) - 50, math.MaxInt64, math.MinInt64}[max(0, r.IntN(12)-9)], 10)
	switch name = []string{"PUT", "GET", "DELETE", "INC", "INC"}[r.IntN(5)]; {
	case name == "GET", name == "DELETE", name == "INC" && r.IntN(3) == 0:
		return name, key + "}"
	}
	return name, key + value + "}"
}

func mustCall(t *testing.T, on quorate.Executor, service *quorate.Service, name, body string) quorate.Reply {
	t.Helper()
	op, found := quorate.Engine().Lookup(service, quorate.Call{Name: name})
	if !found {
		t.Fatal(errors.New("there is no " + name))
	}
	args, err := quorate.Engine().ArgsFromJSON(op, []byte(body))
	if err != nil {
		t.Fatalf("%s %s: %v", name, body, err)
	}
	return on.Execute(t.Context(), []quorate.Call{{Name: name, Args: args}})[0]
}

func TestReferenceIsTheSameOnEveryNode(t *testing.T) {
	quoratetest.CheckDeterminism(t, service, reference)
}

// reference is a random call.
func reference(r *rand.Rand) any {
	key := r.Int64N(3) - 1
	switch r.IntN(4) {
	case 0:
		return Put{Key: key, Value: r.Int64N(100)}
	case 1:
		return Get{Key: key}
	case 2:
		return Delete{Key: key}
	}
	return Inc{Key: key, Value: r.Int64N(100) - 50}
}

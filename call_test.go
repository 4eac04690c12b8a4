package quorate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/values"
)

func TestTypeIsFoundUnderAnotherName(t *testing.T) {
	on := memory.New(small)
	if n, err := quorate.Do(t.Context(), on, Add{Key: "k", By: 5}); n != 5 || err != nil {
		t.Errorf("Add, which is PLUS: %d %v", n, err)
	}
	if text, err := quorate.Do(t.Context(), on, &Pointed{Key: "p"}); text != "p" || err != nil {
		t.Errorf("a pointer: %q %v", text, err)
	}
	if n, err := quorate.Ask(t.Context(), on, Sum{Of: []int64{1, 2, 3}}); n != 6 || err != nil {
		t.Errorf("a query: %d %v", n, err)
	}
	_, err := quorate.Do(t.Context(), memory.New(all), Add{Key: "k"})
	if quorate.CodeOf(err) != quorate.UnknownOperation || !strings.Contains(err.Error(), `"ADD"`) {
		t.Errorf("a service without it: %v", err)
	}
}

func TestWhatIsNoOperationIsNotSent(t *testing.T) {
	for _, operation := range []any{nil, 7, "PLUS", (*Pointed)(nil), chanField{}} {
		if _, err := quorate.NewCall(operation); quorate.CodeOf(err) != quorate.Invalid {
			t.Errorf("%T: %v", operation, err)
		}
	}
}

func TestDoTellsWhatTheExecutorAnswered(t *testing.T) {
	refusal := quorate.Errorf("sold_out", "none left")
	for _, c := range []struct {
		name    string
		replies []quorate.Reply
		n       int64
		code    quorate.Code
		unknown bool
	}{
		{"a value", []quorate.Reply{{Value: values.Int(3)}}, 3, "", false},
		{"nothing", []quorate.Reply{{}}, 0, "", false},
		{"an error", []quorate.Reply{{Err: refusal}}, 0, "sold_out", false},
		{"a foreign error", []quorate.Reply{{Err: errors.New("broken pipe")}}, 0, quorate.Internal, true},
		{"no reply", nil, 0, quorate.Internal, true},
		{"two replies", make([]quorate.Reply, 2), 0, quorate.Internal, true},
		{"a value of another kind", []quorate.Reply{{Value: values.Bytes("3")}}, 0, quorate.Internal, true},
	} {
		on := memory.Func(func(context.Context, []quorate.Call) []quorate.Reply { return c.replies })
		n, err := quorate.Do(t.Context(), on, Add{Key: "k"})
		if n != c.n || quorate.CodeOf(err) != c.code || quorate.OutcomeUnknown(err) != c.unknown {
			t.Errorf("%s: %d %v, unknown %v", c.name, n, err, quorate.OutcomeUnknown(err))
		}
	}
}

func TestOnceNamesEveryCall(t *testing.T) {
	on := memory.New(small)
	calls := []quorate.Call{{Name: "PLUS", Args: [][]byte{[]byte("a")}}, {Name: "PLUS", Args: [][]byte{[]byte("b")}}}
	for id, want := range map[quorate.CallID][]quorate.CallID{"x": {"x/0", "x/1"}, "": {"", ""}} {
		on.Calls = nil
		quorate.Once(on, id).Execute(t.Context(), calls)
		if got := ids(on.Calls); !slices.Equal(got, want) {
			t.Errorf("id %q: %q, want %q", id, got, want)
		}
	}
	on.Calls = nil
	quorate.Once(on, "x").Execute(t.Context(), calls[:1])
	if got := ids(on.Calls); !slices.Equal(got, []quorate.CallID{"x"}) {
		t.Errorf("one call: %q", got)
	}
	if calls[0].ID != "" {
		t.Error("the calls of the caller were changed")
	}
}

func ids(calls []quorate.Call) (list []quorate.CallID) {
	for _, call := range calls {
		list = append(list, call.ID)
	}
	return list
}

func TestStaleSaysHowOld(t *testing.T) {
	on := memory.New(small)
	calls := []quorate.Call{{Name: "SUM"}, {Name: "SUM"}}
	for age, want := range map[time.Duration]time.Duration{
		time.Second: time.Duration(time.Second), 0: 1, -time.Second: 1,
	} {
		on.Calls = nil
		quorate.Stale(on, age).Execute(t.Context(), calls)
		if len(on.Calls) != 2 || on.Calls[0].Read != want || on.Calls[1].Read != want {
			t.Errorf("%v: %v", age, on.Calls)
		}
	}
	if calls[0].Read != 0 {
		t.Error("the calls of the caller were changed")
	}
}

func TestOutcomeIsUnknownUnlessItIsSure(t *testing.T) {
	sure, unsure := quorate.Errorf(quorate.Unavailable, "no leader"), &quorate.Error{Code: quorate.Unavailable, Outcome: quorate.Unknown}
	for _, c := range []struct {
		err     error
		code    quorate.Code
		unknown bool
	}{
		{nil, "", false},
		{sure, quorate.Unavailable, false},
		{unsure, quorate.Unavailable, true},
		{fmt.Errorf("send: %w", sure), quorate.Unavailable, false},
		{fmt.Errorf("send: %w", unsure), quorate.Unavailable, true},
		{context.DeadlineExceeded, quorate.Internal, true},
		{&quorate.Error{Code: quorate.Failed, Outcome: 7}, quorate.Failed, true},
	} {
		if quorate.CodeOf(c.err) != c.code || quorate.OutcomeUnknown(c.err) != c.unknown {
			t.Errorf("%v: %q, unknown %v", c.err, quorate.CodeOf(c.err), quorate.OutcomeUnknown(c.err))
		}
	}
	if quorate.NotApplied.String() != "not_applied" || quorate.Unknown.String() != "unknown" || quorate.Outcome(7).String() != "unknown" {
		t.Error("an outcome has another word")
	}
}

func TestErrorsAreComparedByCode(t *testing.T) {
	err := fmt.Errorf("get: %w", quorate.Errorf(quorate.NotFound, "nothing here"))
	if !errors.Is(err, &quorate.Error{Code: quorate.NotFound}) {
		t.Error("it is not of its own code")
	}
	if errors.Is(err, &quorate.Error{Code: quorate.Conflict}) || errors.Is(err, &quorate.Error{Code: quorate.NotFound, Message: "nothing here"}) {
		t.Error("it is what it is not")
	}
	if got := (&quorate.Error{Code: "sold_out"}).Error(); got != "sold_out" {
		t.Errorf("without a message it says %q", got)
	}
}

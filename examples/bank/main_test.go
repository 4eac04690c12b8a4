package main

import (
	"math"
	"testing"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/quoratetest"
)

// mustOpen opens accounts with 100 cents each.
func mustOpen(t *testing.T, on quorate.Executor, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := quorate.Do(t.Context(), on, Open{Account: name, Balance: 100}); err != nil {
			t.Fatal(err)
		}
	}
}

// mustHold fails t if an account does not hold what it should.
func mustHold(t *testing.T, on quorate.Executor, name string, want int64) {
	t.Helper()
	if got, err := quorate.Ask(t.Context(), on, Balance{Account: name}); got != want || err != nil {
		t.Errorf("account %q holds %d, %v, want %d", name, got, err, want)
	}
}

func TestTransferMovesMoney(t *testing.T) {
	on := quoratetest.Local(t, service)
	mustOpen(t, on, "ann", "bob")
	got, err := quorate.Do(t.Context(), on, Transfer{From: "ann", To: "bob", Amount: 30})
	if want := (Moved{From: 70, To: 130}); got != want || err != nil {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	on.Look(func(view *quorate.View) {
		if ann, _ := accounts.Get(view, "ann"); ann != (Account{Balance: 70, Transfers: 1}) {
			t.Errorf("the account that paid is %+v", ann)
		}
	})
}

func TestRefusedTransferLeavesNoTrace(t *testing.T) {
	for name, tt := range map[string]struct {
		transfer Transfer
		code     quorate.Code
	}{
		"more than there is":     {Transfer{"ann", "bob", 101}, Overdraft},
		"to nobody":              {Transfer{"ann", "eve", 1}, NoAccount},
		"from nobody":            {Transfer{"eve", "ann", 1}, NoAccount},
		"to the same account":    {Transfer{"ann", "ann", 1}, quorate.Invalid},
		"of nothing":             {Transfer{"ann", "bob", 0}, quorate.Invalid},
		"the other way round":    {Transfer{"ann", "bob", -1}, quorate.Invalid},
		"more than a row can be": {Transfer{"rich", "ann", math.MaxInt64 - 50}, quorate.Overflow},
	} {
		t.Run(name, func(t *testing.T) {
			on := quoratetest.Local(t, service)
			mustOpen(t, on, "ann", "bob")
			if _, err := quorate.Do(t.Context(), on, Open{Account: "rich", Balance: math.MaxInt64}); err != nil {
				t.Fatal(err)
			}
			_, err := quorate.Do(t.Context(), on, tt.transfer)
			if quorate.CodeOf(err) != tt.code || quorate.OutcomeUnknown(err) {
				t.Errorf("%v is answered with %q: %v, want %q", tt.transfer, quorate.CodeOf(err), err, tt.code)
			}
			mustHold(t, on, "ann", 100)
			mustHold(t, on, "bob", 100)
			mustHold(t, on, "rich", math.MaxInt64)
		})
	}
}

func TestAccountIsOpenedOnce(t *testing.T) {
	on := quoratetest.Local(t, service)
	mustOpen(t, on, "ann")
	if _, err := quorate.Do(t.Context(), on, Open{Account: "ann"}); quorate.CodeOf(err) != quorate.Conflict {
		t.Errorf("the account is opened again: %v", err)
	}
	if _, err := quorate.Do(t.Context(), on, Open{Account: "bob", Balance: -1}); quorate.CodeOf(err) != quorate.Invalid {
		t.Errorf("an account is opened with a debt: %v", err)
	}
	mustHold(t, on, "ann", 100)
}

func TestTotalThatDoesNotFitIsRefused(t *testing.T) {
	on := quoratetest.Local(t, service)
	mustOpen(t, on, "ann", "bob")
	if got, err := quorate.Ask(t.Context(), on, Total{}); got != 200 || err != nil {
		t.Errorf("all accounts hold %d, %v", got, err)
	}
	if _, err := quorate.Do(t.Context(), on, Open{Account: "rich", Balance: math.MaxInt64}); err != nil {
		t.Fatal(err)
	}
	if got, err := quorate.Ask(t.Context(), on, Total{}); quorate.CodeOf(err) != quorate.Overflow {
		t.Errorf("all accounts hold %d, %v", got, err)
	}
}

func TestBankIsTheSameOnEveryNode(t *testing.T) {
	quoratetest.CheckDeterminism(t, service, banking)
}

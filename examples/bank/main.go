// Command bank keeps accounts and moves money between them: all of it or
// nothing, and never more than there is.
package main

import (
	"math"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/cli"
)

// Account is what the bank knows of an account. Amounts are in cents.
type Account struct {
	Balance int64
	// Transfers is how many there were, to and from it.
	Transfers uint64
}

var accounts = quorate.NewTable[string, Account]("accounts")

// Codes of what the bank refuses.
const (
	NoAccount quorate.Code = "no_account"
	Overdraft quorate.Code = "overdraft"
)

// Open opens an account with money in it, and returns its balance.
type Open struct {
	Account string `doc:"its name, which nobody else has"`
	Balance int64  `doc:"cents in it" default:"0"`
}

// Check implements quorate.Checker: it refuses what is never right, before the log.
func (o Open) Check() error {
	if o.Balance < 0 {
		return quorate.Errorf(quorate.Invalid, "nobody can open an account with %d cents", o.Balance)
	}
	return nil
}

// Apply implements quorate.Command.
func (o Open) Apply(tx *quorate.Tx) (int64, error) {
	if _, there := accounts.Get(tx, o.Account); there {
		return 0, quorate.Errorf(quorate.Conflict, "there is an account %q already", o.Account)
	}
	accounts.Put(tx, o.Account, Account{Balance: o.Balance})
	return o.Balance, nil
}

// Transfer moves money from one account to another.
type Transfer struct {
	From   string `doc:"account that pays"`
	To     string `doc:"account that is paid"`
	Amount int64  `doc:"cents"`
}

// Moved is what a transfer leaves.
type Moved struct{ From, To int64 }

// Check implements quorate.Checker.
func (t Transfer) Check() error {
	if t.From == t.To {
		return quorate.Errorf(quorate.Invalid, "both accounts are %q", t.From)
	}
	if t.Amount <= 0 {
		return quorate.Errorf(quorate.Invalid, "an amount of %d cents is too little", t.Amount)
	}
	return nil
}

// Apply implements quorate.Command. What it wrote before it fails is undone.
func (t Transfer) Apply(tx *quorate.Tx) (Moved, error) {
	from, err := change(tx, t.From, -t.Amount)
	if err != nil {
		return Moved{}, err
	}
	to, err := change(tx, t.To, t.Amount)
	return Moved{From: from, To: to}, err
}

// change adds to an account and returns its new balance.
func change(tx *quorate.Tx, name string, amount int64) (int64, error) {
	account, there := accounts.Get(tx, name)
	switch {
	case !there:
		return 0, quorate.Errorf(NoAccount, "there is no account %q", name)
	case account.Balance+amount < 0 && amount < 0:
		return 0, quorate.Errorf(Overdraft, "account %q holds %d cents", name, account.Balance)
	case amount > 0 && account.Balance > math.MaxInt64-amount:
		return 0, quorate.Errorf(quorate.Overflow, "account %q cannot hold that much", name)
	}
	account.Balance += amount
	account.Transfers++
	accounts.Put(tx, name, account)
	return account.Balance, nil
}

// Balance returns what is in an account.
type Balance struct{ Account string }

// Read implements quorate.Query.
func (b Balance) Read(view *quorate.View) (int64, error) {
	account, there := accounts.Get(view, b.Account)
	if !there {
		return 0, quorate.Errorf(NoAccount, "there is no account %q", b.Account)
	}
	return account.Balance, nil
}

// Total returns what is in all accounts together, at one moment.
type Total struct{}

// Read implements quorate.Query.
func (Total) Read(view *quorate.View) (int64, error) {
	var sum int64
	for _, account := range accounts.Range(view) {
		if sum > math.MaxInt64-account.Balance {
			return 0, quorate.Errorf(quorate.Overflow, "all accounts together hold more than 64 bits")
		}
		sum += account.Balance
	}
	return sum, nil
}

var service = quorate.Define("bank",
	quorate.Write[Open]("OPEN", quorate.Doc("Open an account with money in it and return its balance.")),
	quorate.Write[Transfer]("TRANSFER", quorate.Doc("Move money from one account to another, all or nothing.")),
	quorate.Read[Balance]("BALANCE", quorate.Doc("Return what is in an account.")),
	quorate.Read[Total]("TOTAL", quorate.Doc("Return what is in all accounts together, at one moment.")),
)

func main() { cli.Main(service) }

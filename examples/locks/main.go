// Command locks hands out locks that end, each with a fencing token: a number
// that rises from holder to holder, by which a store behind the lock refuses one
// who thinks that it still holds it.
package main

import (
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/cli"
)

// Held is a lock that somebody holds.
type Held struct {
	Owner string
	Token uint64
}

// held holds the locks until they end, by log time.
var held = quorate.NewTable[string, Held]("held")

// Lease is what a holder gets.
type Lease struct {
	// Token is greater than that of each holder before. Send it along with what
	// is done under the lock, and refuse there what has a smaller one.
	Token uint64
	// Until is when the lock ends if it is not renewed, in milliseconds of unix
	// time.
	Until int64
}

// Acquire takes a lock, or extends it for the one who holds it.
type Acquire struct {
	Lock  string
	Owner string `doc:"who takes it, such as a host and a process id"`
	TTL   int64  `json:"ttl" doc:"milliseconds until it ends" default:"30000"`
}

// Check implements quorate.Checker.
func (a Acquire) Check() error {
	if a.TTL < 1 || a.TTL > (24*time.Hour).Milliseconds() {
		return quorate.Errorf(quorate.Invalid, "ttl is %d, not between 1 ms and a day", a.TTL)
	}
	return nil
}

// Apply implements quorate.Command.
func (a Acquire) Apply(tx *quorate.Tx) (Lease, error) {
	lock, taken := held.Get(tx, a.Lock)
	if taken && lock.Owner != a.Owner {
		return Lease{}, quorate.Errorf(quorate.Conflict, "%s holds the lock %s", lock.Owner, a.Lock)
	}
	if !taken {
		lock = Held{Owner: a.Owner, Token: tx.Revision()}
	}
	until := tx.Now().Add(time.Duration(a.TTL) * time.Millisecond)
	held.PutUntil(tx, a.Lock, lock, until)
	return Lease{Token: lock.Token, Until: until.UnixMilli()}, nil
}

// Release gives a lock back, and returns whether it was still held under this
// token.
type Release struct {
	Lock  string
	Token uint64
}

// Apply implements quorate.Command.
func (r Release) Apply(tx *quorate.Tx) (bool, error) {
	lock, taken := held.Get(tx, r.Lock)
	if !taken || lock.Token != r.Token {
		return false, nil
	}
	held.Delete(tx, r.Lock)
	return true, nil
}

// Holder returns who holds a lock.
type Holder struct{ Lock string }

// Read implements quorate.Query.
func (h Holder) Read(view *quorate.View) (Held, error) {
	lock, taken := held.Get(view, h.Lock)
	if !taken {
		return Held{}, quorate.Errorf(quorate.NotFound, "nobody holds the lock %s", h.Lock)
	}
	return lock, nil
}

var service = quorate.Define("locks",
	quorate.Write[Acquire]("ACQUIRE", quorate.Doc("Take a lock for a time, or extend it for the one who holds it.")),
	quorate.Write[Release]("RELEASE", quorate.Doc("Give a lock back.")),
	quorate.Read[Holder]("HOLDER", quorate.Doc("Return who holds a lock.")),
)

func main() { cli.Main(service) }

// Command limiter is a rate limiter that many servers share: so many calls in so
// much time under a key, whichever server they come to.
//
// It is the generic cell rate algorithm (ITU-T I.371): of each key it keeps one
// time, at which all that was let through is paid for at the steady rate. After a
// rest as much as the limit may pass at once, and in the long run no more than that
// in each period: so never more than twice the limit in any one period. The time is
// log time, so servers whose clocks differ agree.
package main

import (
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/cli"
)

// Allow asks to let something through.
type Allow struct {
	Key   string `doc:"whose limit it is, such as a user"`
	Limit int64  `doc:"how much may pass in a period, also all at once"`
	Per   int64  `doc:"the period in milliseconds" default:"1000"`
	Cost  int64  `doc:"how much this is" default:"1"`
}

// Verdict is the answer.
type Verdict struct {
	Allowed bool
	// Remaining is how much more may pass at once.
	Remaining int64
	// RetryMs is after how many milliseconds as much as was asked for may pass, if
	// nobody else comes first; 0 if it may now.
	RetryMs int64
}

// Bounds of what is asked, so that times stay within what they can hold.
const (
	limitMax = 1_000_000
	perMax   = 24 * time.Hour
)

// paid holds the time at which what a key has used is paid for. It is forgotten
// then.
var paid = quorate.NewTable[string, time.Time]("paid")

// Check implements quorate.Checker.
func (a Allow) Check() error {
	switch {
	case a.Limit < 1 || a.Limit > limitMax:
		return quorate.Errorf(quorate.Invalid, "limit is %d, not between 1 and %d", a.Limit, limitMax)
	case a.Per < 1 || a.Per > perMax.Milliseconds():
		return quorate.Errorf(quorate.Invalid, "per is %d, not between 1 and %d ms", a.Per, perMax.Milliseconds())
	case a.Cost < 1 || a.Cost > a.Limit:
		return quorate.Errorf(quorate.Invalid, "cost is %d, not between 1 and the limit", a.Cost)
	}
	return nil
}

// Apply implements quorate.Command.
func (a Allow) Apply(tx *quorate.Tx) (Verdict, error) {
	limit, period := time.Duration(a.Limit), time.Duration(a.Per)*time.Millisecond
	each := (period + limit - 1) / limit // what one costs in time; rounded up, for what passes is never more
	now := tx.Now()
	until, _ := paid.Get(tx, a.Key)
	owed := max(0, until.Sub(now))
	after := owed + each*time.Duration(a.Cost)
	if wait := after - each*limit; wait > 0 {
		return Verdict{Remaining: remaining(limit, each, owed), RetryMs: (wait + time.Millisecond - 1).Milliseconds()}, nil
	}
	end := now.Add(after)
	paid.PutUntil(tx, a.Key, end, end)
	return Verdict{Allowed: true, Remaining: remaining(limit, each, after)}, nil
}

// remaining is how much more may pass. It is none where the key has used more
// under a greater limit than this one.
func remaining(limit, each, owed time.Duration) int64 {
	return max(0, int64(limit-(owed+each-1)/each))
}

var service = quorate.Define("limiter",
	quorate.Write[Allow]("ALLOW", quorate.Doc("Ask to let something through under a limit that all servers share.")),
)

func main() { cli.Main(service) }

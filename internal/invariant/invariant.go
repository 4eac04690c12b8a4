// Package invariant states what must hold and stops the process where it
// does not: a program error must not become a wrong answer.
//
// Must is always on; it belongs where the check is cheap. Costly checks stand
// behind Enabled, which the build tag "invariants" sets. It does not report
// errors of the outside world: a full disk is an error value, not a broken
// invariant.
package invariant

import "fmt"

// Must panics unless holds is true. The text says what should have held.
func Must(holds bool, format string, args ...any) {
	if !holds {
		panic("invariant broken: " + fmt.Sprintf(format, args...))
	}
}

//go:build !linux

package usage

import "time"

// Machine is how long all cores of the machine were not idle. It is not known
// here.
func Machine() (time.Duration, bool) { return 0, false }

// Own is the CPU that this process took. It is not known here.
func Own() time.Duration { return 0 }

package quoratetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
)

// verdicts is a testing.TB that collects what is wrong with a round, so that the
// seed can be told with it, and ends the round.
type verdicts struct {
	testing.TB
	stop context.CancelFunc

	// mu guards found.
	mu    sync.Mutex
	found []string
}

// verdictsMax bounds what is kept of a round that has failed anyway.
const verdictsMax = 10

func (v *verdicts) add(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.found) < verdictsMax {
		v.found = append(v.found, text)
	}
	v.stop()
}

func (v *verdicts) all() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.found
}

// Failed is testing.TB.
func (v *verdicts) Failed() bool { return len(v.all()) > 0 }

// Error is testing.TB.
func (v *verdicts) Error(args ...any) { v.add(fmt.Sprint(args...)) }

// Errorf is testing.TB.
func (v *verdicts) Errorf(format string, args ...any) { v.add(fmt.Sprintf(format, args...)) }

// Fatal is testing.TB.
func (v *verdicts) Fatal(args ...any) { v.add(fmt.Sprint(args...)); panic(fatal{}) }

// Fatalf is testing.TB.
func (v *verdicts) Fatalf(format string, args ...any) {
	v.add(fmt.Sprintf(format, args...))
	panic(fatal{})
}

// fatal is the panic of a Fatal, which run ends.
type fatal struct{}

// run does something until it ends or a Fatal does.
func (v *verdicts) run(do func()) {
	defer func() {
		if p := recover(); p != nil && p != (fatal{}) {
			panic(p)
		}
	}()
	do()
}

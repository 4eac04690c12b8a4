package quoratetest

import (
	"fmt"
	"io"
	"sync"
	"testing"
)

// Fake is a testing.TB that keeps what a test says is wrong, so that the kit can be
// seen to find it.
type Fake struct {
	testing.TB // nil: what the kit does not use panics

	mu    sync.Mutex
	found []string
	ends  []func()
}

// Fails runs a test and returns what it says is wrong.
func Fails(test func(t testing.TB)) []string {
	f := &Fake{}
	f.guarded(func() { test(f) })
	for len(f.ends) > 0 {
		last := f.ends[len(f.ends)-1]
		f.ends = f.ends[:len(f.ends)-1]
		f.guarded(last)
	}
	return f.found
}

func (f *Fake) guarded(do func()) {
	defer func() {
		if p := recover(); p != nil && p != (fatal{}) {
			panic(p)
		}
	}()
	do()
}

func (f *Fake) add(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.found = append(f.found, text)
}

func (f *Fake) Failed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.found) > 0
}

func (f *Fake) Cleanup(end func())                { f.ends = append(f.ends, end) }
func (f *Fake) Helper()                           {}
func (f *Fake) Name() string                      { return "TestOfAUser" }
func (f *Fake) Output() io.Writer                 { return io.Discard }
func (f *Fake) Logf(string, ...any)               {}
func (f *Fake) Error(args ...any)                 { f.add(fmt.Sprint(args...)) }
func (f *Fake) Errorf(format string, args ...any) { f.add(fmt.Sprintf(format, args...)) }
func (f *Fake) Fatal(args ...any)                 { f.Error(args...); panic(fatal{}) }
func (f *Fake) Fatalf(format string, args ...any) { f.Errorf(format, args...); panic(fatal{}) }

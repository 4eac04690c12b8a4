// Package memory runs a service on a state in memory, as one node without a
// log would. It is for tests and examples of what needs an Executor.
//
// It keeps the rules that a node keeps towards a caller: a call is checked
// first, a command that fails leaves no trace, and indexes rise. It remembers
// no call ids, and nothing is durable.
package memory

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
)

// Executor runs a service in memory. It may be used by many goroutines; its
// fields may be touched only while nobody does.
type Executor struct {
	// Data is the state.
	Data State
	// Index is that of the last command.
	Index uint64
	// Calls is all that reached the executor.
	Calls []quorate.Call
	// Now is log time. It is always the same until somebody changes it, so that
	// examples are too.
	Now time.Time

	service *quorate.Service
	mu      sync.Mutex // guards the fields while calls run
}

// New makes an executor with an empty state.
func New(service *quorate.Service) *Executor {
	return &Executor{service: service, Data: make(State), Now: time.Unix(1_000_000, 0)}
}

// Execute implements quorate.Executor.
func (e *Executor) Execute(_ context.Context, calls []quorate.Call) []quorate.Reply {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.Calls = append(e.Calls, calls...)
	replies := make([]quorate.Reply, len(calls))
	for i, call := range calls {
		replies[i] = e.run(call)
	}
	return replies
}

func (e *Executor) run(call quorate.Call) quorate.Reply {
	op, err := quorate.Engine().Check(e.service, call)
	if err != nil {
		return quorate.Reply{Err: err}
	}
	// The seed is always the same, so that examples are too.
	at := engine.Moment{Index: e.Index, Time: e.Now, Seed: 7, Due: e.Data.due()}
	if !op.Writes() {
		value, err := quorate.Engine().Read(op, quorate.Engine().NewView(e.Data, at), call.Args)
		return quorate.Reply{Value: value, Index: e.Index, Err: err}
	}
	e.Index++
	at.Index++
	after := maps.Clone(e.Data)
	value, err := quorate.Engine().Apply(op, quorate.Engine().NewTx(after, at), call.Args)
	if err == nil {
		e.Data = after
	}
	return quorate.Reply{Value: value, Index: e.Index, Err: err}
}

// State is a quorate.State over a map.
type State map[string]Item

// Item is what is under a key.
type Item struct {
	Value string
	End   time.Time // zero if it stays for good
}

// Get is the value under key, and whether there is one.
func (s State) Get(key []byte) ([]byte, bool) {
	item, found := s[string(key)]
	return []byte(item.Value), found
}

// End is when what is under key ends.
func (s State) End(key []byte) time.Time { return s[string(key)].End }

// Set stores value under key for good.
func (s State) Set(key, value []byte) { s[string(key)] = Item{Value: string(value)} }

// Replace stores value under key, whose end stays as it is.
func (s State) Replace(key, value []byte) {
	s[string(key)] = Item{Value: string(value), End: s[string(key)].End}
}

// SetEnd says when what is under key ends.
func (s State) SetEnd(key []byte, end time.Time) {
	s[string(key)] = Item{Value: s[string(key)].Value, End: end}
}

// Delete removes key.
func (s State) Delete(key []byte) { delete(s, string(key)) }

// Save returns what takes back all that was written since.
func (s State) Save() (restore func()) {
	before := maps.Clone(s)
	return func() {
		clear(s)
		maps.Copy(s, before)
	}
}

// due is when the first of the keys ends; zero if none does.
func (s State) due() (first time.Time) {
	for _, item := range s {
		if !item.End.IsZero() && (first.IsZero() || item.End.Before(first)) {
			first = item.End
		}
	}
	return first
}

// Scan yields keys and values in order, from start up to but without end.
func (s State) Scan(start, end []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		for _, key := range slices.Sorted(maps.Keys(s)) {
			item, still := s[key]
			if !still || key < string(start) || end != nil && key >= string(end) {
				continue
			}
			if !yield([]byte(key), []byte(item.Value)) {
				return
			}
		}
	}
}

// Func is an Executor made of a function.
type Func func(ctx context.Context, calls []quorate.Call) []quorate.Reply

// Execute implements quorate.Executor.
func (f Func) Execute(ctx context.Context, calls []quorate.Call) []quorate.Reply {
	return f(ctx, calls)
}

package quoratetest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/machine"
	"github.com/quorate/quorate/internal/store"
)

// Copy is one copy of a service in memory, made by Local. It is an Executor, and
// may be used by many goroutines.
type Copy struct {
	t       testing.TB
	service *quorate.Service
	fs      vfs.FS

	// mu guards what follows. It is never held while anything waits.
	mu      sync.Mutex
	machine *machine.Machine
	index   uint64    // of the last entry
	now     time.Time // log time
}

// Local makes an Executor of a service without a log, a network and other nodes:
// calls are applied to a state in memory as a node applies them, one entry of
// the log for each. Call ids, expiry, sessions and transactions work as on a
// node.
//
// It is the same in each run: log time begins at midnight of 2000-01-01 UTC and
// stands still but for Advance, and Tx.Rand draws the same numbers.
//
// Each command runs twice on the same state. One whose runs do not write and
// return the same fails t.
func Local(t testing.TB, service *quorate.Service) *Copy {
	t.Helper()
	g := newGuard(twice, func(err error) { t.Errorf("%v", err) })
	c := newCopy(t, service, g.apply)
	t.Cleanup(c.close)
	return c
}

func newCopy(t testing.TB, service *quorate.Service, apply machine.Apply) *Copy {
	t.Helper()
	c := &Copy{t: t, service: service, fs: vfs.NewMem(), now: began}
	c.machine = machine.New(machine.Config{
		Service: service, Store: openStore(t, c.fs), Limits: machine.DefaultLimits,
		Log: slog.New(slog.DiscardHandler), Apply: apply,
	})
	return c
}

func (c *Copy) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	mustClose(c.t, c.machine.Close())
}

// Execute implements quorate.Executor.
func (c *Copy) Execute(ctx context.Context, calls []quorate.Call) []quorate.Reply {
	c.mu.Lock()
	defer c.mu.Unlock()
	replies := make([]quorate.Reply, len(calls))
	logged := anyWrites(c.service, calls)
	for i, call := range calls {
		op, err := quorate.Engine().Check(c.service, call)
		switch {
		case err != nil:
			replies[i].Err = err
		case ctx.Err() != nil:
			replies[i].Err = quorate.Errorf(quorate.Unavailable, "not tried: %v", ctx.Err())
		case logged:
			call.Name = op.Name() // in the log there are no Go types
			replies[i] = c.apply(call)[0]
		default:
			read, _ := c.machine.Read([]quorate.Call{call}, c.now)
			replies[i] = read[0]
		}
	}
	return replies
}

// anyWrites says that a slice of calls holds a command, so that its queries go
// through the log too.
func anyWrites(service *quorate.Service, calls []quorate.Call) bool {
	for _, call := range calls {
		if op, ok := quorate.Engine().Lookup(service, call); ok && op.Writes() {
			return true
		}
	}
	return false
}

// apply applies the next entry of the log. The caller holds mu.
func (c *Copy) apply(calls ...quorate.Call) []quorate.Reply {
	c.index++
	data := entry.Append(nil, entry.Header{Time: c.now, Seed: c.index}, calls)
	replies, err := c.machine.Apply([]machine.Entry{{Index: c.index, Term: 1, Data: data}})
	if err != nil {
		c.t.Errorf("apply entry %d: %v", c.index, err)
		return make([]quorate.Reply, len(calls))
	}
	return replies[0]
}

// Advance lets log time go on by d. What ends by then is gone.
func (c *Copy) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(max(d, 0))
	c.apply()
}

// Now is log time.
func (c *Copy) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Look shows the state as it is now. The view, and what it returns, must not be
// used after look has returned.
func (c *Copy) Look(look func(view *quorate.View)) {
	c.t.Helper()
	c.mu.Lock()
	state, now := c.machine.View(), c.now
	c.mu.Unlock()
	look(quorate.Engine().NewView(state, momentOf(state, now)))
	mustClose(c.t, errors.Join(state.Err(), state.Close()))
}

// momentOf is where in the log a query runs that sees a state.
func momentOf(state *store.View, now time.Time) engine.Moment {
	meta := state.Meta()
	return engine.Moment{Index: meta.Index, Time: now, Due: store.Time(meta.Due), Clock: now}
}

// movedDir is where a state lies that came as a snapshot.
const movedDir = "moved"

// move gives the copy its own state anew, as one that came as a snapshot from
// another node.
func (c *Copy) move() {
	c.t.Helper()
	stream, err := c.machine.View().Stream(1)
	if err != nil {
		c.t.Fatalf("read a state as a snapshot: %v", err)
	}
	moved, _, err := store.Receive(storeOptions(c.fs, movedDir), 1, stream)
	if err = errors.Join(err, stream.Close()); err != nil {
		c.t.Fatalf("receive a state as a snapshot: %v", err)
	}
	if err := c.machine.Swap(moved); err != nil {
		c.t.Fatalf("go on with a state that came as a snapshot: %v", err)
	}
}

package quoratetest

import (
	"fmt"
	"hash/fnv"
	"sort"
	"sync"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/repeat"
)

// ledger is what the nodes of a cluster did and what they told its callers, to
// be held against each other.
type ledger struct {
	// mu guards what follows.
	mu sync.Mutex
	// done is what each command came to, by its place in the log.
	done map[place]effect
	// acknowledged is the commands that callers were told to have taken effect.
	acknowledged []acknowledgement
	// floors is how the index of the newest answer rose.
	floors []floor
}

// place is where in the log a command stands.
type place struct {
	index    uint64
	position int
}

// before says that a place is in front of another.
func (p place) before(q place) bool {
	return p.index < q.index || p.index == q.index && p.position < q.position
}

// effect is one command that was applied, and what it came to.
type effect struct {
	call   string // to be shown
	sum    sum
	result repeat.Result
	on     string // the node that applied it first
}

// acknowledgement is a command that a caller was told to have taken effect.
type acknowledgement struct {
	index uint64
	call  string
	sum   sum
}

// floor is an answer that was newer than all before it.
type floor struct {
	at    time.Time
	index uint64
}

// sum tells calls apart by what they ask for.
type sum uint64

func sumOf(name string, args [][]byte) sum {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %q", name, args)
	return sum(h.Sum64())
}

func newLedger() *ledger { return &ledger{done: make(map[place]effect)} }

// ran takes down what a command came to on a node. The error says that another
// node, or the same one before it was started again, came to something else at
// this place of the log.
func (l *ledger) ran(on string, op *quorate.Operation, at engine.Moment, args [][]byte, result repeat.Result) error {
	made := effect{call: repeat.Describe(op.Name(), args), sum: sumOf(op.Name(), args), result: result, on: on}
	where := place{at.Index, at.Position}
	l.mu.Lock()
	was, known := l.done[where]
	if !known {
		l.done[where] = made
	}
	l.mu.Unlock()
	switch {
	case !known:
		return nil
	case was.sum != made.sum:
		return fmt.Errorf("at index %d of the log %s ran %s, and %s ran %s", at.Index, was.on, was.call, on, made.call)
	case was.on == on:
		return repeat.Compare(op, args, was.result, result, "on "+on, "when it ran there again")
	}
	return repeat.Compare(op, args, was.result, result, "on "+was.on, "on "+on)
}

// asked is where the ledger stood when a caller asked.
type asked struct {
	at    time.Time
	floor uint64
}

// ask is what an answer is held against that is asked for now.
func (l *ledger) ask() asked {
	l.mu.Lock()
	defer l.mu.Unlock()
	return asked{time.Now(), l.newest()}
}

// newest is the highest index of any answer. The caller holds mu.
func (l *ledger) newest() uint64 {
	if len(l.floors) == 0 {
		return 0
	}
	return l.floors[len(l.floors)-1].index
}

// top is the highest index of any answer.
func (l *ledger) top() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newest()
}

// heard takes down the answer to a call. The error says that it cannot be.
func (l *ledger) heard(op *quorate.Operation, call quorate.Call, reply quorate.Reply, when asked, stale bool) error {
	if !ofTheState(reply) {
		return nil
	}
	text := repeat.Describe(op.Name(), call.Args)
	if stale {
		return l.heardStale(text, time.Duration(call.Read), reply, when)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if reply.Index > l.newest() {
		l.floors = append(l.floors, floor{time.Now(), reply.Index})
	}
	if op.Writes() && reply.Err == nil {
		l.acknowledged = append(l.acknowledged, acknowledgement{reply.Index, text, sumOf(op.Name(), call.Args)})
	}
	switch {
	case op.Writes() && call.ID == "" && reply.Index <= when.floor:
		return fmt.Errorf("%s took effect at index %d of the log, before what was answered when it was called, at %d", text, reply.Index, when.floor)
	case !op.Writes() && call.ID == "" && reply.Index < when.floor:
		return fmt.Errorf("%s saw the state at index %d, and an answer from %d was heard before it was called", text, reply.Index, when.floor)
	}
	return nil
}

// heardStale checks the age of an answer. A caller knows no better when it was
// true than that this was not before it asked.
func (l *ledger) heardStale(text string, tolerated time.Duration, reply quorate.Reply, when asked) error {
	if reply.Age > tolerated {
		return fmt.Errorf("%s tolerates an age of %v and got an answer that is %v old", text, tolerated, reply.Age)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	until := when.at.Add(-reply.Age)
	n := sort.Search(len(l.floors), func(i int) bool { return !l.floors[i].at.Before(until) })
	if n > 0 && reply.Index < l.floors[n-1].index {
		return fmt.Errorf("%s saw the state at index %d and is said to be %v old; an answer from %d was heard longer ago than that", text, reply.Index, reply.Age, l.floors[n-1].index)
	}
	return nil
}

// ofTheState says that a reply is an answer of the state machine, and not that of
// a node which did not get as far or refused to.
func ofTheState(reply quorate.Reply) bool {
	switch quorate.CodeOf(reply.Err) {
	case quorate.IDReused, quorate.Overloaded, quorate.TooLarge:
		return false
	}
	return reply.Index > 0 && !quorate.OutcomeUnknown(reply.Err)
}

// applied is all commands that were applied, in the order of the log.
func (l *ledger) applied() (places []place, done map[place]effect) {
	l.mu.Lock()
	defer l.mu.Unlock()
	done = make(map[place]effect, len(l.done))
	for where, e := range l.done {
		places = append(places, where)
		done[where] = e
	}
	sort.Slice(places, func(i, j int) bool { return places[i].before(places[j]) })
	return places, done
}

// told is the commands that callers were told to have taken effect.
func (l *ledger) told() []acknowledgement {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acknowledged
}

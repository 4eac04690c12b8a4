// Package machine applies log entries to the state: it removes what has ended,
// runs the commands of a service in the order of the log, remembers the answers
// of calls that carry an id, and answers queries.
//
// It keeps one rule: the same entries on the same state give the same state
// and the same answers, on every node and however they are grouped. So nothing
// here knows a clock, a random number or the order of a map, and a call that
// this program does not know stops the node instead of being passed over. What
// one entry may write, answer, look at and forget is bounded by what stands in
// it, never by time or memory: a bound that changes is another service.
//
// Before an entry is applied, the state is held against what the leader that
// made it says of its own. Where they differ, whoever runs the machine is asked
// whether it may go on.
//
// It does not know raft, and it does not wait for anything but that answer.
package machine

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/invariant"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/watermark"
)

// Machine is a service and its state. One goroutine applies; any number may
// read.
type Machine struct {
	service *quorate.Service
	limits  Limits
	log     *slog.Logger
	apply   Apply
	judge   func(Divergence) error
	mark    watermark.Mark
	trail   trail

	// swap guards which store is the state. Readers hold it while they read;
	// only a snapshot from another node takes it for writing.
	swap  sync.RWMutex
	store *store.Store

	// oldest is a key of the Ages space before which none is left, so that
	// most entries need not look for answers to forget. It is nil where nobody
	// has looked yet. Only Apply and Swap touch it. Invariant: it changes what
	// is read, and never what comes of it.
	oldest []byte
	// sameAt is the newest index at which the state was found to be that of a
	// leader; 0 if it was not since the trail began. Only Apply and Swap touch it.
	sameAt uint64
	// room is what applying uses again and again. Only Apply touches it.
	room room
	// language is what this program knows and what all members know.
	language language
	// sooner is told when something ends sooner than was known.
	sooner notice
}

// Limits bounds what the state remembers of calls with an id. They must be
// the same on every node.
type Limits struct {
	// Window is how long an answer is remembered, in log time.
	Window time.Duration
	// RememberedMax is how many answers are remembered at most. A new id
	// beyond that is refused; no answer is forgotten early.
	RememberedMax uint64
}

// DefaultLimits remembers up to a million answers for an hour: with answers
// of 100 bytes about 200 MB on disk, and 290 calls with an id a second for
// ever.
var DefaultLimits = Limits{Window: time.Hour, RememberedMax: 1 << 20}

// Entry is one log entry.
type Entry struct {
	Index, Term uint64
	Data        []byte // made by entry.Append
}

// Config is what a machine works with.
type Config struct {
	Service *quorate.Service
	// Store is the state. The machine closes it.
	Store  *store.Store
	Limits Limits
	Log    *slog.Logger
	// Apply runs each command. Nil is Operation.Apply; tests look over its
	// shoulder.
	Apply Apply
	// Judge decides about a state that is not what that of a leader was: nil says
	// that this node goes on, an error that it must not. Until it returns nothing
	// is applied. Without Judge nothing is compared.
	Judge func(Divergence) error
}

// Apply runs a command. Tx is a transaction on the state at that moment, as
// quorate.NewTx makes it; another one can be made of the two. What it wrote is
// dropped if there is an error.
type Apply = func(op *quorate.Operation, state engine.State, at engine.Moment, tx *quorate.Tx, args [][]byte) (quorate.Value, error)

// New makes the machine of a service over its state.
func New(c Config) *Machine {
	m := &Machine{service: c.Service, limits: c.Limits, store: c.Store, log: c.Log, apply: c.Apply, judge: c.Judge}
	m.trail.begin(m.store.Meta())
	m.language.learn(c.Service, c.Store)
	m.mark.Advance(m.store.Meta().Index)
	return m
}

// Mark is up to where the state reflects the log.
func (m *Machine) Mark() *watermark.Mark { return &m.mark }

// Meta says up to where the state reflects the log.
func (m *Machine) Meta() store.Meta {
	m.swap.RLock()
	defer m.swap.RUnlock()
	return m.store.Meta()
}

// View takes the state as it is now. It must be closed.
func (m *Machine) View() *store.View {
	m.swap.RLock()
	defer m.swap.RUnlock()
	return m.store.View()
}

// Flush makes the state durable as it stands.
func (m *Machine) Flush() error {
	m.swap.RLock()
	defer m.swap.RUnlock()
	return m.store.Flush()
}

// Swap replaces the state by one that came as a snapshot from another node
// and closes the old one. It waits until nobody reads the old one: queries
// under way are answered, views of it fail from now on and must be closed.
// Apply must not run meanwhile. An error means that the state which came is not
// to be used: the node must stop.
func (m *Machine) Swap(s *store.Store) error {
	// Nobody else writes m.store.
	old := m.store
	invariant.Must(old.Meta().Index <= s.Meta().Index,
		"a snapshot at %d never replaces a state at %d", s.Meta().Index, old.Meta().Index)
	m.swap.Lock()
	m.store, m.oldest = s, nil
	m.swap.Unlock()
	m.trail.begin(s.Meta())
	m.sameAt = 0
	m.language.unfit = m.language.take(m.service, s)
	m.sooner.tell()
	m.mark.Advance(s.Meta().Index)
	return errors.Join(m.language.unfit, old.Close())
}

// Close closes the state.
func (m *Machine) Close() error {
	m.swap.Lock()
	defer m.swap.Unlock()
	return m.store.Close()
}

const (
	// batchBytesMax is when a batch is committed although there are more
	// entries: what one commit may add to a layer of the store, and how long
	// readers wait to see any of it.
	batchBytesMax = 1 << 20
	// entryBytesMax bounds what the commands of one entry write, all together:
	// it is in memory until the entry is done, since an entry is committed as
	// a whole. A command that finds it reached is refused.
	entryBytesMax = 2 * quorate.TxBytesMax
	// answersBytesMax bounds what the calls of one entry, and those of one
	// slice of queries, come to: it is in memory until all are answered. It
	// is what 64 queries of the largest values come to, and room beside it. A
	// call that finds it reached is refused; the last before may go beyond.
	answersBytesMax = 80 << 20
	// visitsMax bounds the keys that scans of one entry show, all together: about
	// half a second, for which the entries behind it wait.
	visitsMax = 1_000_000
	// expireMin is how many keys whose end has come an entry without calls
	// removes at most. One with calls removes two more for each of them. What
	// has ended and is not removed yet is not seen all the same.
	expireMin = 1 << 10
)

// Apply applies entries in their order and answers each call of each of them.
// What an entry does and its index become the state at once. An entry that the
// state already reflects is passed over and has no answers. An error means
// that the state is not to be used any more: the node must stop.
func (m *Machine) Apply(entries []Entry) ([][]quorate.Reply, error) {
	replies := make([][]quorate.Reply, len(entries))
	if err := m.Unfit(); err != nil {
		return nil, err
	}
	at := standing{meta: m.store.Meta(), oldest: m.oldest, agreed: m.language.agreed.Load()}
	batch := m.store.Begin()
	defer m.room.letGo()
	for i, e := range entries {
		if e.Index <= at.meta.Index {
			continue
		}
		run := run{standing: at, machine: m, batch: batch, entry: e, room: &m.room}
		if err := run.apply(); err != nil {
			return nil, fmt.Errorf("apply entry %d: %w", e.Index, err)
		}
		replies[i], at = run.replies, run.standing
		if batch.Bytes() >= batchBytesMax {
			if err := m.commit(batch, at); err != nil {
				return nil, err
			}
			batch = m.store.Begin()
		}
	}
	return replies, m.commit(batch, at)
}

// commit makes what a batch holds the state, if entries were applied to it.
func (m *Machine) commit(batch *store.Batch, at standing) error {
	if at.meta.Index == m.store.Meta().Index {
		return batch.Err()
	}
	before := m.store.Meta().Due
	if err := batch.Commit(at.meta); err != nil {
		return err
	}
	// One that is later tells, too: an end may have come that is before what
	// the first one was until now, and not before the Due that was too early.
	if due := at.meta.Due; due != 0 && due != before {
		m.sooner.tell()
	}
	m.oldest = at.oldest
	if at.agreed != m.language.agreed.Load() {
		m.language.set(at.agreed)
	}
	m.mark.Advance(at.meta.Index)
	return nil
}

// Sooner is closed when something in the state ends sooner than anything did
// when Sooner was called, or when it is better known when the first does.
func (m *Machine) Sooner() <-chan struct{} { return m.sooner.heard() }

// notice lets others hear of something. The zero notice is ready.
type notice struct {
	// mu guards next.
	mu   sync.Mutex
	next chan struct{} // nil if nobody listens
}

func (n *notice) heard() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next == nil {
		n.next = make(chan struct{})
	}
	return n.next
}

func (n *notice) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next != nil {
		close(n.next)
		n.next = nil
	}
}

// answer is what an operation came to. A result that no other node could read
// is an error instead.
func (m *Machine) answer(op *quorate.Operation, index uint64, value quorate.Value, err error) quorate.Reply {
	if err != nil && quorate.CodeOf(err) == quorate.Panicked {
		m.log.Error("an operation panicked; it left no trace", "operation", op.Name(), "index", index, "panic", errors.Unwrap(err))
	}
	reply := quorate.Reply{Value: value, Index: index, Err: err}
	if err := entry.Check(reply); err != nil {
		return quorate.Reply{Index: index, Err: quorate.Errorf(quorate.Failed, "the result of %s has no form: %v", op.Name(), err)}
	}
	return reply
}

// Read answers queries on the state as it is now, all on the same. The
// caller has made sure that it is new enough. Clock is what log time would be
// if the leader stamped an entry now. Overdue says that one of the queries met a
// key whose end has come by then, but not by log time: nothing of what they
// found may be shown, and they are to be asked again once log time is there.
func (m *Machine) Read(calls []quorate.Call, clock time.Time) (replies []quorate.Reply, overdue bool) {
	m.swap.RLock()
	defer m.swap.RUnlock()
	state := m.store.View()
	meta := state.Meta()
	at := engine.Moment{Index: meta.Index, Time: time.Unix(0, meta.Time), Due: store.Time(meta.Due), Clock: clock}
	replies = make([]quorate.Reply, len(calls))
	answered := 0
	var view quorate.View
	for i := range calls {
		call := &calls[i]
		if answered >= answersBytesMax {
			replies[i].Err = quorate.Errorf(quorate.Overloaded,
				"the answers of the queries before this one take more than %d bytes; send it again", answersBytesMax)
			continue
		}
		op, ok := quorate.Engine().Lookup(m.service, *call)
		if !ok || op.Writes() {
			replies[i].Err = quorate.Errorf(quorate.UnknownOperation, "service %s has no query %.64q", m.service.Name(), call.Name)
			continue
		}
		quorate.Engine().ResetView(&view, state, at)
		replies[i] = m.query(op, call, &view)
		answered += replyBytes(&replies[i])
		overdue = overdue || quorate.Engine().Overdue(&view)
	}
	if err := errors.Join(state.Err(), state.Close()); err != nil {
		return failed(len(calls), err), false
	}
	return replies, overdue
}

func (m *Machine) query(op *quorate.Operation, call *quorate.Call, view *quorate.View) quorate.Reply {
	value, err := quorate.Engine().Read(op, view, call.Args)
	return m.answer(op, view.Index(), value, err)
}

// NextEnd is when the first key of the state ends; zero if none does.
func (m *Machine) NextEnd() time.Time {
	view := m.View()
	end := view.NextEnd()
	if err := view.Close(); err != nil {
		m.log.Error("a view of the state could not be closed", "error", err)
	}
	return store.Time(end)
}

// failed answers queries that the disk kept from being answered.
func failed(count int, err error) []quorate.Reply {
	replies := make([]quorate.Reply, count)
	for i := range replies {
		replies[i].Err = quorate.Errorf(quorate.Internal, "read state: %v", err)
	}
	return replies
}

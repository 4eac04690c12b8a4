package quorate

import (
	"iter"
	"math/rand/v2"
	"time"

	"github.com/quorate/quorate/internal/engine"
)

// Limits of one call, in bytes where the name says so.
const (
	KeyBytesMax    = 4 << 10              // a key of the state
	ValueBytesMax  = ArgsBytesMax + 1<<10 // a value: the largest argument, and what a table writes beside it
	ArgsBytesMax   = 1 << 20              // all arguments together
	ArgsMax        = 64 << 10             // how many arguments
	CallIDBytesMax = 96                   // a CallID: two UUIDs in text and a position
	TxBytesMax     = 16 << 20             // what a command writes, which is in memory until it ends
)

// View is the state at one moment, as a query sees it. One goroutine uses it.
type View struct {
	state   engine.ReadState
	at      engine.Moment
	overdue bool
	// exhausted says that a scan was cut off because Visits ran out.
	exhausted bool
	// room is what is left of the newest piece of memory for makeRoom, and roomBytes
	// is how large that was.
	room      []byte
	roomBytes int
}

// reset makes v, which may be zero, the view of another query in its memory.
func (v *View) reset(state engine.ReadState, at engine.Moment) {
	room, size := v.room, v.roomBytes
	*v = View{state: state, at: at, room: room, roomBytes: size}
}

// Reader is a *View, or the *Tx of a command.
type Reader interface{ view() *View }

func (v *View) view() *View { return v }

// roomBytesMax is how large a piece of memory for makeRoom is at most. All of it
// stays as long as something that is in it.
const roomBytesMax = 2 << 10

// makeRoom is an empty slice for size bytes, in which a key or a value of the state
// can be put together. It is nobody else's, as if made, and costs less: many come
// out of one piece of memory.
func (v *View) makeRoom(size int) []byte {
	if size > len(v.room) {
		if size > roomBytesMax/8 {
			return make([]byte, 0, size)
		}
		// Twice as much each time: many a view is asked for one key only.
		v.roomBytes = min(max(2*v.roomBytes, size), roomBytesMax)
		v.room = make([]byte, v.roomBytes)
	}
	room := v.room[:0:size]
	v.room = v.room[size:]
	return room
}

// Get is the value under key, if there is one. It must not be modified.
func (v *View) Get(key []byte) (value []byte, found bool) {
	value, found = v.state.Get(key)
	if found && v.ended(key) {
		return nil, false
	}
	return value, found
}

// End is when what is under key ends; false if never, or if nothing is there.
func (v *View) End(key []byte) (end time.Time, ends bool) {
	if v.at.Due.IsZero() || v.ended(key) {
		return time.Time{}, false
	}
	end = v.state.End(key)
	return end, !end.IsZero()
}

// ended says that what stands under key is there no more: log time has reached
// its end. The machine removes what has ended, a part with each entry; until
// then it must not be seen.
func (v *View) ended(key []byte) bool {
	if v.at.Due.IsZero() || v.at.Time.Before(v.at.Due) && v.at.Clock.Before(v.at.Due) {
		return false
	}
	end := v.state.End(key)
	if end.IsZero() {
		return false
	}
	if !v.at.Time.Before(end) {
		return true
	}
	if !v.at.Clock.Before(end) {
		v.overdue = true
	}
	return false
}

// Scan yields keys and values in order from start up to but without end, or to the last
// if end is nil. They must not be modified. Of what the command writes meanwhile it
// shows new values, but no new keys.
func (v *View) Scan(start, end []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		for key, value := range v.state.Scan(start, end) {
			if !v.visit() {
				return
			}
			if !v.ended(key) && !yield(key, value) {
				return
			}
		}
	}
}

// visit counts one key of a scan. It is false if no more may be shown: what was
// found is not all there is, and the call fails.
func (v *View) visit() bool {
	if v.at.Visits == nil {
		return true
	}
	if *v.at.Visits == 0 {
		v.exhausted = true
		return false
	}
	*v.at.Visits--
	return true
}

// errExhausted is the error of a call whose scan was cut off.
func (v *View) errExhausted() error {
	if !v.exhausted {
		return nil
	}
	return Errorf(TooLarge, "this call, with those beside it in the log, would look at more keys than one entry may: ask it alone, or for less")
}

// Now is log time, as the leader stamped it. It never goes back, and stands still while
// nothing is written.
func (v *View) Now() time.Time { return v.at.Time }

// Clock is what log time would be if something were written now; in a command, Now.
func (v *View) Clock() time.Time {
	if v.at.Clock.After(v.at.Time) {
		return v.at.Clock
	}
	return v.at.Time
}

// Index is that of the entry being applied, or of the last one applied.
func (v *View) Index() uint64 { return v.at.Index }

// Revision is a number for this command alone, greater than any before: a fencing token.
func (v *View) Revision() uint64 { return v.at.Index*engine.PositionMax + uint64(v.at.Position) }

// Tx is the state as a command sees it and, when it returns, changes it.
type Tx struct {
	View
	state   engine.State
	service *Service // that of the command that runs; nil outside of one
	depth   int      // of commands inside commands
	results int      // bytes of what these came to
	bytes   int
	err     error
	rand    *rand.Rand
}

// reset makes t, which may be zero, the transaction of another command in its
// memory.
func (t *Tx) reset(state engine.State, at engine.Moment) {
	room, size := t.room, t.roomBytes
	*t = Tx{View: View{state: state, at: at, room: room, roomBytes: size}, state: state}
}

// Set stores value under key, for good, and keeps both. An empty key, or what is over a
// limit, fails the command.
func (t *Tx) Set(key, value []byte) {
	if t.admit(key, value) {
		t.state.Set(key, value)
	}
}

// Replace is Set, but leaves the end of what was there as it is.
func (t *Tx) Replace(key, value []byte) {
	switch {
	case !t.admit(key, value):
	case t.ended(key):
		t.state.Set(key, value)
	default:
		t.state.Replace(key, value)
	}
}

// SetUntil is Set, until log time reaches end; Delete if it is there already.
func (t *Tx) SetUntil(key, value []byte, end time.Time) {
	if !t.at.Time.Before(end) {
		t.Delete(key)
		return
	}
	if t.admit(key, value) {
		t.state.Set(key, value)
		t.setEnd(key, end)
	}
}

// SetEnd changes when what is under key ends, zero: never. It is false if
// nothing is there.
func (t *Tx) SetEnd(key []byte, end time.Time) bool {
	if _, found := t.Get(key); !found {
		return false
	}
	switch {
	case end.IsZero():
		if t.admit(key, nil) {
			t.state.SetEnd(key, end)
		}
	case !t.at.Time.Before(end):
		t.Delete(key)
	case t.admit(key, nil):
		t.setEnd(key, end)
	}
	return true
}

func (t *Tx) setEnd(key []byte, end time.Time) {
	t.state.SetEnd(key, end)
	if t.at.Due.IsZero() || end.Before(t.at.Due) {
		t.at.Due = end
	}
}

// Delete removes what is under key, if anything is, and keeps the slice.
func (t *Tx) Delete(key []byte) {
	if t.admit(key, nil) {
		t.state.Delete(key)
	}
}

// Rand is random numbers: the same on every node, others for each command.
func (t *Tx) Rand() *rand.Rand {
	if t.rand == nil {
		t.rand = rand.New(rand.NewPCG(t.at.Seed, t.at.Index))
	}
	return t.rand
}

// admit checks one write against the limits and keeps the first failure,
// which becomes the answer of the command.
func (t *Tx) admit(key, value []byte) bool {
	t.bytes += len(key) + len(value)
	switch {
	case t.err != nil:
	case len(key) == 0:
		t.err = Errorf(Invalid, "a key must not be empty")
	case len(key) > KeyBytesMax:
		t.err = Errorf(TooLarge, "a key of %d bytes is over the limit of %d", len(key), KeyBytesMax)
	case len(value) > ValueBytesMax:
		t.err = Errorf(TooLarge, "a value of %d bytes is over the limit of %d", len(value), ValueBytesMax)
	case t.bytes > TxBytesMax:
		t.err = Errorf(TooLarge, "one command writes more than %d bytes", TxBytesMax)
	}
	return t.err == nil
}

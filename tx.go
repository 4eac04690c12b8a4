package quorate

import (
	"iter"
	"math/rand/v2"
	"time"
)

// Limits of what one call may carry and write.
const (
	// KeyBytesMax bounds a key of the state.
	KeyBytesMax = 4 << 10
	// ArgsBytesMax bounds the arguments of one call, all together.
	ArgsBytesMax = 1 << 20
	// ArgsMax bounds the number of arguments of one call.
	ArgsMax = 64 << 10
	// ValueBytesMax bounds a value of the state: the largest argument, and
	// room for what a table writes beside it.
	ValueBytesMax = ArgsBytesMax + 1<<10
	// TxBytesMax bounds the keys and values that one command writes. They
	// stay in memory until the command ends.
	TxBytesMax = 16 << 20
	// ResultsBytesMax bounds what the commands and queries come to that one
	// command runs inside of itself, all together: a node can pass it on.
	ResultsBytesMax = 12 << 20
)

// ReadState is an ordered space of keys as a query sees it. What it returns
// must not be modified and stays valid.
type ReadState interface {
	// Get is the value under key, and whether there is one.
	Get(key []byte) (value []byte, found bool)
	// Scan yields keys and values in order from start, up to but without
	// end. A nil end is the end of the space.
	Scan(start, end []byte) iter.Seq2[[]byte, []byte]
	// End is when what is under key ends; zero if it stays for good or if
	// nothing is there.
	End(key []byte) time.Time
}

// State is an ordered space of keys that can be written. It keeps the slices
// that are given to Set.
//
// A scan shows the newest value of a key that is written while it runs, and
// does not show a key that was added while it runs, nor one that was deleted
// and added again.
type State interface {
	ReadState
	// Set stores a value that stays for good.
	Set(key, value []byte)
	// Replace stores a value that ends when the one before it would have.
	Replace(key, value []byte)
	// SetEnd says when what is under key ends; zero if it is to stay for good.
	// There is something under key.
	SetEnd(key []byte, end time.Time)
	// Delete removes a key and its end.
	Delete(key []byte)
	// Save returns what takes back all that was written since. Of several that
	// are open, only the newest is called.
	Save() (restore func())
}

// Moment is where in the log a command or query runs.
type Moment struct {
	Index    uint64    // of the log entry, or of the last one the state reflects
	Position int       // of the call in its entry, below PositionMax
	Time     time.Time // log time: stamped by the leader, it never goes back
	Seed     uint64    // for Rand
	// Due is a time before which nothing in the state ends; zero if nothing
	// in it ends.
	Due time.Time
	// Clock is what log time would be if an entry were stamped now. A query
	// must not show what has ended by then. Zero for commands.
	Clock time.Time
	// Visits is how many keys scans may yet show, and counts down; nil if that
	// is not bounded. Several calls can share it.
	Visits *int
}

// PositionMax is more than any Position.
const PositionMax = 1 << 16

// View is the state at one moment, as a query sees it. It is used by one
// goroutine.
type View struct {
	state   ReadState
	at      Moment
	overdue bool
	// exhausted says that a scan was cut off because Visits ran out.
	exhausted bool
	// room is what is left of the newest piece of memory for Room, and roomBytes
	// is how large that was.
	room      []byte
	roomBytes int
}

// NewView makes the view of a query. It is for those who write an Executor.
func NewView(state ReadState, at Moment) *View { return &View{state: state, at: at} }

// Reset makes v the view of another query, as NewView does, in the memory of one
// that was answered.
func (v *View) Reset(state ReadState, at Moment) {
	room, size := v.room, v.roomBytes
	*v = View{state: state, at: at, room: room, roomBytes: size}
}

// roomBytesMax is how large a piece of memory for Room is at most. All of it
// stays as long as something that is in it.
const roomBytesMax = 2 << 10

// Room is an empty slice for size bytes, in which a key or a value of the state
// can be put together. It is nobody else's, as if made, and costs less: many come
// out of one piece of memory.
func (v *View) Room(size int) []byte {
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

// Get is the value under key, and whether there is one. The value must not be
// modified.
func (v *View) Get(key []byte) (value []byte, found bool) {
	value, found = v.state.Get(key)
	if found && v.ended(key) {
		return nil, false
	}
	return value, found
}

// End is when what is under key ends. It is false if nothing is there, or if
// what is there stays for good.
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

// Overdue says that the query met a key whose end has come by the clock of the
// leader, but not yet by log time. What it found must not be shown: another
// leader, whose clock is slower, could show the key again after it was seen to
// be gone. It is to be run again once log time is there. It is for those who
// write an Executor.
func (v *View) Overdue() bool { return v.overdue }

// Scan yields keys and values in order of the keys, from start up to but
// without end. A nil end is the end of the state. Keys and values must not be
// modified. In a command it shows the newest value of a key that is written
// while it runs, and does not show a key that was added while it runs, nor one
// that was deleted and added again.
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

// Now is log time: the clock of the leader as it stamped the newest entry,
// the same on every node. It never goes back, and it stands still while
// nothing is written.
func (v *View) Now() time.Time { return v.at.Time }

// Clock is what log time would be if something were written now. A query tells
// with it how long something still stays; it may be a little behind on a node
// that is not the leader. In a command it is Now.
func (v *View) Clock() time.Time {
	if v.at.Clock.After(v.at.Time) {
		return v.at.Clock
	}
	return v.at.Time
}

// Index is the index of the log entry that is being applied, or of the last
// one that the state reflects.
func (v *View) Index() uint64 { return v.at.Index }

// Revision is a number that no other command has: those of later commands are
// greater. What a lock hands out with it, a store behind the lock can order.
func (v *View) Revision() uint64 { return v.at.Index*PositionMax + uint64(v.at.Position) }

// Tx is the state as a command sees and changes it. All that a command writes
// takes effect at once when it returns, or not at all.
type Tx struct {
	View
	state   State
	service *Service // that of the command that runs; nil outside of one
	depth   int      // of commands inside commands
	results int      // bytes of what these came to
	bytes   int
	err     error
	rand    *rand.Rand
}

// NewTx makes the transaction of a command. It is for those who write an
// Executor.
func NewTx(state State, at Moment) *Tx { return &Tx{View: View{state: state, at: at}, state: state} }

// Reset makes t the transaction of another command, as NewTx does, in the memory
// of one that was answered.
func (t *Tx) Reset(state State, at Moment) {
	room, size := t.room, t.roomBytes
	*t = Tx{View: View{state: state, at: at, room: room, roomBytes: size}, state: state}
}

// Set stores value under key, for good. The transaction keeps both slices. A
// key that is empty or over KeyBytesMax or a value over ValueBytesMax makes the
// command fail as a whole when it returns.
func (t *Tx) Set(key, value []byte) {
	if t.admit(key, value) {
		t.state.Set(key, value)
	}
}

// Replace stores value under key and leaves the end of what was there as it is.
// Where nothing was, it is Set.
func (t *Tx) Replace(key, value []byte) {
	switch {
	case !t.admit(key, value):
	case t.ended(key):
		t.state.Set(key, value)
	default:
		t.state.Replace(key, value)
	}
}

// SetUntil stores value under key until log time reaches end. It is as Set, and
// as Delete if log time is there already.
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

// SetEnd changes when what is under key ends: when log time reaches end, at
// once if it is there already, and never if end is zero. It is false if nothing
// is under key.
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

// Delete removes what is stored under key, if anything is. The transaction
// keeps the slice.
func (t *Tx) Delete(key []byte) {
	if t.admit(key, nil) {
		t.state.Delete(key)
	}
}

// Rand is a source of random numbers that is the same on every node and
// differs from command to command.
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

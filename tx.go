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
)

// ReadState is an ordered space of keys as a query sees it. What it returns
// must not be modified and stays valid.
type ReadState interface {
	// Get is the value under key, and whether there is one.
	Get(key []byte) (value []byte, found bool)
	// Scan yields keys and values in order from start, up to but without
	// end. A nil end is the end of the space.
	Scan(start, end []byte) iter.Seq2[[]byte, []byte]
}

// State is an ordered space of keys that can be written. It keeps the slices
// that are given to Set.
//
// A scan shows the newest value of a key that is written while it runs, and
// does not show a key that was added while it runs, nor one that was deleted
// and added again.
type State interface {
	ReadState
	Set(key, value []byte)
	Delete(key []byte)
}

// Moment is where in the log a command or query runs.
type Moment struct {
	Index uint64    // of the log entry, or of the last one the state reflects
	Time  time.Time // log time: stamped by the leader, it never goes back
	Seed  uint64    // for Rand
}

// View is the state at one moment, as a query sees it.
type View struct {
	state ReadState
	at    Moment
}

// NewView makes the view of a query. It is for those who write an Executor.
func NewView(state ReadState, at Moment) *View { return &View{state, at} }

// Get is the value under key, and whether there is one. The value must not be
// modified.
func (v *View) Get(key []byte) (value []byte, found bool) { return v.state.Get(key) }

// Scan yields keys and values in order of the keys, from start up to but
// without end. A nil end is the end of the state. Keys and values must not be
// modified. In a command it shows the newest value of a key that is written
// while it runs, and does not show a key that was added while it runs, nor one
// that was deleted and added again.
func (v *View) Scan(start, end []byte) iter.Seq2[[]byte, []byte] { return v.state.Scan(start, end) }

// Now is log time: the clock of the leader as it stamped the newest entry,
// the same on every node. It never goes back, and it stands still while
// nothing is written.
func (v *View) Now() time.Time { return v.at.Time }

// Index is the index of the log entry that is being applied, or of the last
// one that the state reflects.
func (v *View) Index() uint64 { return v.at.Index }

// Tx is the state as a command sees and changes it. All that a command writes
// takes effect at once when it returns, or not at all.
type Tx struct {
	View
	state State
	bytes int
	err   error
	rand  *rand.Rand
}

// NewTx makes the transaction of a command. It is for those who write an
// Executor.
func NewTx(state State, at Moment) *Tx { return &Tx{View: View{state, at}, state: state} }

// Set stores value under key. The transaction keeps both slices. A key that
// is empty or over KeyBytesMax or a value over ValueBytesMax makes the command
// fail as a whole when it returns.
func (t *Tx) Set(key, value []byte) {
	if t.admit(key, value) {
		t.state.Set(key, value)
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

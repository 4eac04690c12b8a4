package machine

import (
	"fmt"
	"slices"
	"sync"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/store"
)

// A leader says in each entry that it makes what its state came to before. Each
// node remembers what its own came to with the newest entries, its trail, and
// compares. So the first entry with which states part is known as soon as the
// next one comes, and with it the command that wrote last.

// trailLength is how many indexes back a trail goes. A node that follows the log
// is behind by what a log holds at most: by default 8192 entries and a quarter,
// and 4096 that trail, which is 14,336. One that is behind by more gets a
// snapshot, and has no state of its own to compare. 24 bytes each are 384 KiB.
const trailLength = 16 << 10

// trail is what the state came to with each of the newest entries.
type trail struct {
	// mu guards what follows: others ask for it while entries are applied.
	mu sync.Mutex
	// steps has the step of an index at the rest of the index by the length. There
	// is no pointer in it, which the collector would have to follow.
	steps []step
	// began is where the state stood when the trail began, newest is the last
	// index.
	began, newest uint64
	// operations is those that steps name, by their place in it; the first is
	// none.
	operations []*quorate.Operation
}

// step is one entry and what the state came to with it.
type step struct {
	index, hash uint64
	// last is the place in operations of the last operation of the entry that
	// changed the state, as wrote says, or else of its last command. It is 0 if
	// there was none.
	last  int32
	wrote bool
}

// begin begins with a state of which nothing else is known.
func (t *trail) begin(at store.Meta) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps = make([]step, trailLength)
	t.began, t.newest = at.Index, at.Index
	t.steps[at.Index%trailLength] = step{index: at.Index, hash: at.Hash}
	t.operations = make([]*quorate.Operation, 1)
}

// add goes on with the next entry, and the operation that the step is to name.
func (t *trail) add(s step, last *quorate.Operation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := slices.Index(t.operations, last)
	if at < 0 {
		at = len(t.operations)
		t.operations = append(t.operations, last)
	}
	s.last = int32(at)
	t.steps[s.index%trailLength] = s
	t.newest = s.index
}

// Recalled is what is known of an entry that was applied.
type Recalled struct {
	// Known says that the hash of the state is known.
	Known bool
	Hash  uint64
	// Doing says in words, behind "where", what was done there.
	Doing string
	// Since is the first index that may be known, Newest the last.
	Since, Newest uint64
}

// recall is what is known of an index. There is nothing at 0.
func (t *trail) recall(index uint64) Recalled {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.steps[index%trailLength]
	known := Recalled{Since: max(t.began, t.newest-min(t.newest, trailLength-1)), Newest: t.newest}
	if index == 0 || s.index != index {
		return known
	}
	known.Known, known.Hash = true, s.hash
	switch {
	case s.wrote:
		known.Doing = t.operations[s.last].Name() + " wrote last"
	case s.last != 0:
		known.Doing = t.operations[s.last].Name() + " ran last and wrote nothing here"
	case index == t.began:
		known.Doing = "nobody knows any more what wrote last, for the node has started since"
	default:
		known.Doing = "no command ran"
	}
	return known
}

// Recall is what is known of the entry at an index. Any goroutine may ask, also
// while entries are applied.
func (m *Machine) Recall(index uint64) Recalled { return m.trail.recall(index) }

// Check is what the leader says in the next entry, if this is its state.
func (m *Machine) Check() entry.StateCheck {
	meta := m.Meta()
	return entry.StateCheck{Index: meta.Index, Hash: meta.Hash}
}

// Divergence is a state that is not what that of a leader was.
type Divergence struct {
	// Index is where they are compared: Hash is what the state of this node came
	// to, Leader what that of the leader did.
	Index, Hash, Leader uint64
	// Doing says in words, behind "where", what this node did there.
	Doing string
	// Term is that of the leader, and of the entry which says so. That entry is
	// not applied yet.
	Term uint64
	// Same is the newest index at which the state was that of a leader; 0 if
	// no entry has said so since the trail began.
	Same uint64
}

// String says what is known of it.
func (d Divergence) String() string {
	text := fmt.Sprintf("at index %d, where %s, the hash of the state is %016x, and on the leader of term %d it was %016x",
		d.Index, d.Doing, d.Hash, d.Term, d.Leader)
	if d.Same != 0 {
		text += fmt.Sprintf("; at index %d they were the same", d.Same)
	}
	return text
}

// compare holds the state against what the leader says that its own was, before
// the entry with that is applied. What this node does not know any more is not
// compared. The error stops the node.
func (r *run) compare(check entry.StateCheck) error {
	m := r.machine
	if check.Index == r.meta.Index && check.Hash == r.meta.Hash {
		m.sameAt = check.Index // as nearly always
		return nil
	}
	here := m.trail.recall(check.Index)
	switch {
	case !here.Known:
		return nil
	case here.Hash == check.Hash:
		m.sameAt = check.Index
		return nil
	case m.judge == nil:
		return nil
	}
	return m.judge(Divergence{
		Index: check.Index, Hash: here.Hash, Leader: check.Hash, Doing: here.Doing, Term: r.entry.Term, Same: m.sameAt,
	})
}

// noteStep takes down what a call did. The batch had so many bytes before it.
func (r *run) noteStep(before int) {
	switch op := r.operation; {
	case r.batch.Bytes() != before:
		r.last, r.step.wrote = op, true
	case !r.step.wrote && op.Writes():
		r.last = op
	}
}

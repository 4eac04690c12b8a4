package machine_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/machine"
)

// pair is a leader, and a follower that gets the entries which the leader made.
type pair struct {
	t                *testing.T
	leader, follower *copied
	judged           []machine.Divergence
	// verdict is what the follower is told about its state.
	verdict func(machine.Divergence) error
}

// newPair makes a pair. Odd, if it is not nil, runs the commands of the follower.
func newPair(t *testing.T, odd machine.Apply) *pair {
	t.Helper()
	p := &pair{t: t, leader: newCopy(t, service, tight), follower: newCopy(t, service, tight)}
	p.follower.apply = odd
	p.follower.judge = func(d machine.Divergence) error {
		p.judged = append(p.judged, d)
		if p.verdict != nil {
			return p.verdict(d)
		}
		return nil
	}
	must(t, p.follower.machine.Close())
	p.follower.start(t)
	t.Cleanup(func() {
		p.leader.close(t)
		p.follower.close(t)
	})
	return p
}

// make makes the next entry as the leader does, and lets it apply it.
func (p *pair) make(calls ...quorate.Call) machine.Entry {
	p.t.Helper()
	p.leader.index++
	data := entry.Append(nil, entry.Header{Time: time.Unix(1, 0), Check: p.leader.machine.Check()}, calls)
	e := machine.Entry{Index: p.leader.index, Term: 7, Data: data}
	_, err := p.leader.machine.Apply([]machine.Entry{e})
	must(p.t, err)
	return e
}

// both lets both apply an entry of calls.
func (p *pair) both(calls ...quorate.Call) error {
	p.t.Helper()
	_, err := p.follower.machine.Apply([]machine.Entry{p.make(calls...)})
	return err
}

// twice runs a command, takes it back, and runs it again.
func twice(t testing.TB) machine.Apply {
	return func(op *quorate.Operation, state engine.State, at engine.Moment, tx *quorate.Tx, args [][]byte) (quorate.Value, error) {
		visits, restore := *at.Visits, state.Save()
		first, err := quorate.Engine().Apply(op, quorate.Engine().NewTx(state, at), args)
		restore()
		*at.Visits = visits
		second, err2 := quorate.Engine().Apply(op, tx, args)
		if !first.Equal(second) || (err == nil) != (err2 == nil) {
			t.Errorf("%s came to %v, %v and then to %v, %v", op.Name(), first, err, second, err2)
		}
		return second, err2
	}
}

// drifting runs the commands of a name as another one would, whose arguments
// are other.
func drifting(name string, other ...string) machine.Apply {
	return func(op *quorate.Operation, _ engine.State, _ engine.Moment, tx *quorate.Tx, args [][]byte) (quorate.Value, error) {
		if op.Name() == name {
			args = callOf(name, other...).Args
		}
		return quorate.Engine().Apply(op, tx, args)
	}
}

func TestFirstEntryWithWhichStatesPartIsNamed(t *testing.T) {
	p := newPair(t, drifting("ROTATE", "elsewhere"))
	for _, e := range [][]quorate.Call{
		{callOf("PUT", "a", "1")}, {callOf("INC", "n")}, nil,
		{callOf("PUT", "b", "1"), callOf("ROTATE", "a"), callOf("FAIL", "b")},
	} {
		must(t, p.both(e...))
	}
	if len(p.judged) != 0 {
		t.Fatalf("before an entry says so, %v was judged", p.judged)
	}
	must(t, p.both(callOf("INC", "n")))
	if len(p.judged) != 1 {
		t.Fatalf("%d states were judged, not one", len(p.judged))
	}
	d := p.judged[0]
	if d.Index != 4 || d.Term != 7 || d.Same != 3 || d.Doing != "ROTATE wrote last" || d.Hash == d.Leader {
		t.Errorf("what differs is %+v", d)
	}
	for _, part := range []string{"at index 4, where ROTATE wrote last", "on the leader of term 7", "at index 3 they were the same"} {
		if !strings.Contains(d.String(), part) {
			t.Errorf("%q does not say %q", d, part)
		}
	}
}

func TestNothingIsAppliedBehindAStateThatIsJudged(t *testing.T) {
	p := newPair(t, drifting("INC", "other"))
	must(t, p.both(callOf("INC", "n")))
	no := errors.New("no")
	p.verdict = func(d machine.Divergence) error {
		// As another goroutine would, while this one waits.
		if index := p.follower.machine.Meta().Index; index > 1 {
			t.Errorf("the state reflects %d while that of 1 is judged", index)
		}
		if here := p.follower.machine.Recall(1); !here.Known || here.Hash != d.Hash || here.Newest != 1 {
			t.Errorf("what is known of the entry is %+v", here)
		}
		return no
	}
	two, three := p.make(callOf("PUT", "a", "1")), p.make(callOf("PUT", "b", "1"))
	if _, err := p.follower.machine.Apply([]machine.Entry{two, three}); !errors.Is(err, no) {
		t.Errorf("Apply says %v", err)
	}
	if index := p.follower.machine.Meta().Index; index != 1 {
		t.Errorf("the state reflects %d", index)
	}
}

// TestEntriesBeforeTheOneThatDiffersAreNotShownEither: of entries that raft hands
// over together none is shown before all are, in case one of them is the one.
func TestEntriesBeforeTheOneThatDiffersAreNotShownEither(t *testing.T) {
	p := newPair(t, drifting("INC", "other"))
	entries := []machine.Entry{p.make(callOf("INC", "n")), p.make(callOf("PUT", "a", "1"))}
	p.verdict = func(machine.Divergence) error {
		if index := p.follower.machine.Meta().Index; index != 0 {
			t.Errorf("the state reflects %d while that of 1 is judged", index)
		}
		return errors.New("no")
	}
	if _, err := p.follower.machine.Apply(entries); err == nil || len(p.judged) != 1 {
		t.Errorf("Apply says %v, %d states were judged", err, len(p.judged))
	}
}

func TestAStateThatDiffersIsFoundAgainAfterAStart(t *testing.T) {
	p := newPair(t, drifting("INC", "other"))
	must(t, p.both(callOf("INC", "n")))
	must(t, p.follower.machine.Flush())
	p.follower.apply = nil
	p.follower.reopen(t)
	must(t, p.both(callOf("PUT", "a", "1")))
	if len(p.judged) != 1 || p.judged[0].Index != 1 || !strings.Contains(p.judged[0].Doing, "has started since") {
		t.Errorf("what was judged is %+v", p.judged)
	}
}

func TestAStateThatCameFromAnotherNodeIsComparedAnew(t *testing.T) {
	p := newPair(t, drifting("INC", "other"))
	must(t, p.both(callOf("INC", "n")))
	stream, err := p.leader.machine.View().Stream(1)
	must(t, err)
	p.follower.receive(t, stream)
	if here := p.follower.machine.Recall(1); !here.Known || here.Hash != p.leader.machine.Check().Hash {
		t.Errorf("of where the state stands %+v is known", here)
	}
	must(t, p.both(callOf("PUT", "a", "1")))
	if len(p.judged) != 0 {
		t.Errorf("a state that is right was judged: %+v", p.judged)
	}
	must(t, p.both(callOf("INC", "n")))
	must(t, p.both(callOf("PUT", "a", "2")))
	if len(p.judged) != 1 || p.judged[0].Index != 3 || p.judged[0].Same != 2 {
		t.Errorf("what was judged is %+v", p.judged)
	}
}

func TestWhatIsNotKnownAnyMoreIsNotCompared(t *testing.T) {
	c := newCopy(t, service, machine.DefaultLimits)
	defer c.close(t)
	const length = 16 << 10
	var entries []machine.Entry
	for range length + 10 {
		entries = append(entries, c.entry(t, nil, nil))
	}
	_, err := c.machine.Apply(entries)
	must(t, err)
	for index, known := range map[uint64]bool{0: false, 1: false, 10: false, 11: true, length: true, length + 10: true, length + 11: false, 2*length + 11: false} {
		if here := c.machine.Recall(index); here.Known != known || here.Since != 11 || here.Newest != length+10 {
			t.Errorf("of %d %+v is known", index, here)
		}
	}
	c.judge = func(d machine.Divergence) error { return errors.New(d.String()) }
	must(t, c.machine.Flush())
	c.reopen(t)
	for _, index := range []uint64{0, 1, length + 9, length + 1000} {
		check := entry.StateCheck{Index: index, Hash: 1}
		c.index++
		_, err := c.machine.Apply([]machine.Entry{{Index: c.index, Term: 1, Data: entry.Append(nil, entry.Header{Check: check}, nil)}})
		must(t, err)
	}
}

func TestTheTrailSaysWhatWroteLast(t *testing.T) {
	for _, c := range []struct {
		calls []quorate.Call
		doing string
	}{
		{nil, "no command ran"},
		{[]quorate.Call{callOf("GET", "a")}, "no command ran"},
		{[]quorate.Call{callOf("FAIL", "a")}, "FAIL ran last and wrote nothing here"},
		{[]quorate.Call{callOf("PUT", "a", "1"), callOf("FAIL", "a"), callOf("GET", "a")}, "PUT wrote last"},
		{[]quorate.Call{callOf("PUT", "a", "1"), callOf("INC", "a")}, "INC wrote last"},
		{[]quorate.Call{{Name: "NOW", ID: "x"}}, "NOW wrote last"}, // its answer is remembered
	} {
		f := newFeed(t, service, machine.DefaultLimits)
		f.apply(c.calls...)
		if here := f.copy.machine.Recall(1); here.Doing != c.doing {
			t.Errorf("%v: %s, want %s", c.calls, here.Doing, c.doing)
		}
	}
}

// TestEqualStatesAreNeverJudged lets followers apply what a leader makes, in
// groups, with starts, crashes and moves in between, and lets the leader change.
func TestEqualStatesAreNeverJudged(t *testing.T) {
	rng := random(t)
	leader, entries := newCopy(t, service, tight), []machine.Entry(nil)
	defer func() { leader.close(t) }()
	for _, e := range randomEntries(rng, 300) {
		header, calls, err := entry.Decode(e.Data)
		must(t, err)
		if rng.IntN(10) > 0 {
			header.Check = leader.machine.Check()
		}
		e.Data = entry.Append(nil, header, calls)
		entries = append(entries, e)
		applyTo(t, leader, []machine.Entry{e}, map[uint64][]string{})
		if rng.IntN(40) == 0 {
			must(t, leader.machine.Flush())
			leader.reopen(t)
		}
	}
	follower := newCopy(t, service, tight)
	defer func() { follower.close(t) }()
	judged := 0
	follower.judge = func(d machine.Divergence) error {
		judged++
		t.Errorf("%v", d)
		return nil
	}
	follower.reopen(t)
	for applied := 0; applied < len(entries); {
		n := applied + 1 + rng.IntN(min(len(entries)-applied, 20))
		applyTo(t, follower, entries[applied:n], map[uint64][]string{})
		applied = n
		switch rng.IntN(10) {
		case 0:
			must(t, follower.machine.Flush())
		case 1:
			follower.reopen(t)
			// The log brings again what was not durable.
			applied, _ = slices.BinarySearchFunc(entries, follower.machine.Meta().Index+1, func(e machine.Entry, index uint64) int {
				return int(e.Index) - int(index)
			})
		case 2:
			follower.move(t)
		}
	}
	if follower.machine.Meta() != leader.machine.Meta() {
		t.Errorf("the leader came to %+v, the follower to %+v", leader.machine.Meta(), follower.machine.Meta())
	}
	mustJudgeOneBit(t, rng, follower, &judged)
}

// mustJudgeOneBit shows that a copy compares: one bit of the hash makes it ask.
func mustJudgeOneBit(t *testing.T, rng *rand.Rand, c *copied, judged *int) {
	t.Helper()
	found := false
	c.judge = func(machine.Divergence) error {
		found = true
		return nil
	}
	must(t, c.machine.Flush())
	c.reopen(t)
	check := c.machine.Check()
	check.Hash ^= 1 << rng.IntN(64)
	_, err := c.machine.Apply([]machine.Entry{{Index: check.Index + 1, Term: 9, Data: entry.Append(nil, entry.Header{Check: check}, nil)}})
	must(t, err)
	if !found {
		t.Errorf("another hash at %d was not judged; %d were", check.Index, *judged)
	}
}

// TestACommandCanBeRunTwice runs each command, takes it back and runs it again:
// the state and the answers are those of one run.
func TestACommandCanBeRunTwice(t *testing.T) {
	rng := random(t)
	entries := randomEntries(rng, 300)
	once, again := newCopy(t, service, tight), newCopy(t, service, tight)
	again.apply = twice(t)
	again.reopen(t)
	want := inGroups(t, rng, once, entries, func() {})
	got := inGroups(t, rng, again, entries, func() {})
	if got.meta != want.meta || got.content != want.content {
		t.Errorf("run twice %+v with content %x, run once %+v with %x", got.meta, got.content, want.meta, want.content)
	}
	for index, replies := range want.replies {
		if !slices.Equal(got.replies[index], replies) {
			t.Errorf("entry %d is answered %q, run once %q", index, got.replies[index], replies)
		}
	}
	once.close(t)
	again.close(t)
}

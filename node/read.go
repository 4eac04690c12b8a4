package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/consensus"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/readindex"
)

const (
	// lagMax is how long a read waits for a state that is behind that of the
	// leader, before it is passed on to the leader. A follower that keeps up
	// is there in less than it takes to sync a disk.
	lagMax = 250 * time.Millisecond
	// refreshMax bounds how long a read that tolerates age waits for news from
	// the leader, where the copy is older than that. It is more than a round
	// between continents.
	refreshMax = 300 * time.Millisecond
)

// read answers queries from the state of this node as soon as that is new
// enough, or passes them on to the leader if that takes long.
func (n *Node) read(ctx context.Context, c *core, calls []quorate.Call, changed <-chan struct{}) []quorate.Reply {
	if tolerated := tolerance(calls); tolerated > 0 {
		return n.readAged(ctx, c, calls, tolerated)
	}
	confirmed, err := n.refresh(ctx, c)
	if err == nil && confirmed.Clock.IsZero() {
		return n.readLeading(ctx, c, calls)
	}
	if err == nil {
		replies, overdue := n.machine.Read(calls, confirmed.Clock)
		if !overdue {
			return replies
		}
		err = errOverdue
	}
	if errors.Is(err, errBehind) || errors.Is(err, errOverdue) {
		if leader := c.group.Leader(); leader.ID != "" && !c.group.Leads() {
			return n.forward(ctx, leader, calls, changed)
		}
	}
	return refuse(make([]quorate.Reply, len(calls)), asUnavailable(err))
}

// readLeading answers queries on a leader that was confirmed. Where they meet
// a key whose end has come by its clock, log time goes there first: what one
// reader saw to be gone must be gone for every later leader, whatever its clock.
func (n *Node) readLeading(ctx context.Context, c *core, calls []quorate.Call) []quorate.Reply {
	clock := n.clock.Now()
	replies, overdue := n.machine.Read(calls, clock)
	if !overdue {
		return replies
	}
	if err := n.reach(ctx, c, clock); err != nil {
		// A query changes nothing, whatever became of it.
		return refuse(make([]quorate.Reply, len(calls)), quorate.Errorf(quorate.Unavailable, "a key has ended, and the log does not say so yet: %v", err))
	}
	// Log time is there, in the state of this node.
	if replies, overdue = n.machine.Read(calls, clock); overdue {
		return refuse(make([]quorate.Reply, len(calls)), errOverdue)
	}
	return replies
}

// tolerance is the age that all of the calls tolerate.
func tolerance(calls []quorate.Call) time.Duration {
	least := calls[0].Read
	for _, call := range calls {
		least = min(least, call.Read)
	}
	return time.Duration(least)
}

// errOverdue says that a key has ended by the clock of the leader, and not yet
// in the state of this node.
var errOverdue = quorate.Errorf(quorate.Unavailable, "a key has ended by the clock of the leader, which has not said so in the log yet")

// errBehind says that the state of this node did not get in time to where that
// of the leader is.
var errBehind = quorate.Errorf(quorate.Unavailable, "the state of this node has not caught up with the leader")

func asUnavailable(err error) error {
	if _, ok := errors.AsType[*quorate.Error](err); ok {
		return err
	}
	return quorate.Errorf(quorate.Unavailable, "%v", err)
}

// refresh returns without an error once the state of this node reflects all
// that was acknowledged before refresh was called.
func (n *Node) refresh(ctx context.Context, c *core) (readindex.Confirmed, error) {
	rounds := c.follow
	if c.group.Leads() {
		rounds = c.reads
	}
	confirmed, err := rounds.Index(ctx)
	if err != nil {
		return confirmed, err
	}
	if n.machine.Mark().Index() < confirmed.Index && !n.catchUp(ctx, confirmed.Index) {
		return confirmed, errBehind
	}
	n.fresh.note(confirmed)
	return confirmed, nil
}

// catchUp waits until the state reflects the log up to index, and says whether
// it got there in time.
func (n *Node) catchUp(ctx context.Context, index uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, lagMax)
	defer cancel()
	return n.machine.Mark().Wait(ctx, index) == nil
}

// readAged answers queries from the state as it is, if that is not older than
// they tolerate. It asks the leader for news only if it is.
func (n *Node) readAged(ctx context.Context, c *core, calls []quorate.Call, tolerated time.Duration) []quorate.Reply {
	var failed error
	if asked := n.fresh.newest().Asked; asked.IsZero() || time.Since(asked) > tolerated {
		ctx, cancel := context.WithTimeout(ctx, refreshMax)
		defer cancel()
		_, failed = n.refresh(ctx, c)
	}
	// Taken before the read: while it runs, the state may go on and news of it
	// come, which the read has not seen.
	newest := n.fresh.newest()
	asked := newest.Asked
	// What is overdue may be shown: nobody had been told that it is gone.
	replies, _ := n.machine.Read(calls, newest.Clock)
	// And counted after it: this node may have been paused while it read.
	age := time.Since(asked)
	if asked.IsZero() || age > tolerated {
		return refuse(make([]quorate.Reply, len(calls)), tooOld(age, !asked.IsZero(), tolerated, failed))
	}
	for i := range replies {
		replies[i].Age = age
	}
	return replies
}

func tooOld(age time.Duration, known bool, tolerated time.Duration, why error) error {
	text := "the age of this copy is not known"
	if known {
		text = fmt.Sprintf("this copy may be %v old, more than the %v that are tolerated", age.Round(time.Millisecond), tolerated)
	}
	if why != nil {
		text += ": " + why.Error()
	}
	return quorate.Errorf(quorate.TooOld, "%s", text)
}

// freshness says how old a state may be. No clock but that of this node takes
// part, and of that only how much time passes.
type freshness struct {
	// mu guards confirmed.
	mu sync.Mutex
	// confirmed is what came of the last round whose index the state reflects:
	// it reflects all that was acknowledged before it was asked.
	confirmed readindex.Confirmed
}

// note takes down a round whose index the state reflects.
func (f *freshness) note(confirmed readindex.Confirmed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if confirmed.Asked.After(f.confirmed.Asked) {
		f.confirmed = confirmed
	}
}

// newest is the newest of those rounds; zero if there was none.
func (f *freshness) newest() readindex.Confirmed {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.confirmed
}

// askLeader is the question of a follower: up to where does the state of the
// confirmed leader reflect the log? It is not waited for once there may be
// another leader.
func (n *Node) askLeader(ctx context.Context) (readindex.Answer, error) {
	changed := n.changed()
	c := n.core.Load()
	leader := c.group.Leader()
	if leader.ID == "" {
		return readindex.Answer{}, noLeader()
	}
	answer, err := n.send(ctx, leader, peer.Control, kindIndex, nil, changed)
	if err != nil {
		return readindex.Answer{}, quorate.Errorf(quorate.Unavailable, "the leader did not answer: %v", err)
	}
	said, commit, err := decodeIndex(answer)
	if err != nil {
		return readindex.Answer{}, quorate.Errorf(quorate.Unavailable, "the leader answered what this node does not understand: %v", err)
	}
	if n.machine.Mark().Index() < said.Index {
		c.group.Learn(leader, commit)
	}
	return said, nil
}

// serveIndex answers the question of a follower, if this node leads.
func (n *Node) serveIndex(_ context.Context, _ peer.Member, _ []byte, reply func([]byte, error)) {
	if !n.calls.add() {
		reply(nil, closed())
		return
	}
	n.passed.Go(func() {
		defer n.calls.remove()
		reply(n.index())
	})
}

// index is up to where the state of this node reflects the log, after it was
// confirmed as the leader.
func (n *Node) index() ([]byte, error) {
	c := n.core.Load()
	if c == nil {
		return nil, forming()
	}
	if err := c.reads.Confirm(n.hurry); err != nil {
		return nil, err
	}
	answer := readindex.Answer{Index: n.machine.Mark().Index(), Clock: n.clock.Now()}
	commit, err := c.group.Commit()
	return encodeIndex(answer, commit), err
}

// The answer to the question of a follower is four uvarints: the index that
// the leader's state reflects, its commit index with the term, and what log time
// would be, in unix nanoseconds.
func encodeIndex(answer readindex.Answer, commit consensus.Commit) []byte {
	body := binary.AppendUvarint(nil, answer.Index)
	body = binary.AppendUvarint(body, commit.Term)
	body = binary.AppendUvarint(body, commit.Index)
	return binary.AppendUvarint(body, uint64(answer.Clock.UnixNano()))
}

func decodeIndex(body []byte) (answer readindex.Answer, commit consensus.Commit, err error) {
	var clock uint64
	for _, into := range []*uint64{&answer.Index, &commit.Term, &commit.Index, &clock} {
		value, size := binary.Uvarint(body)
		if size <= 0 {
			return readindex.Answer{}, consensus.Commit{}, errors.New("it ends too early")
		}
		*into, body = value, body[size:]
	}
	if len(body) > 0 {
		return readindex.Answer{}, consensus.Commit{}, fmt.Errorf("it has %d bytes too many", len(body))
	}
	answer.Clock = time.Unix(0, int64(clock))
	return answer, commit, nil
}

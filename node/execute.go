package node

import (
	"context"
	"slices"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/batch"
	"github.com/quorate/quorate/internal/entry"
)

const (
	// defaultTimeout bounds a call whose context has no deadline.
	defaultTimeout = 5 * time.Second
	// retryMin and retryMax bound the wait before a call that was surely not
	// applied is tried again. A change of leader ends it early.
	retryMin = 10 * time.Millisecond
	retryMax = 200 * time.Millisecond
	// partBytesMax bounds what of a slice is tried at once. It fits a frame
	// between nodes.
	partBytesMax = 4 << 20
)

// Execute implements quorate.Executor. A context without a deadline gets one
// of about 5 s. Calls that were surely not applied, because there was no leader or
// it changed, are tried again until then; so are those of which that is not
// known if they carry an id.
func (n *Node) Execute(ctx context.Context, calls []quorate.Call) []quorate.Reply {
	if !n.calls.add() {
		return refuse(make([]quorate.Reply, len(calls)), closed())
	}
	defer n.calls.remove()
	if _, ok := ctx.Deadline(); !ok {
		bounded, done := n.deadlines.Within(ctx, defaultTimeout)
		defer done()
		ctx = bounded
	}
	sound, refused := n.check(calls)
	return refused.among(n.persist(ctx, sound))
}

func closed() *quorate.Error { return quorate.Errorf(quorate.Unavailable, "the node is closing") }

// refuse answers every call with one error.
func refuse(replies []quorate.Reply, err error) []quorate.Reply {
	for i := range replies {
		replies[i] = quorate.Reply{Err: err}
	}
	return replies
}

// refusals are the calls of a slice that are not well formed, with their
// positions in it, which rise. There are mostly none.
type refusals []refusal

type refusal struct {
	position int
	err      error
}

// check finds out which calls are not well formed, and returns the others under
// the names of their operations. If it is all of them under these names already,
// as from a door, that is the slice itself.
func (n *Node) check(calls []quorate.Call) (sound []quorate.Call, refused refusals) {
	sound = calls
	same := true
	for i := range calls {
		op, err := quorate.Engine().Check(n.service, calls[i])
		if same && err == nil && calls[i].Name == op.Name() {
			continue
		}
		if same {
			same, sound = false, append(make([]quorate.Call, 0, len(calls)), calls[:i]...)
		}
		if err != nil {
			refused = append(refused, refusal{i, err})
			continue
		}
		call := calls[i]
		call.Name = op.Name()
		sound = append(sound, call)
	}
	return sound, refused
}

// among is the replies to a whole slice, by those to its other calls.
func (refused refusals) among(replies []quorate.Reply) []quorate.Reply {
	if len(refused) == 0 {
		return replies
	}
	all := make([]quorate.Reply, 0, len(replies)+len(refused))
	for _, r := range refused {
		before := r.position - len(all)
		all = append(all, replies[:before]...)
		all, replies = append(all, quorate.Reply{Err: r.err}), replies[before:]
	}
	return append(all, replies...)
}

// persist tries calls in their order until each has an answer that stays or
// ctx ends.
func (n *Node) persist(ctx context.Context, calls []quorate.Call) []quorate.Reply {
	var (
		replies []quorate.Reply
		// doubted says of a call that an attempt at it may yet take effect.
		doubted []bool
		wait    = retryMin
	)
	for len(calls) > 0 {
		changed := n.changed()
		tried := calls[:part(calls)]
		answered := n.try(ctx, tried, changed)
		if replies == nil {
			if n.settle(tried, answered) == len(calls) {
				return answered // at the first attempt, as nearly always
			}
			replies, doubted = make([]quorate.Reply, 0, len(calls)), make([]bool, len(calls))
		}
		n.suspect(tried, answered, doubted)
		settled := n.settle(tried, answered)
		replies, calls, doubted = append(replies, answered[:settled]...), calls[settled:], doubted[settled:]
		switch {
		case settled > 0 && quorate.OutcomeUnknown(answered[settled-1].Err):
			// The call may still take effect. Those behind it must not
			// overtake it.
			return append(replies, untried(doubted, "it is not known whether the call before it was applied")...)
		case settled == len(answered):
			wait = retryMin
		case !n.pause(ctx, changed, wait):
			replies = append(replies, answered[settled:]...)
			return append(replies, untried(doubted[len(answered)-settled:], "there was no time left after the calls before it")...)
		default:
			wait = min(2*wait, retryMax)
		}
	}
	return replies
}

// untried answers calls that are not tried, or not again.
func untried(doubted []bool, why string) []quorate.Reply {
	replies := refuse(make([]quorate.Reply, len(doubted)), quorate.Errorf(quorate.Unavailable, "not tried: %s", why))
	for i := range replies {
		if doubted[i] {
			replies[i].Err = &quorate.Error{Code: quorate.Unavailable, Outcome: quorate.Unknown,
				Message: "it is not known whether the call was applied, and it was not tried again: " + why}
		}
	}
	return replies
}

// suspect takes down which attempts may yet take effect, and corrects answers to
// calls of which an earlier one may: that the last attempt was surely not
// applied says nothing of the one before.
func (n *Node) suspect(calls []quorate.Call, replies []quorate.Reply, doubted []bool) {
	for i, r := range replies {
		switch {
		case quorate.OutcomeUnknown(r.Err):
			doubted[i] = doubted[i] || n.writes(calls[i])
		case doubted[i] && !remembered(r):
			replies[i].Err = &quorate.Error{Code: quorate.CodeOf(r.Err), Outcome: quorate.Unknown,
				Message: "it is not known whether an earlier attempt was applied; the last was not: " + r.Err.Error()}
		}
	}
}

// remembered says that a reply is what all attempts at a call come to: its
// first answer, or that it has none because its id belongs to another call.
// Without an index it did not get as far as the log; and the log refuses a call
// for lack of room too, which it does not remember.
func remembered(r quorate.Reply) bool {
	code := quorate.CodeOf(r.Err)
	return r.Err == nil || r.Index > 0 && code != quorate.Overloaded && code != quorate.TooLarge
}

// part is how many of the first calls are tried at once.
func part(calls []quorate.Call) int {
	size := 0
	for i := range calls {
		if size += entry.CallBytes(calls[i]); i > 0 && size > partBytesMax || i == entry.CallsMax {
			return i
		}
	}
	return len(calls)
}

// settle is how many of the first replies stay. Those behind it are the last
// ones, and all of calls that may be tried again: nothing was done with them, or
// doing it again changes nothing. To try a call again that stands before one
// which took effect would be to do that one twice.
func (n *Node) settle(calls []quorate.Call, replies []quorate.Reply) int {
	stay := len(replies)
	for stay > 0 && (untouched(replies[stay-1]) || lost(replies[stay-1]) && n.repeatable(calls[stay-1])) {
		stay--
	}
	return stay
}

// lost says that it is not known what came of a call.
func lost(r quorate.Reply) bool {
	return r.Index == 0 && quorate.CodeOf(r.Err) == quorate.Unavailable && quorate.OutcomeUnknown(r.Err)
}

// repeatable says that to run a call again is to run it once.
func (n *Node) repeatable(call quorate.Call) bool { return call.ID != "" || !n.writes(call) }

// untouched says that a call got no further than to a node which could not
// serve it. A command may answer with the same code, but its answer has an index.
func untouched(r quorate.Reply) bool {
	return r.Index == 0 && quorate.CodeOf(r.Err) == quorate.Unavailable && !quorate.OutcomeUnknown(r.Err)
}

// pause waits before calls are tried again. It is false when there is no time
// left, or no node.
func (n *Node) pause(ctx context.Context, changed <-chan struct{}, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-n.ctx.Done():
	case <-changed:
	case <-timer.C:
	}
	return ctx.Err() == nil && n.ctx.Err() == nil
}

// changed is closed when there may be another leader; never before there is a
// cluster.
func (n *Node) changed() <-chan struct{} {
	if c := n.core.Load(); c != nil {
		return c.group.Changed()
	}
	return nil
}

// try answers calls once: queries alone from the state of this node, all else
// on the leader, by passing them on to it if that is another node.
func (n *Node) try(ctx context.Context, calls []quorate.Call, changed <-chan struct{}) []quorate.Reply {
	c := n.core.Load()
	if c == nil {
		return refuse(make([]quorate.Reply, len(calls)), forming())
	}
	if !n.anyWrites(calls) {
		known, unknown := n.knownQueries(calls)
		if known == 0 {
			return completed(nil, len(calls), unknown)
		}
		return completed(n.read(ctx, c, calls[:known], changed), len(calls), unknown)
	}
	if c.group.Leads() {
		return n.propose(ctx, c, calls)
	}
	leader := c.group.Leader()
	if leader.ID == "" {
		return refuse(make([]quorate.Reply, len(calls)), noLeader())
	}
	return n.forward(ctx, leader, calls, changed)
}

func forming() *quorate.Error {
	return quorate.Errorf(quorate.Unavailable, "the cluster has not formed yet: not all of its first members have seen each other")
}

func noLeader() *quorate.Error {
	return quorate.Errorf(quorate.Unavailable, "there is no leader: a majority of the members must be up and see each other")
}

// lead answers calls on the leader. Queries alone are answered from the state
// once this node is confirmed as the leader; as soon as a command is among
// them they go through the log with it, in their order.
func (n *Node) lead(ctx context.Context, c *core, calls []quorate.Call) []quorate.Reply {
	if n.anyWrites(calls) {
		return n.propose(ctx, c, calls)
	}
	if err := c.reads.Confirm(ctx); err != nil {
		return refuse(make([]quorate.Reply, len(calls)), err)
	}
	known, unknown := n.knownQueries(calls)
	return completed(n.readLeading(ctx, c, calls[:known]), len(calls), unknown)
}

// propose puts calls into the log.
func (n *Node) propose(ctx context.Context, c *core, calls []quorate.Call) []quorate.Reply {
	// Only in a term that is open has this node applied what was stamped
	// before, so that its clock goes on from there.
	if _, err := c.group.Leading(); err != nil {
		return refuse(make([]quorate.Reply, len(calls)), err)
	}
	known, unknown := n.known(calls)
	return completed(c.batch.Do(ctx, calls[:known]), len(calls), unknown)
}

func (n *Node) anyWrites(calls []quorate.Call) bool { return slices.ContainsFunc(calls, n.writes) }

func (n *Node) writes(call quorate.Call) bool {
	op, ok := quorate.Engine().Lookup(n.service, call)
	return ok && op.Writes()
}

// unavailable is the error of calls that were passed on and not answered.
func (n *Node) unavailable(calls []quorate.Call, sent bool, err error) error {
	if sent && n.anyWrites(calls) {
		return &quorate.Error{Code: quorate.Unavailable, Outcome: quorate.Unknown,
			Message: "it is not known whether the call was applied: " + err.Error()}
	}
	return quorate.Errorf(quorate.Unavailable, "the leader did not answer: %v", err)
}

// The calls of one part must fit one entry of the batcher's queue.
const _ = uint(partBytesMax - batch.EntryBytesMax)

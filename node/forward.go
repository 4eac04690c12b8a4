package node

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/consensus"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/peer"
)

// The kinds of frames of this room.
const (
	kindHello peer.Kind = consensus.KindsEnd + iota
	kindExecute
	kindStatus
	kindIndex
	kindClock
	kindHash
	kindVocabulary
)

// Calls on their way to the leader are a uvarint of the milliseconds that are
// left, then entry.AppendCalls. The answer is entry.AppendReplies.

const (
	// forwardMax bounds the time that another node may ask for.
	forwardMax = time.Minute
	// answerBytesMax bounds the answers to calls that were passed on, below
	// what a frame carries.
	answerBytesMax = 15 << 20
	// lostBytesMax is more than what stands for an answer that did not fit: a
	// code, a sentence and an index.
	lostBytesMax = 128
)

// There is room for a slice of which every answer is lost.
const _ = uint(answerBytesMax - entry.CallsMax*lostBytesMax)

// serve lets other nodes reach this one. It is called before the port starts.
func (n *Node) serve() {
	n.port.Handle(peer.Probe, kindHello, n.serveHello)
	n.port.Handle(peer.Calls, kindExecute, n.serveExecute)
	n.port.Handle(peer.Control, kindStatus, n.serveStatus)
	n.port.Handle(peer.Control, kindIndex, n.serveIndex)
	n.port.Handle(peer.Control, kindClock, n.serveClock)
	n.port.Handle(peer.Control, kindHash, n.serveHash)
	n.port.Handle(peer.Control, kindVocabulary, n.serveVocabulary)
}

// forward passes calls on to the leader. It is never done twice with a command
// without an id that may have arrived. What may be done twice is not waited for
// once there may be another leader: this one may be paused.
func (n *Node) forward(ctx context.Context, leader peer.Member, calls []quorate.Call, changed <-chan struct{}) []quorate.Reply {
	left := time.Until(ends(ctx))
	if left <= 0 || ctx.Err() != nil {
		return refuse(make([]quorate.Reply, len(calls)), quorate.Errorf(quorate.Unavailable, "the deadline passed before the call could be passed on to the leader"))
	}
	body := binary.AppendUvarint(nil, uint64(max(left.Milliseconds(), 1)))
	body = entry.AppendCalls(body, calls)
	for _, call := range calls {
		if !n.repeatable(call) {
			changed = nil
		}
	}
	answer, err := n.send(ctx, leader, peer.Calls, kindExecute, body, changed)
	if err != nil {
		return refuse(make([]quorate.Reply, len(calls)), n.unavailable(calls, !errors.Is(err, peer.ErrUnsent), err))
	}
	replies, err := entry.ReadReplies(answer)
	if err == nil && len(replies) != len(calls) {
		err = fmt.Errorf("%d answers came to %d calls", len(replies), len(calls))
	}
	if err != nil {
		return refuse(make([]quorate.Reply, len(calls)), n.unavailable(calls, true, err))
	}
	return replies
}

// send asks another node and waits for the answer, until ctx ends or there may
// be another leader; changed may be nil.
func (n *Node) send(ctx context.Context, to peer.Member, lane peer.Lane, kind peer.Kind, body []byte, changed <-chan struct{}) ([]byte, error) {
	if changed == nil {
		return n.port.Call(ctx, to, lane, kind, body)
	}
	var looking sync.WaitGroup
	defer looking.Wait()
	ctx, give := context.WithCancelCause(ctx)
	defer give(nil)
	looking.Go(func() {
		select {
		case <-changed:
			give(errLeaderChanged)
		case <-ctx.Done():
		}
	})
	answer, err := n.port.Call(ctx, to, lane, kind, body)
	if err != nil && errors.Is(context.Cause(ctx), errLeaderChanged) && !errors.Is(err, peer.ErrUnsent) {
		err = errLeaderChanged
	}
	return answer, err
}

var errLeaderChanged = errors.New("the leader changed meanwhile")

// ends is that of a context which has one: Execute sees to it.
func ends(ctx context.Context) time.Time {
	t, _ := ctx.Deadline()
	return t
}

// serveExecute answers calls that another node passed on, if this one leads.
// It does not pass them on again.
func (n *Node) serveExecute(_ context.Context, _ peer.Member, body []byte, reply func([]byte, error)) {
	if !n.calls.add() {
		reply(n.refusal(body), nil)
		return
	}
	n.passed.Go(func() {
		defer n.calls.remove()
		reply(n.executeFor(body), nil)
	})
}

// executeFor runs calls as the leader and returns the answer to the node that
// passed them on.
func (n *Node) executeFor(body []byte) []byte {
	calls, left, err := readForwarded(body)
	if err != nil {
		return entry.AppendReplies(nil, []quorate.Reply{{Err: quorate.Errorf(quorate.Internal, "read calls: %v", err)}})
	}
	// The caller may be gone by then, but its calls are in the log.
	ctx, cancel := context.WithTimeout(n.hurry, left)
	defer cancel()
	// The other node checked them, perhaps with another version of the
	// service; what reaches the log is checked by the one that puts it there.
	sound, refused := n.check(calls)
	within, older := n.within(calls, refused)
	if older != nil {
		sound, refused = n.check(calls[:within])
	}
	replies := completed(refused.among(n.tryHere(ctx, sound)), len(calls), older)
	return answerOf(replies, n.anyWrites(calls))
}

// tryHere answers calls if this node leads.
func (n *Node) tryHere(ctx context.Context, calls []quorate.Call) []quorate.Reply {
	c := n.core.Load()
	if c == nil || !c.group.Leads() {
		err := quorate.Errorf(quorate.Unavailable, "the node they were passed on to does not lead")
		if c != nil {
			err.Leader = c.group.Leader().Addr
		}
		return refuse(make([]quorate.Reply, len(calls)), err)
	}
	return n.lead(ctx, c, calls)
}

// answerOf is replies as bytes. Answers that do not fit are left out, from the
// first on for which there is no room: their calls took effect, but what they
// said is lost.
func answerOf(replies []quorate.Reply, writes bool) []byte {
	body := entry.AppendReplies(nil, replies)
	if len(body) <= answerBytesMax {
		return body
	}
	size, fit := 0, 0
	for size += len(entry.AppendReply(nil, replies[0])); size+lostBytesMax*(len(replies)-fit) <= answerBytesMax; fit++ {
		size += len(entry.AppendReply(nil, replies[fit+1]))
	}
	lost := quorate.Errorf(quorate.TooLarge, "the answer is too large to be passed on by the leader")
	if writes {
		lost.Outcome = quorate.Unknown
	}
	for i := fit; i < len(replies); i++ {
		replies[i] = quorate.Reply{Index: replies[i].Index, Err: lost}
	}
	return entry.AppendReplies(nil, replies)
}

// refusal answers calls of a node that is closing.
func (n *Node) refusal(body []byte) []byte {
	calls, _, err := readForwarded(body)
	if err != nil {
		calls = make([]quorate.Call, 1)
	}
	return entry.AppendReplies(nil, refuse(make([]quorate.Reply, len(calls)), closed()))
}

func readForwarded(body []byte) ([]quorate.Call, time.Duration, error) {
	left, size := binary.Uvarint(body)
	if size <= 0 {
		return nil, 0, errors.New("they end too early")
	}
	calls, rest, err := entry.ReadCalls(body[size:])
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes behind the last call", len(rest))
	}
	return calls, time.Duration(min(left, uint64(forwardMax.Milliseconds()))) * time.Millisecond, err
}

// serveStatus answers how this node sees itself.
func (n *Node) serveStatus(_ context.Context, _ peer.Member, _ []byte, reply func([]byte, error)) {
	reply(json.Marshal(n.own()))
}

package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/machine"
	"github.com/quorate/quorate/internal/peer"
)

// States differ where a command did not do the same on each node, or where a
// disk or memory changed under one of them. Each entry says what the state of
// the leader came to before it was made, and the machine compares.
//
// A node whose state differs does not know whether it is wrong or the leader
// was. It applies nothing more and asks the other voters what their states came
// to at that index, which they tell from memory. Who is asked and has another
// hash asks in turn: so a leader hears of it too, to which its own entries say
// nothing.
//
//	a majority has the hash of this node   it goes on, and looks no more at what
//	                                       the leader of that term says
//	a majority has another one             it stops
//	too many have forgotten that index     it goes on, and asks again at the
//	                                       first that they know: it is far behind, and
//	                                       no linearizable read sees it before that
//	it stays open                          it stops, if an entry made it ask and
//	                                       some voter contradicts it: where nobody
//	                                       else can say, the leader is right
//
// There is no false alarm while states are equal: then no two hashes of one
// index are different.

// ErrDiverged is wrapped by the error of a node that stopped because its state
// is not that of the others.
var ErrDiverged = errors.New("the state of this node is not that of the others")

// errUndecided ends the applying of entries on a node that closes before it
// knows whether its state is right.
var errUndecided = errors.New("the node closes, and whether its state is right is not decided")

// disputes is what a node knows of states that differ.
type disputes struct {
	// odd is a term whose leader had a state that was not that of a majority;
	// what its entries say is worth nothing. Only judge touches it.
	odd uint64
	// since is from where on the others know their hashes: an entry that speaks
	// of an earlier index cannot be decided about. Only judge touches it.
	since uint64
	// asking holds one while the node asks, of its own accord or because it was
	// asked.
	asking chan struct{}
}

// stamp is what this node says on an entry that it makes as the leader.
func (n *Node) stamp() entry.Header {
	return entry.Header{Time: n.clock.Now(), Check: n.machine.Check()}
}

// judge decides about a state that is not that of a leader; see machine.Config.
func (n *Node) judge(d machine.Divergence) error {
	if d.Term == n.disputes.odd || d.Index < n.disputes.since {
		return nil
	}
	log := n.config.Log.With("index", d.Index, "here", hashText(d.Hash), "leader", hashText(d.Leader), "term", d.Term)
	log.Warn("the state of this node differs from that of a leader: the other voters are asked")
	select {
	case n.disputes.asking <- struct{}{}:
		defer func() { <-n.disputes.asking }()
	default: // it was asked before it got here
	}
	p, err := n.poll(n.hurry, question{d.Index, d.Hash}, true)
	if err != nil {
		return err
	}
	switch hash, ok := p.majority(); {
	case ok && hash == d.Hash:
		n.disputes.odd = d.Term
		log.Error("a leader had another state than a majority; this node has that of the majority, and goes on")
		n.confront(question{d.Index, d.Hash})
		return nil
	case ok:
		err = n.outvoted(d.String(), hash, p)
	case p.since > 0:
		n.disputes.since = p.since
		log.Warn("the other voters do not know their states at that index any more: they are asked again at a later one", "since", p.since)
		return nil
	default:
		err = fmt.Errorf("%w: %s, and no hash has a majority among the %d of %d voters that said theirs, so that of the leader counts; "+
			"if not all were up, start this node again when they are, and they decide", ErrDiverged, d, p.said(), p.voters)
	}
	// Here, so that it is told without what the rooms below put before it.
	n.fail(err)
	return err
}

// outvoted is the error of a node whose state is not that of a majority.
func (n *Node) outvoted(here string, hash uint64, p *poll) error {
	return fmt.Errorf("%w: %s; %d of %d voters have %s there: keep this node stopped, the others serve on, "+
		"and look for what that command does by anything but its arguments and the state", ErrDiverged, here, p.hashes[hash], p.voters, hashText(hash))
}

func hashText(hash uint64) string { return fmt.Sprintf("%016x", hash) }

// serveHash answers what the state of this node came to. It does not wait for
// the goroutine that applies, which may be asking itself.
func (n *Node) serveHash(_ context.Context, from peer.Member, body []byte, reply func([]byte, error)) {
	q, err := readQuestion(body)
	if err != nil {
		reply(nil, err)
		return
	}
	here := n.machine.Recall(q.index)
	reply(statementOf(q.index, here).append(nil), nil)
	if here.Known && here.Hash != q.hash {
		n.reconsider(q.index, here, from)
	}
}

// reconsider asks the other voters, because one of them has another hash than
// this node, and stops the node if a majority has. It returns at once.
func (n *Node) reconsider(index uint64, here machine.Recalled, from peer.Member) {
	select {
	case n.disputes.asking <- struct{}{}:
	default:
		return // it does so already
	}
	if !n.calls.add() {
		<-n.disputes.asking
		return
	}
	n.passed.Go(func() {
		defer func() { <-n.disputes.asking }()
		defer n.calls.remove()
		log := n.config.Log.With("index", index, "here", hashText(here.Hash), "node", from.ID)
		log.Warn("the state of another node differs from that of this one: the other voters are asked")
		p, err := n.poll(n.ctx, question{index, here.Hash}, false)
		if err != nil {
			return
		}
		switch hash, ok := p.majority(); {
		case ok && hash == here.Hash:
			log.Error("the state of another node is not that of a majority, and this one's is")
		case ok:
			n.fail(n.outvoted(fmt.Sprintf("at index %d, where %s, its hash is %s", index, here.Doing, hashText(here.Hash)), hash, p))
		default:
			log.Error("the states of the voters differ, and no majority has the same one")
		}
	})
}

// confront asks the leader what its state came to until it has heard it, or
// leads no more: a majority may have said enough before the leader was asked,
// and it is the one that has to know. It returns at once.
func (n *Node) confront(q question) {
	c := n.core.Load()
	leader := c.group.Leader()
	if leader.ID == "" || c.group.Leads() || !n.calls.add() {
		return
	}
	n.passed.Go(func() {
		defer n.calls.remove()
		for n.ctx.Err() == nil && c.group.Leader() == leader {
			if _, err := n.askHash(n.ctx, leader, q); err == nil {
				return
			}
			rest(n.ctx, pollMax)
		}
	})
}

// question is what a node asks another: this is what my state came to, what did
// yours? Its form is the index and the hash, u64 little-endian.
type question struct{ index, hash uint64 }

func (q question) append(dst []byte) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(dst, q.index), q.hash)
}

func readQuestion(body []byte) (question, error) {
	if len(body) != 16 {
		return question{}, errors.New("it asked what is no question about a state")
	}
	return question{binary.LittleEndian.Uint64(body), binary.LittleEndian.Uint64(body[8:])}, nil
}

// statement is the answer. Its form is what it is, a byte, and a number, u64
// little-endian.
type statement struct {
	what   byte
	number uint64
}

// What a statement may be.
const (
	saysHash  = 0 // the number is the hash
	saysLater = 1 // the state is not there yet; the number is where it is
	saysSince = 2 // it is not known any more; the number is from where on it is
)

// statementOf is what this node says of an index.
func statementOf(index uint64, here machine.Recalled) statement {
	switch {
	case here.Known:
		return statement{saysHash, here.Hash}
	case index > here.Newest:
		return statement{saysLater, here.Newest}
	}
	// An index that is not that of an entry with calls is never known.
	return statement{saysSince, max(here.Since, index+1)}
}

func (s statement) append(dst []byte) []byte {
	return binary.LittleEndian.AppendUint64(append(dst, s.what), s.number)
}

func readStatement(body []byte) (statement, error) {
	if len(body) != 9 || body[0] > saysSince {
		return statement{}, errors.New("it answered what is no statement about a state")
	}
	return statement{body[0], binary.LittleEndian.Uint64(body[1:])}, nil
}

// askHash asks one voter.
func (n *Node) askHash(ctx context.Context, voter peer.Member, q question) (statement, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answer, err := n.port.Call(ctx, voter, peer.Control, kindHash, q.append(nil))
	if err != nil {
		return statement{}, err
	}
	return readStatement(answer)
}

package node

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/vocabulary"
)

// A service gets new operations, and operations get further arguments, while
// its cluster runs: one node after the other is started with the newer program.
// Until all of them are, a call of the new operation must not get into the log,
// for a node that does not know it could only stop.
//
// So a leader that knows more than what is agreed asks all other members what
// they know. Once all of them have answered in one round, what they have in common
// goes into the log as an agreement, and with it into the state: each later
// leader knows it, although members are down by then. Whoever comes to it with a
// program that knows less stops, or does not start.
//
// What is not agreed yet is refused as surely not applied, so that callers wait
// for the rest of the upgrade, as they wait for a leader. Before the first
// agreement, in the first moments of a cluster or on the data of a program that
// knew none, everything is taken that no member is known not to know: a cluster must not
// stand still because one of its members died early.

const (
	// vocabularyInterval is how often the leader asks what the members know,
	// while it knows more than what is agreed.
	vocabularyInterval = time.Second
	// vocabularyTimeout bounds one round.
	vocabularyTimeout = time.Second
)

// hearsay is what is known of what the other members know.
type hearsay struct {
	// common is what this node knows, and all members that have said what they
	// know. It is nil until all have, or one round was made.
	common atomic.Pointer[vocabulary.Words]

	// mu guards told.
	mu sync.Mutex
	// told is what each member said last.
	told map[peer.NodeID]vocabulary.Words
	// logged is what was last logged as not known to all. Only widen touches it.
	logged string
}

func (h *hearsay) note(id peer.NodeID, words vocabulary.Words) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.told == nil {
		h.told = make(map[peer.NodeID]vocabulary.Words)
	}
	h.told[id] = words
}

// of is what a member said last.
func (h *hearsay) of(id peer.NodeID) (words vocabulary.Words, told bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	words, told = h.told[id]
	return words, told
}

// hear takes down what a member says that it knows, in bytes. A member with an
// older program says nothing.
func (n *Node) hear(id peer.NodeID, said []byte) error {
	words, err := vocabulary.Read(said)
	if err == nil {
		n.hearsay.note(id, words)
	}
	return err
}

// serveVocabulary tells another node what the program of this one knows.
func (n *Node) serveVocabulary(_ context.Context, _ peer.Member, _ []byte, reply func([]byte, error)) {
	reply(n.machine.Own().Append(nil), nil)
}

// widen sees to it that the members agree on what all of them know, while this
// node leads and knows more.
func (n *Node) widen(ctx context.Context, c *core) {
	if common, complete := n.common(); complete {
		n.hearsay.common.Store(&common) // told while the cluster formed
	}
	for ctx.Err() == nil {
		changed := c.group.Changed()
		var again <-chan time.Time
		if _, err := c.group.Leading(); err == nil && !n.machine.AgreedOnAll() {
			if err := n.agreeOnMore(ctx, c); err != nil {
				n.config.Log.Debug("the members could not agree on what all of them know", "error", err)
			}
			again = time.After(vocabularyInterval)
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-again:
		}
	}
}

// agreeOnMore makes one round, and puts what it came to into the log if that is
// more than what is agreed.
func (n *Node) agreeOnMore(ctx context.Context, c *core) error {
	silent := n.askVocabulary(ctx)
	common, _ := n.common()
	n.hearsay.common.Store(&common)
	if silent != nil {
		// What it said before it fell silent may be over: it may come back with
		// the program that it had before.
		return silent
	}
	n.logMissing(common)
	agreed := n.machine.Agreed()
	if agreed.Missing(common) == "" {
		return nil
	}
	if err := n.proposeAgreement(ctx, c, agreed.With(common)); err != nil {
		return err
	}
	n.config.Log.Info("the members agreed on what all of them know", "operations", len(n.machine.Agreed()))
	return nil
}

// logMissing says once what keeps an upgrade from its end.
func (n *Node) logMissing(common vocabulary.Words) {
	what := common.Missing(n.machine.Own())
	if what != "" && what != n.hearsay.logged {
		n.config.Log.Info("not all members know what this program knows; calls of it are refused until they do", "first", what)
	}
	n.hearsay.logged = what
}

// askVocabulary asks all other members at once what they know. The error says
// who has not answered.
func (n *Node) askVocabulary(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, vocabularyTimeout)
	defer cancel()
	others, known := n.others()
	if !known {
		return errors.New("this node does not know the members at the moment")
	}
	errs := make([]error, len(others))
	var asking sync.WaitGroup
	for i, m := range others {
		asking.Go(func() {
			said, err := n.port.Call(ctx, m, peer.Control, kindVocabulary, nil)
			if err == nil {
				err = n.hear(m.ID, said)
			}
			errs[i] = err
		})
	}
	asking.Wait()
	return errors.Join(errs...)
}

// proposeAgreement puts words into the log, and returns when they are in the
// state of this node or ctx ends.
func (n *Node) proposeAgreement(ctx context.Context, c *core, words vocabulary.Words) error {
	data := entry.AppendAgreement(nil, n.stamp(), words.Append(nil))
	done := make(chan error, 1)
	// It is awaited behind the group, which may wait for a majority until it is
	// closed.
	n.passed.Go(func() {
		_, err := c.group.Propose(data)
		done <- err
	})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// others is the other members, voters and not. They are not known where this node
// is not among the members that it knows.
func (n *Node) others() (others []peer.Member, known bool) {
	self := n.identity.Load().Node
	for _, m := range n.members() {
		if m.ID == self {
			known = true
			continue
		}
		others = append(others, m.Member)
	}
	return others, known
}

// common is what this node knows, and all members that have said what they
// know. It is complete if all of them have.
func (n *Node) common() (common vocabulary.Words, complete bool) {
	others, complete := n.others()
	common = n.machine.Own()
	for _, m := range others {
		words, told := n.hearsay.of(m.ID)
		if told {
			common = common.Common(words)
		}
		complete = complete && told
	}
	return common, complete
}

package consensus

import (
	"context"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/peer"
)

// Commit is what the leader of a term knows of its log: a majority has stored
// it up to Index, and the entry there is of this term.
type Commit struct{ Term, Index uint64 }

// Committed is up to where the log is committed, as this node knows it, and
// durable here. It implements readindex.Quorum.
func (g *Group) Committed() uint64 {
	if i := g.current.Load(); i != nil {
		return g.config.WAL.Durable(i.raft.CommitIndex())
	}
	return 0
}

// Commit is up to where the log is committed, as this node knows it as a leader
// whose term is open.
func (g *Group) Commit() (Commit, error) {
	term, err := g.Leading()
	if err != nil {
		return Commit{}, err
	}
	commit := Commit{Term: term, Index: g.Committed()}
	// What a leader appends is of its term, and its opening entry is
	// committed. So the entry at the commit index is of this term too, if the
	// node led it all the while.
	if now, err := g.Leading(); err != nil || now != term {
		return Commit{}, quorate.Errorf(quorate.Unavailable, "the leader changed meanwhile")
	}
	return commit, nil
}

// Applied returns nil once the state reflects the log up to an index that
// Committed told while this node led an open term. It implements
// readindex.Quorum.
func (g *Group) Applied(ctx context.Context, index uint64) error {
	// What comes behind the opening entry of a term is commands and
	// configurations, and each of them is seen to be applied.
	if index <= g.barrier.Load() || g.done.Wait(ctx, index) == nil {
		return nil
	}
	return quorate.Errorf(quorate.Unavailable, "the state of the leader did not catch up with its log in time")
}

// Learn lets raft know what the leader knows to be committed, as soon as the
// entries are here. Raft tells its followers with the next entries only, or
// after a while, and a reader would wait for that.
func (g *Group) Learn(leader peer.Member, commit Commit) {
	if i := g.current.Load(); i != nil {
		i.transport.learn(&learned{leader, commit})
	}
}

// learned is what a leader said of its log.
type learned struct {
	from peer.Member
	Commit
}

// learn takes down what a leader said, and tells raft.
func (t *transport) learn(l *learned) {
	known := t.learned.Load()
	if known == nil || known.Term < l.Term || known.Term == l.Term && known.Index < l.Index {
		t.learned.Store(l)
	}
	t.tell()
}

// tell lets raft know what was learned, if the entries are here and raft does
// not know yet that they are committed. It is called whenever either may have
// become true.
//
// What raft gets is what its leader could have sent: an append without entries
// behind the entry at the commit index. Raft takes it in turn, compares the
// term of that entry with its own log, and goes by it only if they agree.
func (t *transport) tell() {
	l, progress := t.learned.Load(), t.progress.Load()
	if l == nil || progress == nil {
		return
	}
	if committed, last := (*progress)(); committed >= l.Index || last < l.Index || !t.learned.CompareAndSwap(l, nil) {
		return
	}
	told := &raft.AppendEntriesRequest{
		RPCHeader: headerOf(l.from), Term: l.Term,
		PrevLogEntry: l.Index, PrevLogTerm: l.Term, LeaderCommitIndex: l.Index,
	}
	t.await(func() {
		select {
		case t.consumer <- raft.RPC{Command: told, RespChan: make(chan raft.RPCResponse, 1)}: // nobody reads the answer
		case <-t.ctx.Done():
		}
	})
}

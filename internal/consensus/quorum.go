package consensus

import (
	"context"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/peer"
)

// Leading is the term that this node leads and in which an entry of its own
// was applied. It implements readindex.Quorum.
func (g *Group) Leading() (uint64, error) {
	i := g.current.Load()
	if i == nil {
		return 0, quorate.Errorf(quorate.Unavailable, "this node takes no part in the cluster at the moment")
	}
	// An entry that could not be applied lets the barrier behind it pass.
	if err := g.Err(); err != nil {
		return 0, quorate.Errorf(quorate.Unavailable, "this node stops: %v", err)
	}
	opened := g.opened.Load()
	if i.raft.State() != raft.Leader {
		return 0, &quorate.Error{Code: quorate.Unavailable, Message: "this node is not the leader", Leader: g.leaderAddr()}
	}
	if i.raft.CurrentTerm() != opened {
		return 0, quorate.Errorf(quorate.Unavailable, "this node became the leader a moment ago and is not ready yet")
	}
	return opened, nil
}

// Voters is the other voters of the newest configuration. It implements
// readindex.Quorum.
func (g *Group) Voters() []string {
	var ids []string
	for _, other := range g.Others() {
		ids = append(ids, string(other.ID))
	}
	return ids
}

// Others is all other voters of the newest configuration, with their addresses.
func (g *Group) Others() []peer.Member {
	var others []peer.Member
	for _, s := range g.servers() {
		if s.Suffrage == raft.Voter && s.ID != raft.ServerID(g.config.Self.ID) {
			others = append(others, to(s.ID, s.Address))
		}
	}
	return others
}

// Confirm asks a voter whether it knows no later term. It implements
// readindex.Quorum.
func (g *Group) Confirm(ctx context.Context, voter string, term uint64) error {
	for _, s := range g.servers() {
		if string(s.ID) == voter {
			return g.confirm(ctx, to(s.ID, s.Address), term)
		}
	}
	return fmt.Errorf("node %s is not a member any more", voter)
}

func (g *Group) confirm(ctx context.Context, voter peer.Member, term uint64) error {
	answer, err := g.config.Wire.port.Call(ctx, voter, peer.Control, kindConfirm, encodeTerm(term))
	if err != nil {
		return err
	}
	known, err := decodeTerm(answer)
	if err == nil && known > term {
		err = fmt.Errorf("node %s knows term %d", voter.ID, known)
	}
	return err
}

// servers is the newest configuration.
func (g *Group) servers() []raft.Server {
	i := g.current.Load()
	if i == nil {
		return nil
	}
	// This future is answered when it is made.
	f := i.raft.GetConfiguration()
	if f.Error() != nil {
		return nil
	}
	return f.Configuration().Servers
}

// Member is one member of the group.
type Member struct {
	peer.Member
	Voter bool
}

// Members is the members of the newest configuration that this node knows.
func (g *Group) Members() []Member {
	var members []Member
	for _, s := range g.servers() {
		members = append(members, Member{to(s.ID, s.Address), s.Suffrage == raft.Voter})
	}
	return members
}

// Role is what raft does.
type Role uint8

// The roles of a node.
const (
	Stopped Role = iota
	Follower
	Candidate
	Leader
)

// Status is where this node stands.
type Status struct {
	Role          Role
	Term          uint64
	Leader        peer.Member
	CommitIndex   uint64
	LastIndex     uint64
	FirstIndex    uint64
	SnapshotIndex uint64
	// Behind is how many committed entries raft has not handed on to the
	// state yet.
	Behind uint64
}

// Status is where this node stands.
func (g *Group) Status() Status {
	i := g.current.Load()
	if i == nil {
		return Status{}
	}
	s := Status{
		Role: role(i.raft.State()), Term: i.raft.CurrentTerm(), Leader: g.Leader(),
		CommitIndex: g.config.WAL.Durable(i.raft.CommitIndex()), LastIndex: i.raft.LastIndex(), FirstIndex: g.config.WAL.FirstIndex(),
		SnapshotIndex: g.config.State.index(),
	}
	if handed := i.raft.AppliedIndex(); handed < s.CommitIndex {
		s.Behind = s.CommitIndex - handed
	}
	return s
}

func role(state raft.RaftState) Role {
	switch state {
	case raft.Follower:
		return Follower
	case raft.Candidate:
		return Candidate
	case raft.Leader:
		return Leader
	}
	return Stopped
}

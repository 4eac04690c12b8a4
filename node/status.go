package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/consensus"
	"github.com/quorate/quorate/internal/peer"
)

// Role is what a node does in its cluster at the moment.
type Role string

// The roles of a node.
const (
	Forming   Role = "forming"   // waits until the first members see each other
	Follower  Role = "follower"  // follows a leader, or waits for one
	Candidate Role = "candidate" // asks for votes
	Leader    Role = "leader"    // orders the log
	Stopped   Role = "stopped"   // does not run any more
)

// Status is how a node sees itself and its cluster. Its JSON form is the
// answer of GET /v1/status.
type Status struct {
	ID      string `json:"id"`      // of the node, for ever
	Cluster string `json:"cluster"` // id of the cluster; empty while it forms
	Service string `json:"service"`
	Peer    string `json:"peer"` // address of the peer port
	Role    Role   `json:"role"`
	Term    uint64 `json:"term"`
	// Leader is the id of the leader, empty while there is none.
	Leader string `json:"leader"`
	// LeaderPeer is the peer address of the leader.
	LeaderPeer string `json:"leader_peer"`
	// AppliedIndex is the last entry with calls that the state reflects.
	AppliedIndex uint64 `json:"applied_index"`
	// CommitIndex is up to where a majority has stored the log, as far as
	// this node knows.
	CommitIndex uint64 `json:"commit_index"`
	// LastIndex is the last entry in the log of this node.
	LastIndex uint64 `json:"last_index"`
	// FirstIndex is the oldest entry that was not cut.
	FirstIndex uint64 `json:"first_index"`
	// SnapshotIndex is where the newest snapshot stands.
	SnapshotIndex uint64 `json:"snapshot_index"`
	// StateHash is a hash over all that was ever applied, in order. Nodes
	// with the same AppliedIndex have the same StateHash.
	StateHash string `json:"state_hash"`
	// Members is every member, this node among them, as each answered within
	// a moment.
	Members []Member `json:"members"`
}

// Voters counts the members of which a majority stores each write; 1 while
// there is no cluster yet.
func (n *Node) Voters() int {
	if c := n.core.Load(); c != nil {
		return 1 + len(c.group.Others())
	}
	return 1
}

// Member is one member of the cluster as seen from another.
type Member struct {
	ID    string `json:"id"`
	Peer  string `json:"peer"`
	Voter bool   `json:"voter"`
	// Reached says that the member answered; what follows is empty if not.
	Reached      bool   `json:"reached"`
	Role         Role   `json:"role,omitempty"`
	Term         uint64 `json:"term,omitempty"`
	AppliedIndex uint64 `json:"applied_index,omitempty"`
	// Lag is how many entries the member's state is behind the newest of
	// those that answered.
	Lag uint64 `json:"lag"`
	// StateHash goes with AppliedIndex.
	StateHash string `json:"state_hash,omitempty"`
	// Error says why the member was not reached.
	Error string `json:"error,omitempty"`
}

// statusTimeout bounds how long Status waits for the other members.
const statusTimeout = 300 * time.Millisecond

// Status is how the node sees itself and its cluster. It asks the other
// members, and waits for them no longer than 300 ms.
func (n *Node) Status(ctx context.Context) Status {
	s := n.own()
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	members := n.members()
	s.Members = make([]Member, len(members))
	var asking sync.WaitGroup
	for i, m := range members {
		asking.Go(func() { s.Members[i] = n.look(ctx, m, s) })
	}
	asking.Wait()
	newest := s.AppliedIndex
	for _, m := range s.Members {
		newest = max(newest, m.AppliedIndex)
	}
	for i := range s.Members {
		if m := &s.Members[i]; m.Reached {
			m.Lag = newest - m.AppliedIndex
		}
	}
	return s
}

// own is the status without the other members.
func (n *Node) own() Status {
	id, meta := n.identity.Load(), n.machine.Meta()
	s := Status{
		ID: string(id.Node), Cluster: id.Cluster, Service: id.Service, Peer: id.Peer, Role: Forming,
		AppliedIndex: meta.Index, StateHash: fmt.Sprintf("%016x", meta.Hash),
	}
	c := n.core.Load()
	if c == nil {
		return s
	}
	g := c.group.Status()
	s.Role = roleOf(g.Role)
	s.Term, s.Leader, s.LeaderPeer = g.Term, string(g.Leader.ID), g.Leader.Addr
	s.CommitIndex, s.LastIndex, s.FirstIndex, s.SnapshotIndex = g.CommitIndex, g.LastIndex, g.FirstIndex, g.SnapshotIndex
	return s
}

func roleOf(role consensus.Role) Role {
	switch role {
	case consensus.Follower:
		return Follower
	case consensus.Candidate:
		return Candidate
	case consensus.Leader:
		return Leader
	}
	return Stopped
}

// look asks one member how it sees itself.
func (n *Node) look(ctx context.Context, m consensus.Member, own Status) Member {
	seen := Member{ID: string(m.ID), Peer: m.Addr, Voter: m.Voter}
	if seen.ID != own.ID {
		answer, err := n.port.Call(ctx, m.Member, peer.Control, kindStatus, nil)
		if err == nil {
			err = json.Unmarshal(answer, &own)
		}
		if err != nil {
			seen.Error = err.Error()
			return seen
		}
	}
	seen.Reached = true
	seen.Role, seen.Term, seen.AppliedIndex, seen.StateHash = own.Role, own.Term, own.AppliedIndex, own.StateHash
	return seen
}

// ContentHash is a hash over every key and value of the state, found by
// reading all of it, and the index of the last entry that the state reflects.
// Nodes whose states are equal have equal hashes.
func (n *Node) ContentHash(ctx context.Context) (hash string, index uint64, err error) {
	if err := n.ctx.Err(); err != nil {
		return "", 0, n.stopped()
	}
	if !n.calls.add() {
		return "", 0, n.stopped()
	}
	defer n.calls.remove()
	view := n.machine.View()
	sum, err := view.ContentHash()
	err = errors.Join(err, view.Close())
	return fmt.Sprintf("%016x", sum), view.Meta().Index, err
}

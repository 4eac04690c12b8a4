package consensus

import (
	"context"
	"reflect"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/peer"
)

// RefusedSince makes a group believe that raft has refused entries since then,
// because of a transfer of leadership.
func (g *Group) RefusedSince(since time.Time) { g.refused.Store(since.UnixNano()) }

// Transfer lets raft hand over leadership, as often as it is called.
func (g *Group) Transfer() error {
	i := g.current.Load()
	return i.await(i.raft.LeadershipTransfer())
}

// Questions returns a function which takes out what waits for the goroutines that
// replicate in the term that this node leads, so that those who wait go on. Raft
// must stand still when Questions is called.
func (g *Group) Questions() (take func()) {
	leading := reflect.ValueOf(g.current.Load().raft).Elem().FieldByName("leaderState").FieldByName("replState")
	var waiting []reflect.Value
	for _, follower := range leading.Seq2() {
		field := follower.Elem().FieldByName("triggerDeferErrorCh")
		waiting = append(waiting, reflect.NewAt(field.Type(), field.Addr().UnsafePointer()).Elem())
	}
	return func() {
		for _, questions := range waiting {
			for questions.Len() > 0 {
				questions.TryRecv()
				synctest.Wait()
			}
		}
	}
}

// Remember makes raft remember a snapshot at index and term as its newest. Raft
// must stand still.
func (g *Group) Remember(index, term uint64) {
	memory := reflect.ValueOf(g.current.Load().raft).Elem().FieldByName("raftState")
	for name, n := range map[string]uint64{"lastSnapshotIndex": index, "lastSnapshotTerm": term} {
		*(*uint64)(memory.FieldByName(name).Addr().UnsafePointer()) = n
	}
}

// AddLearner adds a member that has no vote.
func (g *Group) AddLearner(m peer.Member) error {
	return g.current.Load().raft.AddNonvoter(raft.ServerID(m.ID), raft.ServerAddress(m.Addr), 0, 0).Error()
}

// AskForVote asks a node for its vote in a term.
func AskForVote(ctx context.Context, port *peer.Port, to peer.Member, term, lastIndex, lastTerm uint64) (granted bool, err error) {
	answer, err := port.Call(ctx, to, peer.Control, kindVote, encodeVote(term, lastIndex, lastTerm, false))
	if err != nil {
		return false, err
	}
	_, granted, err = decodeFlagged(answer)
	return granted, err
}

// TimeOutNow tells a node to stand for election.
func TimeOutNow(ctx context.Context, port *peer.Port, to peer.Member) error {
	_, err := port.Call(ctx, to, peer.Control, kindTimeoutNow, encode(0).body)
	return err
}

// Append sends entries to a node as their leader does.
func Append(ctx context.Context, port *peer.Port, to peer.Member, req *raft.AppendEntriesRequest) (success bool, err error) {
	answer, err := port.Call(ctx, to, peer.Log, kindAppend, encodeAppend(req))
	if err != nil {
		return false, err
	}
	var resp raft.AppendEntriesResponse
	err = decodeAppended(answer, &resp)
	return resp.Success, err
}

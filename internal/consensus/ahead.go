package consensus

import (
	"github.com/hashicorp/raft"
)

// A leader sends its entries to the followers while its own disk syncs them:
// section 10.2.1 of Ongaro's thesis. Raft knows nothing of it. Its log says that
// they are stored when they are written, and raft counts the leader among those
// who have them. So what raft takes for committed may be durable on one node
// less than a majority, until the leader's disk is done, and nobody may see it
// before that:
//
//   - Entries are applied, and thereby answered and read, when they are durable
//     here (fsm.ApplyBatch).
//   - No other node hears of a commit index that is not durable here (bound), and
//     no reader of this one does (Group.Committed).
//   - A node that leads no more tells the next leader of no entry that it has
//     before that is durable (transport.append).
//   - Only commands are stored ahead. Raft goes by a configuration, and by the
//     opening entry of a term, without asking the state.
//
// An entry that was seen is then durable on a majority, as before. One that was
// not, and that the leader's disk loses in a crash, is one that nobody was
// promised. The leader's vote does not come in between: while it runs it has the
// entry and refuses whoever has it not, and a node that does not run any more
// has shown it to nobody.

// ahead says that entries may be sent before they are durable here, and that
// there is somebody to send them to.
func (g *Group) ahead() bool { return g.Leads() && len(g.Others()) > 0 }

// commands says that entries are nothing but commands.
func commands(logs []*raft.Log) bool {
	for _, entry := range logs {
		if entry.Type != raft.LogCommand {
			return false
		}
	}
	return true
}

// bound keeps from a follower what is committed but not durable here.
func (t *transport) bound(req *raft.AppendEntriesRequest) {
	req.LeaderCommitIndex = t.stable.log.Durable(req.LeaderCommitIndex)
}

// settled returns once all that is in the log is durable.
func (t *transport) settled() error {
	log := t.stable.log
	return log.WaitDurable(log.LastIndex())
}

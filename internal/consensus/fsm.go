package consensus

import (
	"errors"
	"io"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/machine"
)

// fsm is the machine as raft wants it.
type fsm struct{ group *Group }

// applied is what ApplyBatch answers for one entry.
type applied struct {
	replies []quorate.Reply
	err     error
}

// ApplyBatch implements raft.BatchingFSM. It receives configurations too,
// which raft wants to see applied before it takes a snapshot.
func (f fsm) ApplyBatch(logs []*raft.Log) []any {
	answers := make([]any, len(logs))
	entries := make([]machine.Entry, 0, len(logs))
	for _, log := range logs {
		if log.Type == raft.LogCommand {
			entries = append(entries, machine.Entry{Index: log.Index, Term: log.Term, Data: log.Data})
		}
	}
	if len(entries) == 0 {
		f.group.done.Advance(logs[len(logs)-1].Index)
		return answers
	}
	replies, err := f.apply(entries)
	if err == nil {
		f.group.done.Advance(logs[len(logs)-1].Index)
	}
	for i, log := range logs {
		switch {
		case log.Type != raft.LogCommand:
		case err != nil:
			answers[i] = applied{err: err}
		default:
			answers[i] = applied{replies: replies[0]}
			replies = replies[1:]
		}
	}
	return answers
}

// apply applies entries once they are durable, unless the node is stopping: what
// comes behind an entry that could not be applied must not be applied either.
func (f fsm) apply(entries []machine.Entry) ([][]quorate.Reply, error) {
	if err := f.group.Err(); err != nil {
		return nil, err
	}
	if err := f.group.config.WAL.WaitDurable(entries[len(entries)-1].Index); err != nil {
		f.group.fail(err)
		return nil, err
	}
	replies, err := f.group.config.Machine.Apply(entries)
	if err != nil {
		f.group.fail(err)
	}
	return replies, err
}

// Apply implements raft.FSM.
func (f fsm) Apply(log *raft.Log) any { return f.ApplyBatch([]*raft.Log{log})[0] }

// Snapshot implements raft.FSM. It notes where the state stands; Persist makes
// it durable, beside further entries.
func (f fsm) Snapshot() (raft.FSMSnapshot, error) {
	if err := f.group.Err(); err != nil {
		return nil, err
	}
	return snapshot{f.group.config.State, f.group.config.Machine.Meta().Index}, nil
}

// Restore implements raft.FSM: the state that came with the newest snapshot
// becomes the state.
func (f fsm) Restore(source io.ReadCloser) error {
	index, term, err := f.group.config.State.takeOver()
	if errors.Is(err, errStale) {
		return err // nothing was changed
	}
	if err == nil {
		err = f.group.reconcile(index, term)
	}
	if err != nil {
		f.group.fail(err)
		return err
	}
	return source.Close()
}

// snapshot is a snapshot of this node in the making.
type snapshot struct {
	state *State
	floor uint64
}

// Persist implements raft.FSMSnapshot. Only when it and the sink are done does
// raft cut the log.
func (s snapshot) Persist(to raft.SnapshotSink) error {
	if err := s.state.flush(); err != nil {
		return err
	}
	to.(*sink).note.floor = s.floor
	return nil
}

// Release implements raft.FSMSnapshot.
func (s snapshot) Release() {}

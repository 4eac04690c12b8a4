package consensus

import (
	"errors"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate"
)

// outcome says what became of an entry that raft answered with err. It is the
// one place where errors of raft get an outcome:
//
//	ErrNotLeader                     not_applied  raft did not take the entry: it
//	ErrLeadershipTransferInProgress  not_applied  is in no log and never will be
//	ErrEnqueueTimeout                not_applied  (raft gives it to who sets a
//	                                              time to take it, which Propose
//	                                              does not)
//	ErrLeadershipLost                unknown      it is in the log of this node,
//	                                              perhaps of a majority
//	ErrRaftShutdown                  unknown      raft gives it to entries that it
//	                                              did not take and to some that it
//	                                              has committed
//	ErrAbortedByRestore              unknown      comes of raft.Restore alone, which
//	                                              nobody calls
//	a write that failed              unknown      what is on the disk is not known
//	the machine could not apply it   unknown      it is committed, and another
//	                                              program may be able to
//
// Whatever is not in the table is unknown.
func outcome(err error, leader string) *quorate.Error {
	refused := func(why string) *quorate.Error {
		return &quorate.Error{Code: quorate.Unavailable, Leader: leader, Message: why}
	}
	open := func(why string) *quorate.Error {
		return &quorate.Error{Code: quorate.Unavailable, Outcome: quorate.Unknown, Leader: leader,
			Message: "it is not known whether the call was applied: " + why}
	}
	switch {
	case errors.Is(err, raft.ErrNotLeader):
		return refused("this node is not the leader")
	case errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return refused("this node is handing leadership over to another one")
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return refused("this node is too busy to take the call")
	case errors.Is(err, raft.ErrLeadershipLost):
		return open("this node stopped being the leader before a majority was known to have it")
	case errors.Is(err, raft.ErrRaftShutdown):
		return open("this node stopped taking part in the cluster meanwhile")
	}
	return open(err.Error())
}

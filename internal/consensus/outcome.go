package consensus

import (
	"errors"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate"
)

// refusals is every error with which raft says that it did not take an entry.
// Any other leaves open whether the entry is in the log, and it may yet be
// applied: leadership that was lost while it was replicated, a shutdown, a
// write that failed.
var refusals = []error{
	raft.ErrNotLeader,
	raft.ErrEnqueueTimeout,
	raft.ErrLeadershipTransferInProgress,
}

// outcome says what became of an entry that raft answered with err. It is the
// one place where errors of raft get an outcome.
func outcome(err error, leader string) *quorate.Error {
	for _, refusal := range refusals {
		if errors.Is(err, refusal) {
			return &quorate.Error{Code: quorate.Unavailable, Leader: leader, Message: "this node is not the leader: " + err.Error()}
		}
	}
	return &quorate.Error{Code: quorate.Unavailable, Outcome: quorate.Unknown, Leader: leader,
		Message: "it is not known whether the call was applied: " + err.Error()}
}

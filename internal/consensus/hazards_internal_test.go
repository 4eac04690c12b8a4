package consensus

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// TestRaftIsNeverAskedToRestoreCommittedEntries is H7.
//
// With RestoreCommittedLogs raft hands committed entries on before anybody takes
// them: NewRaft waits for ever behind 128 batches. And it passes over committed
// configurations, so that a node may come back without members. The state is on
// disk here and needs none of it. The log does not implement what raft wants for
// it either, so raft would refuse to start.
func TestRaftIsNeverAskedToRestoreCommittedEntries(t *testing.T) {
	g := &Group{config: Config{ElectionTimeout: time.Second}}
	if g.raftConfig().RestoreCommittedLogs {
		t.Error("raft is asked to restore committed entries")
	}
	if _, ok := any(new(logStore)).(raft.CommitTrackingLogStore); ok {
		t.Error("the log tells raft what is committed")
	}
}

// TestNoLogOfOthersIsInTheModule is H8: raft-boltdb and raft-wal do not build
// with raft v1.8.0, and neither would do (raft-wal does not open on Windows). The
// log is our own. There is nothing to switch off: with one of them in the module,
// it would not compile.
func TestNoLogOfOthersIsInTheModule(t *testing.T) {
	sums, err := os.ReadFile("../../go.sum") // names every module that any other asks for
	mustSucceed(t, err)
	for _, other := range []string{"raft-boltdb", "raft-wal", "raft-mdb"} {
		if strings.Contains(string(sums), other) {
			t.Errorf("%s is in the module", other)
		}
	}
	if !strings.Contains(string(sums), "github.com/hashicorp/raft v1.8.0 h1:") {
		t.Error("raft is not v1.8.0: look at its hazards again")
	}
}

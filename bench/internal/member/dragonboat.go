package member

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/logger"
	"github.com/lni/dragonboat/v4/statemachine"

	"github.com/quorate/quorate/bench/internal/loop"
)

const (
	dragonboatShard = 1
	// dragonboatTimeout is how long a proposal may take. The library wants
	// every one to have a limit.
	dragonboatTimeout = 10 * time.Second
)

// dragonboatMember is a host with one shard whose state is a map in memory, as
// the examples of the library have it. Its defaults sync the log before they
// answer. It takes no snapshots, which is its default, too, and the cheapest.
type dragonboatMember struct {
	host *dragonboat.NodeHost
	id   uint64
}

func openDragonboat(c Config) (member, error) {
	for _, name := range []string{"raft", "rsm", "transport", "grpc", "logdb", "dragonboat"} {
		logger.GetLogger(name).SetLevel(logger.ERROR)
	}
	host, err := dragonboat.NewNodeHost(config.NodeHostConfig{
		NodeHostDir:    c.Dir,
		RTTMillisecond: 200,
		RaftAddress:    c.Peers[c.ID],
	})
	if err != nil {
		return nil, fmt.Errorf("open the host of node %d: %w", c.ID, err)
	}
	m := dragonboatMember{host: host, id: uint64(c.ID + 1)}
	first := make(map[uint64]dragonboat.Target)
	for i, addr := range c.Peers {
		first[uint64(i+1)] = addr
	}
	err = host.StartReplica(first, false, newTable, config.Config{
		ReplicaID:    m.id,
		ShardID:      dragonboatShard,
		ElectionRTT:  10,
		HeartbeatRTT: 1,
		CheckQuorum:  true,
	})
	if err != nil {
		host.Close()
		return nil, fmt.Errorf("start the replica of node %d: %w", c.ID, err)
	}
	return m, nil
}

func (m dragonboatMember) leads() bool {
	leader, _, known, err := m.host.GetLeaderID(dragonboatShard)
	return err == nil && known && leader == m.id
}

func (m dragonboatMember) writer(random *rand.Rand, keys int) loop.Call {
	session := m.host.GetNoOPSession(dragonboatShard)
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, dragonboatTimeout)
		defer cancel()
		_, err := m.host.SyncPropose(ctx, session, []byte(key(random, keys)+value))
		return err
	}
}

func (m dragonboatMember) refused(err error) bool {
	return errors.Is(err, dragonboat.ErrSystemBusy) || errors.Is(err, dragonboat.ErrShardNotReady)
}

func (m dragonboatMember) close() { m.host.Close() }

// table is the state: what was written, by key.
type table struct{ values map[string]string }

func newTable(uint64, uint64) statemachine.IStateMachine {
	return &table{values: make(map[string]string)}
}

// Update stores a value. An entry is the key and then the value, whose length
// is known.
func (t *table) Update(e statemachine.Entry) (statemachine.Result, error) {
	split := len(e.Cmd) - len(value)
	t.values[string(e.Cmd[:split])] = string(e.Cmd[split:])
	return statemachine.Result{Value: uint64(len(e.Cmd))}, nil
}

// Lookup returns the value under a key.
func (t *table) Lookup(key any) (any, error) { return t.values[key.(string)], nil }

// SaveSnapshot writes the whole table.
func (t *table) SaveSnapshot(to io.Writer, _ statemachine.ISnapshotFileCollection, _ <-chan struct{}) error {
	return gob.NewEncoder(to).Encode(t.values)
}

// RecoverFromSnapshot reads it back.
func (t *table) RecoverFromSnapshot(from io.Reader, _ []statemachine.SnapshotFile, _ <-chan struct{}) error {
	return gob.NewDecoder(from).Decode(&t.values)
}

// Close does nothing: the table is in memory.
func (t *table) Close() error { return nil }

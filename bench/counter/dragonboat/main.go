// Command dragonboat is the counter on dragonboat: add n to a named counter,
// exactly, durable, on three nodes, over HTTP. The counters are a map in memory,
// which a start makes again of a snapshot and the log.
//
//	dragonboat 0 data-directory peer0,peer1,peer2 http0,http1,http2
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/statemachine"
)

const shard = 1

func main() {
	id, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	host, err := open(id, os.Args[2], strings.Split(os.Args[3], ","))
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("POST /add", func(w http.ResponseWriter, r *http.Request) { serve(w, r, host) })
	log.Fatal(http.ListenAndServe(strings.Split(os.Args[4], ",")[id], nil))
}

func open(id int, dir string, peers []string) (*dragonboat.NodeHost, error) {
	host, err := dragonboat.NewNodeHost(config.NodeHostConfig{NodeHostDir: dir, RTTMillisecond: 100, RaftAddress: peers[id]})
	if err != nil {
		return nil, err
	}
	first := make(map[uint64]dragonboat.Target)
	for i, peer := range peers {
		first[uint64(i+1)] = peer
	}
	return host, host.StartReplica(first, false, newCounters, config.Config{
		ReplicaID: uint64(id + 1), ShardID: shard, ElectionRTT: 10, HeartbeatRTT: 1, CheckQuorum: true,
		SnapshotEntries: 10_000, CompactionOverhead: 5_000,
	})
}

// add is a call, in a request and in the log.
type add struct {
	Name string `json:"name"`
	N    int64  `json:"n"`
}

func serve(w http.ResponseWriter, r *http.Request, host *dragonboat.NodeHost) {
	var call add
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	command, err := json.Marshal(call)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	result, err := host.SyncPropose(ctx, host.GetNoOPSession(shard), command)
	if err == nil && len(result.Data) > 0 {
		err = fmt.Errorf("%s", result.Data)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]int64{"value": int64(result.Value)}) // the caller has gone
}

// counters is the state machine.
type counters struct{ sums map[string]int64 }

func newCounters(uint64, uint64) statemachine.IStateMachine {
	return &counters{sums: make(map[string]int64)}
}

// Update implements statemachine.IStateMachine. An error of its own would end the
// process; what the caller is to be told is in the result.
func (c *counters) Update(entry statemachine.Entry) (statemachine.Result, error) {
	var call add
	if err := json.Unmarshal(entry.Cmd, &call); err != nil {
		return statemachine.Result{}, err
	}
	was := c.sums[call.Name]
	if call.N > 0 && was > math.MaxInt64-call.N || call.N < 0 && was < math.MinInt64-call.N {
		return statemachine.Result{Data: []byte("the sum does not fit 64 bits")}, nil
	}
	c.sums[call.Name] = was + call.N
	return statemachine.Result{Value: uint64(was + call.N)}, nil
}

// Lookup implements statemachine.IStateMachine.
func (c *counters) Lookup(name any) (any, error) { return c.sums[name.(string)], nil }

// SaveSnapshot implements statemachine.IStateMachine.
func (c *counters) SaveSnapshot(to io.Writer, _ statemachine.ISnapshotFileCollection, _ <-chan struct{}) error {
	return json.NewEncoder(to).Encode(c.sums)
}

// RecoverFromSnapshot implements statemachine.IStateMachine.
func (c *counters) RecoverFromSnapshot(from io.Reader, _ []statemachine.SnapshotFile, _ <-chan struct{}) error {
	c.sums = nil
	return json.NewDecoder(from).Decode(&c.sums)
}

// Close implements statemachine.IStateMachine.
func (c *counters) Close() error { return nil }

// Command hashicorp is the counter on hashicorp/raft, by hand: add n to a named
// counter, exactly, durable, on three nodes, over HTTP. The counters are a map in
// memory, which a start makes again of a snapshot and the log; a node that does not
// lead passes a request on to the one that does.
//
//	hashicorp 0 data-directory peer0,peer1,peer2 http0,http1,http2
package main

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"math"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

func main() {
	id, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	group, err := open(id, os.Args[2], strings.Split(os.Args[3], ","))
	if err != nil {
		log.Fatal(err)
	}
	addrs := strings.Split(os.Args[4], ",")
	http.HandleFunc("POST /add", func(w http.ResponseWriter, r *http.Request) { serve(w, r, group, addrs) })
	log.Fatal(http.ListenAndServe(addrs[id], nil))
}

func open(id int, dir string, peers []string) (*raft.Raft, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	store, err := raftboltdb.NewBoltStore(filepath.Join(dir, "raft.db"))
	if err != nil {
		return nil, err
	}
	snapshots, err := raft.NewFileSnapshotStore(dir, 2, os.Stderr)
	if err != nil {
		return nil, err
	}
	transport, err := raft.NewTCPTransport(peers[id], nil, 3, 10*time.Second, os.Stderr)
	if err != nil {
		return nil, err
	}
	config := raft.DefaultConfig()
	config.LocalID = raft.ServerID(strconv.Itoa(id))
	group, err := raft.NewRaft(config, &counters{sums: make(map[string]int64)}, store, store, snapshots, transport)
	if err != nil {
		return nil, err
	}
	var members raft.Configuration
	for i, peer := range peers {
		members.Servers = append(members.Servers, raft.Server{ID: raft.ServerID(strconv.Itoa(i)), Address: raft.ServerAddress(peer)})
	}
	if err := group.BootstrapCluster(members).Error(); err != nil && !errors.Is(err, raft.ErrCantBootstrap) {
		return nil, err
	}
	return group, nil
}

// add is a call, in a request and in the log.
type add struct {
	Name string `json:"name"`
	N    int64  `json:"n"`
}

func serve(w http.ResponseWriter, r *http.Request, group *raft.Raft, addrs []string) {
	if group.State() != raft.Leader {
		forward(w, r, group, addrs)
		return
	}
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
	applied := group.Apply(command, 5*time.Second)
	err = applied.Error()
	if err == nil {
		err, _ = applied.Response().(error)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]int64{"value": applied.Response().(int64)}) // the caller has gone
}

// forward passes a request on to the leader, once: what comes back is answered.
func forward(w http.ResponseWriter, r *http.Request, group *raft.Raft, addrs []string) {
	_, leader := group.LeaderWithID()
	id, err := strconv.Atoi(string(leader))
	if err != nil || r.Header.Get("Forwarded") != "" {
		http.Error(w, "there is no leader", http.StatusServiceUnavailable)
		return
	}
	r.Header.Set("Forwarded", "by=follower")
	httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addrs[id]}).ServeHTTP(w, r)
}

// counters is the state machine. The library calls its Apply and its Snapshot one
// after the other.
type counters struct{ sums map[string]int64 }

// Apply implements raft.FSM. An error is a result: the library knows no other.
func (c *counters) Apply(entry *raft.Log) any {
	var call add
	if err := json.Unmarshal(entry.Data, &call); err != nil {
		return err
	}
	was := c.sums[call.Name]
	if call.N > 0 && was > math.MaxInt64-call.N || call.N < 0 && was < math.MinInt64-call.N {
		return errors.New("the sum does not fit 64 bits")
	}
	c.sums[call.Name] = was + call.N
	return was + call.N
}

// Snapshot implements raft.FSM. The bytes are made here, for Apply goes on while
// they are written.
func (c *counters) Snapshot() (raft.FSMSnapshot, error) {
	sums, err := json.Marshal(c.sums)
	return snapshot(sums), err
}

// Restore implements raft.FSM.
func (c *counters) Restore(from io.ReadCloser) error {
	defer from.Close()
	c.sums = nil
	return json.NewDecoder(from).Decode(&c.sums)
}

// snapshot is the counters at one moment.
type snapshot []byte

// Persist implements raft.FSMSnapshot.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(s); err != nil {
		_ = sink.Cancel() // the first error counts
		return err
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (s snapshot) Release() {}

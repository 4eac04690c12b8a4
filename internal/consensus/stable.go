package consensus

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/quorate/quorate/internal/wal"
)

// The keys under which raft keeps its term and vote.
const (
	keyTerm      = "CurrentTerm"
	keyVoteTerm  = "LastVoteTerm"
	keyCandidate = "LastVoteCand"
)

// stableStore is the term and the vote as raft wants them.
//
// Raft writes a vote in two steps, the term and then the candidate. A crash
// between them would leave the new term with the old candidate, who would then
// get the vote without a look at its log. So the first step is kept in memory
// and the second writes both as one record.
//
// It also is the gate of the fast path for heartbeats, see steady.
type stableStore struct {
	log     *wal.Log
	running *atomic.Bool
	// votedTerm is the first step of a vote, not yet written.
	votedTerm uint64

	// changing is held while the term changes. Heartbeats share it, and
	// never wait for it.
	changing sync.RWMutex
	// term is the durable current term. It changes only while changing is
	// held.
	term atomic.Uint64
}

func newStableStore(log *wal.Log, running *atomic.Bool) *stableStore {
	s := &stableStore{log: log, running: running}
	s.term.Store(log.Vote().Term)
	return s
}

// steady runs f while term is the current term and cannot change. It returns
// false without running f if the term is another or is about to change.
//
// Raft handles heartbeats on the goroutine of the connection, beside its main
// goroutine, and both write the term. In here that is harmless: the handler
// can only write the term that is there already.
func (s *stableStore) steady(term uint64, f func()) bool {
	if !s.changing.TryRLock() {
		return false
	}
	defer s.changing.RUnlock()
	if s.term.Load() != term {
		return false
	}
	f()
	return true
}

// SetUint64 implements raft.StableStore.
func (s *stableStore) SetUint64(key []byte, n uint64) error {
	switch string(key) {
	case keyTerm:
		return s.setTerm(n)
	case keyVoteTerm:
		s.votedTerm = n
		return nil
	}
	return fmt.Errorf("raft stores a number under an unknown key %q", key)
}

// setTerm makes a term durable. A term never goes back.
func (s *stableStore) setTerm(term uint64) error {
	// Equal first and without the lock: a heartbeat that runs in steady ends
	// up here and shares the lock already.
	if term == s.term.Load() {
		return nil
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	if term < s.term.Load() {
		return fmt.Errorf("raft goes back from term %d to %d", s.term.Load(), term)
	}
	vote := s.log.Vote()
	vote.Term = term
	if err := s.save(vote); err != nil {
		return err
	}
	s.term.Store(term)
	return nil
}

// Set implements raft.StableStore.
func (s *stableStore) Set(key, value []byte) error {
	if string(key) != keyCandidate {
		return fmt.Errorf("raft stores bytes under an unknown key %q", key)
	}
	vote := s.log.Vote()
	vote.VotedTerm, vote.Candidate = s.votedTerm, value
	return s.save(vote)
}

// save writes the record. Raft panics where its term cannot be saved; its
// goroutine ends instead, and the group stops because the log failed.
func (s *stableStore) save(vote wal.Vote) error {
	err := s.log.SaveVote(vote)
	if err != nil && s.running.Load() && s.log.Err() != nil {
		runtime.Goexit()
	}
	return err
}

// Get implements raft.StableStore.
func (s *stableStore) Get(key []byte) ([]byte, error) {
	if string(key) != keyCandidate {
		return nil, errNotFound
	}
	return s.log.Vote().Candidate, nil
}

// GetUint64 implements raft.StableStore.
func (s *stableStore) GetUint64(key []byte) (uint64, error) {
	switch string(key) {
	case keyTerm:
		return s.log.Vote().Term, nil
	case keyVoteTerm:
		return s.log.Vote().VotedTerm, nil
	}
	return 0, errNotFound
}

// errNotFound has the text that raft looks for.
var errNotFound = errors.New("not found")

package consensus

import (
	"errors"
	"io"

	"github.com/quorate/quorate/internal/store"
)

// sink is a snapshot in the making.
type sink struct {
	state *State
	note  note
	// generation is that of the state when the snapshot began.
	generation uint64
	// receiving says that the snapshot comes from another node. It goes to a
	// directory of the next generation; received is nil until it is whole.
	receiving bool
	received  *store.Store
}

// ID implements raft.SnapshotSink.
func (s *sink) ID() string {
	if s.receiving {
		return stagedID
	}
	return newestID
}

// Write implements io.Writer; a snapshot is received by ReadFrom.
func (s *sink) Write([]byte) (int, error) {
	return 0, errors.New("a snapshot is received as a whole")
}

// ReadFrom receives a state that another node sends. raft copies with io.Copy,
// which calls it.
func (s *sink) ReadFrom(r io.Reader) (int64, error) {
	s.receiving = true
	generation := s.generation + 1
	if err := s.state.remove(generation); err != nil {
		return 0, err
	}
	received, n, err := store.Receive(s.state.storeOptions(generation), s.state.options.Group, r)
	if err != nil {
		return n, err
	}
	s.received = received
	// What follows the trailer would not belong to the state.
	if extra, err := io.ReadFull(r, make([]byte, 1)); extra > 0 || err != io.EOF {
		return n, errors.Join(errors.New("the snapshot does not end where it should"), err)
	}
	return n, nil
}

// Close implements raft.SnapshotSink. It makes a snapshot of this node the
// newest. One that came from another is staged: the machine must stand still
// when it is taken over.
func (s *sink) Close() error {
	state := s.state
	state.disk.take()
	defer state.disk.put()
	if state.stale(s) {
		return errors.Join(errStale, s.drop())
	}
	if s.receiving {
		state.mu.Lock()
		defer state.mu.Unlock()
		state.staged = s
		return nil
	}
	n := s.note
	n.generation = s.generation
	return state.save(&n)
}

// Cancel implements raft.SnapshotSink.
func (s *sink) Cancel() error { return s.drop() }

// drop removes a state that was received and is not wanted.
func (s *sink) drop() error {
	if !s.receiving {
		return nil
	}
	var err error
	if s.received != nil {
		err = s.received.Close()
		s.received = nil
	}
	return errors.Join(err, s.state.remove(s.generation+1))
}

package consensus

import (
	"errors"

	"github.com/quorate/quorate/internal/store"
)

// source is the stream of a state that another node gets.
type source struct {
	state *State
	// busy guards stream, which is nil once it is closed.
	busy   token
	stream *store.Stream
}

// errReplaced ends a source whose state is replaced.
var errReplaced = errors.New("the state is replaced by a snapshot of another node")

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	s.busy.take()
	defer s.busy.put()
	if s.stream == nil {
		return 0, errReplaced
	}
	return s.stream.Read(p)
}

// Close implements io.Closer.
func (s *source) Close() error {
	s.state.mu.Lock()
	delete(s.state.sources, s)
	s.state.mu.Unlock()
	return s.end()
}

func (s *source) end() error {
	s.busy.take()
	defer s.busy.put()
	if s.stream == nil {
		return nil
	}
	stream := s.stream
	s.stream = nil
	return stream.Close()
}

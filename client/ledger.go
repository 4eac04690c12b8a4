package client

import (
	"crypto/rand"
	"sync"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/invariant"
)

const (
	// callsWaitingMax and bytesWaitingMax bound what waits in a client, and is
	// refused beyond: as much as one node lets wait.
	callsWaitingMax = 64 << 10
	bytesWaitingMax = 64 << 20
	// sessionSpan bounds how far the numbers of a session may run ahead of the
	// lowest that is not settled. One slow call must not hold up for ever what
	// the nodes may forget; the calls behind it are of another session then. The
	// nodes remember a million answers.
	sessionSpan = 64 << 10
)

// ledger counts the calls that wait, and gives them ids.
type ledger struct {
	// mu guards what follows, and the sessions.
	mu      sync.Mutex
	calls   int // that wait
	bytes   int // of them
	session *session
}

// session is what calls have in common whose ids are numbers under one name.
type session struct {
	name string
	// next is the number of the next call.
	next uint64
	// settled is the lowest number that is not settled. A number is settled when
	// its caller has the answer. An attempt that was given up may still reach a
	// node after that: it is refused there, and the caller has either the answer
	// of another attempt, or was told that the outcome is unknown.
	// Invariant: 1 <= settled <= next.
	settled uint64
	// done holds the ranges of numbers from settled on whose callers have their
	// answers: where one begins, and where the next does.
	done map[uint64]uint64
}

// pass is what a slice of calls got from the ledger, and gives back.
type pass struct {
	session     *session // nil if all calls had ids
	first, last uint64   // numbers of the calls, last not among them
	calls       int
	bytes       int
}

// admit lets calls wait and gives an id to each that has none.
func (l *ledger) admit(calls []quorate.Call) (pass, error) {
	p := pass{calls: len(calls)}
	anonymous := 0
	for i := range calls {
		p.bytes += entry.CallBytes(calls[i])
		if calls[i].ID == "" {
			anonymous++
		}
	}
	l.mu.Lock()
	// An empty client takes anything: one slice is in the memory of its caller.
	if l.calls > 0 && (l.calls+p.calls > callsWaitingMax || l.bytes+p.bytes > bytesWaitingMax) {
		calls, bytes := l.calls, l.bytes
		l.mu.Unlock()
		return pass{}, quorate.Errorf(quorate.Overloaded, "%d calls of %d bytes are waiting in the client already; try later", calls, bytes)
	}
	l.calls += p.calls
	l.bytes += p.bytes
	var settled uint64
	if anonymous > 0 {
		p.session = l.current()
		p.first = p.session.next
		p.session.next += uint64(anonymous)
		p.last = p.session.next
		settled = p.session.settled
	}
	l.mu.Unlock()
	p.name(calls, settled)
	return p, nil
}

// current is the session of new calls.
func (l *ledger) current() *session {
	if s := l.session; s == nil || s.next-s.settled >= sessionSpan {
		l.session = &session{name: rand.Text(), next: 1, settled: 1, done: make(map[uint64]uint64)}
	}
	return l.session
}

// name gives ids to the calls that have none.
func (p pass) name(calls []quorate.Call, settled uint64) {
	number := p.first
	for i := range calls {
		if calls[i].ID != "" {
			continue
		}
		calls[i].ID = quorate.SessionID(p.session.name, number)
		calls[i].Settled = settled
		number++
	}
}

// release takes back what admit gave. The callers have their answers.
func (l *ledger) release(p pass) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls -= p.calls
	l.bytes -= p.bytes
	invariant.Must(l.calls >= 0 && l.bytes >= 0, "no more calls are released than were admitted")
	if p.session != nil {
		p.session.settle(p.first, p.last)
	}
}

// settle notes that the callers of a range of numbers have their answers.
func (s *session) settle(first, last uint64) {
	if first != s.settled {
		s.done[first] = last
		return
	}
	s.settled = last
	for {
		last, ok := s.done[s.settled]
		if !ok {
			return
		}
		delete(s.done, s.settled)
		s.settled = last
	}
}

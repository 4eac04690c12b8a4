package client

import (
	"crypto/rand"
	"sync"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/invariant"
)

const (
	// callsWaitingMax and bytesWaitingMax bound what waits in a client, and is
	// refused beyond: as much as one node lets wait.
	callsWaitingMax = 64 << 10
	bytesWaitingMax = 64 << 20
	// sessionSpan is how many answers of a session may be held up by a slower
	// call before it. It must not hold up for ever what the nodes may forget: the
	// calls behind it are of another session then. The nodes remember a million
	// answers, so it takes 64 calls that are slow at once to fill them. A session
	// that is finished leaves two for an hour: at 50,000 calls a second, and
	// always a slow one among them, 22,000.
	sessionSpan = 16 << 10
	// finishedMax bounds the sessions of which the nodes are still to be told that
	// they are finished: of 4 million calls, more than a minute of a busy client.
	finishedMax = 256
)

// ledger counts the calls that wait, and gives them ids.
type ledger struct {
	// mu guards what follows, and the sessions.
	mu      sync.Mutex
	calls   int // that wait
	bytes   int // of them
	session *session
	// finished is sessions without a call that waits, and that get no more, of
	// which the nodes do not know that yet; telling says that somebody tells them.
	finished []*session
	telling  bool
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
	// told is what settled was when the last call was admitted. So much the nodes
	// know, unless the calls since then were queries: those are not in the log.
	told uint64
	// waiting is how many numbers have no answer.
	waiting uint64
	// done holds the ranges of numbers from settled on whose callers have their
	// answers: where one begins, and where the next does. It is nil in a session
	// that was replaced, which is settled as a whole, when nothing waits.
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
		p.session.waiting += uint64(anonymous)
		settled = p.session.settled
		p.session.told = settled
	}
	l.mu.Unlock()
	p.name(calls, settled)
	return p, nil
}

// current is the session of new calls.
func (l *ledger) current() *session {
	if s := l.session; s != nil {
		if s.next-s.settled-s.waiting < sessionSpan {
			return s
		}
		s.done = nil
	}
	l.session = &session{name: rand.Text(), next: 1, settled: 1, told: 1, done: make(map[uint64]uint64)}
	return l.session
}

// name gives ids to the calls that have none.
func (p pass) name(calls []quorate.Call, settled uint64) {
	number := p.first
	for i := range calls {
		if calls[i].ID != "" {
			continue
		}
		calls[i].ID = quorate.CallID(engine.SessionID(p.session.name, number))
		calls[i].Settled = settled
		number++
	}
}

// release takes back what admit gave. The callers have their answers. It says
// whether the nodes must be told of a session that is finished, and nobody does
// yet.
func (l *ledger) release(p pass) (tell bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls -= p.calls
	l.bytes -= p.bytes
	invariant.Must(l.calls >= 0 && l.bytes >= 0, "no more calls are released than were admitted")
	if p.session == nil {
		return false
	}
	p.session.settle(p.first, p.last)
	if !l.isFinished(p.session) {
		return false
	}
	tell = !l.telling
	l.finish(p.session)
	return tell
}

// settle notes that the callers of a range of numbers have their answers.
func (s *session) settle(first, last uint64) {
	invariant.Must(s.waiting >= last-first, "no number is settled twice")
	s.waiting -= last - first
	switch {
	case s.waiting == 0:
		s.settled = s.next
		clear(s.done)
		return
	case s.done == nil:
		return
	case first != s.settled:
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

// isFinished says that no call of a session waits, and that there will be none:
// it was replaced, or has so many answers of which the nodes do not know that
// they are settled that it is not left to a next call, which may never come.
func (l *ledger) isFinished(s *session) bool {
	return s.waiting == 0 && (s != l.session || s.next-s.told >= sessionSpan)
}

// finish puts a session down as one to tell the nodes of. If there are too many
// the oldest is left out: its answers are forgotten by their age.
func (l *ledger) finish(s *session) {
	if s == l.session {
		l.session = nil
	}
	if len(l.finished) == finishedMax {
		l.finished = l.finished[1:]
	}
	l.finished = append(l.finished, s)
	l.telling = true
}

// takeFinished is the sessions to tell the nodes of. Who gets none has told
// them of all.
func (l *ledger) takeFinished() []*session {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.finished
	l.finished = nil
	l.telling = len(taken) > 0
	return taken
}

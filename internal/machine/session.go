package machine

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/invariant"
	"github.com/quorate/quorate/internal/store"
)

// What is known of a session stands in the Sessions space, under the length of
// its name (u8), the name, and a number (u64, big-endian). Under 0 is where the
// session stands:
//
//	┌──────────────┬────────────────────┬──────────────────────────────┐
//	│ version u8=1 │ settled            │ its key in Ages              │
//	│              │ u64, little-endian │ 21 bytes                     │
//	└──────────────┴────────────────────┴──────────────────────────────┘
//
// Under each other number is the answer of that call, in the form in which
// answers are remembered. There is one for each call that took effect and whose
// number is not below settled; a call with a number below is refused whenever
// it comes, so that nothing needs to be known of it. In the Ages space the name
// of the session stands under an age with one byte more than that of an answer.
//
// Source: D. Ongaro, "Consensus: Bridging Theory and Practice", section 6.3.

const (
	sessionVersion     = 1
	sessionAgeBytes    = ageBytes + 1
	sessionRecordBytes = 1 + 8 + sessionAgeBytes
	// settledStep is by how much the number that is settled must have risen
	// before the answers below are forgotten: one record is written for many
	// calls.
	settledStep = 32
	// settledNear is how far the number may have risen for its answers to be
	// looked for one by one.
	settledNear = 4 * settledStep
	// renewals is how often in a window the age of a session is written anew.
	renewals = 16
)

// session is where a session stands.
type session struct {
	name    string
	settled uint64
	age     []byte // nil if there is no such session yet
}

// inSession answers a call of a session: the first time by running it, again
// with the first answer, and not at all once it is settled.
func (r *run) inSession(op *quorate.Operation, call *quorate.Call, name string, number uint64) (quorate.Reply, error) {
	s, err := r.session(name)
	if err != nil {
		return quorate.Reply{}, err
	}
	if number < s.settled {
		return r.refuse(&quorate.Error{Code: quorate.IDReused, Outcome: quorate.Unknown,
			Message: "the session of this call has said that it was answered, and the answer is forgotten"}), nil
	}
	print := r.fingerprint(call)
	known, again := r.known(call.ID, name, number)
	if again || s.age != nil || r.meta.Remembered+r.meta.Sessions < r.machine.limits.RememberedMax {
		// Also where the call is refused: what is forgotten makes room. But a
		// session that is not known yet would take some.
		r.settle(s, call.Settled)
	}
	if again {
		return r.again(known, print)
	}
	reply, record := r.first(op, call, print)
	if record != nil {
		r.batch.Set(store.Sessions, r.sessionKey(name, number), record)
		r.meta.Sessions++
		r.batch.Keep()
	}
	return reply, nil
}

// session is where a session stands.
func (r *run) session(name string) (session, error) {
	s := session{name: name}
	record, ok := r.batch.Get(store.Sessions, r.sessionKey(name, 0))
	if !ok {
		return s, nil
	}
	if len(record) != sessionRecordBytes || record[0] != sessionVersion {
		return s, fmt.Errorf("what is known of a session is %w", entry.ErrNewer)
	}
	s.settled = binary.LittleEndian.Uint64(record[1:])
	s.age = record[9:]
	return s, nil
}

// settle forgets the answers of calls below a number, now and then and not too
// many at once, and keeps the session young.
func (r *run) settle(s session, below uint64) {
	young := s.age != nil && timeOf(s.age) > r.meta.Time-int64(r.machine.limits.Window)/renewals
	if below < s.settled+settledStep && young {
		return
	}
	before := r.batch.Bytes()
	if below > s.settled {
		s.settled = r.forgetSettled(s, below)
	}
	if s.age == nil {
		r.meta.Sessions++
	} else {
		r.batch.Delete(store.Ages, s.age)
	}
	age := append(bytes.Clone(r.age()), 0)
	record := binary.LittleEndian.AppendUint64([]byte{sessionVersion}, s.settled)
	r.batch.Set(store.Sessions, r.sessionKey(s.name, 0), append(record, age...))
	r.batch.Set(store.Ages, age, []byte(s.name))
	r.batch.Keep()
	// What is forgotten takes nothing from the calls behind.
	r.begun += r.batch.Bytes() - before
}

// forgetSettled forgets the answers of a session below a number, and returns
// below which number it has: that one, or less if there are too many.
func (r *run) forgetSettled(s session, below uint64) uint64 {
	first := max(s.settled, 1)
	if below-first <= settledNear {
		// A scan would put all writes of the entry in order first.
		for number := first; number < below; number++ {
			key := r.sessionKey(s.name, number)
			if _, ok := r.batch.Get(store.Sessions, key); ok {
				r.dropSessionKey(key)
			}
		}
		return below
	}
	count := forgetMin
	for key := range r.batch.Scan(store.Sessions, sessionKey(s.name, first), sessionKey(s.name, below)) {
		if count == 0 {
			return binary.BigEndian.Uint64(key[len(key)-8:])
		}
		r.dropSessionKey(key)
		count--
	}
	return below
}

func (r *run) dropSessionKey(key []byte) {
	invariant.Must(r.meta.Sessions > 0, "every key of a session was counted")
	r.batch.Delete(store.Sessions, key)
	r.meta.Sessions--
}

// endSession forgets what is known of a session that has an age, but no more
// than count of it. It returns how many may still be forgotten: 0 if the session
// is not gone as a whole.
func (r *run) endSession(age []byte, name string, count int) int {
	for key := range r.batch.Scan(store.Sessions, sessionKey(name, 1), sessionEnd(name)) {
		if count--; count <= 0 {
			return 0
		}
		r.dropSessionKey(key)
	}
	r.dropSessionKey(r.sessionKey(name, 0))
	r.batch.Delete(store.Ages, age)
	return count - 1
}

// sessionKey is where in the Sessions space a call of a session is remembered.
func sessionKey(name string, number uint64) []byte { return appendSessionKey(nil, name, number) }

// sessionKey is the same, and stays until the next key.
func (r *run) sessionKey(name string, number uint64) []byte {
	r.key = appendSessionKey(r.key[:0], name, number)
	return r.key
}

func appendSessionKey(dst []byte, name string, number uint64) []byte {
	dst = append(append(dst, byte(len(name))), name...)
	return binary.BigEndian.AppendUint64(dst, number)
}

// sessionEnd is behind all keys of a session.
func sessionEnd(name string) []byte { return append(sessionKey(name, 1<<64-1), 0) }

// A name has a length of one byte.
const _ = uint(1<<8 - 1 - quorate.CallIDBytesMax)

package machine

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/invariant"
	"github.com/quorate/quorate/internal/store"
)

// A remembered call, under its id in the Remembered space:
//
//	┌──────────────┬─────────────┬────────────────────┐
//	│ version u8=1 │ fingerprint │ reply              │
//	│              │ 16 bytes    │ entry.AppendReply  │
//	└──────────────┴─────────────┴────────────────────┘
//
// The fingerprint is the first half of the SHA-256 of the call without its
// id. In the Ages space the id stands under log time, index and position,
// big-endian, so that the oldest comes first.

const (
	rememberedVersion = 1
	fingerprintBytes  = 16
	rememberedHead    = 1 + fingerprintBytes
	ageBytes          = 8 + 8 + 4
	// forgetMin is how many answers an entry without calls forgets at most. One
	// with calls forgets two more for each of them, so that forgetting is
	// faster than remembering, and an hour of answers that become old at once
	// does not hold up the entries behind.
	forgetMin = 1 << 10
)

// once answers a call that carries an id: the first time by running it, ever
// after with the first answer. So are queries, which are here because they stand
// in a slice with commands: asked again behind the effects of those, they would
// see what comes after them. The error, other than that of the reply, stops the
// node.
func (r *run) once(op *quorate.Operation, call *quorate.Call) (quorate.Reply, error) {
	session, number, ok := engine.Session(string(call.ID))
	if ok && call.Settled > 0 {
		return r.inSession(op, call, session, number)
	}
	print := r.fingerprint(call)
	if known, ok := r.known(call.ID, session, number); ok {
		return r.again(known, print)
	}
	reply, record := r.first(op, call, print)
	if record != nil {
		r.batch.Set(store.Remembered, []byte(call.ID), record)
		r.batch.Set(store.Ages, r.age(), r.kept([]byte(call.ID)))
		r.meta.Remembered++
		r.batch.Keep()
	}
	return reply, nil
}

// known is what is remembered of an id, and of the call of a session if it is
// the id of one. Whether a call says what is settled or not, its id is the same.
func (r *run) known(id quorate.CallID, session string, number uint64) (record []byte, ok bool) {
	if r.meta.Remembered > 0 {
		if record, ok = r.batch.Get(store.Remembered, []byte(id)); ok {
			return record, true
		}
	}
	if session != "" && r.meta.Sessions > 0 {
		return r.batch.Get(store.Sessions, r.sessionKey(session, number))
	}
	return nil, false
}

// first runs a call with an id for the first time. The record is what to
// remember of it; it is nil if the call was refused, which leaves no trace.
func (r *run) first(op *quorate.Operation, call *quorate.Call, print fingerprint) (reply quorate.Reply, record []byte) {
	if err := r.full(op); err != nil {
		return r.refuse(err), nil
	}
	if known := r.meta.Remembered + r.meta.Sessions; known >= r.machine.limits.RememberedMax {
		return r.refuse(quorate.Errorf(quorate.Overloaded,
			"%d answers of calls with an id are remembered, which is the limit; try later", known)), nil
	}
	reply = r.perform(op, call)
	record = r.remember(print, reply)
	if len(record) > quorate.ValueBytesMax && !op.Writes() {
		// It changed nothing, so it may be answered. A retry is told why it is
		// not: it must not be asked anew behind what stands behind it.
		return reply, r.remember(print, r.refuse(quorate.Errorf(quorate.TooLarge,
			"the answer was too large to be remembered: ask anew, under another id")))
	}
	if len(record) > quorate.ValueBytesMax {
		r.batch.Undo()
		return r.refuse(quorate.Errorf(quorate.TooLarge,
			"an answer of %d bytes is too large to be remembered", len(record))), nil
	}
	return reply, record
}

// kept is a copy of data for a batch to keep, in memory as commands take it for
// what they store.
func (r *run) kept(data []byte) []byte {
	return append(quorate.Engine().Room(&r.tx.View, len(data)), data...)
}

// recordKept is up to how long a record is put together in the same memory as
// the one before.
const recordKept = 64 << 10

// remember is the record of a reply.
func (r *run) remember(print fingerprint, reply quorate.Reply) []byte {
	if cap(r.record) > recordKept {
		r.record = nil
	}
	r.record = append(append(r.record[:0], rememberedVersion), print[:]...)
	r.record = entry.AppendReply(r.record, reply)
	return r.kept(r.record)
}

// again gives the first answer once more.
func (r *run) again(known []byte, print fingerprint) (quorate.Reply, error) {
	if len(known) < rememberedHead || known[0] != rememberedVersion {
		return quorate.Reply{}, fmt.Errorf("a remembered answer is %w", entry.ErrNewer)
	}
	if !bytes.Equal(known[1:rememberedHead], print[:]) {
		return r.refuse(quorate.Errorf(quorate.IDReused, "this call id belongs to another call")), nil
	}
	reply, err := entry.ReadReply(known[rememberedHead:])
	if err != nil {
		return quorate.Reply{}, fmt.Errorf("read a remembered answer: %w", err)
	}
	return reply, nil
}

// forget drops the answers that are older than the window, but no more than
// count.
func (r *run) forget(count int) {
	past := r.meta.Time - int64(r.machine.limits.Window)
	if r.meta.Remembered+r.meta.Sessions == 0 || past <= 0 || r.oldest != nil && timeOf(r.oldest) >= past {
		return
	}
	// From the oldest one: before it stand those that are forgotten, which
	// Pebble would have to pass over again until it has cleaned up.
	for age, id := range r.batch.Scan(store.Ages, r.oldest, nil) {
		if r.oldest = age; count == 0 || timeOf(age) >= past {
			break
		}
		if len(age) > ageBytes {
			if count = r.endSession(age, string(id), count); count == 0 {
				break
			}
			continue
		}
		invariant.Must(r.meta.Remembered > 0, "every answer that is remembered was counted")
		r.batch.Delete(store.Ages, age)
		r.batch.Delete(store.Remembered, id)
		r.meta.Remembered--
		count--
	}
	r.batch.Keep()
}

// timeOf is the log time in the key of a call in the Ages space.
func timeOf(age []byte) int64 { return int64(binary.BigEndian.Uint64(age)) }

// age is the key of the call in the Ages space. It stays until the next key.
func (r *run) age() []byte {
	r.key = binary.BigEndian.AppendUint64(r.key[:0], uint64(r.meta.Time))
	r.key = binary.BigEndian.AppendUint64(r.key, r.meta.Index)
	r.key = binary.BigEndian.AppendUint32(r.key, uint32(r.at.Position))
	return r.key
}

// fingerprint tells calls apart by what they ask for.
type fingerprint [fingerprintBytes]byte

func (r *run) fingerprint(call *quorate.Call) fingerprint {
	if cap(r.record) > recordKept {
		r.record = nil
	}
	r.record = entry.AppendCalls(r.record[:0], []quorate.Call{{Name: call.Name, Args: call.Args}})
	sum := sha256.Sum256(r.record)
	return fingerprint(sum[:fingerprintBytes])
}

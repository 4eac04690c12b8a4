// Package entry holds the bytes of one log entry: what the leader stamped on
// it, and the calls in it. The same forms carry calls and replies between nodes,
// and the answers that the state remembers.
//
// It keeps one rule: bytes are gone over twice. The first time nothing is
// allocated, so that bytes which turn out to be refused cost nothing; the second
// time there is room for exactly what is there. It does not know what a call
// means.
//
// An entry, numbers little-endian, "uvarint" as in encoding/binary:
//
//	┌─────────┬──────┬────────────────┬──────┬─────────────────────────┬─────────┬───────┐
//	│ version │ kind │ time           │ seed │ check                   │ count   │ calls │
//	│ u8 = 2  │ u8   │ i64 unix nanos │ u64  │ u64 index, u64 hash     │ uvarint │       │
//	└─────────┴──────┴────────────────┴──────┴─────────────────────────┴─────────┴───────┘
//
// The check says what the state of the leader came to, up to an entry that it
// had applied when it made this one; the index 0 is none. Entries of version 1
// have no room for one.
//
// A call:
//
//	┌────────┬───────────────┬─────────────┬──────────────┬──────────────────┬─────────────┐
//	│ flags  │ name          │ id, if flag │ age, if flag │ settled, if flag │ arguments   │
//	│ u8     │ u8 len, bytes │ u8 len, …   │ uvarint ns   │ uvarint          │ uvarint n,… │
//	└────────┴───────────────┴─────────────┴──────────────┴──────────────────┴─────────────┘
//
// Each argument is a uvarint of its length plus one, then its bytes; 0 is an
// argument that was left out.
//
// Example: INC of the key "hits" by 5, stamped at 1 ns with seed 2 by a leader
// whose state had the hash 0x3f at index 7, is
//
//	02 01 | 01 00 00 00 00 00 00 00 | 02 00 00 00 00 00 00 00 |
//	07 00 00 00 00 00 00 00 | 3f 00 00 00 00 00 00 00 | 01 |
//	00 | 03 49 4e 43 | 02 | 05 68 69 74 73 | 02 35
package entry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/invariant"
)

// Limits of what is encoded and decoded.
const (
	// version is the form described above, versionUnchecked the one before it.
	version          = 2
	versionUnchecked = 1
	// kindCalls is an entry with calls, kindAgreement the one of agreement.go.
	kindCalls     = 1
	kindAgreement = 2
	// headerBytesUnchecked is version, kind, time and seed; headerBytes is these
	// and a check.
	headerBytesUnchecked = 2 + 8 + 8
	headerBytes          = headerBytesUnchecked + 8 + 8
	// callBytesMin is flags, the length of a name, and a count.
	callBytesMin = 3
	// CallsMax bounds the calls of one entry or frame.
	CallsMax = 64 << 10
	// shortMax is the longest name or id: its length is one byte.
	shortMax = 1<<8 - 1
)

// Every id that a call may have must have a form.
const _ = uint(shortMax - quorate.CallIDBytesMax)

// Flags of a call.
const (
	flagID      = 1 << 0
	flagAge     = 1 << 1
	flagSettled = 1 << 2
)

// ErrNewer says that an entry was written by a program that knows more than
// this one. A node that meets it must stop: to skip it would be to differ.
var ErrNewer = errors.New("written by a newer version of the program")

// errShort says that bytes end before what they promise.
var errShort = errors.New("the bytes end too early")

// Header is what the leader stamps on an entry.
type Header struct {
	Time  time.Time // clock of the leader
	Seed  uint64    // for random numbers that are the same on every node
	Check StateCheck
}

// StateCheck is what the state of a leader came to. The same entries give the same
// hash on every node, so whoever has another one at this index has another state.
type StateCheck struct {
	Index uint64 // of the newest entry in it; 0 says that there is no check
	Hash  uint64 // over all that was ever written to it, in order
}

// Append encodes an entry behind dst.
func Append(dst []byte, h Header, calls []quorate.Call) []byte {
	dst = append(dst, version, kindCalls)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.Time.UnixNano()))
	dst = binary.LittleEndian.AppendUint64(dst, h.Seed)
	dst = binary.LittleEndian.AppendUint64(dst, h.Check.Index)
	dst = binary.LittleEndian.AppendUint64(dst, h.Check.Hash)
	return AppendCalls(dst, calls)
}

// Decode is the other way round from Append. The calls share the bytes of
// data.
func Decode(data []byte) (Header, []quorate.Call, error) {
	h, body, err := readHeader(data, kindCalls)
	if err != nil {
		return Header{}, nil, err
	}
	dry := reader{data: body, dry: true}
	dry.calls()
	if err := dry.end("call"); err != nil {
		return Header{}, nil, err
	}
	r := reader{data: dry.data, args: make([][]byte, dry.argsSeen)}
	r.ids.Grow(dry.idBytes)
	return h, r.calls(), r.err
}

// readHeader takes the header of an entry of a kind and returns the bytes behind it.
func readHeader(data []byte, kind byte) (h Header, body []byte, err error) {
	if len(data) < headerBytesUnchecked {
		return Header{}, nil, errShort
	}
	if data[0] != version && data[0] != versionUnchecked || data[1] != kind {
		return Header{}, nil, fmt.Errorf("entry of version %d and kind %d: %w", data[0], data[1], ErrNewer)
	}
	h.Time = time.Unix(0, int64(binary.LittleEndian.Uint64(data[2:])))
	h.Seed = binary.LittleEndian.Uint64(data[10:])
	if data[0] == versionUnchecked {
		return h, data[headerBytesUnchecked:], nil
	}
	if len(data) < headerBytes {
		return Header{}, nil, errShort
	}
	h.Check.Index = binary.LittleEndian.Uint64(data[headerBytesUnchecked:])
	h.Check.Hash = binary.LittleEndian.Uint64(data[headerBytesUnchecked+8:])
	return h, data[headerBytes:], nil
}

// HeaderBytes bounds what an entry holds besides its calls.
const HeaderBytes = headerBytes + binary.MaxVarintLen64

// CallBytes bounds the encoded size of a call from above, closely.
func CallBytes(c quorate.Call) int {
	n := 1 + 1 + len(c.Name) + 1 + len(c.ID) + 3*binary.MaxVarintLen64
	for _, arg := range c.Args {
		n += binary.MaxVarintLen32 + len(arg)
	}
	return n
}

// AppendCalls encodes a count and calls behind dst.
func AppendCalls(dst []byte, calls []quorate.Call) []byte {
	invariant.Must(len(calls) <= CallsMax, "an entry or frame holds no more calls than it may")
	dst = binary.AppendUvarint(dst, uint64(len(calls)))
	for i := range calls {
		dst = appendCall(dst, &calls[i])
	}
	return dst
}

func appendCall(dst []byte, c *quorate.Call) []byte {
	// A length that did not fit its byte would make all that follows unreadable,
	// on every node.
	invariant.Must(len(c.Name) <= shortMax && len(c.ID) <= shortMax, "a name and an id have a length of one byte")
	var flags byte
	if c.ID != "" {
		flags |= flagID
	}
	if c.Read > 0 {
		flags |= flagAge
	}
	if c.Settled > 0 {
		flags |= flagSettled
	}
	dst = append(dst, flags, byte(len(c.Name)))
	dst = append(dst, c.Name...)
	if c.ID != "" {
		dst = append(dst, byte(len(c.ID)))
		dst = append(dst, c.ID...)
	}
	if c.Read > 0 {
		dst = binary.AppendUvarint(dst, uint64(c.Read))
	}
	if c.Settled > 0 {
		dst = binary.AppendUvarint(dst, c.Settled)
	}
	dst = binary.AppendUvarint(dst, uint64(len(c.Args)))
	for _, arg := range c.Args {
		if arg == nil {
			dst = append(dst, 0)
			continue
		}
		dst = binary.AppendUvarint(dst, uint64(len(arg))+1)
		dst = append(dst, arg...)
	}
	return dst
}

// ReadCalls decodes what AppendCalls encoded and returns the bytes behind it.
// The calls share the bytes of data.
func ReadCalls(data []byte) ([]quorate.Call, []byte, error) {
	dry := reader{data: data, dry: true}
	if dry.calls(); dry.err != nil {
		return nil, nil, dry.err
	}
	r := reader{data: data, args: make([][]byte, dry.argsSeen)}
	r.ids.Grow(dry.idBytes)
	calls := r.calls()
	return calls, data[r.at:], r.err
}

// calls takes a count and calls.
func (r *reader) calls() []quorate.Call {
	count := r.callCount()
	var calls []quorate.Call
	if !r.dry {
		calls = make([]quorate.Call, count)
	}
	var name string
	for i := range count {
		var c *quorate.Call
		if !r.dry {
			c = &calls[i]
		}
		if name = r.call(c, name); r.err != nil {
			return nil
		}
	}
	return calls
}

// callCount takes a count of calls, which is 0 if it is wrong.
func (r *reader) callCount() int {
	count := r.count(callBytesMin)
	if count > CallsMax {
		r.fail(fmt.Errorf("%d calls are over the limit of %d", count, CallsMax))
		return 0
	}
	return count
}

// call decodes one call into c, which a dry reader does not have. The name of
// the call before it is used again where it is the same, which it mostly is.
func (r *reader) call(c *quorate.Call, before string) string {
	flags := r.byte()
	if flags&^(flagID|flagAge|flagSettled) != 0 {
		r.fail(fmt.Errorf("call with flags %#x: %w", flags, ErrNewer))
		return before
	}
	name := r.bytes(int(r.byte()))
	var id string
	if flags&flagID != 0 {
		id = r.id(int(r.byte()))
	}
	var age uint64
	if flags&flagAge != 0 {
		if age = r.uvarint(); age > math.MaxInt64 {
			r.fail(errors.New("the age that a call tolerates is over the limit"))
		}
	}
	var settled uint64
	if flags&flagSettled != 0 {
		settled = r.uvarint()
	}
	args := r.arguments(r.count(1))
	if r.dry {
		return before
	}
	if string(name) != before {
		before = string(name)
	}
	c.Name, c.ID, c.Read, c.Settled, c.Args = before, quorate.CallID(id), time.Duration(age), settled, args
	return before
}

// arguments takes n arguments. Those of all calls stand in one array.
func (r *reader) arguments(n int) [][]byte {
	first := r.argsSeen
	r.argsSeen += n
	if r.dry {
		r.argsMost = max(r.argsMost, n)
		for range n {
			r.optional()
		}
		return nil
	}
	args := r.args[first:r.argsSeen:r.argsSeen]
	for i := range args {
		args[i] = r.optional()
	}
	return args
}

// reader takes bytes apart and remembers the first thing that was wrong. What
// changes as it goes is numbers, because pointers cost more to write.
type reader struct {
	data []byte
	// at is where in data the next byte is; the end, once something was wrong.
	at  int
	err error
	// dry says that this is the first time, which allocates nothing and makes
	// nothing.
	dry bool
	// argsSeen counts the arguments of the calls so far.
	argsSeen int
	// argsMost is how many one call has at most, idBytes how much all ids are:
	// the first time finds it out.
	argsMost, idBytes int
	// args is room for the arguments of all calls.
	args [][]byte
	// ids is room for all ids.
	ids strings.Builder
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.at = len(r.data)
}

// left is how many bytes are still to come.
func (r *reader) left() int { return len(r.data) - r.at }

func (r *reader) byte() byte {
	if r.at >= len(r.data) {
		r.fail(errShort)
		return 0
	}
	r.at++
	return r.data[r.at-1]
}

func (r *reader) uvarint() uint64 {
	if r.at < len(r.data) && r.data[r.at] < 0x80 { // nearly all of them
		r.at++
		return uint64(r.data[r.at-1])
	}
	n, size := binary.Uvarint(r.data[r.at:])
	if size <= 0 {
		r.fail(errShort)
		return 0
	}
	r.at += size
	return n
}

func (r *reader) uint64() uint64 {
	b := r.bytes(8)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

// count is a number of things of at least size bytes each. It is never more
// than can follow.
func (r *reader) count(size int) int {
	n, left := r.uvarint(), uint64(r.left())
	// No division, which takes longer than all else here. A number that is not
	// over left does not overflow.
	if n > left || n*uint64(size) > left {
		r.fail(errShort)
		return 0
	}
	return int(n)
}

// bytes takes n bytes without copying them.
func (r *reader) bytes(n int) []byte {
	if n < 0 || n > r.left() {
		r.fail(errShort)
		return nil
	}
	r.at += n
	return r.data[r.at-n : r.at : r.at]
}

// optional takes a length plus one and bytes; nil if they were left out.
func (r *reader) optional() []byte {
	n := r.uvarint()
	if n == 0 {
		return nil
	}
	if n-1 > uint64(r.left()) {
		r.fail(errShort)
		return nil
	}
	return r.bytes(int(n - 1))
}

// string takes n bytes as a string.
func (r *reader) string(n int) string {
	b := r.bytes(n)
	if r.dry {
		return ""
	}
	return string(b)
}

// id takes n bytes as a string that stands beside those of the other calls.
func (r *reader) id(n int) string {
	b := r.bytes(n)
	if r.dry {
		r.idBytes += len(b)
		return ""
	}
	from := r.ids.Len()
	r.ids.Write(b)
	return r.ids.String()[from:]
}

// text takes a uvarint length and bytes, as a string.
func (r *reader) text() string { return r.string(r.count(1)) }

// end is the first thing that was wrong, which may be that bytes are left.
func (r *reader) end(last string) error {
	if r.err == nil && r.left() > 0 {
		return fmt.Errorf("%d bytes behind the last %s", r.left(), last)
	}
	return r.err
}

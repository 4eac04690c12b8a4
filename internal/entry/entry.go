// Package entry holds the bytes of one log entry: when the leader stamped it,
// and the calls in it. The same forms carry calls and replies between nodes,
// and the answers that the state remembers.
//
// It keeps one rule: what it decodes it has checked, and it allocates no more
// than the input warrants. It does not know what a call means.
//
// An entry, numbers little-endian, "uvarint" as in encoding/binary:
//
//	┌─────────┬──────┬────────────────┬──────────┬───────────────┬───────┐
//	│ version │ kind │ time           │ seed     │ count         │ calls │
//	│ u8 = 1  │ u8   │ i64 unix nanos │ u64      │ uvarint       │       │
//	└─────────┴──────┴────────────────┴──────────┴───────────────┴───────┘
//
// A call:
//
//	┌────────┬───────────────┬─────────────┬──────────────┬─────────────┐
//	│ flags  │ name          │ id, if flag │ age, if flag │ arguments   │
//	│ u8     │ u8 len, bytes │ u8 len, …   │ uvarint ns   │ uvarint n,… │
//	└────────┴───────────────┴─────────────┴──────────────┴─────────────┘
//
// Each argument is a uvarint of its length plus one, then its bytes; 0 is an
// argument that was left out.
//
// Example: INC of the key "hits" by 5, stamped at 1 ns with seed 2, is
//
//	01 01 | 01 00 00 00 00 00 00 00 | 02 00 00 00 00 00 00 00 | 01 |
//	00 | 03 49 4e 43 | 02 | 05 68 69 74 73 | 02 35
package entry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/invariant"
)

// Limits of what is encoded and decoded.
const (
	// version is the form described above.
	version = 1
	// kindCalls is the only kind of entry there is.
	kindCalls = 1
	// headerBytes is version, kind, time and seed.
	headerBytes = 2 + 8 + 8
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
	flagID  = 1 << 0
	flagAge = 1 << 1
)

// ErrNewer says that an entry was written by a program that knows more than
// this one. A node that meets it must stop: to skip it would be to differ.
var ErrNewer = errors.New("written by a newer version of the program")

// errShort says that bytes end before what they promise.
var errShort = errors.New("the bytes end too early")

// Header is what the leader stamps on an entry.
type Header struct {
	Time time.Time // clock of the leader
	Seed uint64    // for random numbers that are the same on every node
}

// Append encodes an entry behind dst.
func Append(dst []byte, h Header, calls []quorate.Call) []byte {
	dst = append(dst, version, kindCalls)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.Time.UnixNano()))
	dst = binary.LittleEndian.AppendUint64(dst, h.Seed)
	return AppendCalls(dst, calls)
}

// Decode is the other way round from Append. The calls share the bytes of
// data.
func Decode(data []byte) (Header, []quorate.Call, error) {
	if len(data) < headerBytes {
		return Header{}, nil, errShort
	}
	if data[0] != version || data[1] != kindCalls {
		return Header{}, nil, fmt.Errorf("entry of version %d and kind %d: %w", data[0], data[1], ErrNewer)
	}
	h := Header{
		Time: time.Unix(0, int64(binary.LittleEndian.Uint64(data[2:]))),
		Seed: binary.LittleEndian.Uint64(data[10:]),
	}
	calls, rest, err := ReadCalls(data[headerBytes:])
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes behind the last call", len(rest))
	}
	return h, calls, err
}

// HeaderBytes bounds what an entry holds besides its calls.
const HeaderBytes = headerBytes + binary.MaxVarintLen64

// CallBytes bounds the encoded size of a call from above, closely.
func CallBytes(c quorate.Call) int {
	n := 1 + 1 + len(c.Name) + 1 + len(c.ID) + 2*binary.MaxVarintLen64
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
	dst = append(dst, flags, byte(len(c.Name)))
	dst = append(dst, c.Name...)
	if c.ID != "" {
		dst = append(dst, byte(len(c.ID)))
		dst = append(dst, c.ID...)
	}
	if c.Read > 0 {
		dst = binary.AppendUvarint(dst, uint64(c.Read))
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
	r := newReader(data)
	count := r.count(callBytesMin)
	if count > CallsMax {
		return nil, nil, fmt.Errorf("%d calls are over the limit of %d", count, CallsMax)
	}
	calls := make([]quorate.Call, count)
	var name string
	for i := range calls {
		if name = r.call(&calls[i], name); r.err != nil {
			return nil, nil, r.err
		}
	}
	return calls, r.data, r.err
}

// call decodes one call. The name of the call before it is used again where
// it is the same, which it mostly is.
func (r *reader) call(c *quorate.Call, before string) string {
	flags := r.byte()
	if flags&^(flagID|flagAge) != 0 {
		r.fail(fmt.Errorf("call with flags %#x: %w", flags, ErrNewer))
		return before
	}
	name := r.bytes(int(r.byte()))
	if string(name) != before {
		before = string(name)
	}
	c.Name = before
	if flags&flagID != 0 {
		c.ID = quorate.CallID(r.bytes(int(r.byte())))
	}
	if flags&flagAge != 0 {
		age := r.uvarint()
		if age > math.MaxInt64 {
			r.fail(errors.New("the age that a call tolerates is over the limit"))
		}
		c.Read = quorate.Consistency(age)
	}
	c.Args = make([][]byte, r.count(1))
	for i := range c.Args {
		c.Args[i] = r.optional()
	}
	return before
}

// reader takes bytes apart and remembers the first thing that was wrong.
type reader struct {
	data []byte
	err  error
	// room is how many bytes no count has claimed yet. The things of one
	// count have bytes of their own, so all counts together claim no more than
	// there is; what is allocated for them is bounded by that, also where
	// lists stand in lists.
	room int
}

func newReader(data []byte) reader { return reader{data: data, room: len(data)} }

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.data = nil
}

func (r *reader) byte() byte {
	if len(r.data) == 0 {
		r.fail(errShort)
		return 0
	}
	b := r.data[0]
	r.data = r.data[1:]
	return b
}

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.data)
	if size <= 0 {
		r.fail(errShort)
		return 0
	}
	r.data = r.data[size:]
	return n
}

func (r *reader) uint64() uint64 {
	b := r.bytes(8)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

// count is a number of things of at least size bytes each, size not counting
// what these things count themselves. It is never more than can follow.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(min(r.room, len(r.data))/size) {
		r.fail(errShort)
		return 0
	}
	r.room -= int(n) * size
	return int(n)
}

// bytes takes n bytes without copying them.
func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.data) {
		r.fail(errShort)
		return nil
	}
	b := r.data[:n:n]
	r.data = r.data[n:]
	return b
}

// optional takes a length plus one and bytes; nil if they were left out.
func (r *reader) optional() []byte {
	n := r.uvarint()
	if n == 0 {
		return nil
	}
	if n-1 > uint64(len(r.data)) {
		r.fail(errShort)
		return nil
	}
	return r.bytes(int(n - 1))
}

// text takes a uvarint length and bytes, as a string.
func (r *reader) text() string { return string(r.bytes(r.count(1))) }

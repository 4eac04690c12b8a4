package resp

import "math"

// What Redis itself refuses of anybody.
const (
	redisArgumentsMax = math.MaxInt32
	redisBulkBytesMax = 512 << 20
)

// nameBytesMax is the longest name that Limits.Many and Limits.Large are asked
// about.
const nameBytesMax = 64

// Limits bounds what a Reader takes. A connection costs at most CallBytes and
// a chunk of 32 KiB for what has arrived and is not whole.
type Limits struct {
	// Calls bounds one pipeline. It is 1 where an answer may change the limits:
	// what follows the call is not looked at before the next Read.
	Calls int
	// CallBytes bounds all bytes of one call.
	CallBytes int
	// BulkBytes bounds one argument.
	BulkBytes int
	// Arguments bounds the arguments of a call, its name counted.
	Arguments int
	// ArgumentsMany bounds them for the names for which Many, if not nil, is
	// true. Many must not keep the name.
	ArgumentsMany int
	Many          func(name []byte) bool
	// BulkBytesLarge bounds an argument behind the names for which Large, if not
	// nil, is true. It holds in no inline call, which is a short line. Large must
	// not keep the name.
	BulkBytesLarge int
	Large          func(name []byte) bool
	// Unauthenticated chooses the words of what is refused.
	Unauthenticated bool
}

// LimitsBefore bounds a client that has not said who it is. Ten arguments of
// 16 KiB are 160 KiB.
func LimitsBefore() Limits {
	return Limits{
		Calls:           1,
		CallBytes:       192 << 10,
		BulkBytes:       16 << 10,
		Arguments:       10,
		Unauthenticated: true,
	}
}

// LimitsAfter bounds a client that is known. A call of 1,024 arguments of
// 1 MiB would be 1 GiB, so all of it is bounded too. A pipeline of 1,024 calls
// is as many as one log entry of 256 KiB takes of 256 bytes each. The
// commands that take a list of keys may have 64 Ki arguments: 24 bytes of
// memory for each are 1.5 MiB.
func LimitsAfter(many func(name []byte) bool) Limits {
	return Limits{
		Calls:         1024,
		CallBytes:     8 << 20,
		BulkBytes:     1 << 20,
		Arguments:     1024,
		ArgumentsMany: 64 << 10,
		Many:          many,
	}
}

// claim judges how many arguments a call says it has, before its name is
// known.
func (l *Limits) claim(n int64) error {
	most := l.Arguments
	if l.Many != nil {
		most = max(most, l.ArgumentsMany)
	}
	return l.arguments(n, most)
}

// named judges the same when the name is known.
func (l *Limits) named(n int64, name []byte) error {
	if l.Many != nil && len(name) <= nameBytesMax && l.Many(name) {
		return l.arguments(n, max(l.Arguments, l.ArgumentsMany))
	}
	return l.arguments(n, l.Arguments)
}

func (l *Limits) arguments(n int64, most int) error {
	switch {
	case n <= int64(most):
		return nil
	case l.Unauthenticated && n <= redisArgumentsMax:
		return refuse("unauthenticated multibulk length")
	}
	return refuse("invalid multibulk length")
}

// large is the bound of an argument behind a name.
func (l *Limits) large(name []byte) int {
	if len(name) <= nameBytesMax && l.Large(name) {
		return max(l.BulkBytes, l.BulkBytesLarge)
	}
	return l.BulkBytes
}

// bulk judges how long an argument says it is, of which there may be so many
// bytes, and the call with it, of which so many have come.
func (l *Limits) bulk(n int64, most, arrived int) error {
	switch {
	case n < 0, n > int64(most) && (!l.Unauthenticated || n > redisBulkBytesMax):
		return refuse("invalid bulk length")
	case n > int64(most):
		return refuse("unauthenticated bulk length")
	case n > int64(l.CallBytes-arrived):
		return refuse("too big call")
	}
	return nil
}

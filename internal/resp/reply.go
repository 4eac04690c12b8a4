package resp

import "io"

// depthMax bounds how deep values of a reply stand in each other.
const depthMax = 32

// ReplyLimits bounds one reply. A client takes at most so many bytes of what
// has arrived and is not whole, and 56 bytes for each value when it is.
type ReplyLimits struct {
	Bytes     int // of a reply, with what it means and what is around that
	BulkBytes int // of one string
	Values    int // within a reply, at all depths
}

// DefaultReplyLimits are limits for a client of our own server: 64 of its
// largest values of 1 MiB, or sixteen times as many values as the largest call
// asks for, which are 64 Ki. A million values are 56 MiB of memory.
func DefaultReplyLimits() ReplyLimits {
	return ReplyLimits{Bytes: 64 << 20, BulkBytes: 64 << 20, Values: 1 << 20}
}

// frame is a value of values that has begun.
type frame struct {
	lacking   int
	attribute bool // it stands before a value, and is none
}

// ReplyReader reads the replies of a server. It is for one goroutine.
type ReplyReader struct {
	buffer buffer
	limits ReplyLimits
	failed error // a ProtocolError, which is told from then on

	// The reply that is arriving.
	part    part // partBegin, partLength for any line, partBulk
	header  header
	lacking int // bytes of the string, with the two behind it
	arrived int // bytes of the reply
	texts   int // bytes of its texts, at most
	values  int // that it says it holds within
	open    [depthMax]frame
	depth   int
}

// NewReplyReader makes a ReplyReader of what source delivers.
func NewReplyReader(source io.Reader, limits ReplyLimits) *ReplyReader {
	return &ReplyReader{buffer: newBuffer(source), limits: limits}
}

// Read waits for a reply. Its texts share memory with each other, and nothing
// else. Attributes are passed over; a push comes as a Value like others.
//
// A *ProtocolError is the end: each later Read returns it again. Other errors
// are of the source, as it returned them, and Read may be tried again; io.EOF
// comes only between two replies, io.ErrUnexpectedEOF within one.
func (r *ReplyReader) Read() (Value, error) {
	for r.failed == nil {
		whole, err := r.scan()
		if err != nil {
			r.failed = err
			break
		}
		if whole {
			v, err := r.build()
			r.failed = err
			r.buffer.release()
			return v, err
		}
		if err := r.buffer.fill(); err != nil {
			return Value{}, err
		}
	}
	return Value{}, r.failed
}

// scan goes over what has arrived, up to the end of a reply.
func (r *ReplyReader) scan() (whole bool, err error) {
	for {
		piece := r.buffer.unscanned()
		if len(piece) == 0 {
			return false, nil
		}
		n, done := r.step(piece)
		r.buffer.scanned(n)
		r.arrived += n
		if err := r.check(); err != nil {
			return false, err
		}
		if done {
			if whole, err = r.ended(); whole || err != nil {
				return whole, err
			}
		}
	}
}

// step goes over a line or a string, as far as a piece reaches.
func (r *ReplyReader) step(piece []byte) (n int, done bool) {
	switch r.part {
	case partBegin:
		r.arrived, r.texts, r.values, r.depth = 0, 0, 0, 0
		r.part, r.header = partLength, header{}
		return 0, false
	case partBulk:
		n = min(r.lacking, len(piece))
		r.lacking -= n
		return n, r.lacking == 0
	}
	return r.header.take(piece)
}

// check bounds what has arrived.
func (r *ReplyReader) check() error {
	switch {
	case r.part == partLength && r.header.tooLong():
		return refuse("too long line in reply")
	case r.arrived > r.limits.Bytes:
		return refuse("too big reply")
	}
	return nil
}

// ended judges a line or a string that has come to its end, and says whether
// the reply has.
func (r *ReplyReader) ended() (whole bool, err error) {
	if r.part == partBulk {
		return r.endValue(), nil
	}
	if r.header.end != '\n' {
		return false, refuse("a line of the reply ends without a line feed")
	}
	size := max(0, r.header.size-1) // behind the marker
	switch c := r.header.marker(); c {
	case '+', '-', ',', '(':
		r.texts += size
		return r.endValue(), nil
	case ':', '_', '#':
		if !validScalar(c, size, &r.header) {
			return false, refuse("invalid value behind '" + string([]byte{c}) + "' in reply")
		}
		return r.endValue(), nil
	case '$', '=', '!':
		return r.endLength(c)
	case '*', '~', '%', '>', '|':
		return r.endCount(c)
	default:
		return false, refuse("unknown type '" + string([]byte{c}) + "' of a reply")
	}
}

// validScalar judges a value of a few bytes.
func validScalar(marker byte, size int, h *header) bool {
	switch marker {
	case '_':
		return size == 0
	case '#':
		return size == 1 && (h.text[1] == 't' || h.text[1] == 'f')
	}
	_, ok := h.number()
	return ok
}

// endLength judges how long a string says it is.
func (r *ReplyReader) endLength(marker byte) (whole bool, err error) {
	n, ok := r.header.number()
	switch {
	case string(r.header.body()) == "?":
		return false, refuse("streamed strings ($?) are not supported")
	case !ok, n < -1, n == -1 && marker != '$', marker == '=' && n < formatBytes+1:
		return false, refuse("invalid bulk length in reply")
	case n == -1:
		return r.endValue(), nil
	case n > int64(r.limits.BulkBytes), n > int64(r.limits.Bytes-r.arrived):
		return false, refuse("too big bulk length in reply")
	}
	r.texts += int(n)
	r.part, r.lacking = partBulk, int(n)+len("\r\n")
	return false, nil
}

// endCount judges how many values a value says it holds.
func (r *ReplyReader) endCount(marker byte) (whole bool, err error) {
	n, ok := r.header.number()
	switch {
	case string(r.header.body()) == "?":
		return false, refuse("streamed values (" + string([]byte{marker}) + "?) are not supported")
	case !ok, n < -1, n == -1 && marker != '*':
		return false, refuse("invalid multibulk length in reply")
	case marker == '>' && r.depth > 0:
		return false, refuse("push within a reply")
	case n == -1:
		return r.endValue(), nil
	case n > int64(r.limits.Values):
		return false, refuse("too many values in reply")
	}
	lacking := int(n)
	if marker == '%' || marker == '|' {
		lacking *= 2
	}
	if r.values += lacking; r.values > r.limits.Values {
		return false, refuse("too many values in reply")
	}
	r.header = header{}
	switch {
	case lacking == 0 && marker == '|':
		return false, nil // the value is still to come
	case lacking == 0:
		return r.endValue(), nil
	case r.depth == depthMax:
		return false, refuse("too deep reply")
	}
	r.open[r.depth] = frame{lacking: lacking, attribute: marker == '|'}
	r.depth++
	return false, nil
}

// endValue counts a value that has come to its end, and those that end with
// it, and says whether the reply does.
func (r *ReplyReader) endValue() (whole bool) {
	r.part, r.header = partLength, header{}
	for ; r.depth > 0; r.depth-- {
		last := &r.open[r.depth-1]
		if last.lacking--; last.lacking > 0 {
			return false
		}
		if last.attribute {
			r.depth--
			return false
		}
	}
	r.part = partBegin
	r.buffer.whole()
	return true
}

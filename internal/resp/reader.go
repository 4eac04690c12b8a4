package resp

import (
	"bytes"
	"io"
)

// Call is one call as it arrived: the name of the command, and the arguments
// behind it. It is never empty.
type Call [][]byte

// part is what stands next in a call.
type part uint8

const (
	partBegin  part = iota // the first byte, which tells the form
	partInline             // a line of text
	partCount              // the line *n
	partLength             // the line $n
	partBulk               // an argument and the two bytes behind it
)

// tally counts what has been found whole.
type tally struct {
	calls, arguments, bytes int
}

// Reader reads the calls of a client. It is for one goroutine.
type Reader struct {
	buffer buffer
	limits Limits
	failed error // a ProtocolError or ErrForeign, which is told from then on

	// found is what stands whole in the buffer.
	found tally

	// The call that is arriving.
	part      part
	header    header
	call      tally // what of it is whole, bytes without what is around them
	arguments int64 // that it says it has
	lacking   int   // bytes of the argument, with the two behind it
	arrived   int   // bytes of the call; in a line, those of the line
}

// NewReader makes a Reader of what source delivers.
func NewReader(source io.Reader, limits Limits) *Reader {
	r := &Reader{buffer: newBuffer(source)}
	r.SetLimits(limits)
	return r
}

// SetLimits changes the limits for what has not been looked at yet.
func (r *Reader) SetLimits(limits Limits) {
	r.limits = limits
	r.limits.Calls = max(1, limits.Calls)
}

// Idle says that nothing of a call has arrived that Read has not returned.
func (r *Reader) Idle() bool { return r.buffer.empty() }

// Shrink gives back the memory of a Reader that is Idle. It costs one chunk to
// read again.
func (r *Reader) Shrink() {
	if r.Idle() {
		r.buffer.shrink()
	}
}

// Read waits for a call and returns it with all others that have arrived with
// it, as far as the limits allow. The calls belong to the caller; they share
// memory with each other, and nothing else.
//
// A *ProtocolError or ErrForeign is the end: each later Read returns it again.
// It comes after the calls before it. Other errors are of the source, as it
// returned them, and Read may be tried again; io.EOF comes only between two
// calls, io.ErrUnexpectedEOF within one.
func (r *Reader) Read() ([]Call, error) {
	for {
		if r.failed == nil {
			r.failed = r.scan()
		}
		if r.found.calls > 0 {
			calls := r.build()
			r.buffer.release()
			r.found = tally{}
			return calls, nil
		}
		if r.failed != nil {
			return nil, r.failed
		}
		if err := r.buffer.fill(); err != nil {
			return nil, err
		}
	}
}

// scan goes over what has arrived, up to as many calls as a pipeline may have.
func (r *Reader) scan() error {
	for r.found.calls < r.limits.Calls {
		piece := r.buffer.unscanned()
		if len(piece) == 0 {
			return nil
		}
		n, done, err := r.step(piece)
		r.buffer.scanned(n)
		r.arrived += n
		if err != nil {
			return err
		}
		if done {
			if err := r.ended(); err != nil {
				return err
			}
		}
	}
	return nil
}

// step goes over the next part of a call, as far as a piece reaches, and says
// how many bytes that were, and whether it was all of the part.
func (r *Reader) step(piece []byte) (n int, done bool, err error) {
	switch r.part {
	case partBegin:
		r.begin(piece[0])
		return 0, false, nil
	case partInline:
		return r.stepInline(piece)
	case partBulk:
		n = min(r.lacking, len(piece))
		r.lacking -= n
		return n, r.lacking == 0, nil
	}
	n, done = r.header.take(piece)
	switch {
	case !r.header.tooLong():
		return n, done, nil
	case r.part == partCount:
		return n, false, refuse("too big mbulk count string")
	}
	return n, false, refuse("too big bulk count string")
}

// begin looks at the first byte of a call.
func (r *Reader) begin(first byte) {
	r.call, r.arrived, r.header = tally{}, 0, header{}
	r.part = partInline
	if first == '*' {
		r.part = partCount
	}
}

// stepInline looks for the end of a line.
func (r *Reader) stepInline(piece []byte) (n int, done bool, err error) {
	n = bytes.IndexByte(piece, '\n')
	switch {
	case n >= 0 && r.arrived+n <= lineBytesMax:
		return n + 1, true, nil
	case n < 0 && r.arrived+len(piece) <= lineBytesMax:
		return len(piece), false, nil
	}
	// It may be a request for a very long path. Only so much of it is judged as
	// is there however it was cut in pieces.
	from := r.buffer.from(r.buffer.mark)
	line := from.until('\n')
	if foreign(line[:lineBytesMax+1]) {
		return 0, false, ErrForeign
	}
	return 0, false, refuse("too big inline request")
}

// ended judges a part that has come to its end, and says what comes next.
func (r *Reader) ended() error {
	switch r.part {
	case partInline:
		return r.endInline()
	case partCount:
		return r.endCount()
	case partLength:
		return r.endLength()
	}
	return r.endBulk()
}

func (r *Reader) endCount() error {
	n, ok := r.header.number()
	if !ok {
		return refuse("invalid multibulk length")
	}
	if err := r.limits.claim(n); err != nil {
		return err
	}
	r.arguments = n
	if n <= 0 {
		r.endCall()
		return nil
	}
	r.part, r.header = partLength, header{}
	return nil
}

func (r *Reader) endLength() error {
	if c := r.header.marker(); c != '$' {
		return refuse("expected '$', got '" + string([]byte{c}) + "'")
	}
	n, ok := r.header.number()
	if !ok {
		return refuse("invalid bulk length")
	}
	most := r.limits.BulkBytes
	if n > int64(most) && r.limits.Large != nil && r.call.arguments > 0 {
		most = r.limits.large(r.name())
	}
	if err := r.limits.bulk(n, most, r.arrived); err != nil {
		return err
	}
	r.call.bytes += int(n)
	r.part, r.lacking = partBulk, int(n)+len("\r\n")
	return nil
}

func (r *Reader) endBulk() error {
	r.call.arguments++
	if r.call.arguments == 1 && r.arguments > int64(r.limits.Arguments) {
		// The name decides whether it may have so many.
		if err := r.limits.named(r.arguments, r.name()); err != nil {
			return err
		}
	}
	if int64(r.call.arguments) == r.arguments {
		r.endCall()
		return nil
	}
	r.part, r.header = partLength, header{}
	return nil
}

// name is the first argument of the call that is arriving, or as much of it as
// a name may have and a byte more.
func (r *Reader) name() []byte {
	from := r.buffer.from(r.buffer.mark)
	from.number()
	n := min(int(from.number()), nameBytesMax+1)
	return from.appendTo(make([]byte, 0, n), n)
}

// endInline judges a line that is there as a whole.
func (r *Reader) endInline() error {
	from := r.buffer.from(r.buffer.mark)
	line := inlineCall(&from)
	if foreign(line) {
		return ErrForeign
	}
	var name []byte
	for rest := line; ; {
		size, behind, more := argument(nil, rest)
		if size < 0 {
			return refuse("unbalanced quotes in request")
		}
		if !more {
			break
		}
		if err := r.limits.bulk(int64(size), r.limits.BulkBytes, 0); err != nil {
			return err
		}
		if r.call.arguments == 0 && size <= nameBytesMax {
			name = make([]byte, size)
			argument(name, rest)
		}
		r.call.arguments++
		r.call.bytes += size
		rest = behind
	}
	if err := r.limits.named(int64(r.call.arguments), name); err != nil {
		return err
	}
	r.endCall()
	return nil
}

// inlineCall is the next line without its end.
func inlineCall(from *cursor) []byte {
	line := from.until('\n')
	return bytes.TrimSuffix(line, []byte{'\r'})
}

// endCall counts the call that has arrived. An empty one, which Redis passes
// over in silence, is forgotten at once, so that any number of them costs
// nothing.
func (r *Reader) endCall() {
	r.part = partBegin
	r.buffer.whole()
	if r.call.arguments == 0 {
		if r.found.calls == 0 {
			r.buffer.release()
		}
		return
	}
	r.found.calls++
	r.found.arguments += r.call.arguments
	r.found.bytes += r.call.bytes
}

// build makes the calls that are found, with room for exactly what they hold.
func (r *Reader) build() []Call {
	var (
		calls     = make([]Call, 0, r.found.calls)
		arguments = make([][]byte, 0, r.found.arguments)
		arena     = make([]byte, 0, r.found.bytes)
		from      = r.buffer.from(r.buffer.start)
	)
	for len(calls) < r.found.calls {
		first := len(arguments)
		if from.ahead()[0] == '*' {
			arguments, arena = buildCall(&from, arguments, arena)
		} else {
			arguments, arena = buildInline(&from, arguments, arena)
		}
		if len(arguments) > first {
			calls = append(calls, Call(arguments[first:len(arguments):len(arguments)]))
		}
	}
	return calls
}

// buildCall appends the arguments of a call, and their bytes.
func buildCall(from *cursor, arguments [][]byte, arena []byte) ([][]byte, []byte) {
	for range from.number() {
		begin := len(arena)
		arena = from.appendTo(arena, int(from.number()))
		from.skip(len("\r\n"))
		arguments = append(arguments, arena[begin:len(arena):len(arena)])
	}
	return arguments, arena
}

// buildInline does the same for a line.
func buildInline(from *cursor, arguments [][]byte, arena []byte) ([][]byte, []byte) {
	for rest := inlineCall(from); ; {
		begin := len(arena)
		size, behind, more := argument(arena[begin:cap(arena)], rest)
		if !more {
			return arguments, arena
		}
		arena = arena[:begin+size]
		arguments = append(arguments, arena[begin:len(arena):len(arena)])
		rest = behind
	}
}

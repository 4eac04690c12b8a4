package entry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/values"
)

// A reply:
//
//	┌─────────┬───────────────┬──────────────────┬─────────────────────────┐
//	│ kind    │ index         │ age, if kind = 2 │ value, or error         │
//	│ u8 0..2 │ uvarint       │ uvarint ns       │                         │
//	└─────────┴───────────────┴──────────────────┴─────────────────────────┘
//
// An error is code, message and leader (each a uvarint length and bytes), the
// outcome (u8) and a value. A value is its kind (u8) and then: nothing for
// none; u8 for a bool; u64 for numbers; a uvarint length and bytes; a uvarint
// count and values for lists and maps.

// Kinds of a reply.
const (
	replyValue = 0
	replyError = 1
	replyAged  = 2 // a value with an age
)

const (
	// replyBytesMin is kind, index, and the kind of a value.
	replyBytesMin = 3
	// depthMax bounds how deep lists and maps stand in each other.
	depthMax = 32
)

// Check says what keeps a reply from being read back once it is encoded: a
// value that stands too deep, or a map that is none. An answer that only the
// node that made it can read must not leave it.
func Check(reply quorate.Reply) error {
	if e, ok := errors.AsType[*quorate.Error](reply.Err); ok {
		return checkValue(e.Value, depthMax)
	}
	return checkValue(reply.Value, depthMax)
}

func checkValue(v quorate.Value, depth int) error {
	switch {
	case v.Kind() != values.KindList && v.Kind() != values.KindMap:
		return nil
	case depth == 0:
		return errDeep
	case v.Kind() == values.KindMap && len(v.List())%2 != 0:
		return errOdd
	}
	for _, element := range v.List() {
		if err := checkValue(element, depth-1); err != nil {
			return err
		}
	}
	return nil
}

var (
	errDeep = fmt.Errorf("values stand more than %d deep", depthMax)
	errOdd  = errors.New("a map has a name without a value")
)

// AppendReplies encodes a count and replies behind dst.
func AppendReplies(dst []byte, replies []quorate.Reply) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(replies)))
	for i := range replies {
		dst = AppendReply(dst, replies[i])
	}
	return dst
}

// ReadReplies decodes what AppendReplies encoded.
func ReadReplies(data []byte) ([]quorate.Reply, error) {
	dry := reader{data: data, dry: true}
	dry.replies()
	if err := dry.end("reply"); err != nil {
		return nil, err
	}
	r := reader{data: data}
	return r.replies(), r.err
}

// replies takes a count and replies.
func (r *reader) replies() []quorate.Reply {
	count := r.count(replyBytesMin)
	if count > CallsMax {
		r.fail(fmt.Errorf("%d replies are over the limit of %d", count, CallsMax))
		return nil
	}
	if r.dry {
		for i := 0; i < count && r.err == nil; i++ {
			r.reply()
		}
		return nil
	}
	replies := make([]quorate.Reply, count)
	for i := range replies {
		replies[i] = r.reply()
	}
	return replies
}

// AppendReply encodes one reply behind dst.
func AppendReply(dst []byte, reply quorate.Reply) []byte {
	if reply.Err == nil && reply.Age > 0 {
		dst = binary.AppendUvarint(append(dst, replyAged), reply.Index)
		return appendValue(binary.AppendUvarint(dst, uint64(reply.Age)), reply.Value)
	}
	if reply.Err == nil {
		dst = binary.AppendUvarint(append(dst, replyValue), reply.Index)
		return appendValue(dst, reply.Value)
	}
	dst = binary.AppendUvarint(append(dst, replyError), reply.Index)
	return appendError(dst, reply.Err)
}

// ReadReply decodes what AppendReply encoded.
func ReadReply(data []byte) (quorate.Reply, error) {
	dry := reader{data: data, dry: true}
	dry.reply()
	if err := dry.end("reply"); err != nil {
		return quorate.Reply{}, err
	}
	r := reader{data: data}
	return r.reply(), r.err
}

func (r *reader) reply() quorate.Reply {
	kind := r.byte()
	reply := quorate.Reply{Index: r.uvarint()}
	switch kind {
	case replyAged:
		// What is over the limit becomes negative, which no age is.
		if reply.Age = time.Duration(r.uvarint()); reply.Age <= 0 {
			r.fail(errors.New("the age of a reply is out of range"))
		}
		reply.Value = r.value(depthMax)
	case replyValue:
		reply.Value = r.value(depthMax)
	case replyError:
		if e := r.error(); !r.dry {
			reply.Err = &e
		}
	default:
		r.fail(fmt.Errorf("reply of kind %d: %w", kind, ErrNewer))
	}
	return reply
}

func appendError(dst []byte, err error) []byte {
	e, ok := errors.AsType[*quorate.Error](err)
	if !ok {
		// An error that says nothing of its outcome leaves it open.
		e = &quorate.Error{Code: quorate.Internal, Message: err.Error(), Outcome: quorate.Unknown}
	}
	dst = appendText(dst, string(e.Code))
	dst = appendText(dst, e.Message)
	dst = appendText(dst, e.Leader)
	return appendValue(append(dst, byte(e.Outcome)), e.Value)
}

func (r *reader) error() quorate.Error {
	e := quorate.Error{Code: quorate.Code(r.text()), Message: r.text(), Leader: r.text()}
	// Only the exact byte for "not applied" says so.
	if r.byte() != byte(quorate.NotApplied) {
		e.Outcome = quorate.Unknown
	}
	e.Value = r.value(depthMax)
	return e
}

func appendText(dst []byte, text string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	return append(dst, text...)
}

func appendValue(dst []byte, v quorate.Value) []byte {
	dst = append(dst, byte(v.Kind()))
	switch v.Kind() {
	case values.KindBool:
		if v.Bool() {
			return append(dst, 1)
		}
		return append(dst, 0)
	case values.KindInt:
		return binary.LittleEndian.AppendUint64(dst, uint64(v.Int()))
	case values.KindUint:
		return binary.LittleEndian.AppendUint64(dst, v.Uint())
	case values.KindFloat:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v.Float()))
	case values.KindBytes:
		return appendText(dst, v.Text())
	case values.KindList, values.KindMap:
		dst = binary.AppendUvarint(dst, uint64(len(v.List())))
		for _, element := range v.List() {
			dst = appendValue(dst, element)
		}
	}
	return dst
}

func (r *reader) value(depth int) quorate.Value {
	switch kind := values.Kind(r.byte()); kind {
	case values.KindNone:
		return quorate.Value{}
	case values.KindBool:
		return values.Bool(r.byte() == 1)
	case values.KindInt:
		return values.Int(int64(r.uint64()))
	case values.KindUint:
		return values.Uint(r.uint64())
	case values.KindFloat:
		return values.Float(math.Float64frombits(r.uint64()))
	case values.KindBytes:
		return values.Bytes(r.text())
	case values.KindList:
		return values.List(r.values(r.count(1), depth)...)
	case values.KindMap:
		n := r.count(1)
		if n%2 != 0 {
			r.fail(errOdd)
			return quorate.Value{}
		}
		return values.Map(r.values(n, depth)...)
	default:
		r.fail(fmt.Errorf("value of kind %d: %w", kind, ErrNewer))
		return quorate.Value{}
	}
}

// values takes n values that stand in another.
func (r *reader) values(n, depth int) []quorate.Value {
	if depth == 0 {
		r.fail(errDeep)
		return nil
	}
	if r.dry {
		for i := 0; i < n && r.err == nil; i++ {
			r.value(depth - 1)
		}
		return nil
	}
	values := make([]quorate.Value, n)
	for i := range values {
		values[i] = r.value(depth - 1)
	}
	return values
}

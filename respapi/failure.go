package respapi

import (
	"errors"
	"math"
	"strconv"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/resp"
	"github.com/quorate/quorate/values"
)

// The prefixes of errors that are not Redis' own.
const (
	prefixError = "ERR"
	// prefixAgain is one that client libraries retry by themselves, which is
	// safe only where it is sure that nothing was done.
	prefixAgain = "TRYAGAIN"
	prefixStale = "STALE"
	// prefixUnknown is one that no client library retries by itself.
	prefixUnknown = "UNKNOWN"
	prefixReused  = "IDREUSED"
	prefixType    = "WRONGTYPE"
)

// Failure is the answer for an error. Its prefix says whether the call may have
// taken effect: UNKNOWN if so, and any other if surely not.
func Failure(err error) resp.Value {
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return resp.ErrorValue(refusal.Prefix, refusal.Text)
	}
	e, ok := errors.AsType[*quorate.Error](err)
	if !ok {
		return resp.ErrorValue(prefixUnknown, "internal: the node is at fault; its log says why")
	}
	text := e.Error()
	if e.Code == quorate.Internal || e.Code == quorate.Panicked {
		text = "internal: " + text
	}
	return resp.ErrorValue(prefixOf(e), text)
}

// prefixOf is the one place that translates an error to a prefix.
func prefixOf(e *quorate.Error) string {
	if e.Outcome != quorate.NotApplied {
		return prefixUnknown
	}
	switch e.Code {
	case quorate.Unavailable, quorate.Overloaded:
		return prefixAgain
	case quorate.TooOld:
		return prefixStale
	case quorate.IDReused:
		return prefixReused
	case quorate.WrongType:
		return prefixType
	}
	return prefixError
}

// Answer is the answer for a reply to an operation that has no Redis command:
// its value, null if there is nothing, or its error.
func Answer(reply quorate.Reply) resp.Value {
	switch {
	case reply.Err == nil:
		return valueOf(reply.Value)
	case quorate.CodeOf(reply.Err) == quorate.NotFound:
		return resp.Value{}
	}
	return Failure(reply.Err)
}

// valueOf is a result in the one form that it has in the protocol.
func valueOf(v quorate.Value) resp.Value {
	switch v.Kind() {
	case values.KindBool:
		return resp.BoolValue(v.Bool())
	case values.KindInt:
		return resp.IntValue(v.Int())
	case values.KindUint:
		if v.Uint() > math.MaxInt64 {
			return resp.BigNumberValue(strconv.FormatUint(v.Uint(), 10))
		}
		return resp.IntValue(int64(v.Uint()))
	case values.KindFloat:
		return resp.DoubleValue(v.Float())
	case values.KindBytes:
		return resp.BulkValue(v.Text())
	case values.KindList:
		return resp.ArrayValue(valuesOf(v.List())...)
	case values.KindMap:
		return resp.MapValue(valuesOf(v.List())...)
	}
	return resp.Value{}
}

func valuesOf(list []quorate.Value) []resp.Value {
	values := make([]resp.Value, len(list))
	for i, v := range list {
		values[i] = valueOf(v)
	}
	return values
}

package quorate

import (
	"reflect"

	"github.com/quorate/quorate/values"
)

// Value is a result in the form that every door shows; see package values.
type Value = values.Value

var valueType = reflect.TypeFor[Value]()

// valueFrom is values.Of for a result whose type is known: it is not put into an
// interface, which would allocate it.
func valueFrom[R any](result R) (Value, error) {
	switch r := any(&result).(type) {
	case *Value:
		return *r, nil
	case *int64:
		return values.Int(*r), nil
	case *bool:
		return values.Bool(*r), nil
	case *string:
		return values.Bytes(*r), nil
	case *[]byte:
		return values.Bytes(*r), nil
	case *TxnResult:
		return r.value(), nil
	}
	return values.Of(result)
}

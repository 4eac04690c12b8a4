package values

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/quorate/quorate/internal/jsonform"
)

// MarshalJSON writes the value in the one form it has in JSON. Bytes are a
// string where they are valid UTF-8 and {"base64":"…"} where they are not;
// a float that JSON cannot write is a string.
func (v Value) MarshalJSON() ([]byte, error) { return v.AppendJSON(nil) }

// AppendJSON appends what MarshalJSON returns to dst.
func (v Value) AppendJSON(dst []byte) ([]byte, error) {
	switch v.kind {
	case KindNone:
		return append(dst, "null"...), nil
	case KindBool:
		return strconv.AppendBool(dst, v.Bool()), nil
	case KindInt:
		return strconv.AppendInt(dst, v.Int(), 10), nil
	case KindUint:
		return strconv.AppendUint(dst, v.num, 10), nil
	case KindFloat:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return strconv.AppendQuote(dst, v.String()), nil
		}
		return append(dst, v.String()...), nil
	case KindBytes:
		return appendText(dst, v.text)
	case KindList:
		return v.appendJSONList(dst)
	}
	return v.appendJSONMap(dst)
}

func (v Value) appendJSONList(dst []byte) (_ []byte, err error) {
	dst = append(dst, '[')
	for i, element := range v.list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = element.AppendJSON(dst); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

func (v Value) appendJSONMap(dst []byte) (_ []byte, err error) {
	dst = append(dst, '{')
	for i := 0; i+1 < len(v.list); i += 2 {
		if i > 0 {
			dst = append(dst, ',')
		}
		// A name has no other form than a string.
		if dst, err = jsonform.AppendQuoted(dst, strings.ToValidUTF8(v.list[i].text, "\uFFFD")); err != nil {
			return nil, err
		}
		if dst, err = v.list[i+1].AppendJSON(append(dst, ':')); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

func appendText(dst []byte, text string) ([]byte, error) {
	if !utf8.ValidString(text) {
		dst = append(dst, `{"base64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, []byte(text))
		return append(dst, `"}`...), nil
	}
	return jsonform.AppendQuoted(dst, text)
}

// UnmarshalJSON reads an argument: an integer of 64 bits, a string, or
// {"base64":"…"} for bytes that are no text.
func (v *Value) UnmarshalJSON(raw []byte) error {
	const wanted = "an integer or a string"
	if jsonform.IsNumber(raw) {
		n, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil {
			if errors.Is(err, strconv.ErrRange) {
				return fmt.Errorf("is %s, which does not fit an integer of 64 bits", jsonform.Describe(raw))
			}
			return fmt.Errorf("is %s, not %s", jsonform.Describe(raw), wanted)
		}
		*v = Int(n)
		return nil
	}
	text, err := jsonform.Bytes(raw, wanted)
	if err != nil {
		return err
	}
	*v = Bytes(text)
	return nil
}

package entry

import "errors"

// An agreement is an entry of a kind of its own. It holds no calls, and behind
// their count, which is 0, what the members have agreed on: words of
// internal/vocabulary, which this room does not read.
//
//	┌──────────────────────────────────────────────────┬─────────┬───────┐
//	│ header as that of an entry with calls, kind = 2  │ 0       │ words │
//	│                                                  │ uvarint │       │
//	└──────────────────────────────────────────────────┴─────────┴───────┘

// AppendAgreement encodes an agreement behind dst.
func AppendAgreement(dst []byte, h Header, words []byte) []byte {
	at := len(dst)
	dst = Append(dst, h, nil)
	dst[at+1] = kindAgreement
	return append(dst, words...)
}

// IsAgreement says that an entry is an agreement and not one with calls.
func IsAgreement(data []byte) bool { return len(data) > 1 && data[1] == kindAgreement }

// ReadAgreement is the other way round from AppendAgreement. The words share
// the bytes of data.
func ReadAgreement(data []byte) (Header, []byte, error) {
	h, body, err := readHeader(data, kindAgreement)
	switch {
	case err != nil:
		return Header{}, nil, err
	case len(body) == 0:
		return Header{}, nil, errShort
	case body[0] != 0:
		return Header{}, nil, errors.New("an agreement holds calls")
	}
	return h, body[1:], nil
}

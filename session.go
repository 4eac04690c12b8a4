package quorate

import (
	"strconv"
	"strings"
)

// sessionMark stands between the session and the number in a CallID.
const sessionMark = "#"

// SessionID is the id of a call that belongs to a session: the name of the
// session, random enough never to be chosen twice, and a number that each of
// its calls has for itself, rising from 1. See Call.Settled.
func SessionID(session string, number uint64) CallID {
	return CallID(session + sessionMark + strconv.FormatUint(number, 10))
}

// Session is the session to which the call belongs and its number there. It is
// false for an id that SessionID did not make.
func (id CallID) Session() (session string, number uint64, ok bool) {
	at := strings.LastIndex(string(id), sessionMark)
	if at <= 0 {
		return "", 0, false
	}
	digits := string(id[at+1:])
	number, err := strconv.ParseUint(digits, 10, 64)
	// A number that is not zero has one decimal form without zeros in front, and
	// ParseUint takes nothing but digits.
	if err != nil || number == 0 || digits[0] == '0' {
		return "", 0, false
	}
	return string(id[:at]), number, true
}

package engine

import (
	"strconv"
	"strings"
)

// sessionMark stands between the session and the number in a CallID.
const sessionMark = "#"

// SessionID is the id of a call in a session: its name, which is never chosen
// twice, and a number that each call has for itself, rising from 1.
func SessionID(session string, number uint64) string {
	return session + sessionMark + strconv.FormatUint(number, 10)
}

// Session is the other way round from SessionID; false for another id.
func Session(id string) (session string, number uint64, ok bool) {
	at := strings.LastIndex(id, sessionMark)
	if at <= 0 {
		return "", 0, false
	}
	digits := id[at+1:]
	number, err := strconv.ParseUint(digits, 10, 64)
	// A number that is not zero has one decimal form without zeros in front, and
	// ParseUint takes nothing but digits.
	if err != nil || number == 0 || digits[0] == '0' {
		return "", 0, false
	}
	return id[:at], number, true
}

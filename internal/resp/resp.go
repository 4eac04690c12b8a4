// Package resp holds the bytes of the Redis protocol, in both directions and in
// both versions, RESP2 and RESP3: what a server reads and writes, and what a
// client writes and reads.
//
// It keeps one rule: what arrives decides what is allocated, never what is
// claimed. Bytes are gone over twice. The first time, while they arrive, nothing
// is allocated and each byte is looked at once, however they are cut in pieces;
// the second time, when all of a call or a reply is there, there is room for
// exactly what it holds. It knows no command, opens no connection and starts no
// goroutine.
//
// A call is an array of bulk strings. INCRBY hits 5 is
//
//	*3\r\n  $6\r\n INCRBY \r\n  $4\r\n hits \r\n  $1\r\n 5 \r\n
//	│       │      │
//	│       │      └ the bytes of the argument, and two more
//	│       └ an argument of 6 bytes
//	└ three arguments, the name of the command among them
//
// or, typed by a person, a line: INCRBY hits 5\r\n. A pipeline is one call behind
// the other. A reply is a value:
//
//	        RESP3                   in RESP2            holds
//	+OK\r\n                         the same            simple string
//	-ERR no such thing\r\n          the same            error: prefix and text
//	:5\r\n                          the same            integer
//	$4\r\nhits\r\n                  the same            bulk string
//	*2\r\n:1\r\n:2\r\n              the same            array of 2
//	_\r\n                           $-1\r\n or *-1\r\n  null
//	%1\r\n+a\r\n:1\r\n              *2\r\n…             map of 1 pair
//	~1\r\n:1\r\n                    *1\r\n…             set of 1
//	>1\r\n+a\r\n                    *1\r\n…             push of 1, between replies
//	,0.5\r\n  ,inf\r\n              $3\r\n0.5\r\n       double
//	#t\r\n                          :1\r\n              boolean
//	(12345678901234567890\r\n       $20\r\n…            big number
//	=7\r\ntxt:abc\r\n               $3\r\nabc\r\n       verbatim string
//	!9\r\nERR a\r\nb\r\n            -ERR a  b\r\n       error of any bytes
//	|1\r\n+ttl\r\n:9\r\n:5\r\n      never sent          attribute, before a value
//
// What is refused and with which words is what Redis 7.0 refuses, with these
// differences: a byte 0 is a byte like any other (Redis waits for ever behind
// it); the length of an inline line is bounded however it is cut in pieces; the
// limits hold for inline calls too; and bytes of HTTP are refused.
package resp

import "errors"

// Version is a version of the protocol. A connection begins with RESP2.
type Version uint8

// The versions.
const (
	RESP2 Version = 2
	RESP3 Version = 3
)

// lineBytesMax bounds a line: an inline call, a count, a length, and what is
// not a bulk string in a reply. It is Redis' own number.
const lineBytesMax = 64 << 10

// ErrForeign says that what arrived is HTTP: a browser, or a server that was
// talked into it, is at the other end. The connection must be closed without
// an answer, so that whoever made it do this learns nothing.
var ErrForeign = errors.New("the other side speaks HTTP")

// ProtocolError says that bytes are not of the protocol, or are more than is
// allowed. What follows them cannot be understood: a server answers with the
// error and closes the connection.
type ProtocolError struct {
	// Text is what is wrong, in the words of Redis where it has some.
	Text string
}

// Error is the message that a server sends behind "-ERR ".
func (e *ProtocolError) Error() string { return "Protocol error: " + e.Text }

// refuse makes a ProtocolError.
func refuse(text string) error { return &ProtocolError{Text: text} }

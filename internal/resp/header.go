package resp

import (
	"bytes"
	"math"
)

const (
	// numberBytesMax is the longest number: a sign and 19 digits.
	numberBytesMax = 20
	// shortDigitsMax is what shortNumber reads without thinking of overflow.
	shortDigitsMax = 9
)

// header gathers a line that begins with a marker, from however many pieces,
// up to the byte behind '\r'. It keeps the marker and as much as the longest
// number has, and one byte more, by which a longer one is seen.
type header struct {
	text   [1 + numberBytesMax + 1]byte
	size   int  // bytes before '\r', whether kept or not
	ending bool // '\r' has come
	end    byte // what came behind it

	// short says that value is the number, and that text is not kept but for the
	// marker.
	short bool
	value int64
}

// take takes bytes of a piece, which is not empty, and says how many, and
// whether the line is at its end.
func (h *header) take(piece []byte) (n int, done bool) {
	if h.size == 0 && !h.ending {
		if h.value, n, h.short = shortNumber(piece); h.short {
			h.text[0], h.size, h.ending, h.end = piece[0], n-len("\r\n"), true, piece[n-1]
			return n, true
		}
	}
	if !h.ending {
		n = bytes.IndexByte(piece, '\r')
		h.ending = n >= 0
		if !h.ending {
			n = len(piece)
		}
		if h.size < len(h.text) {
			copy(h.text[h.size:], piece[:n])
		}
		h.size += n
		if !h.ending {
			return n, false
		}
		n++
	}
	if n == len(piece) {
		return n, false
	}
	h.end = piece[n]
	return n + 1, true
}

// tooLong says that the line is longer than a line may be. It says so as soon
// as it can be known, and whatever follows.
func (h *header) tooLong() bool { return h.size > lineBytesMax }

// marker is the first byte of the line.
func (h *header) marker() byte {
	if h.size == 0 {
		return '\r'
	}
	return h.text[0]
}

// body is what stands behind the marker, cut at the length of text.
func (h *header) body() []byte { return h.text[min(1, h.size):min(h.size, len(h.text))] }

// number is what stands behind the marker, as a number.
func (h *header) number() (int64, bool) {
	if h.short {
		return h.value, true
	}
	return parseNumber(h.body())
}

// shortNumber reads a whole line of a marker and up to nine digits that are a
// number, and says how long the line is. It is the usual case, and fast.
func shortNumber(piece []byte) (n int64, size int, ok bool) {
	if len(piece) > 0 && piece[0] == '\r' {
		return 0, 0, false // no marker: the line ends here
	}
	for i := 1; i < len(piece)-1 && i <= shortDigitsMax+1; i++ {
		digit := piece[i] - '0'
		if digit > 9 {
			// No digit at all is no number; a zero in front only stands alone.
			ok = piece[i] == '\r' && i > 1 && (piece[1] != '0' || i == 2)
			return n, i + 2, ok
		}
		n = 10*n + int64(digit)
	}
	return 0, 0, false
}

// parseNumber reads a number as Redis does: digits, a minus before them, no
// plus, no zero in front, nothing that does not fit.
func parseNumber(text []byte) (int64, bool) {
	if len(text) == 1 && text[0] == '0' {
		return 0, true
	}
	digits, negative := bytes.CutPrefix(text, []byte{'-'})
	if len(digits) == 0 || len(text) > numberBytesMax || digits[0] == '0' {
		return 0, false
	}
	var n uint64
	for _, c := range digits {
		digit := uint64(c - '0')
		if digit > 9 || n > (math.MaxUint64-digit)/10 {
			return 0, false
		}
		n = 10*n + digit
	}
	if negative {
		return -int64(n), n <= 1<<63
	}
	return int64(n), n <= math.MaxInt64
}

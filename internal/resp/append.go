package resp

import (
	"math"
	"strconv"
)

// AppendCall appends a call as a client sends it.
func AppendCall(dst []byte, name string, arguments ...[]byte) []byte {
	dst = appendHeader(dst, '*', 1+len(arguments))
	dst = AppendBulk(dst, name)
	for _, argument := range arguments {
		dst = AppendBulk(dst, argument)
	}
	return dst
}

// Append appends a value as version has it. What RESP2 has no form for becomes
// what Redis makes of it: a map the array of its keys and values, a set and a
// push an array, a boolean 0 or 1, and what else is text a bulk string.
func Append(dst []byte, version Version, v Value) []byte {
	switch v.kind {
	case NullArray:
		return AppendNullArray(dst, version)
	case Simple:
		return AppendSimple(dst, v.text)
	case Error:
		return appendLine(dst, '-', v.text)
	case BlobError:
		return appendBlobError(dst, version, v.text)
	case Int:
		return AppendInt(dst, v.Int())
	case Bulk:
		return AppendBulk(dst, v.text)
	case Array:
		return appendList(AppendArray(dst, len(v.list)), version, v.list)
	case Map:
		return appendList(AppendMap(dst, version, len(v.list)/2), version, v.list)
	case Set:
		return appendList(AppendSet(dst, version, len(v.list)), version, v.list)
	case Push:
		return appendList(AppendPush(dst, version, len(v.list)), version, v.list)
	case Double:
		return AppendDouble(dst, version, v.Double())
	case Bool:
		return AppendBool(dst, version, v.Bool())
	case BigNumber:
		return AppendBigNumber(dst, version, v.text)
	case Verbatim:
		return AppendVerbatim(dst, version, v.Format(), v.text)
	}
	return AppendNull(dst, version)
}

func appendList(dst []byte, version Version, list []Value) []byte {
	for _, v := range list {
		dst = Append(dst, version, v)
	}
	return dst
}

// AppendSimple appends a simple string. A line break in it becomes a space.
func AppendSimple(dst []byte, text string) []byte { return appendLine(dst, '+', text) }

// AppendError appends an error of a prefix, such as ERR, and a text. A line
// break in it becomes a space.
func AppendError(dst []byte, prefix, text string) []byte {
	dst = append(dst, '-')
	dst = appendClean(dst, prefix)
	dst = append(dst, ' ')
	dst = appendClean(dst, text)
	return append(dst, "\r\n"...)
}

// appendBlobError appends an error of any bytes. RESP2 has them on a line.
func appendBlobError(dst []byte, version Version, text string) []byte {
	if version < RESP3 {
		return appendLine(dst, '-', text)
	}
	dst = appendHeader(dst, '!', len(text))
	dst = append(dst, text...)
	return append(dst, "\r\n"...)
}

// AppendInt appends an integer.
func AppendInt(dst []byte, n int64) []byte {
	dst = append(dst, ':')
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, "\r\n"...)
}

// AppendBulk appends a bulk string.
func AppendBulk[T string | []byte](dst []byte, text T) []byte {
	dst = appendHeader(dst, '$', len(text))
	dst = append(dst, text...)
	return append(dst, "\r\n"...)
}

// AppendNull appends a null.
func AppendNull(dst []byte, version Version) []byte {
	if version < RESP3 {
		return append(dst, "$-1\r\n"...)
	}
	return append(dst, "_\r\n"...)
}

// AppendNullArray appends a null where RESP2 expects an array.
func AppendNullArray(dst []byte, version Version) []byte {
	if version < RESP3 {
		return append(dst, "*-1\r\n"...)
	}
	return append(dst, "_\r\n"...)
}

// AppendArray begins an array: n values must follow.
func AppendArray(dst []byte, n int) []byte { return appendHeader(dst, '*', n) }

// AppendMap begins a map: n keys and values must follow in turns.
func AppendMap(dst []byte, version Version, n int) []byte {
	if version < RESP3 {
		return appendHeader(dst, '*', 2*n)
	}
	return appendHeader(dst, '%', n)
}

// AppendSet begins a set: n values must follow.
func AppendSet(dst []byte, version Version, n int) []byte { return appendSince3(dst, version, '~', n) }

// AppendPush begins a push: n values must follow.
func AppendPush(dst []byte, version Version, n int) []byte { return appendSince3(dst, version, '>', n) }

// AppendBool appends a boolean.
func AppendBool(dst []byte, version Version, b bool) []byte {
	switch {
	case version >= RESP3 && b:
		return append(dst, "#t\r\n"...)
	case version >= RESP3:
		return append(dst, "#f\r\n"...)
	case b:
		return append(dst, ":1\r\n"...)
	}
	return append(dst, ":0\r\n"...)
}

// doubleBytesMax is the longest double: a sign, 17 digits and a point, and the
// exponent e-308.
const doubleBytesMax = 1 + 17 + 1 + 5

// AppendDouble appends a double with 17 digits, as Redis does, which read back
// give the same double.
func AppendDouble(dst []byte, version Version, f float64) []byte {
	var digits [doubleBytesMax]byte
	text := appendDigits(digits[:0], f)
	if version < RESP3 {
		return AppendBulk(dst, text)
	}
	dst = append(dst, ',')
	dst = append(dst, text...)
	return append(dst, "\r\n"...)
}

func appendDigits(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "nan"...)
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	}
	return strconv.AppendFloat(dst, f, 'g', 17, 64)
}

// AppendBigNumber appends a number of decimal digits.
func AppendBigNumber(dst []byte, version Version, digits string) []byte {
	if version < RESP3 {
		return AppendBulk(dst, digits)
	}
	return appendLine(dst, '(', digits)
}

// AppendVerbatim appends a string and its format, which has three letters.
func AppendVerbatim(dst []byte, version Version, format, text string) []byte {
	if version < RESP3 {
		return AppendBulk(dst, text)
	}
	dst = appendHeader(dst, '=', formatBytes+1+len(text))
	for i := range formatBytes {
		if i < len(format) {
			dst = append(dst, format[i])
		} else {
			dst = append(dst, ' ')
		}
	}
	dst = append(dst, ':')
	dst = append(dst, text...)
	return append(dst, "\r\n"...)
}

// appendSince3 begins what is an array in RESP2.
func appendSince3(dst []byte, version Version, marker byte, n int) []byte {
	if version < RESP3 {
		marker = '*'
	}
	return appendHeader(dst, marker, n)
}

func appendHeader(dst []byte, marker byte, n int) []byte {
	dst = append(dst, marker)
	dst = strconv.AppendInt(dst, int64(n), 10)
	return append(dst, "\r\n"...)
}

func appendLine(dst []byte, marker byte, text string) []byte {
	dst = append(dst, marker)
	dst = appendClean(dst, text)
	return append(dst, "\r\n"...)
}

// appendClean appends a text for a line: what would end the line, and let the
// rest of the text pass for a reply of its own, becomes a space.
func appendClean(dst []byte, text string) []byte {
	begin := len(dst)
	dst = append(dst, text...)
	for i := begin; i < len(dst); i++ {
		if dst[i] == '\r' || dst[i] == '\n' {
			dst[i] = ' '
		}
	}
	return dst
}

package resp

import "bytes"

// space says what separates words, as isspace does in C.
func space(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// argument reads the first argument of an inline call, by the rules of
// sdssplitargs in Redis:
//
//	plain     up to a blank; a quote in it begins a quoted part
//	"quoted"  \n \r \t \b \a \xHH are bytes; \ before any other is that byte
//	'quoted'  \' is a quote, and nothing else is special
//
// Behind a closing quote stands a blank or nothing. It writes to dst, unless
// that is nil, and returns the length of the argument, or -1 if a quote is
// wrong. Nothing is left, and more is false, when there is no argument.
func argument(dst, line []byte) (size int, rest []byte, more bool) {
	for len(line) > 0 && space(line[0]) {
		line = line[1:]
	}
	if len(line) == 0 {
		return 0, nil, false
	}
	put := func(c byte) {
		if dst != nil {
			dst[size] = c
		}
		size++
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case ' ', '\n', '\r', '\t':
			return size, line[i:], true
		case '"', '\'':
			n := quoted(line[i+1:], c, put)
			if n < 0 {
				return -1, nil, false
			}
			return size, line[i+1+n:], true
		default:
			put(c)
		}
	}
	return size, nil, true
}

// quoted reads what stands behind an opening quote and returns its length with
// the closing one, or -1.
func quoted(text []byte, quote byte, put func(byte)) int {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == quote:
			if i+1 < len(text) && !space(text[i+1]) {
				return -1
			}
			return i + 1
		case c == '\\' && quote == '\'' && i+1 < len(text) && text[i+1] == '\'':
			i++
			put('\'')
		case c == '\\' && quote == '"' && i+1 < len(text):
			n := escaped(text[i+1:], put)
			i += n
		default:
			put(c)
		}
	}
	return -1
}

// escaped reads what stands behind a backslash and returns its length.
func escaped(text []byte, put func(byte)) int {
	if len(text) >= 3 && text[0] == 'x' {
		high, low := hex(text[1]), hex(text[2])
		if high >= 0 && low >= 0 {
			put(byte(high<<4 | low))
			return 3
		}
	}
	c := text[0]
	if i := bytes.IndexByte([]byte("nrtba"), c); i >= 0 {
		c = "\n\r\t\b\a"[i]
	}
	put(c)
	return 1
}

// hex is the value of a digit, or -1.
func hex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// foreign says that a line is of an HTTP request. Redis itself looks only for
// POST and Host:, but a request without a body does harm as well.
func foreign(line []byte) bool {
	line = bytes.TrimLeftFunc(line, func(r rune) bool { return r < 0x80 && space(byte(r)) })
	if bytes.Contains(line, []byte(" HTTP/")) {
		return true
	}
	if len(line) >= len("host:") && bytes.EqualFold(line[:len("host:")], []byte("host:")) {
		return true
	}
	end := bytes.IndexAny(line, " \t\n\v\f\r")
	if end < 0 {
		end = len(line)
	}
	path := bytes.TrimLeft(line[end:], " \t\n\v\f\r")
	switch string(bytes.ToUpper(line[:min(end, len("OPTIONS")+1)])) {
	case "POST", "OPTIONS", "HEAD", "CONNECT":
		return true
	case "GET", "PUT":
		return len(path) > 0 && path[0] == '/'
	}
	return false
}

package kv

import "bytes"

// Match says whether a pattern matches a key. It does exactly what Redis does,
// also where a pattern is not well formed, and byte for byte: a character of
// several bytes is not one to it.
func Match(pattern, key []byte) bool {
	matched, _ := match(pattern, key)
	return matched
}

// match also says that nothing longer than the key can match, so that a star
// before need not try: without it, many stars would take for ever.
func match(pattern, key []byte) (matched, hopeless bool) {
	for len(pattern) > 0 && len(key) > 0 {
		switch pattern[0] {
		case '*':
			return matchStar(bytes.TrimLeft(pattern, "*"), key)
		case '?':
		case '[':
			in, rest := matchSet(pattern[1:], key[0])
			if !in {
				return false, false
			}
			pattern = rest
		default:
			if pattern[0] == '\\' && len(pattern) > 1 {
				pattern = pattern[1:]
			}
			if pattern[0] != key[0] {
				return false, false
			}
		}
		pattern, key = pattern[1:], key[1:]
		if len(key) == 0 {
			pattern = bytes.TrimLeft(pattern, "*")
		}
	}
	return len(pattern) == 0 && len(key) == 0, false
}

// matchStar matches what follows a star somewhere in the key.
func matchStar(pattern, key []byte) (matched, hopeless bool) {
	if len(pattern) == 0 {
		return true, false
	}
	for ; len(key) > 0; key = key[1:] {
		if matched, hopeless := match(pattern, key); matched || hopeless {
			return matched, hopeless
		}
	}
	return false, true
}

// matchSet says whether c is in a set, and returns the pattern from the last
// byte of the set on. The set begins behind its bracket. One that does not end
// ends with the pattern.
func matchSet(set []byte, c byte) (in bool, rest []byte) {
	at := func(i int) byte {
		if i < len(set) {
			return set[i]
		}
		return 0
	}
	i, not := 0, at(0) == '^'
	if not {
		i++
	}
	for ; at(i) != ']'; i++ {
		switch {
		case i >= len(set):
			return in != not, []byte{0}
		case set[i] == '\\' && len(set)-i >= 2:
			i++
			in = in || set[i] == c
		case len(set)-i >= 3 && set[i+1] == '-':
			in = in || between(set[i], c, set[i+2])
			i += 2
		default:
			in = in || set[i] == c
		}
	}
	return in != not, set[i:]
}

// between says that c is in a range, whichever way round it is. The chars of
// Redis have a sign: bytes from 128 on stand before all others.
func between(from, c, to byte) bool {
	low, high := min(int8(from), int8(to)), max(int8(from), int8(to))
	return low <= int8(c) && int8(c) <= high
}

// literalPrefix is what all keys begin with that a pattern matches.
func literalPrefix(pattern []byte) Key {
	if i := bytes.IndexAny(pattern, `*?[\`); i >= 0 {
		pattern = pattern[:i]
	}
	return Key(pattern[:min(len(pattern), KeyBytesMax)])
}

package respapi

// matches says that a text is of a pattern of Redis: * is any text, ? is any
// byte, [abc], [a-c] and [^a] are one byte of those or of others, and \ takes
// what follows as it is.
//
// Only the newest * is ever gone back to: what an older one could change, it
// can too. So it takes at most the product of both lengths.
func matches(pattern, text string) bool {
	p, t := 0, 0
	star, from := -1, 0 // the newest *, and where its text ends
	for t < len(text) {
		if p < len(pattern) && pattern[p] == '*' {
			star, from = p, t
			p++
			continue
		}
		if next, ok := matchesByte(pattern, p, text[t]); ok {
			p, t = next, t+1
			continue
		}
		if star < 0 {
			return false
		}
		from++
		p, t = star+1, from
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchesByte says that a byte is of what stands in a pattern at p, and what
// stands behind that.
func matchesByte(pattern string, p int, b byte) (next int, ok bool) {
	if p == len(pattern) {
		return 0, false
	}
	switch pattern[p] {
	case '?':
		return p + 1, true
	case '[':
		return matchesSet(pattern, p+1, b)
	case '\\':
		if p+1 < len(pattern) {
			p++
		}
	}
	return p + 1, pattern[p] == b
}

// matchesSet does the same for what stands behind [.
func matchesSet(pattern string, p int, b byte) (next int, ok bool) {
	negated := p < len(pattern) && pattern[p] == '^'
	if negated {
		p++
	}
	for ; p < len(pattern) && pattern[p] != ']'; p++ {
		switch {
		case pattern[p] == '\\' && p+1 < len(pattern):
			p++
			ok = ok || pattern[p] == b
		case p+2 < len(pattern) && pattern[p+1] == '-':
			low, high := min(pattern[p], pattern[p+2]), max(pattern[p], pattern[p+2])
			ok = ok || low <= b && b <= high
			p += 2
		default:
			ok = ok || pattern[p] == b
		}
	}
	return min(p+1, len(pattern)), ok != negated
}

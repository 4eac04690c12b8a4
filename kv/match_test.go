package kv_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/kv"
)

func TestPatternsMatchAsInRedis(t *testing.T) {
	for _, c := range []struct {
		pattern, key string
		want         bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "a", true}, {"*", "", false}, {"**", "abc", true},
		{"a", "a", true}, {"a", "A", false}, {"a", "ab", false}, {"ab", "a", false},
		{"?", "a", true}, {"?", "ab", false}, {"??", "ab", true}, {"a?c", "abc", true},
		{"a*c", "ac", true}, {"a*c", "abbc", true}, {"a*c", "abcd", false}, {"*b*", "abc", true}, {"a*", "a", true}, {"a**", "a", true},
		{"[abc]", "b", true}, {"[abc]", "d", false}, {"[a-c]", "b", true}, {"[c-a]", "b", true}, {"[a-c]", "d", false},
		{"[^a]", "b", true}, {"[^a]", "a", false}, {"[^a-c]", "b", false}, {"[!a]", "b", false}, {"[!a]", "!", true},
		{"[a-]", "-", false}, {"[a-]", "^", true}, {"[]]", "]", false}, {"[]", "]", false}, {`[\]]`, "]", true}, {`[\-]`, "-", true}, {`[a\-z]`, "b", false},
		{"[a", "a", true}, {"[a", "b", false}, {"[", "[", false}, {"[^", "x", true}, {"[^", "", false}, {`[\`, `\`, true},
		{`\*`, "*", true}, {`\*`, "a", false}, {`\`, `\`, true}, {`a\`, `a\`, true}, {`\\`, `\`, true}, {`\a`, "a", true},
		// A byte from 128 on stands before all others in a range.
		{"[\x80-\xff]", "\x90", true}, {"[a-\xff]", "b", false}, {"[a-\xff]", "A", true}, {"[a-\xff]", "\xff", true},
		{"[\x00-\x7f]", "\x80", false}, {"\x00*", "\x00x", true}, {"ä", "ä", true}, {"?", "ä", false},
	} {
		if got := kv.Match([]byte(c.pattern), []byte(c.key)); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.key, got)
		}
	}
}

func TestManyStarsDoNotTakeForEver(t *testing.T) {
	pattern := []byte(strings.Repeat("a*", 2000) + "b")
	key := []byte(strings.Repeat("a", 4000))
	start := time.Now()
	if kv.Match(pattern, key) {
		t.Error("it matches")
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}

func FuzzMatch(f *testing.F) {
	f.Add([]byte("[^a-c]*"), []byte("xyz"))
	f.Add([]byte(`\`), []byte("x"))
	f.Fuzz(func(t *testing.T, pattern, key []byte) {
		if !kv.Match(pattern, key) {
			return
		}
		if len(key) > 0 && !kv.Match(append([]byte("*"), pattern...), key) && len(pattern) > 0 {
			t.Errorf("%q matches %q and does not behind a star", pattern, key)
		}
	})
}

package respapi

import (
	"strings"
	"testing"
	"time"
)

func TestPatternsMatchAsInRedis(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a", "", false},
		{"*", "", true},
		{"***", "abc", true},
		{"a*c", "abc", true},
		{"a*c", "ac", true},
		{"a*c", "abcd", false},
		{"*b*d", "abcbd", true},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"?", "", false},
		{"[abc]", "b", true},
		{"[abc]", "d", false},
		{"[^abc]", "d", true},
		{"[^abc]", "a", false},
		{"[a-c]x", "bx", true},
		{"[c-a]", "b", true},
		{"[a-c]", "d", false},
		{"[\\]]", "]", true},
		{"[a-", "-", true},
		{"[abc", "c", true},
		{"[]", "a", false},
		{"[^]", "a", true},
		{"\\*", "*", true},
		{"\\*", "a", false},
		{"a\\", "a\\", true},
		{"*max*memory", "maxmemory", true},
	} {
		if got := matches(tt.pattern, tt.text); got != tt.want {
			t.Errorf("%q matches %q: %v", tt.pattern, tt.text, got)
		}
	}
}

// TestPatternsThatGoBackOftenEnd is of a pattern that takes for ever where each
// star is tried with each text.
func TestPatternsThatGoBackOftenEnd(t *testing.T) {
	begin := time.Now()
	if matches(strings.Repeat("a*", 1000)+"b", strings.Repeat("a", 10_000)) {
		t.Error("it matches")
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

package page

import (
	"slices"
	"strings"
	"testing"
)

func TestBlocksAreFoundWithTheirFiles(t *testing.T) {
	text := "# Title\n\n<!-- a/b.go -->\n\n```go\npackage b\n\nfunc f()\n```\ntext\n```console\n$ b\n1\n```\n```\nplain\n```"
	want := []block{
		{language: "go", file: "a/b.go", lines: []string{"package b", "", "func f()"}, first: 5},
		{language: "console", lines: []string{"$ b", "1"}, first: 11},
		{lines: []string{"plain"}, first: 15},
	}
	got := blocks(strings.Split(text, "\n"))
	if !slices.EqualFunc(got, want, func(a, b block) bool {
		return a.language == b.language && a.file == b.file && a.first == b.first && slices.Equal(a.lines, b.lines)
	}) {
		t.Errorf("found %+v, want %+v", got, want)
	}
}

func TestOnlyWhatDiffersFromRunToRunIsNotCompared(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{`{"value":1,"index":5}`, `{"value":1,"index":17}`, true},
		{`{"value":1,"index":5}`, `{"value":2,"index":5}`, false},
		{`{"token":327680,"until":1795421942323}`, `{"token":393216,"until":1795421999999}`, true},
		{`{"waited":0.08}`, `{"waited":12.5}`, true},
		{"(integer) 3", "(integer) 4", false},
		{"nobody waits", "nobody", false},
	} {
		if same := compared([]string{tt.a}) == compared([]string{tt.b}); same != tt.same {
			t.Errorf("%s and %s are taken for the same: %t", tt.a, tt.b, same)
		}
	}
}

func TestPortsStandForFreeOnes(t *testing.T) {
	s := &shell{t: t, dir: "/somewhere", ports: make(map[string]string)}
	const line = "curl http://127.0.0.1:7300/take -d 17300 --resp 127.0.0.1:7311"
	free := s.free(line)
	if strings.Contains(free, ":7300") || !strings.Contains(free, " 17300 ") || s.free(line) != free {
		t.Errorf("%q is typed as %q, and then as %q", line, free, s.free(line))
	}
	if got := s.told(free); got != line {
		t.Errorf("%q is told as %q", free, got)
	}
}

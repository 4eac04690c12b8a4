// Package page holds a page of documentation against what it tells of: its
// transcripts are typed into a shell, and its listings are looked for in files
// that compile.
//
// A transcript is a block of console. Lines that begin with $ are typed, and what
// follows is what is answered:
//
//	$ tickets take visa
//	1
//
// The program that is typed can be the test itself, by another name: Main makes it
// one. What is typed with dev or serve is a server, runs until the test ends, and
// prints what follows at first; kill %2 ends the second one. Ports from 7300 to
// 7399 stand for free ones. Numbers that differ from run to run are not compared:
// an index, a fraction, and what has as many digits as a time.
//
// A listing is a block of go behind a line that names the file, and must stand in
// it line by line:
//
//	<!-- examples/tickets/main.go -->
//
// With -rewrite the answers in a page become those that came.
package page

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// block is what stands between two fences.
type block struct {
	language string
	file     string // that a comment in front of it names
	lines    []string
	// first is the position of its first line in the page.
	first int
}

var named = regexp.MustCompile(`^<!-- (\S+) -->$`)

// blocks finds the blocks of a page.
func blocks(lines []string) (found []block) {
	open, before := false, ""
	for i, line := range lines {
		language, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open:
			open = false
		case fence:
			open = true
			b := block{language: language, first: i + 1}
			if match := named.FindStringSubmatch(before); match != nil {
				b.file = match[1]
			}
			found = append(found, b)
		case open:
			last := &found[len(found)-1]
			last.lines = append(last.lines, line)
		}
		if line != "" {
			before = line
		}
	}
	return found
}

func mustRead(t testing.TB, path string) []string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.ReplaceAll(string(content), "\r\n", "\n"), "\n")
}

// CheckListings fails t for each listing of a page that does not stand in the file
// which is named in front of it, seen from root.
func CheckListings(t *testing.T, root, path string) {
	t.Helper()
	listings := 0
	for _, b := range blocks(mustRead(t, path)) {
		if b.language != "go" {
			continue
		}
		listings++
		if b.file == "" {
			t.Errorf("%s:%d: no line <!-- file.go --> says where this listing stands", path, b.first)
			continue
		}
		text := strings.Join(b.lines, "\n") + "\n"
		if file := strings.Join(mustRead(t, filepath.Join(root, b.file)), "\n"); !strings.Contains(file, text) {
			t.Errorf("%s:%d: this does not stand in %s:\n%s", path, b.first, b.file, text)
		}
	}
	if listings == 0 {
		t.Errorf("%s has no listing", path)
	}
}

// CodeLines counts the lines of a Go file that are neither empty nor comment.
func CodeLines(t testing.TB, path string) (count int) {
	t.Helper()
	for _, line := range mustRead(t, path) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			count++
		}
	}
	return count
}

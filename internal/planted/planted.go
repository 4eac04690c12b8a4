// Package planted tests the tests: it plants bugs in the project, one at a
// time, and runs the test that must find it.
//
// A bug is a file in bugs: what it is, which lines it changes, and the run that
// must fail. It is planted for one build with the -overlay flag of the go
// command, so that no source file, and no binary of anybody, ever holds a
// switch for it.
//
//	One sentence that says what the bug is.
//	run: ./internal/wal -run ^TestCrash$ -count=1
//	expect: a part of what the failing run prints
//
//	-- internal/wal/append.go --
//	<<<
//		lines of that file, found in it exactly once
//	===
//		the lines instead
//	>>>
//
// The rule it keeps: a bug whose lines are no longer found is an error in every
// `go test`, so that the bugs grow old with the code and not apart from it.
// Planting all of them takes minutes and stands behind a flag.
package planted

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Bug is one planted bug.
type Bug struct {
	// Name is that of its file, without the ending.
	Name string
	// About says what it is.
	About string
	// Run is the package and the flags of the `go test` that must fail.
	Run []string
	// Expect is a part of what that prints.
	Expect string
	// Edits is what it changes.
	Edits []Edit
}

// Edit is one change of a source file.
type Edit struct {
	File     string // from the root of the module, with slashes
	Old, New string // whole lines
}

// Load reads a bug.
func Load(path string) (Bug, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return Bug{}, err
	}
	bug, err := parse(strings.ReplaceAll(string(content), "\r\n", "\n"))
	if err != nil {
		return Bug{}, fmt.Errorf("%s: %w", path, err)
	}
	bug.Name = strings.TrimSuffix(filepath.Base(path), ".txt")
	return bug, nil
}

func parse(content string) (bug Bug, err error) {
	head, body, _ := strings.Cut("\n"+content, "\n-- ")
	for line := range strings.Lines(head) {
		line = strings.TrimSpace(line)
		if run, ok := strings.CutPrefix(line, "run: "); ok {
			bug.Run = strings.Fields(run)
		} else if expect, ok := strings.CutPrefix(line, "expect: "); ok {
			bug.Expect = expect
		} else {
			bug.About = strings.TrimSpace(bug.About + " " + line)
		}
	}
	for section := range strings.SplitSeq(body, "\n-- ") {
		edits, err := parseSection(section)
		if err != nil {
			return bug, err
		}
		bug.Edits = append(bug.Edits, edits...)
	}
	if bug.About == "" || len(bug.Run) == 0 || bug.Expect == "" {
		return bug, errors.New("it needs a sentence, a line that begins with run: and one that begins with expect")
	}
	return bug, nil
}

// parseSection reads the changes of one file.
func parseSection(section string) ([]Edit, error) {
	file, body, ok := strings.Cut(section, " --\n")
	if !ok {
		return nil, errors.New("no line -- file -- before the changes")
	}
	var edits []Edit
	for {
		_, rest, ok := strings.Cut(body, "<<<\n")
		if !ok {
			break
		}
		old, rest, middle := strings.Cut(rest, "===\n")
		replaced, rest, end := strings.Cut(rest, ">>>")
		if !middle || !end || old == "" {
			return nil, fmt.Errorf("a change of %s is not <<< old lines === new lines >>>", file)
		}
		edits = append(edits, Edit{File: file, Old: old, New: replaced})
		body = rest
	}
	if len(edits) == 0 {
		return nil, fmt.Errorf("%s has no change", file)
	}
	return edits, nil
}

// Overlay is the files that a bug changes, as they are with the bug, by their
// paths from the root of the module.
func (b Bug) Overlay(root string) (map[string]string, error) {
	files := make(map[string]string)
	for _, e := range b.Edits {
		if _, ok := files[e.File]; !ok {
			content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(e.File)))
			if err != nil {
				return nil, err
			}
			files[e.File] = strings.ReplaceAll(string(content), "\r\n", "\n")
		}
		if n := strings.Count(files[e.File], e.Old); n != 1 {
			return nil, fmt.Errorf("%s: these lines are found %d times and not once:\n%s", e.File, n, e.Old)
		}
		files[e.File] = strings.Replace(files[e.File], e.Old, e.New, 1)
	}
	return files, nil
}

// Plant writes the files with the bug into a directory of their own, and
// returns the path of what -overlay wants. The source stays as it is.
func (b Bug) Plant(root, dir string) (overlay string, err error) {
	files, err := b.Overlay(root)
	if err != nil {
		return "", err
	}
	root, err = filepath.Abs(root)
	if err != nil {
		return "", err
	}
	replace := make(map[string]string)
	for file, content := range files {
		planted := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(planted, []byte(content), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, filepath.FromSlash(file))] = planted
	}
	content, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, content, 0o600)
}

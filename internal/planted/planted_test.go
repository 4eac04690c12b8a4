package planted_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/planted"
)

var plant = flag.String("plant", "", "plant the bugs whose names match this expression and run the tests that must find them")

// root is that of the module.
const root = "../.."

// findTimeout bounds the run of one bug, with the build.
const findTimeout = 5 * time.Minute

func load(t *testing.T) []planted.Bug {
	t.Helper()
	paths, err := filepath.Glob("bugs/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no bugs: %v", err)
	}
	var bugs []planted.Bug
	for _, path := range paths {
		bug, err := planted.Load(path)
		if err != nil {
			t.Error(err)
			continue
		}
		bugs = append(bugs, bug)
	}
	return bugs
}

func TestEveryBugCanStillBePlanted(t *testing.T) {
	for _, bug := range load(t) {
		files, err := bug.Overlay(root)
		if err != nil {
			t.Errorf("%s: %v", bug.Name, err)
		}
		for file, content := range files {
			if source, err := os.ReadFile(filepath.Join(root, file)); err != nil || content == string(source) {
				t.Errorf("%s: %s is the same with the bug (%v)", bug.Name, file, err)
			}
		}
		if testOf(t, bug) == "" {
			t.Errorf("%s: no test of %s matches %v", bug.Name, bug.Run[0], bug.Run[1:])
		}
	}
}

// testOf is a test that a bug names, as it stands in the source.
func testOf(t *testing.T, bug planted.Bug) string {
	t.Helper()
	at := slices.Index(bug.Run, "-run") + 1
	if at == 0 || at == len(bug.Run) {
		return ""
	}
	expression, _, _ := strings.Cut(bug.Run[at], "/")
	named, err := regexp.Compile(expression)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, bug.Run[0], "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range testNames.FindAllSubmatch(source, -1) {
			if named.Match(match[1]) {
				return string(match[1])
			}
		}
	}
	return ""
}

// testNames finds the tests of a file.
var testNames = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)

func TestTableListsEveryBug(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "TESTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]bool)
	for _, match := range regexp.MustCompile("(?m)^\\| `([a-z0-9-]+)` \\|").FindAllSubmatch(page, -1) {
		rows[string(match[1])] = true
	}
	for _, bug := range load(t) {
		if !rows[bug.Name] {
			t.Errorf("docs/TESTING.md has no row for %s", bug.Name)
		}
		delete(rows, bug.Name)
	}
	for name := range rows {
		t.Errorf("docs/TESTING.md has a row for %s, and there is no such bug", name)
	}
}

// TestEveryPlantedBugIsFound plants one bug after the other. It prints a row of
// the table in docs/TESTING.md for each.
func TestEveryPlantedBugIsFound(t *testing.T) {
	if *plant == "" {
		t.Skip("takes minutes: run it with -plant=.")
	}
	chosen, err := regexp.Compile(*plant)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, bug := range load(t) {
		if chosen.MatchString(bug.Name) {
			found++
			t.Run(bug.Name, func(t *testing.T) { find(t, bug) })
		}
	}
	if found == 0 {
		t.Errorf("no bug matches %s", *plant)
	}
}

var (
	// seedsUsed is how the simulator says how far it got.
	seedsUsed = regexp.MustCompile(`figures: (\d+) seeds`)
	// checkFired is how it says what it found.
	checkFired = regexp.MustCompile(`check: ([a-z-]+),`)
)

func find(t *testing.T, bug planted.Bug) {
	overlay, err := bug.Plant(root, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), findTimeout)
	defer cancel()
	args := append([]string{"test", "-overlay=" + overlay, "-timeout=4m"}, bug.Run...)
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = root
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	began := time.Now()
	err = command.Run()
	took := time.Since(began).Round(100 * time.Millisecond)
	switch text := output.String(); {
	case strings.Contains(text, "[build failed]") || strings.Contains(text, "[setup failed]"):
		t.Fatalf("it does not build:\n%s", text)
	case err == nil:
		t.Fatalf("nothing found it: go test %s passed\n%s", strings.Join(bug.Run, " "), text)
	case !strings.Contains(text, bug.Expect):
		t.Fatalf("go test %s failed, but without %q:\n%s", strings.Join(bug.Run, " "), bug.Expect, text)
	}
	fmt.Println(row(bug, output.Bytes(), took))
}

// row is the row of the table in docs/TESTING.md.
func row(bug planted.Bug, output []byte, took time.Duration) string {
	seeds, fired := "", "`"+bug.Expect+"`"
	if m := seedsUsed.FindSubmatch(output); m != nil {
		seeds = string(m[1])
	}
	checks := make(map[string]bool)
	for _, m := range checkFired.FindAllSubmatch(output, -1) {
		checks[string(m[1])] = true
	}
	if len(checks) > 0 {
		fired = strings.Join(slices.Sorted(maps.Keys(checks)), ", ")
	}
	room, test := bug.Run[0], ""
	if at := slices.Index(bug.Run, "-run") + 1; at > 0 && at < len(bug.Run) {
		test = strings.NewReplacer("^", "", "$", "", "|", ", ").Replace(bug.Run[at])
	}
	return fmt.Sprintf("| `%s` | %s | `%s` %s | %s | %s | %v |", bug.Name, bug.About, room, test, fired, seeds, took)
}

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/examples/internal/page"
)

// linesMax is how long the program may be, with its imports and comments.
const linesMax = 25

func TestProgramIsTwentyLines(t *testing.T) {
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(program), "\n"); lines > linesMax {
		t.Errorf("the program has %d lines, more than %d", lines, linesMax)
	}
}

// The program is built in a module outside of this one, offline, as somebody who
// uses the library builds it, and does there what the page says.
func TestProgramInAModuleOfItsOwn(t *testing.T) {
	if testing.Short() {
		t.Skip("a program is linked")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	mustWrite(t, filepath.Join(dir, "go.mod"), "module example.com/tickets\n\ngo 1.26.0\n\n"+
		"require github.com/quorate/quorate v0.0.0\n\nreplace github.com/quorate/quorate => "+root+"\n")
	mustCopy(t, filepath.Join(dir, "go.sum"), filepath.Join(root, "go.sum"))
	mustCopy(t, filepath.Join(dir, "main.go"), "main.go")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", "outside", ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOWORK=off", "GOPROXY=off", "GOFLAGS=-mod=mod -buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	page.RunProgram(t, service.Name(), filepath.Join(dir, "outside"), "README.md")
}

func mustCopy(t *testing.T, to, from string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, to, string(content))
}

func mustWrite(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

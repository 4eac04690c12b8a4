package program_test

import (
	"os"
	"strings"
	"testing"

	"github.com/quorate/quorate/bench/internal/program"
)

// flags is those of a program, and what they print.
func flags() (*program.Flags, *strings.Builder) {
	var printed strings.Builder
	f := program.NewFlags("probe", "pieces", "be quick")
	f.SetOutput(&printed)
	return f, &printed
}

func TestCommandLineIsReadAndKept(t *testing.T) {
	f, _ := flags()
	more := f.Int("more", 1, "")
	got, err := f.Parse([]string{"-quick", "-only=^a$", "-out", "here", "-dir=there", "-more=7"})
	if err != nil {
		t.Fatal(err)
	}
	if !got.Quick || got.Out != "here" || got.Dir != "there" || *more != 7 {
		t.Errorf("got %+v and %d", got, *more)
	}
	if !got.Only.MatchString("a") || got.Only.MatchString("ab") {
		t.Errorf("only is %q", got.Only)
	}
	if want := "go -C bench run ./probe -quick -only=^a$ -out here -dir=there -more=7"; got.Command != want {
		t.Errorf("the command is %q, want %q", got.Command, want)
	}
}

func TestWithoutFlagsEverythingIsDone(t *testing.T) {
	f, _ := flags()
	got, err := f.Parse(nil)
	if err != nil || got.Quick || !got.Only.MatchString("anything") || got.Out != "results" || got.Command != "go -C bench run ./probe" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestWrongCommandLineSaysWhy(t *testing.T) {
	for arg, want := range map[string]string{
		"-only=(": "-only",
		"-other":  "-other",
		"word":    `nothing to say beside flags: ["word"]`,
	} {
		f, printed := flags()
		if got, err := f.Parse([]string{arg}); err == nil {
			t.Errorf("%s is read as %+v", arg, got)
		}
		if !strings.Contains(printed.String(), want) {
			t.Errorf("of %s it says nothing, but %q", arg, printed)
		}
	}
}

func TestFolderIsEmptyAndOnADisk(t *testing.T) {
	parent := t.TempDir()
	dir, err := program.Options{Dir: parent}.Folder()
	if err != nil {
		t.Skip(err) // the temporary files are in memory here
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 || !strings.HasPrefix(dir, parent) {
		t.Errorf("got %s with %v, %v", dir, files, err)
	}
}

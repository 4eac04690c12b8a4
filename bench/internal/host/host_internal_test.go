package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestLineOfProcIsFoundByItsWholeName(t *testing.T) {
	file := filepath.Join(t.TempDir(), "info")
	if err := os.WriteFile(file, []byte("a line\nMemTotalOther: 1 kB\nMemTotal:       2 kB\nmodel name\t: X: Y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"MemTotal": "2 kB", "model name": "X: Y", "MemFree": unknown} {
		if got := procLine(file, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := procLine(file+"-absent", "MemTotal"); got != unknown {
		t.Errorf("a file that is not there says %q", got)
	}
}

func TestCommitSaysWhetherTheTreeIsThat(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(dir))
	for _, name := range []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"} {
		t.Setenv(name, "") // has it restored
		_ = os.Unsetenv(name)
	}
	if got := commit(t.Context()); got != unknown {
		t.Errorf("outside of a repository it is %q", got)
	}
	for _, args := range [][]string{
		{"init", "--quiet"},
		{"-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false", "commit", "--quiet", "--allow-empty", "--message=m"},
	} {
		if out, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v: %s", args, err, out)
		}
	}
	clean := commit(t.Context())
	if len(clean) < 10 || strings.Contains(clean, " ") {
		t.Errorf("the commit is %q", clean)
	}
	if err := os.WriteFile("new", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := commit(t.Context()); got != clean+" with changes" {
		t.Errorf("with a new file it is %q, and was %q", got, clean)
	}
}

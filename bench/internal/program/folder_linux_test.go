package program_test

import (
	"os"
	"strings"
	"testing"

	"github.com/quorate/quorate/bench/internal/host"
	"github.com/quorate/quorate/bench/internal/program"
)

func TestFolderInMemoryIsRefusedAndGone(t *testing.T) {
	parent, err := os.MkdirTemp("/dev/shm", "program-")
	if err != nil || !host.InMemory(parent) {
		t.Skip("there is no folder in memory here")
	}
	t.Cleanup(func() { _ = os.RemoveAll(parent) })
	if dir, err := (program.Options{Dir: parent}).Folder(); err == nil || !strings.Contains(err.Error(), "-dir=FOLDER") {
		t.Errorf("got %q, %v", dir, err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

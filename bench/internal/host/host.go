// Package host says on which machine, with which code and by which command
// something was measured.
package host

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// Description is where and how everything was measured.
type Description struct {
	CPU, Memory, Kernel, Go string
	Cores                   int
	Commit, Command, Date   string
}

// Describe describes this machine, now, under a command.
func Describe(ctx context.Context, command string) Description {
	return Description{
		CPU:     procLine("/proc/cpuinfo", "model name"),
		Memory:  procLine("/proc/meminfo", "MemTotal"),
		Kernel:  kernel(),
		Go:      runtime.Version(),
		Cores:   runtime.NumCPU(),
		Commit:  commit(ctx),
		Command: command,
		Date:    time.Now().UTC().Format("2006-01-02 15:04 MST"),
	}
}

const unknown = "unknown"

// procLine is what a file of /proc has behind a name and a colon.
func procLine(file, name string) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return unknown
	}
	for line := range bytes.Lines(content) {
		if before, after, ok := strings.Cut(string(line), ":"); ok && strings.TrimSpace(before) == name {
			return strings.TrimSpace(after)
		}
	}
	return unknown
}

func kernel() string {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOOS
	}
	return "Linux " + strings.TrimSpace(string(release))
}

// commit is what the tree was made from, and whether it is that.
func commit(ctx context.Context) string {
	head, err := exec.CommandContext(ctx, "git", "rev-parse", "--short=10", "HEAD").Output()
	if err != nil {
		return unknown
	}
	text := strings.TrimSpace(string(head))
	if changed, err := exec.CommandContext(ctx, "git", "status", "--porcelain", ":/").Output(); err != nil || len(changed) > 0 {
		text += " with changes"
	}
	return text
}

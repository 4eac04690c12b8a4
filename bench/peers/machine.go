package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// machine is where and how everything was measured.
type machine struct {
	CPU, Memory, Kernel, Go string
	Cores                   int
	Commit, Command, Date   string
	Rounds                  int
	Seconds                 float64
}

func describe(ctx context.Context, p plan) machine {
	return machine{
		CPU:     procLine("/proc/cpuinfo", "model name"),
		Memory:  procLine("/proc/meminfo", "MemTotal"),
		Kernel:  kernel(),
		Go:      runtime.Version(),
		Cores:   runtime.NumCPU(),
		Commit:  commit(ctx),
		Command: p.command,
		Date:    time.Now().UTC().Format("2006-01-02 15:04 MST"),
		Rounds:  p.rounds,
		Seconds: p.pace.duration.Seconds(),
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

// versionOf is the version of a module that this program was built with.
func versionOf(module string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == module {
				return m.Version
			}
		}
	}
	return "of unknown version"
}

// check is nil if directory dir is on a disk.
func (machine) check(dir string) error {
	if inMemory(dir) {
		return fmt.Errorf("%s is in memory, where a sync costs nothing: say -dir=FOLDER, one on the disk that counts", dir)
	}
	return nil
}

const (
	// syncBytes is what is written before each sync: the size of a page, which
	// a small entry of a log touches.
	syncBytes = 4 << 10
	syncCount = 500
)

// errNoSync is that this system has no fdatasync.
var errNoSync = errors.New("there is no fdatasync here")

// syncTime is the median time of writing a page into a file whose space is
// there, and having it on disk.
func syncTime(dir string) (time.Duration, error) {
	file, err := os.CreateTemp(dir, "sync-")
	if err != nil {
		return 0, fmt.Errorf("make a file to sync: %w", err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if _, err := file.Write(make([]byte, syncCount*syncBytes)); err != nil {
		return 0, fmt.Errorf("preallocate a file to sync: %w", err)
	}
	if err := file.Sync(); err != nil {
		return 0, fmt.Errorf("sync a file: %w", err)
	}
	page := bytes.Repeat([]byte{1}, syncBytes)
	var times []time.Duration
	for i := range int64(syncCount) {
		began := time.Now()
		if _, err := file.WriteAt(page, i*syncBytes); err != nil {
			return 0, fmt.Errorf("write a file to sync: %w", err)
		}
		if err := fdatasync(file); err != nil {
			return 0, err
		}
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

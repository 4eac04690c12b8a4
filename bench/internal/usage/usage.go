// Package usage tells what processes took of their machine. It reads /proc, so
// that where there is none it knows nothing, and says so.
package usage

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Usage is what processes took.
type Usage struct {
	// CPU is the time of all cores, of user and system, of all processes.
	CPU time.Duration
	// Written is the bytes that all processes had written to storage, as the
	// kernel counts them for a process: a file whose pages lie in memory in
	// large pieces counts by pieces, of up to 256 KiB and more, even if a few
	// bytes of one were written.
	Written int64
	// Peak is the most memory that one of the processes had resident.
	Peak int64
}

// ticksPerSecond is the unit of times in /proc/PID/stat. The kernel has it at
// 100 on every platform that Go runs on.
const ticksPerSecond = 100

// Of is what these processes took since they began, and the most memory since
// Forget. False if that cannot be known.
func Of(pids ...int) (Usage, bool) {
	var sum Usage
	for _, pid := range pids {
		one, err := read(pid)
		if err != nil {
			return Usage{}, false
		}
		sum.CPU += one.CPU
		sum.Written += one.Written
		sum.Peak = max(sum.Peak, one.Peak)
	}
	return sum, len(pids) > 0
}

// Since is what was taken after an earlier usage of the same processes. The
// peak stays what it is.
func (u Usage) Since(earlier Usage) Usage {
	return Usage{CPU: u.CPU - earlier.CPU, Written: u.Written - earlier.Written, Peak: u.Peak}
}

// Forget begins the peaks of these processes anew, at what they have now. Where
// that is not possible, peaks stay those of the whole life of a process.
func Forget(pids ...int) {
	for _, pid := range pids {
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
	}
}

func read(pid int) (Usage, error) {
	var files [3][]byte
	for i, name := range []string{"stat", "io", "status"} {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil {
			return Usage{}, fmt.Errorf("read usage of process %d: %w", pid, err)
		}
		files[i] = content
	}
	return parse(files[0], files[1], files[2])
}

func parse(stat, io, status []byte) (u Usage, err error) {
	if u.CPU, err = parseCPU(stat); err != nil {
		return Usage{}, err
	}
	if u.Written, err = parseLine(io, "write_bytes:"); err != nil {
		return Usage{}, err
	}
	kilobytes, err := parseLine(status, "VmHWM:")
	u.Peak = kilobytes << 10
	return u, err
}

// parseCPU finds utime and stime, the 14th and 15th word of the line. The
// second is the name of the program in brackets, which may have spaces and
// brackets itself.
func parseCPU(stat []byte) (time.Duration, error) {
	const utime, stime = 14 - 3, 15 - 3 // after the name
	words := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(words) <= stime {
		return 0, fmt.Errorf("%q is no line of /proc/PID/stat", stat)
	}
	var ticks int64
	for _, word := range [][]byte{words[utime], words[stime]} {
		n, err := strconv.ParseInt(string(word), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read times of %q: %w", stat, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}

// parseLine finds the number in the line that begins with name.
func parseLine(content []byte, name string) (int64, error) {
	for line := range bytes.Lines(content) {
		if words := bytes.Fields(line); len(words) >= 2 && string(words[0]) == name {
			return strconv.ParseInt(string(words[1]), 10, 64)
		}
	}
	return 0, fmt.Errorf("there is no %s", name)
}

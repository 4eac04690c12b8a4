package usage

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// Machine is how long all cores of the machine were not idle: for every
// process, and for whoever else is on the same host. False if that cannot be
// known.
func Machine() (time.Duration, bool) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, false
	}
	busy, err := parseMachine(stat)
	return busy, err == nil
}

// parseMachine adds up the first line: user, nice, system, idle, iowait, irq,
// softirq, and steal, which is what the host gave to others.
func parseMachine(stat []byte) (time.Duration, error) {
	const idle, iowait, steal = 4, 5, 8
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	words := bytes.Fields(line)
	if len(words) <= steal || string(words[0]) != "cpu" {
		return 0, fmt.Errorf("%q is no line of /proc/stat", line)
	}
	var ticks int64
	for i := 1; i <= steal; i++ {
		n, err := strconv.ParseInt(string(words[i]), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read times of %q: %w", line, err)
		}
		if i != idle && i != iowait {
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}

// Own is the CPU that this process took, and those that it started and that
// have ended.
func Own() time.Duration {
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return sum
}

package usage

import (
	"fmt"
	"os"
)

// Memory is what a process has of it, in bytes.
type Memory struct {
	// Resident is all that is in memory, and Anonymous the part of it that is
	// not pages of files, which the system can drop and read again.
	Resident, Anonymous int64
	// Peak is the most that was ever resident.
	Peak int64
}

// MemoryOf is what a process has at the moment. False if that cannot be known.
func MemoryOf(pid int) (m Memory, ok bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Memory{}, false
	}
	for name, to := range map[string]*int64{"VmRSS:": &m.Resident, "RssAnon:": &m.Anonymous, "VmHWM:": &m.Peak} {
		kilobytes, err := parseLine(status, name)
		if err != nil {
			return Memory{}, false
		}
		*to = kilobytes << 10
	}
	return m, true
}

package usage

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// sectorBytes is the unit of the kernel's counts of disks, whatever the disk's
// own is.
const sectorBytes = 512

// Disk is how many bytes the disk under a directory has been given to write by
// the whole machine. False if that cannot be known.
func Disk(dir string) (int64, bool) {
	var stat syscall.Stat_t
	if err := syscall.Stat(dir, &stat); err != nil {
		return 0, false
	}
	dev := uint64(stat.Dev)
	major := dev>>8&0xfff | dev>>32&^0xfff
	minor := dev&0xff | dev>>12&^0xff
	counts, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/stat", major, uint32(minor)))
	if err != nil {
		return 0, false // no disk of its own, as behind a network
	}
	return parseDisk(counts)
}

// parseDisk finds the sectors written, the 7th number.
func parseDisk(counts []byte) (int64, bool) {
	words := bytes.Fields(counts)
	if len(words) < 7 {
		return 0, false
	}
	sectors, err := strconv.ParseInt(string(words[6]), 10, 64)
	return sectors * sectorBytes, err == nil
}

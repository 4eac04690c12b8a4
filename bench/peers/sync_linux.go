package main

import (
	"fmt"
	"os"
	"syscall"
)

func fdatasync(file *os.File) error {
	if err := syscall.Fdatasync(int(file.Fd())); err != nil {
		return fmt.Errorf("sync a file: %w", err)
	}
	return nil
}

// tmpfsMagic is the type of file systems in memory.
const tmpfsMagic = 0x01021994

func inMemory(dir string) bool {
	var stat syscall.Statfs_t
	return syscall.Statfs(dir, &stat) == nil && stat.Type == tmpfsMagic
}

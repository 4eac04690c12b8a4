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

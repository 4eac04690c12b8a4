package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/quorate/quorate/bench/internal/report"
)

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
	return report.Median(times), nil
}

//go:build !linux

package load

import "time"

// Timer waits for short times as precisely as the runtime does.
type Timer struct{}

// NewTimer makes a Timer. It must be closed.
func NewTimer() (*Timer, error) { return &Timer{}, nil }

// Sleep waits for d. It is for one goroutine at a time.
func (t *Timer) Sleep(d time.Duration) { time.Sleep(d) }

// Close closes the timer.
func (t *Timer) Close() error { return nil }

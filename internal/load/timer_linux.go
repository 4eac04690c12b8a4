package load

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Timer waits for short times precisely. The timers of the runtime are late by
// half a millisecond in the middle and by a whole one at worst on Linux, where
// an idle process waits for events in whole milliseconds: more than a call
// takes. A timer that is itself an event is late by some 30 µs.
type Timer struct{ file *os.File }

// NewTimer makes a Timer. It must be closed.
func NewTimer() (*Timer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a timer: %w", err)
	}
	return &Timer{os.NewFile(uintptr(fd), "timer")}, nil
}

// Sleep waits for d. It is for one goroutine at a time.
func (t *Timer) Sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	if err := t.sleep(d); err != nil {
		time.Sleep(d) // late, and better than not at all
	}
}

func (t *Timer) sleep(d time.Duration) (err error) {
	wire, err := t.file.SyscallConn()
	if err != nil {
		return err
	}
	setting := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}
	if bad := wire.Control(func(fd uintptr) { err = unix.TimerfdSettime(int(fd), 0, &setting, nil) }); bad != nil || err != nil {
		return fmt.Errorf("set the timer: %w", err)
	}
	var expirations [8]byte
	_, err = t.file.Read(expirations[:])
	return err
}

// Close closes the timer.
func (t *Timer) Close() error { return t.file.Close() }

//go:build unix

package torture

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// canPause says that a process can be paused on this system.
const canPause = true

// terminate asks a process to end in order.
func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

// pause stops a process where it is.
func pause(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }

// resume lets it go on.
func resume(p *os.Process) error { return p.Signal(syscall.SIGCONT) }

// endedBySignal says that a process ended by the signal of terminate, and not
// in order.
func endedBySignal(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGTERM
}

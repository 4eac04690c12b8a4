package torture

import (
	"os/exec"
	"syscall"
)

// endWithTest has the kernel end the process when the test dies without
// cleaning up, also while it is paused. It does so at the death of the thread
// that starts it; threads of a Go program live as long as it does unless a
// goroutine that is locked to one ends, and none here is.
//
// The process gets a group of its own. When the shell that began the test is
// gone, the kernel would end the whole group of the test as soon as one in it
// is paused.
func endWithTest(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

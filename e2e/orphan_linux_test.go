package e2e

import (
	"os/exec"
	"syscall"
)

// endWithTest has the kernel end the process when the test dies without
// cleaning up. It does so at the death of the thread that starts it; threads of
// a Go program live as long as it does unless a goroutine that is locked to one
// ends, and none here is.
func endWithTest(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

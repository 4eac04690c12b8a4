package cluster

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel end the process when this program dies without
// cleaning up. It does so at the death of the thread that starts it; threads of
// a Go program live as long as it does unless a goroutine that is locked to one
// ends, and none here is. A group of its own keeps Ctrl-C away from it: this
// program ends it.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

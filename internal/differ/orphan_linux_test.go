package differ

import (
	"os/exec"
	"syscall"
)

// endWithTest has the kernel end the process when the test dies without
// cleaning up.
func endWithTest(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

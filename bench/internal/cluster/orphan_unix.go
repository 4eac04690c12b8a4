//go:build unix && !linux

package cluster

import (
	"os/exec"
	"syscall"
)

// endWithParent keeps Ctrl-C away from the process: this program ends it. Only
// Linux can end it when this program dies without cleaning up.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

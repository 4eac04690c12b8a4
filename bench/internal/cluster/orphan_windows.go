package cluster

import "os/exec"

// endWithParent does nothing: there is no such thing here.
func endWithParent(*exec.Cmd) {}

//go:build !unix

package torture

import (
	"errors"
	"os"
)

// canPause says that a process can be paused on this system.
const canPause = false

// terminate ends the process: there is no way to ask it.
func terminate(p *os.Process) error { return p.Kill() }

func pause(*os.Process) error { return errors.ErrUnsupported }

func resume(*os.Process) error { return errors.ErrUnsupported }

// endedBySignal says that a process ended by force, as all do here.
func endedBySignal(error) bool { return true }

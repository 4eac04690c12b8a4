package torture

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"time"
)

// process is one node. Its methods are for the goroutine of the test.
type process struct {
	index  int
	config nodeConfig
	// own says that this program is the node, and not the binary.
	own bool
	log string
	cmd *exec.Cmd // nil while it does not run
	// started is when it was, the last time; early says that it was asked to
	// end soon after.
	started time.Time
	early   bool
	// paused may be read by any goroutine.
	paused atomic.Bool
	ended  chan struct{} // closed when the process has ended
	err    error         // why; it is there once ended is closed
}

// endMax is how long a node may take to end in order: to hand its leadership
// over and answer what is under way, and then to close, 10 s each.
const endMax = 25 * time.Second

// start runs the node. It does not wait until it is ready.
func (p *process) start() error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd, err := p.command()
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = log, log
	endWithTest(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start node %d: %w", p.index, err)
	}
	p.cmd, p.ended, p.started = cmd, make(chan struct{}), time.Now()
	go func(ended chan struct{}) {
		p.err = cmd.Wait()
		close(ended)
	}(p.ended)
	return nil
}

func (p *process) command() (*exec.Cmd, error) {
	if !p.own {
		return exec.Command(binary, p.config.args()...), nil
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	variable, err := p.config.variable()
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), variable)
	return cmd, err
}

// alive says whether the process runs, paused or not.
func (p *process) alive() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// serving says that the node runs and is not paused.
func (p *process) serving() bool { return p.alive() && !p.paused.Load() }

// kill ends the node as a crash does: with SIGKILL, at once.
func (p *process) kill() error {
	err := p.cmd.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	if err == nil {
		<-p.ended
		p.gone()
	}
	return err
}

// gone notes that the process has ended.
func (p *process) gone() {
	p.cmd = nil
	p.paused.Store(false)
}

// earlyMax is how long a program may take to begin on a busy machine.
const earlyMax = 5 * time.Second

// terminate asks the node to end. It does not wait.
func (p *process) terminate() error {
	p.early = time.Since(p.started) < earlyMax
	return terminate(p.cmd.Process)
}

// awaitEnd waits until a node that was asked to end has done so.
func (p *process) awaitEnd() error {
	select {
	case <-p.ended:
	case <-time.After(endMax):
		return fmt.Errorf("node %d does not end within %v", p.index, endMax)
	}
	p.gone()
	// A program that has only just begun does not listen for the signal yet,
	// and is ended by it.
	early := (p.early || !canPause) && endedBySignal(p.err)
	if p.err != nil && !early {
		return fmt.Errorf("node %d ended with: %w", p.index, p.err)
	}
	return nil
}

// pause stops the node where it is, and resume lets it go on.
func (p *process) pause() error {
	p.paused.Store(true)
	return pause(p.cmd.Process)
}

func (p *process) resume() error {
	err := resume(p.cmd.Process)
	p.paused.Store(false)
	return err
}

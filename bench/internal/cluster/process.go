package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Process is a program that can be started, ended, and started again. It ends
// with the program that started it. Its methods are for one goroutine.
type Process struct {
	name string
	args []string
	log  string
	cmd  *exec.Cmd // nil while it does not run
	// ended is closed when the program has ended.
	ended chan struct{}
}

// stopMax is how long a program may take to end when it is asked to.
const stopMax = 10 * time.Second

// newProcess is a program that does not run yet. What it prints goes to the end
// of the file log.
func newProcess(log, name string, args ...string) *Process {
	return &Process{name: name, args: args, log: log}
}

// errEnded is that a program ended which should run.
var errEnded = errors.New("ended by itself")

// Start runs the program. It does not wait until it is ready.
func (p *Process) Start() error {
	return p.start(func(*exec.Cmd) error { return nil })
}

// start runs the program after prepare has given it what else it needs.
func (p *Process) start(prepare func(*exec.Cmd) error) error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", p.name, err)
	}
	defer log.Close()
	cmd := exec.Command(p.name, p.args...)
	cmd.Stdout, cmd.Stderr = log, log
	endWithParent(cmd)
	if err := prepare(cmd); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.cmd, p.ended = cmd, make(chan struct{})
	go func(ended chan struct{}) {
		_ = cmd.Wait() // how it ended is told by what it printed
		close(ended)
	}(p.ended)
	return nil
}

// PID is the id of the running process, or 0.
func (p *Process) PID() int {
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Alive is nil while the program runs, and otherwise says what it printed last.
func (p *Process) Alive() error {
	if p.cmd == nil {
		return fmt.Errorf("%s does not run", filepath.Base(p.name))
	}
	select {
	case <-p.ended:
		return fmt.Errorf("%s %w; it printed at its end:\n%s", filepath.Base(p.name), errEnded, p.tail())
	default:
		return nil
	}
}

// tail is the end of what the program printed.
func (p *Process) tail() []byte {
	const most = 2000
	printed, err := os.ReadFile(p.log)
	if err != nil {
		return []byte(err.Error())
	}
	return printed[max(0, len(printed)-most):]
}

// Stop asks the program to end, and kills it if it does not.
func (p *Process) Stop() error {
	if p.cmd == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return p.Kill() // it has ended, or cannot be asked on this system
	}
	select {
	case <-p.ended:
		p.cmd = nil
		return nil
	case <-time.After(stopMax):
		return p.Kill()
	}
}

// Kill ends the program as a crash does, and waits until it is gone.
func (p *Process) Kill() error {
	if p.cmd == nil {
		return nil
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", filepath.Base(p.name), err)
	}
	<-p.ended
	p.cmd = nil
	return nil
}

// Command is a program that runs once, beside the clusters. It ends when ctx
// does, and with the program that started it.
func Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	endWithParent(cmd)
	return cmd
}

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/quorate/quorate/bench/internal/loop"
	"github.com/quorate/quorate/bench/internal/member"
)

// Etcd starts three members of etcd 3.7. Their defaults sync the log before they
// answer; the limit on the size of the database is as high as etcd advises.
//
// The program must call member.Main first thing.
func Etcd(ctx context.Context, dir string) (*Cluster, error) {
	return members(ctx, dir, "etcd")
}

// Dragonboat starts three hosts of the library with one shard. See Load.
//
// The program must call member.Main first thing.
func Dragonboat(ctx context.Context, dir string) (*Cluster, error) {
	return members(ctx, dir, "dragonboat")
}

// QuorateInProcess starts three programs with Quorate as a library. See Load.
//
// The program must call member.Main first thing.
func QuorateInProcess(ctx context.Context, dir string) (*Cluster, error) {
	return members(ctx, dir, "quorate")
}

// members starts copies of this program that are members of a system.
func members(ctx context.Context, dir, system string) (*Cluster, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	c, err := prepare(dir, Size)
	if err != nil {
		return nil, err
	}
	addrs, err := freeAddrs(2 * Size)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	for i, n := range c.Nodes {
		config := member.Config{System: system, Dir: n.Dir, ID: i, Peers: addrs[:Size]}
		if system == "etcd" {
			n.Client = addrs[Size+i]
			config.Client = n.Client
		}
		n.Process = newProcess(c.logOf(i), self, member.Args(config)...)
		n.member = new(pipes)
	}
	c.ready = func(ctx context.Context, n *Node) error {
		event, err := n.member.hear(ctx)
		if err == nil && !event.Ready {
			err = fmt.Errorf("a node said %+v instead of being ready", event)
		}
		return err
	}
	c.leads = func(ctx context.Context, n *Node) (bool, error) {
		event, err := n.member.ask(ctx, member.Request{Leads: true})
		return event.Leads, err
	}
	return c.begin(ctx)
}

// Start runs the node. It does not wait until it is ready.
func (n *Node) Start() error {
	if n.member == nil {
		return n.Process.Start()
	}
	return n.member.start(n.Process)
}

// Load has callers call inside of the process of a node that is a library, and
// returns what came of it. Began is called when the window opens.
func (n *Node) Load(ctx context.Context, load member.Load, began func()) (loop.Result, error) {
	event, err := n.member.ask(ctx, member.Request{Load: &load})
	if err == nil && event.Began {
		began()
		event, err = n.member.hear(ctx)
	}
	switch {
	case err != nil:
		return loop.Result{}, err
	case event.Result == nil:
		return loop.Result{}, fmt.Errorf("a node could not be loaded: %s", event.Error)
	}
	return *event.Result, nil
}

// pipes is the ends of the pipes to a member which are on this side.
type pipes struct {
	requests io.WriteCloser
	events   *os.File
	say      *json.Encoder
	listen   *json.Decoder
}

// start runs a process at the other ends.
func (p *pipes) start(process *Process) error {
	p.close()
	events, said, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe for events: %w", err)
	}
	defer said.Close() // the process has it as its own
	p.events, p.listen = events, json.NewDecoder(events)
	return process.start(func(cmd *exec.Cmd) error {
		cmd.ExtraFiles = []*os.File{said}
		requests, err := cmd.StdinPipe()
		if err != nil {
			return fmt.Errorf("make a pipe for requests: %w", err)
		}
		p.requests, p.say = requests, json.NewEncoder(requests)
		return nil
	})
}

// ask sends a request and returns the first event that comes of it.
func (p *pipes) ask(ctx context.Context, request member.Request) (member.Event, error) {
	if err := p.say.Encode(request); err != nil {
		return member.Event{}, fmt.Errorf("send a request to a member: %w", err)
	}
	return p.hear(ctx)
}

// hear waits for an event. If ctx ends meanwhile, nothing can be heard after.
func (p *pipes) hear(ctx context.Context) (event member.Event, err error) {
	stop := context.AfterFunc(ctx, func() {
		_ = p.events.SetReadDeadline(time.Unix(1, 0)) // long past; a pipe can have one
	})
	defer stop()
	if err := p.listen.Decode(&event); err != nil {
		return member.Event{}, fmt.Errorf("hear of a member: %w", errors.Join(context.Cause(ctx), err))
	}
	return event, nil
}

// close closes this side, which ends the member.
func (p *pipes) close() {
	if p.requests != nil {
		_ = p.requests.Close() // it may be closed since the process ended
	}
	if p.events != nil {
		_ = p.events.Close()
	}
}

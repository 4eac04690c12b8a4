package cli

import (
	"cmp"
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/node"
)

// drainMax is how long a node that is told to end may take to hand its
// leadership over and answer what is under way, and again to close.
const drainMax = 10 * time.Second

// server is a node with its doors, from start to end.
type server struct {
	program *program
	config  node.Config
	http    string
	resp    respFlags
	// listening is told where the doors are, once they are open.
	listening func(listening)
}

// listening is where a server can be found. There may be no resp.
type listening struct{ http, resp, peer, dir string }

// bind adds the flags that say where a node lives. Empty defaults are flags
// that must be given, but for resp, which then is not opened.
func (s *server) bind(cmd *cobra.Command, defaults node.Config, http, resp string) {
	flags := cmd.Flags()
	flags.StringVar(&s.config.Dir, "data-dir", defaults.Dir, "directory of the data; it belongs to one node")
	flags.StringVar(&s.http, "http", http, "address on which to serve HTTP")
	flags.StringVar(&s.config.Peer, "peer", defaults.Peer, "address at which the other nodes reach this one")
	s.resp.bind(cmd, resp)
}

// check refuses flags that cannot work.
func (s *server) check() error {
	for _, flag := range []struct{ name, value string }{{"data-dir", s.config.Dir}, {"http", s.http}, {"peer", s.config.Peer}} {
		if flag.value == "" {
			return usage("--%s is missing: give it, or set %s", flag.name, s.program.variable(flag.name))
		}
	}
	if err := checkAddress(s.http, defaultHTTP); err != nil {
		return usage("--http: %v", err)
	}
	if err := s.resp.check(); err != nil {
		return err
	}
	if err := checkPeer(s.config.Peer); err != nil {
		return usage("--peer: %v", err)
	}
	for _, addr := range s.config.Join {
		if err := checkPeer(addr); err != nil {
			return usage("--join: %v", err)
		}
	}
	return nil
}

// run serves until ctx ends or the node stops by itself. The doors are open
// before the node is ready: a call that comes early waits.
func (s *server) run(ctx context.Context) error {
	if err := s.check(); err != nil {
		return err
	}
	opened, err := s.open()
	if err != nil {
		return err
	}
	n, err := node.Start(s.program.service, s.config)
	if err != nil {
		opened.close()
		return failed("%v", err)
	}
	doors := opened.serve(s.doors(n))
	s.listening(listening{opened.http.Addr().String(), opened.respAddr(), s.config.Peer, absolute(s.config.Dir)})

	select {
	case <-ctx.Done():
		s.config.Log.Info("stopping")
	case <-n.Done():
	case <-doors.failed():
	}
	err = s.end(ctx, doors, n)
	return s.stopped(n.Err(), cmp.Or(doors.wait(), err))
}

// end hands leadership over, answers what is under way and closes the node.
func (s *server) end(ctx context.Context, doors *doors, n *node.Node) error {
	ctx = context.WithoutCancel(ctx)
	drain, cancel := context.WithTimeout(ctx, drainMax)
	defer cancel()
	// First of all: the others serve on while this one waits for its clients.
	n.HandOver(drain)
	if err := doors.shut(drain); err != nil {
		s.config.Log.Warn("some calls were not answered", slog.Any("error", err))
	}
	closing, cancel := context.WithTimeout(ctx, drainMax)
	defer cancel()
	return n.Close(closing)
}

// stopped is the failure of a server that was not told to end. The node logs
// its own error; one around it is logged here.
func (s *server) stopped(inside, around error) error {
	if inside == nil && around == nil {
		return nil
	}
	if inside == nil {
		s.config.Log.Error("the node stopped", slog.Any("error", around))
	}
	f := failed("the node stopped: %v", cmp.Or(inside, around))
	f.logged = true
	return f
}

// absolute is the path as it reads from anywhere, or as it was given where
// the working directory is gone.
func absolute(dir string) string {
	if path, err := filepath.Abs(dir); err == nil {
		return path
	}
	return dir
}

package respapi

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/resp"
)

// frame is one QUORATE EXECUTE. Frames that stand behind each other are of
// callers who know nothing of each other: they may be run in any order, and so
// all that write are one Execute, and all that only read another at the same
// time. Their answers come in their own order.
type frame struct {
	calls   []quorate.Call
	timeout time.Duration
	writes  bool
	refused error
	muted   bool
	replies []quorate.Reply
}

// frameCallsMax bounds the calls that frames bring to one Execute, unless one
// alone has more.
const frameCallsMax = 16 << 10

// quorateCommands are the commands that Redis does not know.
func quorateCommands() map[string]*command {
	return map[string]*command{
		"QUORATE": {
			docs: made("quorate", -2, "noscript", "server", "A container for the commands that only this server has"),
			subcommands: map[string]*command{
				"EXECUTE": {
					docs: made("quorate|execute", 4, "write", "server", "Runs calls in the bytes of Quorate's own clients"),
					own:  takeFrame, alone: true, joins: true,
				},
				"STATUS": {docs: made("quorate|status", 2, "noscript", "server", "Tells how the node sees itself, as JSON"), own: quorateStatus},
				"HELP":   {docs: made("quorate|help", 2, "noscript", "server", "Show helpful text about the different subcommands"), own: help},
			},
		},
		"ONCE": {
			docs: made("once", -3, "write", "generic", "Gives the command behind it an id: retries take effect once"), arity: -3,
			own: qualified, atOnce: true, joins: true,
		},
		"STALE": {
			docs: made("stale", -3, "readonly", "generic", "Lets the command behind it read what is so many milliseconds old"), arity: -3,
			own: qualified, atOnce: true, joins: true,
		},
	}
}

// takeFrame takes a frame, to be run with those that follow it.
func takeFrame(c *conn, args [][]byte) {
	f := c.server.readFrame(args)
	f.muted = c.mute.muted()
	calls := len(f.calls)
	for i := range c.pipeline.frames {
		calls += len(c.pipeline.frames[i].calls)
	}
	if len(c.pipeline.singles) > 0 || calls > frameCallsMax {
		c.run()
	}
	c.pipeline.frames = append(c.pipeline.frames, f)
}

// readFrame makes a frame of QUORATE EXECUTE <timeout-ms> <calls>.
func (s *Server) readFrame(args [][]byte) (f frame) {
	ms, err := strconv.ParseUint(string(args[2]), 10, 32)
	f.timeout = time.Duration(ms) * time.Millisecond
	if err != nil || f.timeout == 0 || f.timeout > timeoutMax {
		f.refused = refusal("a timeout is a number of milliseconds from 1 to %d", timeoutMax.Milliseconds())
		return f
	}
	calls, rest, err := entry.ReadCalls(args[3])
	switch {
	case err != nil:
		f.refused = refusal("the calls of the frame cannot be read: %v", err)
	case len(rest) > 0:
		f.refused = refusal("the frame has %d bytes behind its calls", len(rest))
	default:
		f.calls = calls
	}
	for i := range f.calls {
		op, ok := s.config.Service.Lookup(f.calls[i])
		f.writes = f.writes || ok && op.Writes()
	}
	return f
}

// runFrames runs the frames that were gathered and answers them.
func (c *conn) runFrames() {
	frames := c.pipeline.frames
	var reads, writes []*frame
	for i := range frames {
		switch f := &frames[i]; {
		case len(f.calls) == 0:
		case f.writes:
			writes = append(writes, f)
		default:
			reads = append(reads, f)
		}
	}
	if len(reads) > 0 && len(writes) > 0 {
		c.beside(func() { c.server.executeFrames(reads) }, func() { c.server.executeFrames(writes) })
	} else {
		c.server.executeFrames(append(reads, writes...))
	}
	for i := range frames {
		if !frames[i].muted {
			c.answerFrame(&frames[i])
		}
	}
	c.pipeline.frames = nil
}

// beside runs two functions at the same time. A panic in either is one of the
// connection.
func (c *conn) beside(one, other func()) {
	ended := make(chan any, 1)
	go func() {
		defer func() { ended <- recover() }()
		one()
	}()
	defer func() {
		if p := <-ended; p != nil {
			panic(p)
		}
	}()
	other()
}

// executeFrames runs the calls of frames as one Execute. Each may take as long
// as the one that may take longest: who gave it less time does not wait for the
// answer any more.
func (s *Server) executeFrames(frames []*frame) {
	var (
		calls   []quorate.Call
		timeout time.Duration
	)
	for _, f := range frames {
		calls = append(calls, f.calls...)
		timeout = max(timeout, f.timeout)
	}
	replies := s.execute(calls, timeout)
	for _, f := range frames {
		f.replies, replies = replies[:len(f.calls)], replies[len(f.calls):]
	}
}

// answerFrame answers a frame with its replies, or why it was refused.
func (c *conn) answerFrame(f *frame) {
	if f.refused != nil {
		c.append(Failure(f.refused))
		return
	}
	for i := range f.replies {
		if err := entry.Check(f.replies[i]); err != nil {
			e := quorate.Errorf(quorate.Internal, "the result has no form in a frame: %v", err)
			e.Outcome = quorate.Unknown
			f.replies[i] = quorate.Reply{Index: f.replies[i].Index, Err: e}
		}
	}
	c.out.bytes = resp.AppendBulk(c.out.room(), entry.AppendReplies(nil, f.replies))
	c.overflow()
}

// quorateStatus answers QUORATE STATUS.
func quorateStatus(c *conn, _ [][]byte) {
	text, err := c.server.status()
	if err != nil {
		c.value(Failure(err))
		return
	}
	c.value(resp.BulkValue(string(text)))
}

// status is the status of the node as JSON.
func (s *Server) status() ([]byte, error) {
	if s.config.Status == nil {
		return nil, refusal("this server has no status to tell")
	}
	ctx, cancel := context.WithTimeout(s.base, s.config.Timeout)
	defer cancel()
	text, err := json.Marshal(s.config.Status(ctx))
	if err != nil {
		s.config.Log.Error("status for a Redis client", "err", err)
		return nil, refusal("internal: the status has no form; the log says why")
	}
	return text, nil
}

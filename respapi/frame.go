package respapi

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/resp"
)

// frame is one QUORATE EXECUTE.
type frame struct {
	calls   []quorate.Call
	timeout time.Duration
	writes  bool
	// age is what its reads tolerate. It is 0 for one that writes: its reads see
	// its writes.
	age     time.Duration
	refused error
	muted   bool
	replies []quorate.Reply
}

// joins says that two frames may be one Execute. A node takes the least age for
// all reads of a slice, so that with an exact one among them none is answered
// where there is no leader: what a caller tolerates must not be decided by
// another.
func (f *frame) joins(other *frame) bool { return f.writes == other.writes && f.age == other.age }

// frames are frames that stand behind each other. They are of callers who know
// nothing of each other: they may be run in any order, and so all that may be
// one Execute are one, at the same time as the others. Their answers come in
// their own order.
type frames struct {
	list []*frame
	// groups are those that have calls, by what may be one Execute.
	groups [][]*frame
	calls  int
	// portion is how many calls may be run next; 0 at first.
	portion int
}

const (
	// frameCallsMax bounds the calls that frames bring to one Execute where
	// answers are small, unless one alone has more: 4 KiB each are 64 MiB.
	frameCallsMax = 16 << 10
	// frameGroupsMax bounds what runs at the same time for one client: frames
	// that write, exact reads, and those of two ages. Callers who tolerate age
	// mostly tolerate the same.
	frameGroupsMax = 4
	// frameAnswerBytesMax bounds the answer to one frame. The clients take 64 MiB.
	frameAnswerBytesMax = 48 << 20
	// lostBytesMax is more than what stands for a reply that did not fit: a
	// code, a sentence and an index.
	lostBytesMax = 128
)

// There is room for a frame of which every reply is lost but that of the
// largest transaction.
const _ = uint(frameAnswerBytesMax - (entry.CallsMax+1)*lostBytesMax - engine.ResultsBytesMax)

// fits says that a frame may be run with those that are there.
func (fs *frames) fits(f *frame) bool {
	if len(f.calls) == 0 {
		return true
	}
	grouped := len(fs.groups) < frameGroupsMax || fs.group(f) >= 0
	return grouped && fs.calls+len(f.calls) <= max(portionMin, fs.portion)
}

// group is the place of those that f may be one Execute with, or -1.
func (fs *frames) group(f *frame) int {
	return slices.IndexFunc(fs.groups, func(group []*frame) bool { return group[0].joins(f) })
}

// add puts a frame behind the others.
func (fs *frames) add(f *frame) {
	fs.list = append(fs.list, f)
	if len(f.calls) == 0 {
		return
	}
	fs.calls += len(f.calls)
	if i := fs.group(f); i >= 0 {
		fs.groups[i] = append(fs.groups[i], f)
		return
	}
	fs.groups = append(fs.groups, []*frame{f})
}

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
	if len(c.pipeline.singles) > 0 || !c.pipeline.frames.fits(f) {
		c.run()
	}
	c.pipeline.frames.add(f)
}

// readFrame makes a frame of QUORATE EXECUTE <timeout-ms> <calls>.
func (s *Server) readFrame(args [][]byte) *frame {
	f := new(frame)
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
	f.judge(s.config.Service)
	return f
}

// judge finds out what the calls of a frame do. Those that nobody knows do
// nothing.
func (f *frame) judge(service *quorate.Service) {
	reads := false
	for _, call := range f.calls {
		op, ok := quorate.Engine().Lookup(service, call)
		switch {
		case !ok:
		case op.Writes():
			f.writes, f.age = true, 0
			return
		case !reads:
			reads, f.age = true, call.Read
		default:
			f.age = min(f.age, call.Read)
		}
	}
}

// runFrames runs the frames that were gathered and answers them.
func (c *conn) runFrames() {
	fs := &c.pipeline.frames
	c.beside(fs.groups)
	bytes, calls := 0, 0
	for _, f := range fs.list {
		if f.muted {
			continue
		}
		bytes, calls = bytes+c.answerFrame(f), calls+len(f.calls)
		f.replies = nil // the next answer may be as large
	}
	*fs = frames{portion: portionAfter(fs.portion, calls, bytes, frameCallsMax)}
}

// beside runs groups of frames at the same time, the last on this goroutine. A
// panic in any is one of the connection.
func (c *conn) beside(groups [][]*frame) {
	if len(groups) == 0 {
		return
	}
	last := len(groups) - 1
	ended := make(chan any, last)
	aside := func(group []*frame) {
		defer func() { ended <- recover() }()
		c.server.executeFrames(group)
	}
	for _, group := range groups[:last] {
		go aside(group)
	}
	defer func() {
		var panicked any
		for range last {
			if p := <-ended; p != nil {
				panicked = p
			}
		}
		if panicked != nil {
			panic(panicked)
		}
	}()
	c.server.executeFrames(groups[last])
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
	ctx, cancel := context.WithTimeout(s.base, timeout)
	defer cancel()
	replies := s.execute(ctx, calls)
	for _, f := range frames {
		f.replies, replies = replies[:len(f.calls)], replies[len(f.calls):]
	}
}

// answerFrame answers a frame with its replies, or why it was refused, and says
// how many bytes its replies are.
func (c *conn) answerFrame(f *frame) int {
	if f.refused != nil {
		c.append(Failure(f.refused))
		return 0
	}
	for i := range f.replies {
		if err := entry.Check(f.replies[i]); err != nil {
			e := quorate.Errorf(quorate.Internal, "the result has no form in a frame: %v", err)
			e.Outcome = quorate.Unknown
			f.replies[i] = quorate.Reply{Index: f.replies[i].Index, Err: e}
		}
	}
	body := f.body()
	c.out.bytes = resp.AppendBulk(c.out.room(), body)
	c.overflow()
	return len(body)
}

// body is the replies of a frame as bytes. Those for which there is no room are
// left out: their calls took effect, but what they said is lost. What is as
// small as that stays, such as that a call was surely not applied.
func (f *frame) body() []byte {
	body := entry.AppendReplies(nil, f.replies)
	if len(body) <= frameAnswerBytesMax {
		return body
	}
	lost := quorate.Errorf(quorate.TooLarge, "the answers to the frame are over the limit of %d bytes", frameAnswerBytesMax)
	if f.writes {
		lost.Outcome = quorate.Unknown
	}
	room := frameAnswerBytesMax - lostBytesMax*(len(f.replies)+1) // one for the count
	for i, reply := range f.replies {
		body = entry.AppendReply(body[:0], reply)
		switch more := max(0, len(body)-lostBytesMax); {
		case more <= room:
			room -= more
		default:
			f.replies[i] = quorate.Reply{Index: reply.Index, Err: lost}
		}
	}
	return entry.AppendReplies(body[:0], f.replies)
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

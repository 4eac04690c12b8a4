package consensus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/peer"
)

const (
	// appendTimeout bounds an append that is not pipelined. A follower may
	// have to sync a few MiB to a slow disk first.
	appendTimeout = 10 * time.Second
	// pipelineMax bounds the appends on their way to one follower. Each
	// carries what came together since the one before.
	pipelineMax = 16
)

// transport is the port as one raft instance wants it.
type transport struct {
	wire     *Wire
	self     peer.Member
	stable   *stableStore
	urgent   time.Duration // bounds heartbeats and votes
	consumer chan raft.RPC

	// fast handles heartbeats beside raft's main goroutine; nil until raft
	// gives it. following says that raft is a follower; nil until raft runs.
	fast      atomic.Pointer[func(raft.RPC)]
	following atomic.Pointer[func() bool]
	// progress is up to where raft knows the log to be committed and has it;
	// nil until raft runs. learned is what a leader said of that, until raft
	// was told.
	progress atomic.Pointer[func() (committed, last uint64)]
	learned  atomic.Pointer[learned]

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	waiting sync.WaitGroup // goroutines that wait for raft's answers

	// mu guards closed, so that nobody begins to wait behind Close.
	mu     sync.Mutex
	closed bool
}

func newTransport(wire *Wire, self peer.Member, stable *stableStore, urgent time.Duration) *transport {
	ctx, cancel := context.WithCancel(context.Background())
	return &transport{
		wire: wire, self: self, stable: stable, urgent: urgent,
		consumer: make(chan raft.RPC), ctx: ctx, cancel: cancel,
	}
}

// Close implements raft.WithClose.
func (t *transport) Close() error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.cancel()
	t.waiting.Wait()
	return nil
}

// await runs f on a goroutine that Close waits for, unless the transport is
// closed.
func (t *transport) await(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.waiting.Go(f)
	}
	return !t.closed
}

// Consumer implements raft.Transport.
func (t *transport) Consumer() <-chan raft.RPC { return t.consumer }

// LocalAddr implements raft.Transport.
func (t *transport) LocalAddr() raft.ServerAddress { return raft.ServerAddress(t.self.Addr) }

// EncodePeer implements raft.Transport.
func (t *transport) EncodePeer(_ raft.ServerID, addr raft.ServerAddress) []byte { return []byte(addr) }

// DecodePeer implements raft.Transport.
func (t *transport) DecodePeer(addr []byte) raft.ServerAddress { return raft.ServerAddress(addr) }

// SetHeartbeatHandler implements raft.Transport.
func (t *transport) SetHeartbeatHandler(f func(raft.RPC)) { t.fast.Store(&f) }

// incoming is a call of another node to raft.
type incoming struct {
	ctx    context.Context
	header raft.RPCHeader
	body   []byte
	reply  func([]byte, error)
}

// pass gives a call to raft's main goroutine, after all that came before it on
// the same connection, and sends the answer when raft has one.
func (t *transport) pass(in *incoming, command any, encode func(any) ([]byte, error)) error {
	answer := make(chan raft.RPCResponse, 1)
	select {
	case t.consumer <- raft.RPC{Command: command, RespChan: answer}:
	case <-in.ctx.Done():
		return in.ctx.Err()
	case <-t.ctx.Done():
		return errNotRunning
	}
	waits := t.await(func() {
		select {
		case response := <-answer:
			in.reply(encodeAnswer(response, encode))
		case <-t.ctx.Done():
			in.reply(nil, errNotRunning)
		}
	})
	if !waits {
		return errNotRunning
	}
	return nil
}

func encodeAnswer(response raft.RPCResponse, encode func(any) ([]byte, error)) ([]byte, error) {
	if response.Error != nil {
		return nil, response.Error
	}
	return encode(response.Response)
}

func (t *transport) append(in *incoming) error {
	req, err := decodeAppend(in.body, in.header)
	if err != nil {
		return err
	}
	return t.pass(in, req, func(response any) ([]byte, error) {
		t.tell()
		if err := t.settled(); err != nil {
			return nil, err
		}
		return appended(response)
	})
}

// heartbeat handles a sign of life at once if that is safe, and else in turn.
//
// Raft's own handler of heartbeats runs beside its main goroutine and may
// write state and term. In a follower whose term is that of the heartbeat, and
// cannot change meanwhile, it has nothing to write. So a follower whose main
// goroutine waits for its disk still answers, and a leader or a candidate never
// changes its mind beside itself.
func (t *transport) heartbeat(in *incoming) error {
	req, err := decodeAppend(in.body, in.header)
	if err != nil {
		return err
	}
	if !heartbeat(req) {
		return errBody
	}
	fast, following := t.fast.Load(), t.following.Load()
	if fast == nil || following == nil {
		return t.pass(in, req, appended)
	}
	answer := make(chan raft.RPCResponse, 1)
	handled := false
	t.stable.steady(req.Term, func() {
		if handled = (*following)(); handled {
			(*fast)(raft.RPC{Command: req, RespChan: answer})
		}
	})
	if !handled {
		return t.pass(in, req, appended)
	}
	select {
	case response := <-answer:
		in.reply(encodeAnswer(response, appended))
		return nil
	default:
		return errNotRunning // raft is shutting down and did not answer
	}
}

func appended(response any) ([]byte, error) {
	resp, ok := response.(*raft.AppendEntriesResponse)
	if !ok {
		return nil, unexpected(response)
	}
	return encodeAppended(resp), nil
}

func (t *transport) vote(in *incoming) error {
	req, err := decodeVote(in.body, in.header)
	if err != nil {
		return err
	}
	return t.pass(in, req, func(response any) ([]byte, error) {
		resp, ok := response.(*raft.RequestVoteResponse)
		if !ok {
			return nil, unexpected(response)
		}
		return encodeFlagged(resp.Term, resp.Granted), nil
	})
}

func (t *transport) preVote(in *incoming) error {
	vote, err := decodeVote(in.body, in.header)
	if err != nil {
		return err
	}
	req := &raft.RequestPreVoteRequest{RPCHeader: vote.RPCHeader, Term: vote.Term,
		LastLogIndex: vote.LastLogIndex, LastLogTerm: vote.LastLogTerm}
	return t.pass(in, req, func(response any) ([]byte, error) {
		resp, ok := response.(*raft.RequestPreVoteResponse)
		if !ok {
			return nil, unexpected(response)
		}
		return encodeFlagged(resp.Term, resp.Granted), nil
	})
}

func (t *transport) timeoutNow(in *incoming) error {
	if err := decode(in.body).end(); err != nil {
		return err
	}
	return t.pass(in, &raft.TimeoutNowRequest{RPCHeader: in.header}, func(any) ([]byte, error) {
		return encode(0).body, nil
	})
}

// receive gives a snapshot to raft and waits until it is installed.
func (t *transport) receive(ctx context.Context, from raft.RPCHeader, header []byte, body io.Reader) ([]byte, error) {
	req, err := decodeSnapshot(header, from)
	if err != nil {
		return nil, err
	}
	answer := make(chan raft.RPCResponse, 1)
	counted := &countedBody{from: body, into: &req.Size, done: t.ctx.Done()}
	select {
	case t.consumer <- raft.RPC{Command: req, Reader: counted, RespChan: answer}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-t.ctx.Done():
		return nil, errNotRunning
	}
	// Raft reads from body on its own goroutine: this one stays until raft
	// has answered or runs no more.
	select {
	case response := <-answer:
		return encodeAnswer(response, installed)
	case <-t.ctx.Done():
		return nil, errNotRunning
	}
}

func installed(response any) ([]byte, error) {
	resp, ok := response.(*raft.InstallSnapshotResponse)
	if !ok {
		return nil, unexpected(response)
	}
	return encodeFlagged(resp.Term, resp.Success), nil
}

// countedBody is a snapshot on its way to raft. Raft compares what it read
// with the size in the request; the size of a stream that is made while it is
// sent is known only at its end, and that is when it is written there. A stream
// that was broken off does not end with io.EOF.
type countedBody struct {
	from io.Reader
	into *int64
	done <-chan struct{}
	read int64
}

func (c *countedBody) Read(p []byte) (int, error) {
	select {
	case <-c.done:
		return 0, errNotRunning
	default:
	}
	n, err := c.from.Read(p)
	c.read += int64(n)
	if errors.Is(err, io.EOF) {
		*c.into = c.read
	}
	return n, err
}

// to is a member as the port wants it.
func to(id raft.ServerID, addr raft.ServerAddress) peer.Member {
	return peer.Member{ID: peer.NodeID(id), Addr: string(addr)}
}

func (t *transport) call(to peer.Member, lane peer.Lane, kind peer.Kind, body []byte, timeout time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(t.ctx, timeout)
	defer cancel()
	return t.wire.port.Call(ctx, to, lane, kind, body)
}

// AppendEntries implements raft.Transport.
func (t *transport) AppendEntries(id raft.ServerID, addr raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	var answer []byte
	var err error
	if heartbeat(req) {
		answer, err = t.call(to(id, addr), peer.Control, kindHeartbeat, encodeAppend(req), t.urgent)
	} else {
		trim(req)
		t.bound(req)
		answer, err = t.call(to(id, addr), peer.Log, kindAppend, encodeAppend(req), appendTimeout)
	}
	if err != nil {
		return err
	}
	return decodeAppended(answer, resp)
}

// RequestVote implements raft.Transport.
func (t *transport) RequestVote(id raft.ServerID, addr raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	body := encodeVote(req.Term, req.LastLogIndex, req.LastLogTerm, req.LeadershipTransfer)
	answer, err := t.call(to(id, addr), peer.Control, kindVote, body, t.urgent)
	if err != nil {
		return err
	}
	resp.Term, resp.Granted, err = decodeFlagged(answer)
	return err
}

// RequestPreVote implements raft.WithPreVote.
func (t *transport) RequestPreVote(id raft.ServerID, addr raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	body := encodeVote(req.Term, req.LastLogIndex, req.LastLogTerm, false)
	answer, err := t.call(to(id, addr), peer.Control, kindPreVote, body, t.urgent)
	if err != nil {
		return err
	}
	resp.Term, resp.Granted, err = decodeFlagged(answer)
	return err
}

// TimeoutNow implements raft.Transport.
func (t *transport) TimeoutNow(id raft.ServerID, addr raft.ServerAddress, _ *raft.TimeoutNowRequest, _ *raft.TimeoutNowResponse) error {
	_, err := t.call(to(id, addr), peer.Control, kindTimeoutNow, encode(0).body, t.urgent)
	return err
}

// InstallSnapshot implements raft.Transport. It has no deadline of its own:
// the port gives up a receiver that shows no sign of life.
func (t *transport) InstallSnapshot(id raft.ServerID, addr raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	answer, err := t.wire.port.Stream(t.ctx, to(id, addr), kindSnapshot, encodeSnapshot(req), data)
	if err != nil {
		return err
	}
	resp.Term, resp.Success, err = decodeFlagged(answer)
	return err
}

// AppendEntriesPipeline implements raft.Transport.
func (t *transport) AppendEntriesPipeline(id raft.ServerID, addr raft.ServerAddress) (raft.AppendPipeline, error) {
	ctx, cancel := context.WithCancel(t.ctx)
	p := &pipeline{
		transport: t, to: to(id, addr), ctx: ctx, cancel: cancel,
		sent: make(chan *future, pipelineMax), consumer: make(chan raft.AppendFuture, pipelineMax),
	}
	p.delivery.Go(p.deliver)
	return p, nil
}

// pipeline is appends that are sent before the ones before them are answered.
type pipeline struct {
	transport *transport
	to        peer.Member
	ctx       context.Context // ends with Close
	cancel    context.CancelFunc
	sent      chan *future // in the order of sending
	consumer  chan raft.AppendFuture
	delivery  sync.WaitGroup
}

// AppendEntries implements raft.AppendPipeline.
func (p *pipeline) AppendEntries(req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	trim(req)
	p.transport.bound(req)
	f := &future{start: time.Now(), req: req, resp: resp, answered: make(chan struct{})}
	select {
	case p.sent <- f:
	case <-p.ctx.Done():
		return nil, raft.ErrPipelineShutdown
	}
	err := p.transport.wire.port.Send(p.to, peer.Log, kindAppend, encodeAppend(req), f.answer)
	if err != nil {
		f.answer(nil, err)
		return nil, err
	}
	return f, nil
}

// deliver gives answers to raft in the order of their questions.
func (p *pipeline) deliver() {
	for {
		var f *future
		select {
		case f = <-p.sent:
		case <-p.ctx.Done():
			return
		}
		select {
		case <-f.answered:
		case <-p.ctx.Done():
			return
		}
		select {
		case p.consumer <- f:
		case <-p.ctx.Done():
			return
		}
	}
}

// Consumer implements raft.AppendPipeline.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.consumer }

// Close implements raft.AppendPipeline.
//
// Raft reads answers on a goroutine that it ends itself, unless the goroutine
// that sends ends early because the log cannot be read. A last refusal ends the
// reader then.
func (p *pipeline) Close() error {
	p.cancel()
	p.delivery.Wait()
	last := &future{req: new(raft.AppendEntriesRequest), resp: new(raft.AppendEntriesResponse), answered: make(chan struct{})}
	last.answer(nil, raft.ErrPipelineShutdown)
	for {
		select {
		case p.consumer <- last:
			return nil
		default:
		}
		select {
		case <-p.consumer: // what is left of a closed pipeline counts no more
		default:
		}
	}
}

// future is one append of a pipeline.
type future struct {
	start    time.Time
	req      *raft.AppendEntriesRequest
	resp     *raft.AppendEntriesResponse
	answered chan struct{} // closed when err and resp are set
	err      error
}

// answer takes the answer from the port. After an error resp stays empty,
// which raft takes for a refusal: it looks at nothing else.
func (f *future) answer(body []byte, err error) {
	if err == nil {
		err = decodeAppended(body, f.resp)
	}
	if err != nil {
		f.err = fmt.Errorf("append to a follower: %w", err)
	}
	close(f.answered)
}

// Error implements raft.Future.
func (f *future) Error() error {
	<-f.answered
	return f.err
}

// Start implements raft.AppendFuture.
func (f *future) Start() time.Time { return f.start }

// Request implements raft.AppendFuture.
func (f *future) Request() *raft.AppendEntriesRequest { return f.req }

// Response implements raft.AppendFuture.
func (f *future) Response() *raft.AppendEntriesResponse { return f.resp }

package consensus

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/peer"
)

// The kinds of frames of this room. Others begin at KindsEnd.
const (
	kindAppend peer.Kind = 1 + iota
	kindHeartbeat
	kindVote
	kindPreVote
	kindTimeoutNow
	kindConfirm
	kindSnapshot
	// KindsEnd is the first kind that this room does not use.
	KindsEnd
)

// errNotRunning answers calls that come before raft runs, or after.
var errNotRunning = errors.New("raft does not run on this node yet")

// Wire is the end of raft at the peer port. It is made before the port starts,
// and outlives the raft instances that come and go behind it.
type Wire struct {
	port *peer.Port
	// transport is that of the raft instance which runs; nil if none does.
	transport atomic.Pointer[transport]
	// stable tells the current term to those who confirm a leader; nil until
	// the group starts.
	stable atomic.Pointer[stableStore]
}

// NewWire lets raft be reached through a port that has not started.
func NewWire(port *peer.Port) *Wire {
	w := &Wire{port: port}
	port.Handle(peer.Log, kindAppend, w.serve((*transport).append))
	port.Handle(peer.Control, kindHeartbeat, w.serve((*transport).heartbeat))
	port.Handle(peer.Control, kindVote, w.serve((*transport).vote))
	port.Handle(peer.Control, kindPreVote, w.serve((*transport).preVote))
	port.Handle(peer.Control, kindTimeoutNow, w.serve((*transport).timeoutNow))
	port.Handle(peer.Control, kindConfirm, w.confirm)
	port.HandleStream(kindSnapshot, w.snapshot)
	return w
}

// serve gives calls to the transport that runs.
func (w *Wire) serve(to func(*transport, *incoming) error) peer.Handler {
	return func(ctx context.Context, from peer.Member, body []byte, reply func([]byte, error)) {
		t := w.transport.Load()
		if t == nil {
			reply(nil, errNotRunning)
			return
		}
		if err := to(t, &incoming{ctx: ctx, header: headerOf(from), body: body, reply: reply}); err != nil {
			reply(nil, err)
		}
	}
}

// confirm answers with the durable term of this node. Raft makes a term durable
// before it grants a vote or takes an entry in it, so whoever has a majority of
// answers not above its own term was, when it asked, the only leader that could
// acknowledge anything.
func (w *Wire) confirm(_ context.Context, _ peer.Member, _ []byte, reply func([]byte, error)) {
	stable := w.stable.Load()
	if stable == nil {
		reply(nil, errNotRunning)
		return
	}
	reply(encodeTerm(stable.term.Load()), nil)
}

func (w *Wire) snapshot(ctx context.Context, from peer.Member, header []byte, body io.Reader) ([]byte, error) {
	t := w.transport.Load()
	if t == nil {
		return nil, errNotRunning
	}
	return t.receive(ctx, headerOf(from), header, body)
}

// headerOf is who raft believes a call to come from: whoever the handshake
// said.
func headerOf(from peer.Member) raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(from.ID), Addr: []byte(from.Addr)}
}

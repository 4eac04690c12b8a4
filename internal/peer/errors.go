package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// ErrUnsent is wrapped by every error of a call that surely never left this
// node: it was not dialled, was refused at the handshake, or did not fit. An
// error without it, and without a *RemoteError, means that the call may have
// arrived, because its bytes were already given to the connection.
var ErrUnsent = errors.New("not sent")

// ErrClosed is wrapped by the errors of calls on a port that was closed.
var ErrClosed = errors.New("port closed")

// ErrAborted is wrapped by the error that the body of a stream ends with when
// its sender gave up or the connection broke. A complete one ends with io.EOF.
var ErrAborted = errors.New("stream aborted")

// RemoteError is the answer of a handler that reports an error: the call
// arrived, and this is what came of it.
type RemoteError struct {
	// From is the member that answered.
	From Member
	// Text is the error as the handler wrote it, cut at 4 KiB.
	Text string
}

// Error is the text of the handler and where it comes from.
func (e *RemoteError) Error() string { return e.From.Addr + ": " + e.Text }

// errorBytesMax bounds the text of an error on its way back.
const errorBytesMax = 4 << 10

// Reason says why a handshake was refused. The numbers stand in the answer of
// the acceptor; they are never reused.
type Reason uint8

// The reasons of a refusal.
const (
	accepted Reason = 0
	// WrongVersion: the other side speaks another version of this protocol.
	WrongVersion Reason = 1
	// WrongGroup: the other side serves another raft group.
	WrongGroup Reason = 2
	// NoCluster: one of the two belongs to no cluster yet.
	NoCluster Reason = 3
	// WrongCluster: the two belong to different clusters.
	WrongCluster Reason = 4
	// WrongNode: another node than the wanted one is at the address.
	WrongNode Reason = 5
	// NotAccepting: the other side has as many connections as it takes.
	NotAccepting Reason = 6
)

// String is the reason in words.
func (r Reason) String() string {
	switch r {
	case accepted:
		return "accepted"
	case WrongVersion:
		return "wrong version"
	case WrongGroup:
		return "wrong group"
	case NoCluster:
		return "no cluster yet"
	case WrongCluster:
		return "wrong cluster"
	case WrongNode:
		return "wrong node"
	case NotAccepting:
		return "not accepting"
	default:
		return "reason " + strconv.Itoa(int(r))
	}
}

// Refused is returned when the two ends of a connection found at the handshake
// that they must not talk. Nothing of the call was sent.
type Refused struct {
	Reason Reason
	// Addr is the address that was dialled.
	Addr string
	// Cluster and Node are who is there.
	Cluster ClusterID
	Node    NodeID
	// WantedCluster and WantedNode are who was meant: the cluster of the
	// dialler, and the node it asked for ("" is any).
	WantedCluster ClusterID
	WantedNode    NodeID
	// Message is what the acceptor adds for people.
	Message string
}

// Error is one sentence that names both ids.
func (r *Refused) Error() string {
	text := fmt.Sprintf("%s: %s: there is node %s of cluster %s, wanted was node %s of cluster %s", r.Addr, r.Reason,
		nodeName(r.Node), clusterName(r.Cluster), nodeName(r.WantedNode), clusterName(r.WantedCluster))
	if r.Message != "" {
		text += " (" + r.Message + ")"
	}
	return text
}

// Unwrap says that nothing was sent.
func (r *Refused) Unwrap() error { return ErrUnsent }

// unsent marks cause as one that kept the call on this node.
func unsent(cause error) error {
	if errors.Is(cause, ErrUnsent) {
		return cause
	}
	return fmt.Errorf("%w: %w", ErrUnsent, cause)
}

// lostError is a cause that leaves open whether the call arrived.
type lostError struct{ cause error }

// lost marks cause as one that leaves open whether the call arrived.
func lost(cause error) error { return &lostError{cause} }

// Error is the cause: that of a connection which the other side closed is
// io.EOF, which says little to people.
func (e *lostError) Error() string {
	if errors.Is(e.cause, io.EOF) {
		return "the connection was closed"
	}
	return e.cause.Error()
}

// Unwrap is the cause.
func (e *lostError) Unwrap() error { return e.cause }

// callError is the error of one call as its caller gets it. It reaches people
// who know nothing of lanes and kinds, so it says who was asked and what is
// known.
type callError struct {
	to    Member
	cause error
}

// Error is one sentence.
func (e *callError) Error() string {
	_, open := errors.AsType[*lostError](e.cause)
	remote, answered := errors.AsType[*RemoteError](e.cause)
	switch {
	case answered:
		return fmt.Sprintf("%s answers: %s", e.to, remote.Text)
	case open && errors.Is(e.cause, context.DeadlineExceeded):
		return fmt.Sprintf("no answer from %s in time; what was asked may have arrived", e.to)
	case open:
		return fmt.Sprintf("no answer from %s: %v; what was asked may have arrived", e.to, e.cause)
	}
	return fmt.Sprintf("ask %s: %v", e.to, e.cause)
}

// Unwrap is the cause.
func (e *callError) Unwrap() error { return e.cause }

// failed makes the error of a call. The log has the numbers that the error
// leaves out.
func (p *Port) failed(to Member, lane Lane, kind Kind, cause error) error {
	p.config.Log.Debug("peer port: a call failed", "to", to.String(), "lane", lane.String(), "kind", kind, "error", cause)
	return &callError{to, cause}
}

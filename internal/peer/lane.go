package peer

import (
	"strconv"

	"github.com/quorate/quorate/internal/invariant"
)

// Lane separates traffic that must not wait for each other: each lane has a
// connection of its own, so a heartbeat never queues behind a snapshot.
// The numbers stand in the preamble; they are never reused.
type Lane uint8

// The lanes of a port.
const (
	// Log carries what must stay in order between two nodes. A new
	// connection of the same node is served only after the older one has
	// ended; so call a node by one and the same Member here, or the
	// connections replace each other without end.
	Log Lane = 1
	// Control carries small and urgent frames: heartbeats, votes, rounds.
	Control Lane = 2
	// Calls carries what one node passes to another for its callers.
	Calls Lane = 3
	// Bulk carries streams, one connection for each.
	Bulk Lane = 4
	// Probe asks who is there; it needs no common cluster.
	Probe Lane = 5
)

// Kind numbers the meaning of a body. Its users give the numbers; one kind is
// served on one lane.
type Kind uint8

// The longest body of one frame, by lane.
const (
	// logBytesMax holds 47 full log entries of 256 KiB with their headers,
	// or 11 that carry one call of the largest size (1 MiB) each.
	logBytesMax = 12 << 20
	// controlBytesMax is 0.5 ms at 1 Gbit/s: nothing urgent waits for longer.
	controlBytesMax = 64 << 10
	// callsBytesMax holds 15 calls of the largest size (1 MiB), or a scan of
	// as much; at 1 Gbit/s it takes 0.13 s.
	callsBytesMax = 16 << 20
	// chunkBytesMax bounds one chunk, and the header, of a stream: 8 ms at 1 Gbit/s.
	chunkBytesMax = 1 << 20
	// probeBytesMax bounds what a stranger may send.
	probeBytesMax = 64 << 10
)

// A bound on waiting bytes must leave room for the largest frame.
const _ = uint(outboxBytesMax - callsBytesMax - frameHeaderBytes) // must not be negative
const _ = uint(callsBytesMax - logBytesMax)                       // Calls has the largest frame

// bodyBytesMax is the longest body of one frame on the lane.
func (l Lane) bodyBytesMax() int {
	switch l {
	case Log:
		return logBytesMax
	case Control:
		return controlBytesMax
	case Calls:
		return callsBytesMax
	case Bulk:
		return chunkBytesMax
	default:
		return probeBytesMax
	}
}

// mustCarryCalls stops a program that mistakes Bulk for a lane of calls.
func (l Lane) mustCarryCalls() {
	invariant.Must(l.known() && l != Bulk, "%s is a lane of calls", l)
}

// known says that this version has the lane.
func (l Lane) known() bool { return l >= Log && l <= Probe }

// String names the lane.
func (l Lane) String() string {
	switch l {
	case Log:
		return "log"
	case Control:
		return "control"
	case Calls:
		return "calls"
	case Bulk:
		return "bulk"
	case Probe:
		return "probe"
	default:
		return "lane " + strconv.Itoa(int(l))
	}
}

package peer

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// ClusterID names a cluster for ever. The zero value means "no cluster yet".
type ClusterID [16]byte

// NewClusterID draws a random id.
func NewClusterID() ClusterID {
	var id ClusterID
	for id.IsZero() {
		rand.Read(id[:]) // never fails: it ends the process before it returns weak bytes
	}
	return id
}

// ParseClusterID reads the 32 hex digits that String writes.
func ParseClusterID(text string) (ClusterID, error) {
	var id ClusterID
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(id) {
		return ClusterID{}, fmt.Errorf("cluster id %.40q: want %d hex digits", text, 2*len(id))
	}
	copy(id[:], raw)
	return id, nil
}

// String is the id as 32 hex digits.
func (c ClusterID) String() string { return hex.EncodeToString(c[:]) }

// IsZero says that there is no cluster yet.
func (c ClusterID) IsZero() bool { return c == ClusterID{} }

// nodeIDBytes is the length of a node id on the wire. Two of 2^32 nodes share
// one with probability 1/2; a cluster has nine.
const nodeIDBytes = 8

// NodeID names one data directory for ever, in 16 lower-case hex digits. The
// empty id means "any node" where one is asked for.
type NodeID string

// NewNodeID draws a random id.
func NewNodeID() NodeID {
	var raw [nodeIDBytes]byte
	for raw == [nodeIDBytes]byte{} {
		rand.Read(raw[:]) // never fails: it ends the process before it returns weak bytes
	}
	return nodeIDOf(raw)
}

// ParseNodeID checks that text is an id that NewNodeID could have drawn.
func ParseNodeID(text string) (NodeID, error) {
	id := NodeID(text)
	raw, err := id.wire()
	if err != nil {
		return "", err
	}
	if raw == [nodeIDBytes]byte{} {
		return "", fmt.Errorf("node id %q: must not be empty or zero", text)
	}
	return id, nil
}

// wire is the id as it stands in a preamble; the empty id is all zeros.
func (n NodeID) wire() (raw [nodeIDBytes]byte, err error) {
	if n == "" {
		return raw, nil
	}
	digits, err := hex.DecodeString(string(n))
	if err == nil && len(digits) == nodeIDBytes {
		copy(raw[:], digits)
	}
	if n != nodeIDOf(raw) {
		return raw, fmt.Errorf("node id %.40q: want %d lower-case hex digits, not all zero", string(n), 2*nodeIDBytes)
	}
	return raw, nil
}

// nodeIDOf is the opposite of wire.
func nodeIDOf(raw [nodeIDBytes]byte) NodeID {
	if raw == [nodeIDBytes]byte{} {
		return ""
	}
	return NodeID(hex.EncodeToString(raw[:]))
}

// Member is a node and the address of its peer port. To a Member with an empty
// id any node answers that is found at the address.
type Member struct {
	ID   NodeID
	Addr string
}

// String names the member for messages.
func (m Member) String() string {
	if m.ID == "" {
		return "the node at " + m.Addr
	}
	return fmt.Sprintf("node %s at %s", m.ID, m.Addr)
}

// nodeName and clusterName are the ids in sentences, where an empty one needs
// a word of its own.
func nodeName(id NodeID) string {
	if id == "" {
		return "any"
	}
	return string(id)
}

func clusterName(id ClusterID) string {
	if id.IsZero() {
		return "none"
	}
	return id.String()
}

package peer

import (
	"io"
	"net"
)

// What tests of the outside need to speak the protocol by hand.
const (
	HandshakesMax  = handshakesMax
	ConnectionsMax = connectionsMax
)

// Hello is the preamble of a dialler that wants to reach a node.
func Hello(lane Lane, group uint64, cluster ClusterID, from Member, wanted NodeID) []byte {
	bytes, err := preamble{lane: lane, group: group, cluster: cluster, from: from, wanted: wanted}.append(nil)
	if err != nil {
		panic(err)
	}
	return bytes
}

// ReadAnswer reads what an acceptor says.
func ReadAnswer(conn net.Conn) (Reason, ClusterID, NodeID, error) {
	a, err := readAcceptance(conn)
	return a.status, a.cluster, a.node, err
}

// Accepted is the reason that is no refusal.
const Accepted = accepted

// CallFrame and the others are the bytes of one frame.
func CallFrame(id uint64, kind Kind, body []byte) []byte {
	return appendFrame(nil, frame{id: id, kind: kind, form: formCall, body: body})
}

func AnswerFrame(id uint64, body []byte) []byte {
	return appendFrame(nil, frame{id: id, form: formAnswer, body: body})
}

func PingFrame() []byte  { return appendFrame(nil, frame{form: formPing}) }
func PongFrame() []byte  { return appendFrame(nil, frame{form: formPong}) }
func ChunkFrame() []byte { return appendFrame(nil, frame{form: formChunk, body: []byte("x")}) }
func EndFrame() []byte   { return appendFrame(nil, frame{form: formEnd}) }

// Acceptance is what an acceptor answers.
func Acceptance(status Reason, cluster ClusterID, node NodeID) []byte {
	bytes, err := acceptance{status: status, cluster: cluster, node: node}.append(nil)
	if err != nil {
		panic(err)
	}
	return bytes
}

// ReadHello reads what a dialler says.
func ReadHello(conn io.Reader) (Lane, error) {
	p, err := readPreamble(conn)
	return p.lane, err
}

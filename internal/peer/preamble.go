package peer

// A connection begins with one message each way. All numbers are little-endian.
// The dialler sends its preamble:
//
//	offset 0       4         5      6        7      8       16        32     40       48
//	       +-------+---------+------+--------+------+-------+---------+------+--------+--- - - --+--------+
//	       | magic | version | lane | length | zero | group | cluster | node | wanted | address  | crc32c |
//	       +-------+---------+------+--------+------+-------+---------+------+--------+--- - - --+--------+
//	       | 4     | 1       | 1    | 1      | 1    | 8     | 16      | 8    | 8      | length   | 4      |
//
//	magic    "QRT1"
//	version  1
//	lane     the lane of all frames that follow (lane.go)
//	length   bytes of the address
//	group    the raft group; 1 today
//	cluster  the cluster of the dialler; zero: it belongs to none yet
//	node     the id of the dialler; zero: it has none (on Probe only)
//	wanted   the node it means to reach; zero: any
//	address  where the dialler says its own port is
//	crc32c   CRC-32C (Castagnoli) of all bytes before
//
// and the acceptor answers:
//
//	offset 0       4         5        6        7      8         24     32
//	       +-------+---------+--------+--------+------+---------+------+--- - - --+--------+
//	       | magic | version | status | length | zero | cluster | node | message  | crc32c |
//	       +-------+---------+--------+--------+------+---------+------+--- - - --+--------+
//	       | 4     | 1       | 1      | 1      | 1    | 16      | 8    | length   | 4      |
//
//	status   0 accepted, else the Reason of the refusal; the connection ends
//	cluster  the cluster of the acceptor; zero: it belongs to none yet
//	node     the id of the acceptor
//	message  more about a refusal, for people
//
// The first five bytes of both, and the layout of the answer, are the same in
// all versions, so that two versions can still tell each other why they part.
// An acceptor that does not know the version answers without reading on. Bytes
// that do not begin with the magic, or whose checksum is wrong, get no answer.
//
// Worked example: node 0102030405060708 of cluster 000102030405060708090a0b0c0d0e0f
// at "n1:7000" dials the Control lane of any node of group 1:
//
//	51 52 54 31              "QRT1"
//	01 02 07 00              version 1, lane Control, 7 bytes of address
//	01 00 00 00 00 00 00 00  group 1
//	00 01 02 03 04 05 06 07  cluster
//	08 09 0a 0b 0c 0d 0e 0f
//	01 02 03 04 05 06 07 08  node
//	00 00 00 00 00 00 00 00  wanted: any
//	6e 31 3a 37 30 30 30     "n1:7000"
//	53 a6 b9 9b              crc32c

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	magic           = "QRT1"
	protocolVersion = 1

	// stableBytes is what every version of a preamble begins with.
	stableBytes = 5
	// preambleFixedBytes stand before the address.
	preambleFixedBytes = 48
	// acceptanceFixedBytes stand before the message.
	acceptanceFixedBytes = 32
	// addressBytesMax is what one length byte can say; it bounds the message too.
	addressBytesMax = 255
	// checksumBytes ends both messages.
	checksumBytes = 4
)

// errNotPeer is returned for bytes that are no handshake of ours at all.
var errNotPeer = errors.New("not the peer protocol")

// errVersion is returned for a handshake in another version.
var errVersion = errors.New("another version of the peer protocol")

// preamble is what a dialler says first.
type preamble struct {
	lane    Lane
	group   uint64
	cluster ClusterID
	from    Member
	wanted  NodeID
}

// append adds the bytes of the preamble to dst.
func (p preamble) append(dst []byte) ([]byte, error) {
	node, err := p.from.ID.wire()
	if err != nil {
		return nil, fmt.Errorf("own id: %w", err)
	}
	wanted, err := p.wanted.wire()
	if err != nil {
		return nil, fmt.Errorf("wanted id: %w", err)
	}
	if len(p.from.Addr) > addressBytesMax {
		return nil, fmt.Errorf("own address has %d bytes, limit %d", len(p.from.Addr), addressBytesMax)
	}
	start := len(dst)
	dst = append(dst, magic...)
	dst = append(dst, protocolVersion, byte(p.lane), byte(len(p.from.Addr)), 0)
	dst = binary.LittleEndian.AppendUint64(dst, p.group)
	dst = append(dst, p.cluster[:]...)
	dst = append(dst, node[:]...)
	dst = append(dst, wanted[:]...)
	dst = append(dst, p.from.Addr...)
	return binary.LittleEndian.AppendUint32(dst, checksum(dst[start:])), nil
}

// readPreamble reads what a dialler says. It never reads past the preamble,
// and stops at the first byte that shows it is none.
func readPreamble(source io.Reader) (preamble, error) {
	var buffer [preambleFixedBytes + addressBytesMax + checksumBytes]byte
	text, err := readSealed(source, buffer[:], preambleFixedBytes, oneVersion)
	if err != nil {
		return preamble{}, err
	}
	return preamble{
		lane:    Lane(text[5]),
		group:   binary.LittleEndian.Uint64(text[8:]),
		cluster: ClusterID(text[16:32]),
		from:    Member{ID: nodeIDOf([nodeIDBytes]byte(text[32:40])), Addr: string(text[preambleFixedBytes:])},
		wanted:  nodeIDOf([nodeIDBytes]byte(text[40:48])),
	}, nil
}

// acceptance is what an acceptor answers.
type acceptance struct {
	// version is what the acceptor speaks. append always writes ours.
	version uint8
	status  Reason
	cluster ClusterID
	node    NodeID
	message string
}

// append adds the bytes of the acceptance to dst. A long message is cut.
func (a acceptance) append(dst []byte) ([]byte, error) {
	node, err := a.node.wire()
	if err != nil {
		return nil, fmt.Errorf("own id: %w", err)
	}
	message := a.message[:min(len(a.message), addressBytesMax)]
	start := len(dst)
	dst = append(dst, magic...)
	dst = append(dst, protocolVersion, byte(a.status), byte(len(message)), 0)
	dst = append(dst, a.cluster[:]...)
	dst = append(dst, node[:]...)
	dst = append(dst, message...)
	return binary.LittleEndian.AppendUint32(dst, checksum(dst[start:])), nil
}

// readAcceptance reads what an acceptor answers, and not a byte more. It takes
// every version, because a refusal may come from a newer or older node.
func readAcceptance(source io.Reader) (acceptance, error) {
	var buffer [acceptanceFixedBytes + addressBytesMax + checksumBytes]byte
	text, err := readSealed(source, buffer[:], acceptanceFixedBytes, everyVersion)
	if err != nil {
		return acceptance{}, err
	}
	return acceptance{
		version: text[4],
		status:  Reason(text[5]),
		cluster: ClusterID(text[8:24]),
		node:    nodeIDOf([nodeIDBytes]byte(text[24:32])),
		message: string(text[acceptanceFixedBytes:]),
	}, nil
}

// versions says which versions of a message its reader can take.
type versions bool

const (
	oneVersion   versions = false
	everyVersion versions = true
)

// readSealed reads what both messages have in common: the stable bytes, a
// fixed part with the length of the rest at offset 6, the rest, the checksum.
// It returns all but the checksum.
func readSealed(source io.Reader, buffer []byte, fixed int, which versions) ([]byte, error) {
	if _, err := io.ReadFull(source, buffer[:stableBytes]); err != nil {
		return nil, err
	}
	if string(buffer[:len(magic)]) != magic {
		return nil, errNotPeer
	}
	if version := buffer[4]; version != protocolVersion && which == oneVersion {
		return nil, fmt.Errorf("%w: %d", errVersion, version)
	}
	if _, err := io.ReadFull(source, buffer[stableBytes:fixed]); err != nil {
		return nil, err
	}
	end := fixed + int(buffer[6])
	if _, err := io.ReadFull(source, buffer[fixed:end+checksumBytes]); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(buffer[end:]) != checksum(buffer[:end]) {
		return nil, fmt.Errorf("%w: wrong checksum", errNotPeer)
	}
	if buffer[7] != 0 {
		return nil, fmt.Errorf("%w: byte 7 is not zero", errNotPeer)
	}
	return buffer[:end], nil
}

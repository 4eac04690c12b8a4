package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// identity is who this node is, as asked at one handshake.
type identity struct {
	group   uint64
	cluster ClusterID
	member  Member
}

// refusal judges the preamble of a dialler; accepted is no refusal.
//
// Probe asks no cluster, because it is used while one forms. On all other
// lanes both must belong to the same one: a node that lost its way, or an
// address that was given to another cluster, is stopped here, before a byte
// of raft is read.
func (i identity) refusal(p preamble) Reason {
	switch {
	case p.group != i.group:
		return WrongGroup
	case p.lane == Probe:
	case i.cluster.IsZero() || p.cluster.IsZero():
		return NoCluster
	case p.cluster != i.cluster:
		return WrongCluster
	}
	if p.wanted != "" && p.wanted != i.member.ID {
		return WrongNode
	}
	return accepted
}

// verdict judges the answer of an acceptor. The acceptor has compared the same
// ids; comparing them here too costs nothing and trusts nobody.
func (p preamble) verdict(a acceptance) Reason {
	switch {
	case a.version != protocolVersion:
		return WrongVersion
	case a.status != accepted:
		return a.status
	case p.lane != Probe && a.cluster != p.cluster:
		return WrongCluster
	case p.wanted != "" && a.node != p.wanted:
		return WrongNode
	default:
		return accepted
	}
}

// greet is the dialler's half of the handshake.
func (p *Port) greet(conn net.Conn, to Member, lane Lane) error {
	self := p.self()
	said := preamble{lane: lane, group: self.group, cluster: self.cluster, from: self.member, wanted: to.ID}
	bytes, err := said.append(nil)
	if err != nil {
		return err
	}
	if _, err := conn.Write(bytes); err != nil {
		return err
	}
	answer, err := readAcceptance(conn)
	if err != nil {
		return fmt.Errorf("no answer to the handshake: %w", err)
	}
	if reason := said.verdict(answer); reason != accepted {
		p.counters.refusalsMet.Add(1)
		return &Refused{Reason: reason, Addr: to.Addr, Cluster: answer.cluster, Node: answer.node,
			WantedCluster: said.cluster, WantedNode: said.wanted, Message: answer.message}
	}
	return nil
}

// dial connects to a member and shakes hands, or says why not; nothing of a
// call has left this node then. The connection is known to Close.
func (p *Port) dial(ctx context.Context, to Member, lane Lane) (net.Conn, error) {
	p.counters.dials.Add(1)
	conn, err := p.connect(ctx, to, lane)
	if err != nil {
		p.counters.dialsFailed.Add(1)
		return nil, unsent(err)
	}
	return conn, nil
}

// connect is dial without its bookkeeping.
func (p *Port) connect(ctx context.Context, to Member, lane Lane) (net.Conn, error) {
	if lane != Probe && p.self().cluster.IsZero() {
		return nil, &Refused{Reason: NoCluster, Addr: to.Addr, WantedNode: to.ID, Message: "this node belongs to none and did not dial"}
	}
	dialling, cancel := context.WithTimeout(ctx, p.config.DialTimeout)
	defer cancel()
	conn, err := p.config.Dial(dialling, to.Addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", to.Addr, err)
	}
	if !p.track(conn) {
		return nil, ErrClosed
	}
	if err := p.greetWithin(ctx, conn, to, lane); err != nil {
		p.untrack(conn)
		return nil, fmt.Errorf("handshake with %s: %w", to.Addr, err)
	}
	return conn, nil
}

// greetWithin is greet bounded by HandshakeTimeout and by ctx, which ends the
// exchange through the deadline of the connection.
func (p *Port) greetWithin(ctx context.Context, conn net.Conn, to Member, lane Lane) error {
	conn.SetDeadline(time.Now().Add(p.config.HandshakeTimeout))
	release := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	err := p.greet(conn, to, lane)
	if !release() {
		return errors.Join(ctx.Err(), err)
	}
	if err != nil {
		return err
	}
	return conn.SetDeadline(time.Time{})
}

// receive is the acceptor's half of the handshake up to its judgement. An
// error means that the other side gets no answer.
func (p *Port) receive(conn net.Conn) (preamble, acceptance, error) {
	self := p.self()
	answer := acceptance{cluster: self.cluster, node: self.member.ID}
	said, err := readPreamble(conn)
	switch {
	case errors.Is(err, errVersion):
		answer.status, answer.message = WrongVersion, fmt.Sprintf("speaks version %d", protocolVersion)
		return said, answer, nil
	case err != nil:
		return said, answer, err
	case !said.lane.known():
		return said, answer, fmt.Errorf("%w: %s", errNotPeer, said.lane)
	case said.from.ID == "" && said.lane != Probe:
		return said, answer, fmt.Errorf("%w: no node id", errNotPeer)
	}
	answer.status = self.refusal(said)
	if answer.status == WrongGroup {
		answer.message = fmt.Sprintf("serves group %d", self.group)
	}
	return said, answer, nil
}

// refuse sends the answer and lets the dialler hang up first: closing a
// connection with unread bytes would reset it and could lose the answer.
func refuse(conn net.Conn, answer acceptance) error {
	bytes, err := answer.append(nil)
	if err != nil {
		return err
	}
	if _, err := conn.Write(bytes); err != nil {
		return err
	}
	io.CopyN(io.Discard, conn, preambleFixedBytes+addressBytesMax+checksumBytes)
	return nil
}

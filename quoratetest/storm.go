package quoratetest

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/quorate/quorate/node"
)

// storm is what breaks a cluster: two rows of faults, one after the other in each
// and both at a time, of the network and of the nodes.
type storm struct {
	nodes *Nodes
	calm  context.Context // ends when the storm does

	// mu guards counts.
	mu     sync.Mutex
	counts map[string]int
}

// The lengths of faults and of the quiet between them: from far less to several
// times what it takes to elect a leader.
const (
	quietMin, quietMax = 50 * time.Millisecond, 1500 * time.Millisecond
	faultMin, faultMax = 20 * time.Millisecond, 1200 * time.Millisecond
)

func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)))
}

// blow lets faults of one row come until it is calm.
func (s *storm) blow(r *rand.Rand, fault func(r *rand.Rand, length time.Duration)) {
	for {
		rest(s.calm, between(r, quietMin, quietMax))
		if s.calm.Err() != nil {
			return
		}
		fault(r, between(r, faultMin, faultMax))
	}
}

func (s *storm) count(kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[kind]++
}

// target is the leader half of the time, if there is one, and else any node.
func (s *storm) target(r *rand.Rand) *Node {
	drawn, leader := s.nodes.all[r.IntN(len(s.nodes.all))], r.IntN(2) == 0
	for _, n := range s.nodes.all {
		if l := n.running(); leader && l != nil && l.status().Role == node.Leader {
			return n
		}
	}
	return drawn
}

// part cuts one node off, or one part of the nodes from the other.
func (s *storm) part(r *rand.Rand, length time.Duration) {
	cut := []*Node{s.target(r)}
	if len(s.nodes.all) > 3 && r.IntN(2) == 0 {
		cut = nil
		for _, i := range r.Perm(len(s.nodes.all))[:2] {
			cut = append(cut, s.nodes.all[i])
		}
	}
	s.count("cuts")
	s.nodes.Cut(cut...)
	rest(s.calm, length)
	s.nodes.Heal()
}

// strike stops, kills or pauses a node for a while, kills all, or lets the leader
// give leadership away.
func (s *storm) strike(r *rand.Rand, length time.Duration) {
	target, survives := s.target(r), r.IntN(101)
	switch kind := r.IntN(10); {
	case kind < 2:
		s.count("stops")
		s.nodes.Stop(target)
		rest(s.calm, length)
		s.nodes.Start(target)
	case kind < 5:
		s.count("kills")
		target.take(func() { target.kill(survives, r) })
		rest(s.calm, length)
		s.nodes.Start(target)
	case kind < 6:
		s.count("outages")
		for _, n := range s.nodes.all {
			n.take(func() { n.kill(survives, r) })
		}
		rest(s.calm, length)
		for _, n := range s.nodes.all {
			s.nodes.Start(n)
		}
	case kind < 8:
		s.count("pauses")
		s.nodes.Pause(target)
		rest(s.calm, length)
		s.nodes.Resume(target)
	default:
		s.handOver(target, r.IntN(2) == 0, between(r, 0, 3*linkMax), length)
	}
}

// handOver lets a leader give leadership away, and may cut it off as soon as it has
// told its successor: it does not learn then that it is deposed, and believes in
// itself as long as it may.
func (s *storm) handOver(target *Node, deaf bool, told, length time.Duration) {
	l := target.running()
	if l == nil {
		return
	}
	s.count("hand-overs")
	ctx, cancel := context.WithTimeout(s.calm, length)
	defer cancel()
	if !deaf {
		l.node.HandOver(ctx)
		return
	}
	var giving sync.WaitGroup
	giving.Go(func() { l.node.HandOver(ctx) })
	rest(s.calm, told)
	s.nodes.Cut(target)
	rest(s.calm, length)
	s.nodes.Heal()
	giving.Wait()
}

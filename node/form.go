package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/consensus"
	"github.com/quorate/quorate/internal/peer"
)

// A cluster forms when all of its first members see each other. Each asks the
// others who they are until it has seen all of them, each with the same list of
// members and in no cluster yet, and says so when it is asked. The one with the
// lowest address begins the cluster once it sees that all of them see all: it
// draws the cluster's id and names the members, by the ids they told. The
// others ask until one of them knows a cluster with this node in it, and take
// both over. Each member writes the same first entry, so that the loss of any
// of them right then is the loss of one member, and not of the list.
//
// Nobody else ever draws an id, and a node that is in one ignores the
// list. A node that finds a cluster in which it is not a member stops.

const (
	// askInterval is how often the others are asked while a cluster forms.
	askInterval = 200 * time.Millisecond
	// askTimeout bounds one question.
	askTimeout = time.Second
	// patience is after how many rounds without progress a line says what
	// is missing.
	patience = 25
)

// hello is what nodes tell each other of themselves on the Probe lane.
type hello struct {
	Node    peer.NodeID `json:"node"`
	Peer    string      `json:"peer"`
	Service string      `json:"service"`
	// Cluster is empty until the node is in one.
	Cluster string `json:"cluster,omitempty"`
	// Members is the ids of the members, if the node is in a cluster and
	// knows them already.
	Members []peer.NodeID `json:"members,omitempty"`
	// First is the first members of that cluster.
	First []founder `json:"first,omitempty"`
	// Founders is the list of members with which the node was started.
	Founders []string `json:"founders,omitempty"`
	// SeesAll says that the node has seen all of Founders.
	SeesAll bool `json:"sees_all,omitempty"`
	// Vocabulary is what the program of the node knows, as bytes of
	// internal/vocabulary. An older program does not tell.
	Vocabulary []byte `json:"vocabulary,omitempty"`
}

// hello is what this node tells of itself.
func (n *Node) hello() hello {
	id := n.identity.Load()
	h := hello{
		Node: id.Node, Peer: id.Peer, Service: id.Service, Cluster: id.Cluster, First: id.Founders,
		Founders: n.config.founders(), SeesAll: n.seesAll.Load(), Vocabulary: n.machine.Own().Append(nil),
	}
	for _, m := range n.members() {
		h.Members = append(h.Members, m.ID)
	}
	return h
}

// members is the members of the cluster as far as this node knows.
func (n *Node) members() []consensus.Member {
	if c := n.core.Load(); c != nil {
		if members := c.group.Members(); len(members) > 0 {
			return members
		}
	}
	var members []consensus.Member
	for _, f := range n.identity.Load().Founders {
		members = append(members, consensus.Member{Member: peer.Member{ID: f.Node, Addr: f.Peer}, Voter: true})
	}
	return members
}

// serveHello answers who this node is.
func (n *Node) serveHello(_ context.Context, _ peer.Member, _ []byte, reply func([]byte, error)) {
	reply(json.Marshal(n.hello()))
}

// greet asks who is at an address.
func (n *Node) greet(ctx context.Context, addr string) (hello, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answer, err := n.port.Call(ctx, peer.Member{Addr: addr}, peer.Probe, kindHello, nil)
	if err != nil {
		return hello{}, err
	}
	var h hello
	err = json.Unmarshal(answer, &h)
	return h, err
}

// greetAll asks several addresses at once.
func (n *Node) greetAll(ctx context.Context, addrs []string) ([]hello, []error) {
	hellos, errs := make([]hello, len(addrs)), make([]error, len(addrs))
	var asking sync.WaitGroup
	for i, addr := range addrs {
		asking.Go(func() { hellos[i], errs[i] = n.greet(ctx, addr) })
	}
	asking.Wait()
	return hellos, errs
}

// form returns when this node is in a cluster, or must not be.
func (n *Node) form(ctx context.Context) error {
	if n.identity.Load().Cluster != "" {
		return nil
	}
	founders := n.config.founders()
	others := slices.DeleteFunc(slices.Clone(founders), func(addr string) bool { return addr == n.config.Peer })
	ticker := time.NewTicker(askInterval)
	defer ticker.Stop()
	for round := 1; ; round++ {
		hellos, errs := n.greetAll(ctx, others)
		done, missing, err := n.consider(founders, others, hellos, errs)
		if done || err != nil {
			return err
		}
		if round%patience == 0 {
			n.config.Log.Warn("waiting for the other members", "missing", strings.Join(missing, "; "))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// consider decides on what the others answered. It says whether this node is
// in a cluster now, and if not, what is missing.
func (n *Node) consider(founders, others []string, hellos []hello, errs []error) (done bool, missing []string, err error) {
	self := n.identity.Load()
	members := []founder{{self.Node, self.Peer}}
	seen, ready := true, true
	for i, h := range hellos {
		if errs[i] != nil {
			missing = append(missing, fmt.Sprintf("%s does not answer (%v)", others[i], errs[i]))
			seen = false
			continue
		}
		if err := acceptable(self, others[i], h); err != nil {
			return false, nil, err
		}
		if err := n.hear(h.Node, h.Vocabulary); err != nil {
			n.config.Log.Debug("a member does not say what its program knows", "peer", h.Peer, "error", err)
		}
		if h.Cluster != "" {
			if slices.Contains(h.Members, self.Node) {
				return true, nil, n.join(h.Cluster, h.First)
			}
			// It is in a cluster that knows this node, or it would have told
			// its members: it has only just joined itself.
			missing = append(missing, others[i]+" does not know its members yet")
			seen = false
			continue
		}
		if !slices.Equal(h.Founders, founders) {
			missing = append(missing, fmt.Sprintf("%s was started for the members %s", others[i], strings.Join(h.Founders, ",")))
			seen = false
			continue
		}
		if !h.SeesAll {
			missing = append(missing, others[i]+" does not see all members yet")
			ready = false
		}
		members = append(members, founder{h.Node, h.Peer})
	}
	n.seesAll.Store(seen)
	if seen && ready && founders[0] == self.Peer {
		return true, nil, n.join(peer.NewClusterID().String(), members)
	}
	return false, missing, nil
}

// acceptable refuses an answer with which this node can never form a cluster.
func acceptable(self *identity, addr string, h hello) error {
	switch {
	case h.Node == self.Node && h.Peer == self.Peer:
		return fmt.Errorf("the address %s in the list of members is this node, whose peer address is %s: name it in one way on every node", addr, self.Peer)
	case h.Node == self.Node:
		return fmt.Errorf("the node at %s has the id %s of this one: its data directory is a copy; give one of them an empty directory", addr, self.Node)
	case h.Service != self.Service:
		return fmt.Errorf("the node at %s runs the service %q and this one runs %q", addr, h.Service, self.Service)
	case h.Peer != addr:
		return fmt.Errorf("the node at %s calls itself %s: name each member by the peer address with which it was started", addr, h.Peer)
	case h.Cluster != "" && len(h.Members) > 0 && !slices.Contains(h.Members, self.Node):
		return fmt.Errorf("the node at %s is in the cluster %s, which does not know this node (%s); a node joins a cluster only while it forms", addr, h.Cluster, self.Node)
	}
	return nil
}

// join puts this node into a cluster, durably.
func (n *Node) join(cluster string, founders []founder) error {
	id := *n.identity.Load()
	id.Cluster, id.Founders = cluster, founders
	if err := n.dir.save(id); err != nil {
		return err
	}
	n.identity.Store(&id)
	n.config.Log.Info("the cluster has formed", "cluster", cluster, "members", len(n.config.founders()))
	return nil
}

// doubtInterval is how often a node that finds no leader asks the others
// whether they are still its cluster.
const doubtInterval = time.Second

// doubt runs until this node has had a leader. Where the nodes at the addresses
// of all other members are of another cluster, or of one that does not know
// this node, there will never be a leader, and the node stops. While any of
// them is silent it may yet turn out to be the right one.
func (n *Node) doubt(ctx context.Context, group *consensus.Group) {
	ticker := time.NewTicker(doubtInterval)
	defer ticker.Stop()
	for group.Leader().ID == "" {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := n.strangers(ctx); err != nil {
			n.fail(err)
			return
		}
	}
}

// strangers is an error if all other members answer and none of them is of
// this node's cluster.
func (n *Node) strangers(ctx context.Context) error {
	self := n.identity.Load()
	addrs := n.config.founders()
	if members := n.members(); len(members) > 0 {
		addrs = addrs[:0]
		for _, m := range members {
			addrs = append(addrs, m.Addr)
		}
	}
	others := slices.DeleteFunc(addrs, func(addr string) bool { return addr == self.Peer })
	hellos, errs := n.greetAll(ctx, others)
	var strange []error
	for i, h := range hellos {
		if err := estranged(self, others[i], h); errs[i] == nil && err != nil {
			strange = append(strange, err)
		}
	}
	if len(strange) < len(others) {
		return nil
	}
	return errors.Join(strange...)
}

// estranged says why a node is not of this one's cluster, or nil. One that is
// in no cluster yet may be about to join.
func estranged(self *identity, addr string, h hello) error {
	switch {
	case h.Cluster != "" && h.Cluster != self.Cluster:
		return fmt.Errorf("the node at %s is in the cluster %s, and this node is in the cluster %s", addr, h.Cluster, self.Cluster)
	case h.Cluster == self.Cluster && len(h.Members) > 0 && !slices.Contains(h.Members, self.Node):
		return fmt.Errorf("the cluster %s does not know this node (%s) any more, says the node at %s", h.Cluster, self.Node, addr)
	}
	return nil
}

package consensus_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/consensus"
	"github.com/quorate/quorate/internal/readindex"
	"github.com/quorate/quorate/internal/wal"
)

// read reads the counter of a node as a linearizable read does.
func (c *cluster) read(i int) (int64, error) {
	reads := readindex.New(c.nodes[i].group)
	defer reads.Close()
	if err := reads.Confirm(c.t.Context()); err != nil {
		return 0, err
	}
	return total(c.t, c.nodes[i].machine), nil
}

// TestReadIsNotConfirmedByAnswersToOlderQuestions is H3.
//
// Raft's VerifyLeader counts any answer that comes in after it was called, also
// one that was given long before: a leader that was paused finds such answers in
// its sockets. Here they are held up in the network while another node is
// elected and acknowledges a write. Nobody is left to answer anything new.
//
// A round of readindex asks a question of its own after the read has come, and
// counts the answers to that question alone.
func TestReadIsNotConfirmedByAnswersToOlderQuestions(t *testing.T) {
	const old = 0
	inClusterOf(t, 3, patient(old), func(t *testing.T, c *cluster) {
		c.lead(old)
		c.mustAdd(old, 10)
		c.converge(10)
		c.forget() // what the others dialled would tell of their term
		for i := range c.nodes {
			if i != old {
				c.net.CutOneWay(host(i), host(old))
			}
		}
		time.Sleep(electionTimeout / 2) // the others answer, and nothing arrives
		c.cut(old)
		lead := c.leader(old)
		sum := c.mustAdd(lead, 1)
		// A follower goes, and its old answers are still on their way.
		gone := 3 - lead
		c.stop(gone)

		var reader sync.WaitGroup
		reader.Go(func() {
			if got, err := c.read(old); err == nil && got != sum {
				t.Errorf("a stale read: the old leader answers %d, and %d was acknowledged", got, sum)
			} else if err == nil {
				t.Error("a read was confirmed where nobody could")
			}
		})
		synctest.Wait() // the question is asked
		if !c.nodes[old].group.Leads() {
			t.Error("the old leader has stepped down: there is nothing to see")
		}
		c.net.Heal(host(old), host(gone)) // the old answers come in
		reader.Wait()
		c.heal(old)
		c.start(gone)
		c.converge(sum)
	})
}

// TestReadIsNotConfirmedByMembersWithoutAVote is H4.
//
// Raft's VerifyLeader counts the answers of all members up to a majority of the
// voters. A leader that is alone with two learners has that majority, while the
// other two voters elect another and go on.
//
// A round of readindex asks voters only.
func TestReadIsNotConfirmedByMembersWithoutAVote(t *testing.T) {
	const old = 0
	voters, learners := []int{1, 2}, []int{3, 4}
	change := func(i int, config *consensus.Config, w *wal.Options) {
		patient(old)(i, config, w)
		if len(config.Founders) > 0 {
			config.Founders = config.Founders[:3]
		}
	}
	inClusterOf(t, 5, change, func(t *testing.T, c *cluster) {
		c.handTo(old)
		for _, i := range learners {
			if err := c.nodes[old].group.AddLearner(member(i)); err != nil {
				t.Fatal(err)
			}
		}
		c.mustAdd(old, 10)
		c.converge(10)
		for _, v := range voters {
			for _, other := range append(learners, old) {
				c.net.Cut(host(v), host(other))
			}
		}
		lead := c.leader(old)
		sum := c.mustAdd(lead, 1)
		if !c.nodes[old].group.Leads() {
			t.Error("the old leader has stepped down: there is nothing to see")
		}
		got, err := c.read(old)
		switch {
		case err == nil && got != sum:
			t.Errorf("a stale read: the old leader answers %d, and %d was acknowledged", got, sum)
		case err == nil:
			t.Error("a read was confirmed where nobody could")
		}
		for i := range c.nodes {
			c.heal(i)
		}
		c.converge(sum)
	})
}

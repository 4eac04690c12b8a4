package node_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/node"
)

// unknownToOlder is calls of which the older program does not know something,
// and how that is called.
var unknownToOlder = map[string]string{
	"GIFT book":                              "operation GIFT",
	"SELL book 1 ann":                        "argument 3 of operation SELL",
	"TXN all 0 1 GIFT 1 book":                "operation GIFT",
	"TXN all 1 0 GIFTS 1 book =1":            "operation GIFTS",
	"TXN all 0 0 SELL 3 book 1 ann":          "argument 3 of operation SELL",
	"TXN each 0 1 SELL 2 book 1 GIFT 1 book": "operation GIFT",
}

func TestWhatSomeMembersDoNotKnowIsRefusedUntilAllDo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startShop(t, olderShop, olderShop, laterShop)
		defer c.close()
		counted := int64(0)
		for _, leader := range []int{2, 0} {
			c.lead(leader)
			for line, what := range unknownToOlder {
				if leader == 2 {
					c.mustRefuse(2, line, what+" is not known to all members yet", addr(0)+" runs a program without it", addr(1)+" runs a program without it")
				} else {
					c.mustRefuse(2, line, "runs an older program, to which "+what+" is not known")
				}
			}
			c.mustRefuse(2, "GIFTS book", "operation GIFTS is not known to all members yet")
			// All else goes on, through every node, and by what the later
			// program makes of it where nothing new is used.
			for i := range c.nodes {
				counted++
				c.mustAnswer(i, "SELL book 1", counted)
				c.mustAnswer(i, "SOLD book", counted)
			}
			counted++
			if n, err := quorate.Do(t.Context(), c.nodes[2], sellTo{Item: "book", By: 1}); err != nil || n != counted {
				t.Errorf("without the argument that can be left out it answers %d, %v; want %d", n, err, counted)
			}
		}
		c.converged()

		c.upgrade(0, laterShop)
		c.mustRefuse(0, "GIFT book", "operation GIFT")
		c.upgrade(1, laterShop)
		time.Sleep(2 * time.Second)
		for i := range c.nodes {
			c.mustAnswer(i, "GIFT book", int64(i+1))
			c.mustAnswer(i, "GIFTS book", int64(i+1))
			counted++
			c.mustAnswer(i, "SELL book 1 ann", counted)
		}
		c.converged()
	})
}

func TestCallerWaitsForTheRestOfAnUpgrade(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startShop(t, laterShop, laterShop, olderShop)
		defer c.close()
		c.lead(0)
		var waiting sync.WaitGroup
		for i := range 2 {
			waiting.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if _, err := quorate.Do(ctx, c.nodes[i], gift{"book"}); err != nil {
					t.Errorf("through node %d: %v", i, err)
				}
			})
		}
		time.Sleep(2 * time.Second)
		c.upgrade(2, laterShop)
		waiting.Wait()
		c.mustAnswer(2, "GIFTS book", 2)
	})
}

func TestCallsBehindOneThatIsRefusedWaitWithIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startShop(t, olderShop, olderShop, laterShop)
		defer c.close()
		counted := int64(0)
		for _, leader := range []int{2, 0} {
			c.lead(leader)
			replies := c.call(2, "SELL book 1", "SOLD book", "GIFT book", "SELL book 1", "NOSUCH")
			counted++
			for i, r := range replies {
				switch {
				case i < 2 && (r.Err != nil || r.Value.Int() != counted):
					t.Errorf("led by %d, call %d before it answers %v, %v", leader, i, r.Value, r.Err)
				case i == 4 && quorate.CodeOf(r.Err) != quorate.UnknownOperation:
					t.Errorf("led by %d, what the node does not know itself answers %v", leader, r.Err)
				case i > 1 && i < 4 && (quorate.CodeOf(r.Err) != quorate.Unavailable || quorate.OutcomeUnknown(r.Err)):
					t.Errorf("led by %d, call %d answers %v, %v", leader, i, r.Value, r.Err)
				}
			}
			c.mustAnswer(1, "SOLD book", counted)
		}
	})
}

func TestAgreementOutlivesItsLeaderAndARestartWithoutAMember(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.change = func(_ int, config *node.Config) { config.SnapshotEntries, config.TrailingEntries = 5, 2 }
		for i := range c.nodes {
			c.startAs(i, olderShop)
		}
		c.ready()
		defer c.close()
		for i := range c.nodes {
			c.upgrade(i, laterShop)
		}
		time.Sleep(2 * time.Second)
		c.mustAnswer(0, "GIFT book", 1)
		c.stop(c.leader())
		c.mustAnswer(c.follower(), "GIFT book", 2)
		var left []int
		for i, n := range c.nodes {
			if n != nil {
				left = append(left, i)
			}
		}
		for range 20 {
			c.call(left[0], "SELL book 1")
		}
		time.Sleep(2 * time.Second) // for snapshots
		for _, i := range left {
			c.stop(i)
		}
		for _, i := range left {
			c.startAs(i, laterShop)
		}
		c.ready()
		for n, i := range left {
			c.mustAnswer(i, "GIFT book", int64(n+3))
		}
	})
}

func TestOneNodeAgreesWithItself(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startShop(t, olderShop)
		c.mustAnswer(0, "SELL book 1", 1)
		c.upgrade(0, laterShop)
		c.mustAnswer(0, "GIFT book", 1)
		c.stop(0)
		refused(t, c, olderShop, c.config(0), "operation GIFT is not known to this program")
	})
}

func TestProgramThatIsTooOldForTheStateIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startShop(t, laterShop, laterShop, laterShop)
		defer c.close()
		c.mustAnswer(0, "GIFT book", 1)
		c.converged()
		c.stop(0)
		const want = "operation GIFT is not known to this program; it was written by a newer version of the program: run a version of service shop that knows it"
		refused(t, c, olderShop, c.config(0), want)
		another := quorate.Define("shop", quorate.Write[sell]("SELL"), quorate.Read[sold]("SOLD"), quorate.Write[gift]("GIFT"), quorate.Read[gifts]("GIFTS"))
		refused(t, c, another, c.config(0), "argument 3 of operation SELL is not known to this program")
		c.startAs(0, laterShop)
		c.ready()
		c.mustAnswer(0, "GIFT book", 2)
	})
}

// A node whose disk is older than the agreement finds it in the log, or in a
// snapshot of another.
func TestProgramThatIsTooOldStopsWhenItComesToTheAgreement(t *testing.T) {
	for name, snapshots := range map[string]bool{"in the log": false, "in a snapshot": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				c := newCluster(t, 3)
				disk := vfs.NewCrashableMem()
				c.disks[0] = disk
				if snapshots {
					c.change = func(_ int, config *node.Config) { config.SnapshotEntries, config.TrailingEntries = 5, 2 }
				}
				for i := range c.nodes {
					c.startAs(i, olderShop)
				}
				c.ready()
				defer c.close()
				c.mustAnswer(0, "SELL book 1", 1)
				c.stop(0)
				before := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
				c.startAs(0, laterShop)
				c.upgrade(1, laterShop)
				c.upgrade(2, laterShop)
				time.Sleep(2 * time.Second)
				for range 30 {
					c.call(1, "GIFT book")
					time.Sleep(50 * time.Millisecond)
				}
				c.stop(0)
				c.disks[0] = before
				c.startAs(0, olderShop)
				stopped(t, c.nodes[0], "operation GIFT is not known to this program")
				c.nodes[0] = nil
				if snapshots {
					refused(t, c, olderShop, c.config(0), "operation GIFT is not known to this program")
				}
				c.startAs(0, laterShop)
				c.ready()
				c.mustAnswer(0, "GIFT book", 31)
			})
		})
	}
}

// What a member said before it went down does not count: it may come back with
// the program that it had before.
func TestUpgradeThatIsTakenBackOnAMemberIsWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startShop(t, olderShop, olderShop, olderShop)
		defer c.close()
		c.upgrade(0, laterShop)
		c.upgrade(2, laterShop)
		c.lead(2) // which hears that node 0 knows all
		time.Sleep(2 * time.Second)
		c.stop(0)
		c.upgrade(1, laterShop)
		c.lead(2)
		time.Sleep(2 * time.Second)
		c.mustRefuse(1, "GIFT book", "operation GIFT is not known to all members yet")
		c.startAs(0, olderShop)
		c.ready()
		time.Sleep(2 * time.Second)
		c.mustRefuse(1, "GIFT book", "operation GIFT is not known to all members yet", addr(0)+" runs a program without it")
		c.mustAnswer(0, "SELL book 1", 1)
		c.upgrade(0, laterShop)
		time.Sleep(2 * time.Second)
		c.mustAnswer(0, "GIFT book", 1)
	})
}

func TestClusterWhoseMemberDiesBeforeTheFirstAgreementGoesOn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		for i := range c.nodes {
			c.startAs(i, laterShop)
		}
		defer c.close()
		formed := func(n *node.Node) bool { return n.Status(t.Context()).Cluster != "" }
		for !formed(c.nodes[0]) || !formed(c.nodes[1]) || !formed(c.nodes[2]) {
			time.Sleep(time.Millisecond)
		}
		lost := 2
		c.isolate(lost)
		c.mustAnswerSoon(0, "GIFT book", 1)
		c.mustAnswer(1, "SELL book 1 ann", 1)
		// Nobody has said anything to those who start now, but for each other.
		for i := range lost {
			c.stop(i)
		}
		for i := range lost {
			c.startAs(i, laterShop)
		}
		c.mustAnswerSoon(0, "GIFT book", 2)
		c.heal()
		time.Sleep(5 * time.Second)
		c.mustAnswer(lost, "GIFT book", 3)
		c.converged()
	})
}

func TestNothingIsAskedOnceAllIsAgreed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startShop(t, laterShop, laterShop, laterShop)
		defer c.close()
		c.mustAnswer(0, "GIFT book", 1)
		time.Sleep(2 * time.Second)
		before := c.nodes[0].Status(t.Context()).LastIndex
		time.Sleep(time.Minute)
		if after := c.nodes[0].Status(t.Context()).LastIndex; after != before {
			t.Errorf("in an idle minute the log went on from %d to %d", before, after)
		}
	})
}

package quoratetest_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/quoratetest"
)

// mustCall makes the call of a command or query.
func mustCall(t testing.TB, operation any) quorate.Call {
	t.Helper()
	call, err := quorate.NewCall(operation)
	if err != nil {
		t.Fatal(err)
	}
	return call
}

// inBubble runs a test on virtual time.
func inBubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

func TestClusterAnswersThroughEachNode(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := quoratetest.Cluster(t, bank, 3)
		for i, n := range c.All() {
			if left := mustDo(t, n, transfer{1, 2, 10}); left != 90-10*int64(i) {
				t.Errorf("through %s %d are left", n.Name(), left)
			}
		}
		for range 5 {
			if sum := mustAsk(t, c, total{}); sum != accounts*opening {
				t.Errorf("the sum is %d", sum)
			}
		}
		c.WaitConverged()
	})
}

func TestClusterOnRealTime(t *testing.T) {
	c := quoratetest.Cluster(t, bank, 3)
	mustDo(t, c, transfer{1, 2, 10})
	leader := c.Leader()
	c.Kill(leader)
	mustDo(t, c.Leader(), transfer{1, 2, 10})
	c.Start(leader)
	c.WaitConverged()
	if left := mustAsk(t, leader, balance{1}); left != 80 {
		t.Errorf("%d are left", left)
	}
}

func TestClusterOfOneAndOfFive(t *testing.T) {
	for _, count := range []int{1, 5} {
		inBubble(t, func(t *testing.T) {
			c := quoratetest.Cluster(t, bank, count)
			mustDo(t, c, transfer{1, 2, 10})
			if count > 1 {
				c.Cut(c.All()[:2]...)
			}
			mustDo(t, c, transfer{1, 2, 10})
			c.Heal()
			c.Kill(c.Leader())
			if count > 1 {
				mustDo(t, c, transfer{1, 2, 10})
			}
		})
	}
	mustBeTold(t, "a cluster has 1 to 9 nodes, not 10", func(t testing.TB) { quoratetest.Cluster(t, bank, 10) })
}

func TestNodeThatIsCutOffAnswersNothingUntilItIsHealed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := quoratetest.Cluster(t, bank, 3)
		mustDo(t, c, transfer{1, 2, 10})
		old := c.Leader()
		c.Cut(old)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, err := quorate.Do(ctx, old, transfer{1, 2, 10}); err == nil {
			t.Error("a leader without followers takes a command")
		}
		if c.Leader() == old {
			t.Error("a node that is cut off leads")
		}
		for range 3 {
			mustAsk(t, c, balance{1})
		}
		c.Heal()
		mustAsk(t, old, total{})
	})
}

func TestPausedNodeAnswersAfterResume(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := quoratetest.Cluster(t, bank, 3)
		paused := c.Follower()
		c.Pause(paused)
		answer := make(chan error, 1)
		began := time.Now()
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			_, err := quorate.Do(ctx, paused, transfer{1, 2, 10})
			answer <- err
		}()
		time.Sleep(10 * time.Second)
		c.Resume(paused)
		if err := <-answer; err != nil || time.Since(began) < 10*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		c.Pause(paused)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := quorate.Do(ctx, paused, transfer{1, 2, 10}); quorate.CodeOf(err) != quorate.Unavailable || quorate.OutcomeUnknown(err) {
			t.Errorf("a node that stays paused: %v", err)
		}
		c.Heal()
		if _, err := quorate.Do(ctx, paused, transfer{1, 2, 10}); err == nil {
			t.Error("Heal has ended a pause")
		}
	})
}

func TestStoppedNodeComesBackWithWhatItHad(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := quoratetest.Cluster(t, bank, 3)
		mustDo(t, c, transfer{1, 2, 10})
		for _, n := range c.All() {
			c.Stop(n)
			if n.Node() != nil {
				t.Errorf("%s runs", n.Name())
			}
			if _, err := quorate.Do(t.Context(), n, transfer{1, 2, 10}); quorate.CodeOf(err) != quorate.Unavailable || quorate.OutcomeUnknown(err) {
				t.Errorf("a node that is stopped: %v", err)
			}
		}
		for _, n := range c.All() {
			c.Start(n)
			c.Start(n) // again changes nothing
		}
		if left := mustAsk(t, c, balance{1}); left != 90 {
			t.Errorf("%d are left", left)
		}
	})
}

// Under all of these calls somebody waits for an answer.
func TestKilledNodeLeavesTheOutcomeOfItsCallsUnknown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := quoratetest.Cluster(t, bank, 3)
		follower := c.Follower()
		answer := make(chan error, 1)
		c.Cut(follower)
		go func() {
			_, err := quorate.Do(context.Background(), follower, transfer{1, 2, 10})
			answer <- err
		}()
		time.Sleep(50 * time.Millisecond)
		c.Kill(follower)
		if err := <-answer; !quorate.OutcomeUnknown(err) {
			t.Errorf("a call through a node whose power was cut: %v", err)
		}
		c.Kill(c.All()[0])
		c.Kill(c.All()[1])
		c.Kill(c.All()[2])
		for _, n := range c.All() {
			c.Start(n)
		}
		c.Heal()
		c.WaitConverged()
	})
}

func TestClusterNamesWhatIsNotDeterministic(t *testing.T) {
	for _, lie := range lies {
		t.Run(lie.name, func(t *testing.T) {
			run := inBubble
			if lie.call == (readsClock{"a"}) {
				run = func(t *testing.T, test func(t *testing.T)) { test(t) }
			}
			run(t, func(t *testing.T) {
				found := quoratetest.Fails(func(t testing.TB) {
					c := quoratetest.Cluster(t, liars, 3)
					call := mustCall(t, lie.call)
					for range 1000 {
						if !t.Failed() {
							c.Execute(context.Background(), []quorate.Call{call})
						}
					}
				})
				if len(found) == 0 || !strings.Contains(found[0], lie.want) {
					t.Errorf("the test says %q, want %q first", found, lie.want)
				}
			})
		})
	}
}

// In a bubble two runs of a command see the same time: it goes on between one node
// and the next.
func TestClusterInABubbleNamesACommandThatReadsTheClock(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		found := quoratetest.Fails(func(t testing.TB) {
			c := quoratetest.Cluster(t, liars, 3)
			mustDo(t, c, readsClock{"a"})
			c.WaitConverged()
		})
		want := `command CLOCK "a" is not deterministic: on the same state it wrote key "seen/a" with "`
		if len(found) == 0 || !strings.Contains(found[0], want) || !strings.Contains(found[0], " on n") {
			t.Errorf("the test says %q, want %q first", found, want)
		}
	})
}

func TestClusterOfASoundServiceSaysNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		if found := quoratetest.Fails(func(t testing.TB) {
			c := quoratetest.Cluster(t, bank, 3)
			for i := range int64(30) {
				if i == 10 {
					c.Stop(c.Leader())
				}
				quorate.Do(context.Background(), c, transfer{i % 3, i % 4, i})
				quorate.Ask(context.Background(), quorate.Stale(c, time.Second), total{})
				quorate.Do(context.Background(), quorate.Once(c, quorate.CallID(strconv.FormatInt(i%7, 10))), transfer{1, 2, i % 7})
				quorate.Do(context.Background(), c, quorate.Txn{Then: []quorate.Call{mustCall(t, transfer{2, 3, 1}), mustCall(t, balance{2})}})
			}
			c.Cut(c.Follower())
		}); len(found) > 0 {
			t.Errorf("the test says %q", found)
		}
	})
}

func TestWaitConvergedFailsWhereANodeCannotFollow(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		mustBeTold(t, "the nodes have not come to the same: n1 is ", func(t testing.TB) {
			c := quoratetest.Cluster(t, bank, 3)
			c.Cut(c.Follower())
			mustDo(t, c, transfer{1, 2, 10})
			c.WaitConverged()
		})
	})
}

// Two clusters beside each other know nothing of each other.
func TestClustersStandApart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a, b := quoratetest.Cluster(t, bank, 3), quoratetest.Cluster(t, bank, 3)
		mustDo(t, a, transfer{1, 2, 10})
		if got := mustAsk(t, b, balance{1}); got != opening {
			t.Errorf("account 1 of the other holds %d", got)
		}
	})
}

func TestContextOfACallerEndsItsCall(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := quoratetest.Cluster(t, bank, 3)
		for _, n := range c.All() {
			c.Cut(n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := quorate.Do(ctx, c, transfer{1, 2, 10})
		if quorate.CodeOf(err) != quorate.Unavailable || time.Since(began) > 2*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

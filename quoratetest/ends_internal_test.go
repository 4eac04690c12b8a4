package quoratetest

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/machine"
)

// The tests of what a cluster checks when a test ends, on clusters in which
// something is made wrong on purpose.

// put and get are a small service.
type (
	put struct{ Key, Value string }
	get struct{ Key string }
)

func (p put) Apply(tx *quorate.Tx) (int64, error) {
	tx.Set([]byte(p.Key), []byte(p.Value))
	return int64(len(p.Value)), nil
}

func (g get) Read(v *quorate.View) (string, error) {
	value, _ := v.Get([]byte(g.Key))
	return string(value), nil
}

var testOperations = quorate.Define("store", quorate.Write[put]("PUT"), quorate.Read[get]("GET"))

// lingers is how long a goroutine stays that is left behind on purpose.
const lingers = time.Minute

// ends runs a test of a user on virtual time and returns what it says is wrong.
func ends(t *testing.T, test func(t testing.TB, c *Nodes)) (found []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		found = Fails(func(t testing.TB) { test(t, Cluster(t, testOperations, 3)) })
		time.Sleep(lingers) // what a test left behind on purpose
	})
	return found
}

func mustPut(t testing.TB, on quorate.Executor) {
	t.Helper()
	if _, err := quorate.Do(context.Background(), on, put{"key", "value"}); err != nil {
		t.Fatal(err)
	}
}

func mustSay(t *testing.T, found []string, want string) {
	t.Helper()
	if !strings.Contains(strings.Join(found, "\n"), want) {
		t.Errorf("the test says %q, want %q", found, want)
	}
}

func TestEndOfASoundClusterSaysNothing(t *testing.T) {
	if found := ends(t, func(t testing.TB, c *Nodes) { mustPut(t, c) }); len(found) > 0 {
		t.Errorf("the test says %q", found)
	}
}

func TestEndFindsNodesInDifferentStates(t *testing.T) {
	var found []string
	synctest.Test(t, func(t *testing.T) {
		found = Fails(func(t testing.TB) {
			c := newCluster(t, testOperations, 3, discard(), limits{})
			// One node writes something else, and nobody looks while it does.
			c.applied = func(n *Node, _ *life) machine.Apply {
				return func(op *quorate.Operation, state engine.State, _ engine.Moment, tx *quorate.Tx, args [][]byte) (quorate.Value, error) {
					value, err := quorate.Engine().Apply(op, tx, args)
					if n.index == 1 {
						state.Set([]byte("key"), []byte("another value"))
					}
					return value, err
				}
			}
			t.Cleanup(c.end)
			if err := c.open(); err != nil {
				t.Fatal(err)
			}
			mustPut(t, c)
		})
	})
	mustSay(t, found, "the states differ: n1 has content")
}

func TestEndFindsAnAcknowledgedCommandThatIsLost(t *testing.T) {
	mustSay(t, ends(t, func(t testing.TB, c *Nodes) {
		mustPut(t, c)
		c.ledger.acknowledged = append(c.ledger.acknowledged, acknowledgement{index: c.ledger.top(), call: "PUT of nobody", sum: 7})
	}), "PUT of nobody was acknowledged at index")
}

func TestEndFindsAGoroutineThatIsLeft(t *testing.T) {
	mustSay(t, ends(t, func(t testing.TB, c *Nodes) {
		mustPut(t, c)
		// Started by what a node started.
		err := c.marked(func() error {
			go func() { go time.Sleep(lingers) }()
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}), "1 goroutines are left of a cluster that was stopped")
}

func TestEndFindsANodeThatStoppedByItself(t *testing.T) {
	mustSay(t, ends(t, func(t testing.TB, c *Nodes) {
		mustPut(t, c)
		if err := c.All()[0].Node().Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
	}), "n1 stopped by itself")
}

func TestEndOfATestThatHasFailedSaysNoMore(t *testing.T) {
	found := ends(t, func(t testing.TB, c *Nodes) {
		c.Kill(c.All()[0])
		c.Kill(c.All()[1])
		t.Error("the user is not content")
	})
	if len(found) != 1 {
		t.Errorf("the test says %q", found)
	}
}

func TestDiskOfAClusterHoldsWhatItAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Cluster(t, testOperations, 3)
		mustPut(t, c)
		index := c.ledger.top()
		c.WaitConverged()
		for _, n := range c.all {
			log, err := n.running().image(n.Name()).log()
			if err != nil {
				t.Fatal(err)
			}
			call := acknowledgement{index: index, sum: sumOf("PUT", [][]byte{[]byte("key"), []byte("value")})}
			if !log.holds(call) {
				t.Errorf("%s does not hold the command", n.Name())
			}
			if call.index--; log.holds(call) && call.index >= log.first {
				t.Errorf("%s holds it one entry before too", n.Name())
			}
			if call = (acknowledgement{index: index, sum: 7}); log.holds(call) {
				t.Errorf("%s holds what nobody called", n.Name())
			}
		}
	})
}

// A loss of power takes what was not synced, and an orderly stop does not.
func TestDiskOfAKilledNodeLosesWhatWasNotSynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Cluster(t, testOperations, 3)
		for _, way := range []struct {
			stop  func(*Node)
			stays bool
		}{{c.Kill, false}, {c.Stop, true}} {
			n := c.Follower()
			file, err := n.running().disk.Create(dataDir+"/note", vfs.WriteCategoryUnspecified)
			if err != nil {
				t.Fatal(err)
			}
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
			way.stop(n)
			if _, err := n.disk.Stat(dataDir + "/note"); (err == nil) != way.stays {
				t.Errorf("the file stays: %v, want %v", err == nil, way.stays)
			}
			c.Start(n)
			c.WaitConverged()
		}
	})
}

// What a node says after its power was cut was never heard.
func TestAnswerOfAKilledNodeIsNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Cluster(t, testOperations, 1)
		n, apply := c.all[0], c.applied
		c.applied = func(n *Node, l *life) machine.Apply {
			inner := apply(n, l)
			return func(op *quorate.Operation, state engine.State, at engine.Moment, tx *quorate.Tx, args [][]byte) (quorate.Value, error) {
				time.Sleep(time.Second)
				return inner(op, state, at, tx, args)
			}
		}
		c.Stop(n)
		c.Start(n)
		said := make(chan error, 1)
		go func() {
			_, err := quorate.Do(context.Background(), n, put{"key", "value"})
			said <- err
		}()
		time.Sleep(900 * time.Millisecond) // it is in the log, and being applied
		c.Kill(n)
		if err := <-said; !quorate.OutcomeUnknown(err) {
			t.Errorf("the call came to %v", err)
		}
		c.Start(n)
	})
}

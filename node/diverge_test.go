package node_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/node"
)

// drifts is a cluster on some of whose nodes a command does not do what it does
// on the others.
type drifts struct {
	*cluster
	// by says what INC of the key "odd" does beside on each node; 0 is nothing.
	by []atomic.Int32
	// said, if it is not nil, hears each line that a node logs.
	said atomic.Pointer[func(i int, line string)]
}

// startDrifts starts n nodes that all do the same so far.
func startDrifts(t *testing.T, n int) *drifts {
	t.Helper()
	d := &drifts{cluster: newCluster(t, n), by: make([]atomic.Int32, n)}
	d.change = func(i int, config *node.Config) {
		config.Host.Apply = func(op *quorate.Operation, _ engine.State, _ engine.Moment, tx *quorate.Tx, args [][]byte) (quorate.Value, error) {
			value, err := quorate.Engine().Apply(op, tx, args)
			if by := d.by[i].Load(); by != 0 && op.Name() == "INC" && string(args[0]) == "odd" {
				tx.Set([]byte("drift"), fmt.Append(nil, by))
			}
			return value, err
		}
		config.Log = slog.New(listener{d, i})
	}
	for i := range n {
		d.start(i)
	}
	d.ready()
	d.inc(0, "hits")
	d.converged()
	return d
}

// listener gives lines to said.
type listener struct {
	drifts *drifts
	i      int
}

func (l listener) Enabled(context.Context, slog.Level) bool { return true }
func (l listener) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l listener) WithGroup(string) slog.Handler            { return l }
func (l listener) Handle(_ context.Context, record slog.Record) error {
	if said := l.drifts.said.Load(); said != nil {
		(*said)(l.i, record.Message)
	}
	return nil
}

// hear lets f hear each line that a node logs from now on.
func (d *drifts) hear(f func(i int, line string)) {
	if f == nil {
		d.said.Store(nil)
		return
	}
	d.said.Store(&f)
}

// part lets nodes do each something of its own in one entry, and returns the
// index of that.
func (d *drifts) part(through int, nodes ...int) uint64 {
	d.t.Helper()
	for _, i := range nodes {
		d.by[i].Store(int32(i + 1))
	}
	call, err := quorate.NewCall(kv.Inc{Key: "odd", By: 1})
	if err != nil {
		d.t.Fatal(err)
	}
	reply := d.nodes[through].Execute(d.t.Context(), []quorate.Call{call})[0]
	if reply.Err != nil {
		d.t.Fatal(reply.Err)
	}
	return reply.Index
}

// agree lets all nodes do the same again.
func (d *drifts) agree() {
	for i := range d.by {
		d.by[i].Store(0)
	}
}

// write makes an entry, whatever becomes of it.
func (d *drifts) write(through int) {
	ctx, cancel := context.WithTimeout(d.t.Context(), 5*time.Second)
	defer cancel()
	_, _ = quorate.Do(ctx, quorate.Once(d.nodes[through], quorate.CallID(fmt.Sprint("write", time.Now()))), kv.Inc{Key: "hits", By: 1})
}

// diverged waits until a node has stopped, which must say why in all of these
// words, and puts it away.
func (d *drifts) diverged(i int, words ...string) {
	d.t.Helper()
	stopped(d.t, d.nodes[i], node.ErrDiverged.Error())
	err := d.nodes[i].Err()
	if !errors.Is(err, node.ErrDiverged) {
		d.t.Errorf("node %d says %v, which is no ErrDiverged", i, err)
	}
	for _, word := range words {
		if err != nil && !strings.Contains(err.Error(), word) {
			d.t.Errorf("node %d says %q, and nothing of %q", i, err, word)
		}
	}
	if closed := d.nodes[i].Close(d.t.Context()); !errors.Is(closed, node.ErrDiverged) {
		d.t.Errorf("Close says %v", closed)
	}
	d.nodes[i] = nil
}

// servesOn checks that the nodes that run answer, and hold the same.
func (d *drifts) servesOn() {
	d.t.Helper()
	d.ready()
	for i, n := range d.nodes {
		if n == nil {
			continue
		}
		before := d.read(i, "hits")
		if got := d.inc(i, "hits"); got != before+1 {
			d.t.Errorf("through node %d the counter went from %d to %d", i, before, got)
		}
	}
	d.converged()
	for i, n := range d.nodes {
		if n != nil && n.Err() != nil {
			d.t.Errorf("node %d stopped: %v", i, n.Err())
		}
	}
}

// others is the nodes besides some.
func (d *drifts) others(but ...int) (others []int) {
	for i := range d.nodes {
		if !slices.Contains(but, i) {
			others = append(others, i)
		}
	}
	return others
}

func TestAFollowerWhoseStateDiffersStopsAndTheOthersServeOn(t *testing.T) {
	for _, n := range []int{3, 5} {
		inBubble(t, func(t *testing.T) {
			d := startDrifts(t, n)
			defer d.close()
			leader, odd := d.leader(), d.follower()
			index := d.part(leader, odd)
			d.write(leader)
			d.diverged(odd, fmt.Sprintf("at index %d, where INC wrote last", index), fmt.Sprintf("at index %d they were the same", index-1),
				fmt.Sprintf("%d of %d voters have ", n/2+1, n), "the others serve on")
			if now := d.leader(); now != leader {
				t.Errorf("node %d leads, and node %d did", now, leader)
			}
			d.servesOn()
		})
	}
}

func TestALeaderWhoseStateDiffersStopsAndTheOthersServeOn(t *testing.T) {
	for _, n := range []int{3, 5} {
		inBubble(t, func(t *testing.T) {
			d := startDrifts(t, n)
			defer d.close()
			odd := d.leader()
			index := d.part(odd, odd)
			d.write(odd)
			d.diverged(odd, fmt.Sprintf("at index %d, where INC wrote last", index), fmt.Sprintf("of %d voters have ", n), "the others serve on")
			d.servesOn()
		})
	}
}

// TestALeaderThatIsHardToReachHearsThatItsStateDiffers: the followers agree on
// what is right before any of them has reached the leader.
func TestALeaderThatIsHardToReachHearsThatItsStateDiffers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := startDrifts(t, 3)
		defer d.close()
		odd := d.leader()
		d.hear(func(i int, line string) {
			if i != odd && strings.Contains(line, "differs from that of a leader") {
				d.net.Break(host(i), host(odd))
				d.net.Delay(host(i), host(odd), func() time.Duration { return 50 * time.Millisecond })
			}
		})
		d.part(odd, odd)
		d.write(odd)
		d.diverged(odd, "2 of 3 voters have ")
		d.servesOn()
	})
}

// TestAVoterThatIsLateIsWaitedFor: the first to notice that the leader is the odd
// one is a follower, and the other one has not applied the entry yet.
func TestAVoterThatIsLateIsWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := startDrifts(t, 3)
		defer d.close()
		odd := d.leader()
		late := d.others(odd)[0]
		d.net.Delay(host(odd), host(late), func() time.Duration { return 300 * time.Millisecond })
		d.part(odd, odd)
		d.write(odd)
		d.diverged(odd, "2 of 3 voters have ")
		d.servesOn()
	})
}

// TestAStateThatDiffersOnTheDiskIsFoundAgain starts a node again, with a program
// that does right, on a state that is not.
func TestAStateThatDiffersOnTheDiskIsFoundAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := startDrifts(t, 3)
		defer d.close()
		leader, odd := d.leader(), d.follower()
		index := d.part(leader, odd)
		caughtUp(t, d.nodes[odd], index)
		d.stop(odd) // in good order: what it holds is on its disk
		d.agree()
		for range 3 {
			d.start(odd)
			d.write(leader)
			d.diverged(odd, fmt.Sprintf("at index %d, where ", index), "the node has started since", "2 of 3 voters have ")
			d.servesOn()
		}
	})
}

// caughtUp waits until a node has applied an entry.
func caughtUp(t *testing.T, n *node.Node, index uint64) {
	t.Helper()
	for range 1000 {
		if n.Status(t.Context()).AppliedIndex >= index {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the node did not get to %d", index)
}

// TestWhereNoTwoStatesAreTheSameTheLeaderIsRight: a command that comes to
// something else on every node leaves no majority. The leader's state stays.
func TestWhereNoTwoStatesAreTheSameTheLeaderIsRight(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := startDrifts(t, 3)
		defer d.close()
		leader := d.leader()
		followers := d.others(leader)
		index := d.part(leader, 0, 1, 2)
		d.write(leader)
		for _, i := range followers {
			d.diverged(i, fmt.Sprintf("at index %d, where INC wrote last", index), "no hash has a majority")
		}
		time.Sleep(time.Minute)
		if err := d.nodes[leader].Err(); err != nil {
			t.Errorf("the leader stopped: %v", err)
		}
	})
}

// TestWhoIsRightIsDecidedOnceAMajorityIsUp: a leader is the odd one, and only
// one follower is there to see it. That follower stops, for the leader counts
// until somebody else can say. When all are up, they are right.
func TestWhoIsRightIsDecidedOnceAMajorityIsUp(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := startDrifts(t, 3)
		defer d.close()
		odd := d.leader()
		absent, alone := d.others(odd)[0], d.others(odd)[1]
		d.stop(absent)
		d.part(odd, odd)
		began := time.Now()
		d.write(odd)
		d.diverged(alone, "no hash has a majority among the 2 of 3 voters that said theirs", "start this node again")
		if took := time.Since(began); took < 2*time.Second {
			t.Errorf("it stopped after %v, in which an absent node might have answered", took)
		}
		d.start(absent)
		d.start(alone)
		for range 100 {
			if d.nodes[odd].Err() != nil {
				break
			}
			d.write(alone)
			if err := errors.Join(d.nodes[absent].Err(), d.nodes[alone].Err()); err != nil {
				t.Fatalf("a node that is right stopped: %v", err)
			}
		}
		d.diverged(odd, "2 of 3 voters have ")
		d.servesOn()
	})
}

// TestAnOldDisputeStopsNobody: the entries of a leader that was the odd one are
// applied by a node that was down, when the others do not know any more what
// their states came to back then. It must not take itself for the odd one.
func TestAnOldDisputeStopsNobody(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := startDrifts(t, 5)
		defer d.close()
		odd := d.leader()
		late := d.others(odd)[0]
		d.stop(late)
		d.part(odd, odd)
		d.write(odd)
		d.diverged(odd, "3 of 5 voters have ")
		d.agree()
		d.servesOn()
		for _, i := range d.others(odd, late) {
			d.stop(i)
			d.start(i)
			d.ready()
		}
		var forgotten atomic.Bool
		d.hear(func(i int, line string) {
			if i == late && strings.Contains(line, "do not know their states at that index any more") {
				forgotten.Store(true)
			}
		})
		d.start(late)
		d.servesOn()
		if !forgotten.Load() {
			t.Error("the node did not meet what the leader said back then")
		}
	})
}

// TestANodeThatNobodyAnswersWaits: a node finds that its state differs and is
// cut off in that moment. It shows nothing further and does not stop, for nobody
// contradicts it. It can be closed, and when the others are back they decide.
func TestANodeThatNobodyAnswersWaits(t *testing.T) {
	for _, closed := range []bool{false, true} {
		inBubble(t, func(t *testing.T) {
			d := startDrifts(t, 3)
			defer d.close()
			leader, odd := d.leader(), d.follower()
			d.hear(func(i int, line string) {
				if i == odd && strings.Contains(line, "differs from that of a leader") {
					d.isolate(odd)
				}
			})
			index := d.part(leader, odd)
			d.write(leader)
			d.write(leader)
			time.Sleep(time.Minute)
			if err := d.nodes[odd].Err(); err != nil {
				t.Errorf("it stopped: %v", err)
			}
			if at := d.nodes[odd].Status(t.Context()).AppliedIndex; at != index {
				t.Errorf("it shows its state at %d, and at %d it differs", at, index)
			}
			d.hear(nil)
			if closed {
				began := time.Now()
				d.stop(odd)
				if took := time.Since(began); took > time.Second {
					t.Errorf("to close took %v", took)
				}
			}
			d.heal()
			if !closed {
				d.diverged(odd, "2 of 3 voters have ")
			}
			d.servesOn()
		})
	}
}

package consensus

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/hashicorp/raft"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/wal"
)

// receiver is a transport with a raft behind it that only counts.
type receiver struct {
	*transport
	following  atomic.Bool
	fast, slow atomic.Int64
}

func newReceiver(t *testing.T, term uint64) *receiver {
	t.Helper()
	return newReceiverOn(t, term, vfs.NewMem())
}

func newReceiverOn(t *testing.T, term uint64, fs vfs.FS) *receiver {
	t.Helper()
	stable := stableOn(t, fs)
	mustSucceed(t, stable.SetUint64([]byte(keyTerm), term))
	r := &receiver{transport: newTransport(nil, peer.Member{}, stable, time.Second)}
	r.following.Store(true)
	answer := func(rpc raft.RPC, count *atomic.Int64) {
		count.Add(1)
		rpc.Respond(&raft.AppendEntriesResponse{Term: term, Success: true}, nil)
	}
	r.SetHeartbeatHandler(func(rpc raft.RPC) { answer(rpc, &r.fast) })
	following := func() bool { return r.following.Load() }
	r.transport.following.Store(&following)
	go func() {
		for {
			select {
			case rpc := <-r.consumer:
				answer(rpc, &r.slow)
			case <-r.ctx.Done():
				return
			}
		}
	}()
	return r
}

// beat sends one heartbeat and waits for its answer.
func (r *receiver) beat(t *testing.T, term uint64) {
	t.Helper()
	answered := make(chan error, 1)
	in := &incoming{
		ctx: t.Context(), header: sender, body: encodeAppend(&raft.AppendEntriesRequest{Term: term}),
		reply: func(body []byte, err error) {
			answered <- errors.Join(err, decodeAppended(body, new(raft.AppendEntriesResponse)))
		},
	}
	mustSucceed(t, r.heartbeat(in), <-answered)
}

// TestHeartbeatsAreHandledBesideRaftOnlyWhereTheyCannotChangeIt is H1: the fast
// handler of raft writes state and term on the goroutine of the connection.
func TestHeartbeatsAreHandledBesideRaftOnlyWhereTheyCannotChangeIt(t *testing.T) {
	for _, c := range []struct {
		name      string
		term      uint64
		following bool
		changing  bool
		fast      int64
	}{
		{"the term of a follower", 5, true, false, 1},
		{"a higher term", 6, true, false, 0},
		{"a lower term", 4, true, false, 0},
		{"a leader or candidate", 5, false, false, 0},
		{"a leader and a higher term", 6, false, false, 0},
		{"while the term changes", 5, true, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newReceiver(t, 5)
				r.following.Store(c.following)
				if c.changing {
					r.stable.changing.Lock()
					defer r.stable.changing.Unlock()
				}
				r.beat(t, c.term)
				if r.fast.Load() != c.fast || r.slow.Load() != 1-c.fast {
					t.Errorf("%d handled beside raft, %d by it", r.fast.Load(), r.slow.Load())
				}
				mustSucceed(t, r.Close())
			})
		})
	}
}

// A node that led a moment ago has entries that its disk is not done with. The
// next leader must not count it among those who have them.
func TestAnAppendIsAnsweredWhenAllOfTheLogIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var syncs pause
		r := newReceiverOn(t, 5, errorfs.Wrap(vfs.NewMem(), &syncs))
		release := syncs.hold()
		mustSucceed(t, r.stable.log.Begin([]wal.Entry{{Index: 1, Term: 5}}))
		answered := false
		in := &incoming{
			ctx: t.Context(), header: sender,
			body:  encodeAppend(&raft.AppendEntriesRequest{Term: 5, PrevLogEntry: 1, PrevLogTerm: 5}),
			reply: func(_ []byte, err error) { answered = err == nil },
		}
		mustSucceed(t, r.append(in))
		synctest.Wait()
		if r.slow.Load() != 1 || answered {
			t.Errorf("raft saw %d appends; answered before the log was durable: %v", r.slow.Load(), answered)
		}
		release()
		synctest.Wait()
		if !answered {
			t.Error("it was not answered when the log was durable")
		}
		mustSucceed(t, r.Close())
	})
}

func TestHeartbeatsWaitForRaftUntilItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t, 5)
		r.transport.following.Store(nil)
		r.beat(t, 5)
		if r.slow.Load() != 1 {
			t.Error("a heartbeat was handled beside a raft that does not run yet")
		}
		mustSucceed(t, r.Close())
	})
}

func TestAppendThatIsNoHeartbeatIsRefusedAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t, 5)
		body := encodeAppend(&raft.AppendEntriesRequest{Term: 5, PrevLogEntry: 3, LeaderCommitIndex: 3})
		if err := r.heartbeat(&incoming{ctx: t.Context(), body: body}); err == nil {
			t.Error("it was taken")
		}
		if r.fast.Load()+r.slow.Load() != 0 {
			t.Error("raft saw it")
		}
		mustSucceed(t, r.Close())
	})
}

func TestCallsEndWithTheTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTransport(nil, peer.Member{}, stableOn(t, vfs.NewMem()), time.Second)
		body := encodeVote(1, 1, 1, false)
		replied, refused := make(chan error, 1), make(chan error, 1)
		// Raft takes the first and never answers it; it is too busy for the
		// second.
		go func() { <-tr.consumer }()
		mustSucceed(t, tr.vote(&incoming{ctx: t.Context(), body: body, reply: func(_ []byte, err error) { replied <- err }}))
		go func() { refused <- tr.vote(&incoming{ctx: t.Context(), body: body}) }()
		synctest.Wait()
		mustSucceed(t, tr.Close(), tr.Close())
		for _, answer := range []chan error{replied, refused} {
			if err := <-answer; !errors.Is(err, errNotRunning) {
				t.Errorf("the answer is %v", err)
			}
		}
		if err := tr.vote(&incoming{ctx: t.Context(), body: body}); !errors.Is(err, errNotRunning) {
			t.Errorf("a call behind the end got %v", err)
		}
	})
}

func TestCallsEndWithTheirConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTransport(nil, peer.Member{}, stableOn(t, vfs.NewMem()), time.Second)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := tr.vote(&incoming{ctx: gone, body: encodeVote(1, 1, 1, false)}); !errors.Is(err, context.Canceled) {
			t.Errorf("the call got %v", err)
		}
		mustSucceed(t, tr.Close())
	})
}

// TestOutcomeOfEveryErrorOfRaft holds the one table of outcomes against every
// error that raft has for an entry.
func TestOutcomeOfEveryErrorOfRaft(t *testing.T) {
	for err, want := range map[error]quorate.Outcome{
		raft.ErrNotLeader:                    quorate.NotApplied,
		raft.ErrEnqueueTimeout:               quorate.NotApplied,
		raft.ErrLeadershipTransferInProgress: quorate.NotApplied,
		raft.ErrLeadershipLost:               quorate.Unknown,
		raft.ErrRaftShutdown:                 quorate.Unknown,
		raft.ErrAbortedByRestore:             quorate.Unknown,
		errors.New("disk on fire"):           quorate.Unknown,
	} {
		got := outcome(err, "n2:7302")
		if got.Outcome != want || got.Code != quorate.Unavailable || got.Leader != "n2:7302" || got.Message == "" {
			t.Errorf("%v is %+v", err, got)
		}
	}
}

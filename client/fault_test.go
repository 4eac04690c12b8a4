package client_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/values"
)

// TestWhatANodeDoesToAFrameCostsNoCall is one test for each deed of which a
// single frame is the victim: the call is served all the same, once.
func TestWhatANodeDoesToAFrameCostsNoCall(t *testing.T) {
	for name, do := range map[string]deed{
		"never answers":                        swallow,
		"closes the connection":                hangUp,
		"closes the connection behind the run": runAndHide,
		"closes the connection in the answer":  runAndBreak,
		"answers twice":                        answerTwice,
		"speaks another protocol":              babble,
		"answers what is no replies":           misspell,
		"gives too many replies":               miscount,
		"answers an integer":                   speakOther,
		"refuses the frame":                    refuseFrame,
	} {
		for _, doors := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s, %d nodes", name, doors), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					w := startCluster(t, doors)
					defer w.close()
					var mu sync.Mutex
					victim := true
					for _, d := range w.doors {
						d.deed = func(int, frame) deed {
							mu.Lock()
							defer mu.Unlock()
							if !victim {
								return serve
							}
							victim = false
							return do
						}
					}
					c := w.open()
					defer mustClose(t, c)
					for want := range int64(20) {
						got, err := inc(t.Context(), c, "k")
						if err != nil || got != want+1 {
							t.Fatalf("inc %d is %d, %v", want+1, got, err)
						}
						synctest.Wait() // so that a second answer is seen as one
					}
				})
			})
		}
	}
}

func TestUnansweredCallGoesToAnotherNodeUnderItsID(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 2)
		defer w.close()
		for _, d := range w.doors {
			d.deed = func(n int, _ frame) deed {
				if n == 0 {
					return runAndHide
				}
				return serve
			}
		}
		c := w.open()
		defer mustClose(t, c)
		if n, err := inc(t.Context(), c, "k"); err != nil || n != 1 {
			t.Fatalf("inc is %d, %v", n, err)
		}
		a, b := w.doors[0].seen(), w.doors[1].seen()
		if len(a) == 0 || len(b) == 0 || a[0].calls[0].ID != b[0].calls[0].ID {
			t.Errorf("the nodes saw %v and %v", a, b)
		}
	})
}

func TestNoCallReturnsAfterItsDeadline(t *testing.T) {
	for name, prepare := range map[string]func(w *cluster){
		"frozen before": func(w *cluster) {
			for _, d := range w.doors {
				d.freeze()
			}
		},
		"cut off": func(w *cluster) {
			for i := range w.doors {
				w.net.Cut("c", fmt.Sprintf("n%d", i))
			}
		},
		"never answer": func(w *cluster) {
			for _, d := range w.doors {
				d.deed = func(int, frame) deed { return swallow }
			}
		},
		"refuse each frame": func(w *cluster) {
			for _, d := range w.doors {
				d.deed = func(int, frame) deed { return refuseFrame }
			}
		},
		"gone": func(w *cluster) {
			for _, d := range w.doors {
				d.close()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := startCluster(t, 3)
				defer w.close()
				prepare(w)
				c := w.open()
				defer mustClose(t, c)
				for _, timeout := range []time.Duration{time.Microsecond, time.Millisecond, 70 * time.Millisecond, time.Second, 20 * time.Second, time.Hour} {
					begun := time.Now()
					_, err := inc(within(t, timeout), c, "k")
					took := time.Since(begun)
					if err == nil || took > min(timeout, 30*time.Minute) {
						t.Errorf("timeout %v: %v after %v", timeout, err, took)
					}
					if surely := name != "never answer"; surely == quorate.OutcomeUnknown(err) {
						t.Errorf("timeout %v: %v, outcome unknown: %v", timeout, err, !surely)
					}
				}
				if w.state.Index != 0 {
					t.Errorf("%d commands ran", w.state.Index)
				}
			})
		})
	}
}

func TestCallWithoutADeadlineGetsThatOfTheClient(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		w.doors[0].freeze()
		c := w.open(func(config *client.Config) { config.Timeout = 700 * time.Millisecond })
		defer mustClose(t, c)
		begun := time.Now()
		_, err := inc(context.Background(), c, "k")
		if took := time.Since(begun); err == nil || took > 700*time.Millisecond || took < 500*time.Millisecond {
			t.Errorf("%v after %v", err, took)
		}
	})
}

func TestCallerWhoGivesUpIsAnsweredAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		w.doors[0].deed = func(int, frame) deed { return swallow }
		c := w.open()
		defer mustClose(t, c)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		begun := time.Now()
		_, err := inc(ctx, c, "k")
		if took := time.Since(begun); !quorate.OutcomeUnknown(err) || took != time.Second {
			t.Errorf("%v after %v", err, took)
		}
		if _, err := inc(ctx, c, "k"); err == nil || quorate.OutcomeUnknown(err) {
			t.Errorf("with a context that has ended: %v", err)
		}
	})
}

func TestFrozenNodeCostsItsCallersAPartOfTheirTime(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 3)
		defer w.close()
		c := w.open()
		defer mustClose(t, c)
		if _, err := inc(t.Context(), c, "warm"); err != nil {
			t.Fatal(err)
		}
		var frozen *door
		for _, d := range w.doors {
			if len(d.seen()) > 0 {
				frozen = d
			}
		}
		frozen.freeze()
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() {
				begun := time.Now()
				if _, err := inc(within(t, 3*time.Second), c, "k"); err != nil {
					t.Error(err)
				}
				if took := time.Since(begun); took > 1100*time.Millisecond {
					t.Errorf("a call with 3 s took %v", took)
				}
			})
		}
		group.Wait()
		// Whoever comes now does not ask the frozen node.
		begun := time.Now()
		if _, err := inc(within(t, 3*time.Second), c, "k"); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > 0 {
			t.Errorf("the call behind took %v", took)
		}
		// It has run nothing, and what it got is run late, which changes nothing.
		frozen.thaw()
		synctest.Wait()
		if n, err := inc(t.Context(), c, "k"); err != nil || n != 102 {
			t.Errorf("the counter is %d, %v", n, err)
		}
	})
}

func TestConnectionToAFrozenNodeIsClosed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		c := w.open()
		defer mustClose(t, c)
		if _, err := inc(t.Context(), c, "warm"); err != nil {
			t.Fatal(err)
		}
		w.doors[0].freeze()
		var group sync.WaitGroup
		group.Go(func() {
			if n, err := inc(within(t, 20*time.Second), c, "k"); err != nil || n != 1 {
				t.Errorf("inc is %d, %v", n, err)
			}
		})
		time.Sleep(5 * time.Second)
		w.doors[0].thaw()
		group.Wait()
		if n := w.doors[0].accepted.Load(); n < 2 {
			t.Errorf("%d connections were made", n)
		}
	})
}

// busy is an executor that takes its time, one slice after the other.
type busy struct {
	executor quorate.Executor
	each     time.Duration
	mu       chan struct{}
}

func (b busy) Execute(ctx context.Context, calls []quorate.Call) []quorate.Reply {
	b.mu <- struct{}{}
	defer func() { <-b.mu }()
	time.Sleep(b.each)
	return b.executor.Execute(ctx, calls)
}

func TestBusyNodeIsNotAskedAgainWhileItAnswersOthers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		w.doors[0].executor = busy{w.doors[0].executor, 10 * time.Millisecond, make(chan struct{}, 1)}
		c := w.open(func(config *client.Config) { config.ConnsPerNode = 1 })
		defer mustClose(t, c)
		const callers = 100
		var group sync.WaitGroup
		for range callers {
			group.Go(func() {
				// The last is answered after 1 s, and an attempt has a third of 2 s.
				if _, err := inc(within(t, 2*time.Second), c, "k"); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if n := w.doors[0].frames.Load(); n != callers {
			t.Errorf("%d frames for %d calls", n, callers)
		}
	})
}

func TestNodeThatComesBackIsUsedWhenItIsNeeded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 2)
		defer w.close()
		c := w.open()
		defer mustClose(t, c)
		want := int64(0)
		for round := range 10 {
			gone := round % 2
			w.doors[gone].close()
			for range 5 {
				want++
				if n, err := inc(t.Context(), c, "k"); err != nil || n != want {
					t.Fatalf("round %d: inc is %d, want %d, %v", round, n, want, err)
				}
			}
			w.restart(gone)
			time.Sleep(time.Second)
		}
	})
}

func TestClientWaitsForANodeToComeUp(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		w.doors[0].close()
		c := w.open()
		defer mustClose(t, c)
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := inc(t.Context(), c, "k"); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(3 * time.Second)
		w.restart(0)
		group.Wait()
	})
}

// scripted answers the frames of one call by a list of errors, and then serves.
func scripted(served quorate.Executor, script ...quorate.Reply) quorate.Executor {
	var mu sync.Mutex
	return memory.Func(func(ctx context.Context, calls []quorate.Call) []quorate.Reply {
		mu.Lock()
		defer mu.Unlock()
		if len(script) == 0 {
			return served.Execute(ctx, calls)
		}
		next := script[0]
		script = script[1:]
		replies := make([]quorate.Reply, len(calls))
		for i := range replies {
			replies[i] = next
		}
		return replies
	})
}

func fails(code quorate.Code, outcome quorate.Outcome, index uint64) quorate.Reply {
	return quorate.Reply{Index: index, Err: &quorate.Error{Code: code, Outcome: outcome, Message: "scripted"}}
}

func TestWhatIsTriedAgainAndWhatIsNot(t *testing.T) {
	for _, c := range []struct {
		name  string
		reply quorate.Reply
		again bool
	}{
		{"no leader", fails(quorate.Unavailable, quorate.NotApplied, 0), true},
		{"leadership lost", fails(quorate.Unavailable, quorate.Unknown, 0), true},
		{"a full queue", fails(quorate.Overloaded, quorate.NotApplied, 0), true},
		{"a fault of the node", fails(quorate.Internal, quorate.Unknown, 0), true},
		{"no room for the answer", fails(quorate.Overloaded, quorate.NotApplied, 7), true},
		{"a command that says unavailable", fails(quorate.Unavailable, quorate.NotApplied, 7), false},
		{"a conflict", fails(quorate.Conflict, quorate.NotApplied, 7), false},
		{"a code of the service", fails("sold_out", quorate.NotApplied, 7), false},
		{"not well formed", fails(quorate.Invalid, quorate.NotApplied, 0), false},
		{"an answer that is lost", fails(quorate.TooLarge, quorate.Unknown, 7), false},
		{"a used id", fails(quorate.IDReused, quorate.NotApplied, 7), false},
		{"a panic", fails(quorate.Panicked, quorate.NotApplied, 7), false},
		{"one node with an old copy", fails(quorate.TooOld, quorate.NotApplied, 0), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := startCluster(t, 2)
				defer w.close()
				on := scripted(w.doors[0].executor, c.reply)
				for _, d := range w.doors {
					d.executor = on
				}
				client := w.open()
				defer mustClose(t, client)
				n, err := inc(t.Context(), client, "k")
				if c.again && (err != nil || n != 1) {
					t.Errorf("inc is %d, %v, want it tried again", n, err)
				}
				want, _ := errors.AsType[*quorate.Error](c.reply.Err)
				got, ok := errors.AsType[*quorate.Error](err)
				if !c.again && (!ok || got.Code != want.Code || got.Outcome != want.Outcome || got.Message != want.Message) {
					t.Errorf("error %v, want %v as it is", err, want)
				}
			})
		})
	}
}

func TestCommandThatSaysOverloadedIsAskedAgainOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		w.doors[0].executor = memory.Func(func(context.Context, []quorate.Call) []quorate.Reply {
			return []quorate.Reply{fails(quorate.Overloaded, quorate.NotApplied, 7)} // remembered: always the same
		})
		c := w.open()
		defer mustClose(t, c)
		if _, err := inc(t.Context(), c, "k"); quorate.CodeOf(err) != quorate.Overloaded || quorate.OutcomeUnknown(err) {
			t.Error(err)
		}
		if n := w.doors[0].frames.Load(); n != 2 {
			t.Errorf("%d frames", n)
		}
	})
}

func TestTooOldCopiesAreToldWhenEachNodeWasAsked(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 3)
		defer w.close()
		for _, d := range w.doors {
			d.executor = memory.Func(func(_ context.Context, calls []quorate.Call) []quorate.Reply {
				return []quorate.Reply{fails(quorate.TooOld, quorate.NotApplied, 0)}
			})
		}
		c := w.open()
		defer mustClose(t, c)
		begun := time.Now()
		_, err := quorate.Ask(t.Context(), quorate.Stale(c, time.Second), kv.Get{Key: "k"})
		if took := time.Since(begun); quorate.CodeOf(err) != quorate.TooOld || took > time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

func TestEarlierAttemptOfUnknownOutcomeIsNotHidden(t *testing.T) {
	for _, last := range []quorate.Reply{
		fails(quorate.Unavailable, quorate.NotApplied, 0),
		fails(quorate.Overloaded, quorate.NotApplied, 0),
		fails(quorate.Invalid, quorate.NotApplied, 0),
		fails(quorate.UnknownOperation, quorate.NotApplied, 0),
		fails(quorate.Overloaded, quorate.NotApplied, 9),
	} {
		inBubble(t, func(t *testing.T) {
			w := startCluster(t, 2)
			defer w.close()
			lost := fails(quorate.Unavailable, quorate.Unknown, 0)
			always := memory.Func(func(context.Context, []quorate.Call) []quorate.Reply { return []quorate.Reply{last} })
			on := scripted(always, lost)
			for _, d := range w.doors {
				d.executor = on
			}
			c := w.open()
			defer mustClose(t, c)
			_, err := inc(t.Context(), c, "k")
			if !quorate.OutcomeUnknown(err) || quorate.CodeOf(err) != quorate.CodeOf(last.Err) {
				t.Errorf("last answer %v: the call came to %v", last.Err, err)
			}
		})
	}
}

func TestAnswerThatIsRememberedSettlesAnEarlierAttempt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		conflict := fails(quorate.Conflict, quorate.NotApplied, 9)
		w.doors[0].executor = scripted(nil, fails(quorate.Unavailable, quorate.Unknown, 0), conflict)
		c := w.open()
		defer mustClose(t, c)
		_, err := inc(t.Context(), c, "k")
		if quorate.CodeOf(err) != quorate.Conflict || quorate.OutcomeUnknown(err) {
			t.Errorf("%v", err)
		}
	})
}

func TestOnlyTheEndOfASliceIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		served := w.doors[0].executor
		first := true
		w.doors[0].executor = memory.Func(func(ctx context.Context, calls []quorate.Call) []quorate.Reply {
			if !first {
				return served.Execute(ctx, calls)
			}
			first = false
			replies := served.Execute(ctx, calls[:2])
			return append(replies, fails(quorate.Unavailable, quorate.NotApplied, 0), fails(quorate.Unavailable, quorate.NotApplied, 0))
		})
		c := w.open()
		defer mustClose(t, c)
		call := mustCall(t, kv.Inc{Key: "k", By: 1})
		for i, r := range c.Execute(t.Context(), []quorate.Call{call, call, call, call}) {
			if r.Err != nil || r.Value.Int() != int64(i)+1 {
				t.Errorf("reply %d: %+v", i, r)
			}
		}
		if seen := w.doors[0].seen(); len(seen) != 2 || len(seen[1].calls) != 2 {
			t.Errorf("the frames are %v", seen)
		}
	})
}

func TestNothingOvertakesACallOfUnknownOutcome(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		w.doors[0].executor = memory.Func(func(_ context.Context, calls []quorate.Call) []quorate.Reply {
			return []quorate.Reply{fails(quorate.TooLarge, quorate.Unknown, 7), fails(quorate.Unavailable, quorate.NotApplied, 0)}
		})
		c := w.open()
		defer mustClose(t, c)
		call := mustCall(t, kv.Inc{Key: "k", By: 1})
		replies := c.Execute(t.Context(), []quorate.Call{call, call})
		if !quorate.OutcomeUnknown(replies[0].Err) || quorate.CodeOf(replies[1].Err) != quorate.Unavailable || quorate.OutcomeUnknown(replies[1].Err) {
			t.Errorf("%v, %v", replies[0].Err, replies[1].Err)
		}
		if n := w.doors[0].frames.Load(); n != 1 {
			t.Errorf("%d frames", n)
		}
	})
}

func TestSliceWhoseAnswerWasLostTakesEffectOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 2)
		defer w.close()
		for _, d := range w.doors {
			d.deed = func(n int, _ frame) deed {
				if n == 0 {
					return runAndHide
				}
				return serve
			}
		}
		c := w.open()
		defer mustClose(t, c)
		call := mustCall(t, kv.Inc{Key: "k", By: 1})
		for i, r := range c.Execute(t.Context(), []quorate.Call{call, call, call}) {
			if r.Err != nil || r.Value.Int() != int64(i)+1 {
				t.Errorf("reply %d: %+v", i, r)
			}
		}
	})
}

func TestWhatIsTooMuchIsRefusedAndSurelyNotApplied(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		w.doors[0].freeze()
		c := w.open()
		ctx, cancel := context.WithCancel(t.Context())
		call := mustCall(t, kv.Put{Key: "k", Value: values.Bytes(string(make([]byte, 1<<20-200)))})
		var group sync.WaitGroup
		for range 63 {
			group.Go(func() { c.Execute(ctx, []quorate.Call{call}) })
		}
		synctest.Wait()
		begun := time.Now()
		reply := c.Execute(t.Context(), []quorate.Call{call, call})[1]
		if quorate.CodeOf(reply.Err) != quorate.Overloaded || quorate.OutcomeUnknown(reply.Err) || time.Since(begun) > 0 {
			t.Errorf("%v after %v", reply.Err, time.Since(begun))
		}
		cancel()
		group.Wait()
		w.doors[0].thaw()
		if _, err := inc(t.Context(), c, "n"); err != nil {
			t.Errorf("when there is room again: %v", err)
		}
		mustClose(t, c)
	})
}

func TestWhatWasNotSentNeverIs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		c := w.open(func(config *client.Config) { config.ConnsPerNode = 1 })
		defer mustClose(t, c)
		if _, err := inc(t.Context(), c, "warm"); err != nil {
			t.Fatal(err)
		}
		w.doors[0].freeze()
		// One large call fills what the connection holds, and the writer waits.
		var group sync.WaitGroup
		large := kv.Put{Key: "large", Value: values.Bytes(string(make([]byte, 1<<20-200)))}
		group.Go(func() { _, _ = quorate.Do(within(t, 400*time.Millisecond), c, large) })
		synctest.Wait()
		for range 10 {
			if _, err := inc(within(t, 10*time.Millisecond), c, "k"); err == nil || quorate.OutcomeUnknown(err) {
				t.Errorf("behind a call that does not get out: %v", err)
			}
		}
		w.doors[0].thaw()
		group.Wait()
		if n, err := inc(t.Context(), c, "k"); err != nil || n != 1 {
			t.Errorf("after ten calls that were surely not applied inc is %d, %v", n, err)
		}
	})
}

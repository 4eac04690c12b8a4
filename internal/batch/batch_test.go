package batch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/batch"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/values"
)

// stamp is what a leader says on an entry that it makes now.
func stamp() entry.Header {
	return entry.Header{Time: time.Now(), Check: entry.StateCheck{Index: 7, Hash: 8}}
}

// raftLog stands for the log: it keeps the entries that are proposed and answers
// each call with its own first argument.
type raftLog struct {
	t testing.TB
	// gate, if not nil, holds every entry until something is sent.
	gate chan error

	mu      sync.Mutex
	entries [][]string // the first arguments of the calls of each
	sizes   []int
}

func (l *raftLog) propose(data []byte) ([]quorate.Reply, error) {
	header, calls, err := entry.Decode(data)
	if err != nil || header.Time.IsZero() || header.Check != stamp().Check {
		l.t.Errorf("entry of %d bytes, stamped %v: %v", len(data), header, err)
	}
	texts := make([]string, len(calls))
	for i, c := range calls {
		texts[i] = string(c.Args[0])
	}
	l.mu.Lock()
	l.entries = append(l.entries, texts)
	l.sizes = append(l.sizes, len(data))
	index := uint64(len(l.entries))
	l.mu.Unlock()
	if l.gate != nil {
		if err := <-l.gate; err != nil {
			return nil, err
		}
	}
	replies := make([]quorate.Reply, len(calls))
	for i, text := range texts {
		replies[i] = quorate.Reply{Value: values.Bytes(text), Index: index}
	}
	return replies, nil
}

// seen is the first arguments of the calls of each entry so far.
func (l *raftLog) seen() [][]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.entries)
}

func call(text string) quorate.Call {
	return quorate.Call{Name: "SAY", Args: [][]byte{[]byte(text)}}
}

// large is a call that takes about size bytes.
func large(text string, size int) quorate.Call {
	c := call(text)
	c.Args = append(c.Args, filler[:size])
	return c
}

// filler is shared: nobody modifies the bytes of a call.
var filler = bytes.Repeat([]byte{'x'}, 1<<20)

func calls(texts ...string) []quorate.Call {
	var all []quorate.Call
	for _, text := range texts {
		all = append(all, call(text))
	}
	return all
}

// inBubble runs f on virtual time with a log and a batcher. All goroutines must
// end with it.
func inBubble(t *testing.T, f func(t *testing.T, l *raftLog, b *batch.Batcher)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &raftLog{t: t, gate: make(chan error)}
		b := batch.New(l.propose, stamp)
		f(t, l, b)
	})
}

// start runs Do beside the test.
func start(ctx context.Context, b *batch.Batcher, calls ...quorate.Call) chan []quorate.Reply {
	answered := make(chan []quorate.Reply, 1)
	go func() { answered <- b.Do(ctx, calls) }()
	synctest.Wait()
	return answered
}

// mustSay checks that the replies are those of the calls of these texts.
func mustSay(t testing.TB, replies []quorate.Reply, texts ...string) {
	t.Helper()
	if len(replies) != len(texts) {
		t.Fatalf("%d answers came to %d calls", len(replies), len(texts))
	}
	for i, r := range replies {
		if got := r.Value.Text(); r.Err != nil || got != texts[i] {
			t.Fatalf("answer %d is %q (%v), not %q", i, got, r.Err, texts[i])
		}
	}
}

// mustFail checks code and outcome of replies that are errors.
func mustFail(t testing.TB, replies []quorate.Reply, code quorate.Code, outcome quorate.Outcome) {
	t.Helper()
	for i, r := range replies {
		e, ok := errors.AsType[*quorate.Error](r.Err)
		if !ok || e.Code != code || e.Outcome != outcome {
			t.Fatalf("answer %d is %+v, not %s and %s", i, r.Err, code, outcome)
		}
	}
}

func TestLoneCallGoesAloneAndAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, l *raftLog, b *batch.Batcher) {
		began := time.Now()
		answered := start(t.Context(), b, call("a"))
		if got := fmt.Sprint(l.seen()); got != "[[a]]" {
			t.Fatalf("the log got %s", got)
		}
		l.gate <- nil
		mustSay(t, <-answered, "a")
		if waited := time.Since(began); waited != 0 {
			t.Errorf("the call waited %v", waited)
		}
		b.Close()
	})
}

func TestCallsThatArriveWhileEntriesAreInFlightShareTheNext(t *testing.T) {
	inBubble(t, func(t *testing.T, l *raftLog, b *batch.Batcher) {
		var answers []chan []quorate.Reply
		for _, text := range []string{"a", "b", "c", "d", "e"} {
			answers = append(answers, start(t.Context(), b, call(text)))
		}
		got := l.seen()
		inFlight := len(got)
		for _, texts := range got {
			if len(texts) != 1 {
				t.Fatalf("the log got %v before anything was in flight", got)
			}
		}
		l.gate <- nil
		synctest.Wait()
		if got = l.seen(); len(got) != inFlight+1 || len(got[inFlight]) != 5-inFlight {
			t.Fatalf("the log got %v: what waited did not share an entry", got)
		}
		for range inFlight {
			l.gate <- nil
		}
		for i, text := range []string{"a", "b", "c", "d", "e"} {
			mustSay(t, <-answers[i], text)
		}
		b.Close()
	})
}

func TestEntriesKeepTheirLimit(t *testing.T) {
	inBubble(t, func(t *testing.T, l *raftLog, b *batch.Batcher) {
		// Something is in flight on every worker, so that the rest must wait.
		var answers []chan []quorate.Reply
		for range 8 {
			answers = append(answers, start(t.Context(), b, call("first")))
		}
		before := len(l.seen())
		const count, size = 40, 30 << 10
		for i := range count {
			answers = append(answers, start(t.Context(), b, large(fmt.Sprint(i), size)))
		}
		answers = append(answers, start(t.Context(), b, large("huge", 1<<20)))
		answers = append(answers, start(t.Context(), b, call("last")))
		close(l.gate)
		for _, answered := range answers {
			if r := <-answered; r[0].Err != nil {
				t.Fatal(r[0].Err)
			}
		}
		all := 0
		for i, texts := range l.seen()[before:] {
			all += len(texts)
			size := l.sizes[before+i]
			switch {
			case slices.Contains(texts, "huge"):
				if len(texts) != 1 {
					t.Errorf("the large call travelled with %v", texts)
				}
			case size > batch.EntryBytesMax+entry.HeaderBytes:
				t.Errorf("an entry has %d bytes", size)
			case len(texts) > 1 && !slices.Contains(texts, "last") && size < batch.EntryBytesMax/2:
				t.Errorf("an entry of %d bytes was sent while more waited", size)
			}
		}
		if want := count + 2 + 8 - before; all != want {
			t.Errorf("%d calls were proposed, not %d", all, want)
		}
		b.Close()
	})
}

func TestCallsOfOneCallerKeepTheirOrderOverSeveralEntries(t *testing.T) {
	inBubble(t, func(t *testing.T, l *raftLog, b *batch.Batcher) {
		var all []quorate.Call
		var texts []string
		for i := range 30 {
			texts = append(texts, fmt.Sprint(i))
			all = append(all, large(texts[i], 50<<10))
		}
		answered := start(t.Context(), b, all...)
		for len(l.seen()) < 6 {
			if got := l.seen(); len(slices.Concat(got...)) > 5*len(got) {
				t.Fatalf("the log got %v", got)
			}
			l.gate <- nil
			synctest.Wait()
		}
		l.gate <- nil
		mustSay(t, <-answered, texts...)
		if got := slices.Concat(l.seen()...); !slices.Equal(got, texts) {
			t.Errorf("the log got %v", got)
		}
		b.Close()
	})
}

func TestAnEntryThatFailsLeavesTheRestNotTried(t *testing.T) {
	for _, outcome := range []quorate.Outcome{quorate.NotApplied, quorate.Unknown} {
		t.Run(outcome.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, l *raftLog, b *batch.Batcher) {
				answered := start(t.Context(), b,
					large("a", 200<<10), large("b", 200<<10), large("c", 200<<10))
				l.gate <- nil
				synctest.Wait()
				l.gate <- &quorate.Error{Code: quorate.Unavailable, Outcome: outcome, Message: "no"}
				replies := <-answered
				mustSay(t, replies[:1], "a")
				mustFail(t, replies[1:2], quorate.Unavailable, outcome)
				mustFail(t, replies[2:], quorate.Unavailable, quorate.NotApplied)
				if len(replies) != 3 || !strings.Contains(replies[2].Err.Error(), "not tried") {
					t.Errorf("the rest was answered %v", replies[2:])
				}
				if got := fmt.Sprint(l.seen()); got != "[[a] [b]]" {
					t.Errorf("the log got %s", got)
				}
				b.Close()
			})
		})
	}
}

func TestDeadlineBeforeTheProposalIsNotAppliedAndAfterItUnknown(t *testing.T) {
	inBubble(t, func(t *testing.T, l *raftLog, b *batch.Batcher) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var proposed []chan []quorate.Reply
		for len(l.seen()) == len(proposed) {
			proposed = append(proposed, start(ctx, b, call("proposed")))
		}
		// The last one found no worker: it waits.
		waiting := proposed[len(proposed)-1]
		proposed = proposed[:len(proposed)-1]
		lasting := start(t.Context(), b, call("lasting"))
		mustFail(t, <-waiting, quorate.Unavailable, quorate.NotApplied)
		for _, answered := range proposed {
			mustFail(t, <-answered, quorate.Unavailable, quorate.Unknown)
		}
		if waited := time.Until(must(ctx.Deadline())); waited != 0 {
			t.Errorf("the calls were answered %v before the deadline", waited)
		}
		close(l.gate)
		mustSay(t, <-lasting, "lasting")
		mustFail(t, b.Do(ctx, calls("late")), quorate.Unavailable, quorate.NotApplied)
		b.Close()
		if got := l.seen(); len(slices.Concat(got...)) != len(proposed)+1 || fmt.Sprint(got[len(proposed)]) != "[lasting]" {
			t.Errorf("the log got %v: a call was proposed behind its deadline", got)
		}
	})
}

func must(deadline time.Time, _ bool) time.Time { return deadline }

// Whoever gave up may use the memory of the calls again at once, whether they
// are on their way or not.
func TestCallsBelongToTheCallerAgainOnceDoHasReturned(t *testing.T) {
	l := &raftLog{t: t}
	b := batch.New(l.propose, stamp)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			sent := slices.Repeat([]quorate.Call{call("a")}, 100)
			for round := range 200 {
				for i := range sent {
					sent[i].Args[0][0] = 'a'
				}
				ctx, cancel := context.WithCancel(t.Context())
				go cancel()
				for _, r := range b.Do(ctx, sent) {
					if r.Err == nil && r.Value.Text() != "a" {
						t.Errorf("round %d: the answer is %q", round, r.Value.Text())
					}
				}
				for i := range sent {
					sent[i].Args[0][0] = 'b'
				}
			}
		})
	}
	callers.Wait()
	b.Close()
	for _, text := range slices.Concat(l.seen()...) {
		if text != "a" {
			t.Fatalf("the log got %q, which its caller had given up", text)
		}
	}
}

func TestDeadlineBetweenTwoEntriesOfOneCaller(t *testing.T) {
	inBubble(t, func(t *testing.T, l *raftLog, b *batch.Batcher) {
		ctx, cancel := context.WithCancel(t.Context())
		answered := start(ctx, b, large("a", 200<<10), large("b", 200<<10))
		cancel()
		synctest.Wait()
		replies := <-answered
		mustFail(t, replies[:1], quorate.Unavailable, quorate.Unknown)
		mustFail(t, replies[1:], quorate.Unavailable, quorate.NotApplied)
		close(l.gate)
		b.Close()
		if got := fmt.Sprint(l.seen()); got != "[[a]]" {
			t.Errorf("the log got %s", got)
		}
	})
}

func TestOverloadIsRefusedAtOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		each []quorate.Call // what one caller brings
		fit  int            // how many of them may wait
	}{
		{"calls", calls(slices.Repeat([]string{"x"}, 4<<10)...), 16},
		{"bytes", []quorate.Call{large("x", 1<<20)}, 63},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, l *raftLog, b *batch.Batcher) {
				var waiting []chan []quorate.Reply
				inFlight := 0
				for ; len(l.seen()) == len(waiting); inFlight++ {
					waiting = append(waiting, start(t.Context(), b, c.each...))
				}
				// One of them waits already.
				for range c.fit - 1 {
					waiting = append(waiting, start(t.Context(), b, c.each...))
				}
				began := time.Now()
				mustFail(t, b.Do(t.Context(), c.each), quorate.Overloaded, quorate.NotApplied)
				if waited := time.Since(began); waited != 0 {
					t.Errorf("the refusal took %v", waited)
				}
				close(l.gate)
				for i, answered := range waiting {
					if r := <-answered; r[len(r)-1].Err != nil {
						t.Fatalf("caller %d of %d: %v", i, len(waiting), r[len(r)-1].Err)
					}
				}
				mustSay(t, b.Do(t.Context(), calls("after")), "after")
				b.Close()
			})
		})
	}
}

func TestCloseAnswersEverybody(t *testing.T) {
	inBubble(t, func(t *testing.T, l *raftLog, b *batch.Batcher) {
		var answers []chan []quorate.Reply
		for range 20 {
			answers = append(answers, start(t.Context(), b, call("x")))
		}
		inFlight := len(l.seen())
		closed := make(chan struct{})
		go func() { b.Close(); close(closed) }()
		synctest.Wait()
		for _, answered := range answers[inFlight:] {
			select {
			case r := <-answered:
				mustFail(t, r, quorate.Unavailable, quorate.NotApplied)
			default:
				t.Fatal("a call that waited is not answered while others are in flight")
			}
		}
		select {
		case <-closed:
			t.Fatal("Close did not await what was on its way")
		default:
		}
		close(l.gate)
		<-closed
		for _, answered := range answers[:inFlight] {
			mustSay(t, <-answered, "x")
		}
		mustFail(t, b.Do(t.Context(), calls("late")), quorate.Unavailable, quorate.NotApplied)
		if got := len(l.seen()); got != inFlight {
			t.Errorf("%d entries were proposed, %d of them behind Close", got, got-inFlight)
		}
	})
}

func TestNoCallsNeedNoEntry(t *testing.T) {
	inBubble(t, func(t *testing.T, l *raftLog, b *batch.Batcher) {
		if r := b.Do(t.Context(), nil); len(r) != 0 || len(l.seen()) != 0 {
			t.Errorf("answers %v, entries %v", r, l.seen())
		}
		b.Close()
	})
}

// TestAnswersAreNeverCrossed lets many callers send random slices with random
// deadlines through a log that is slow and sometimes fails. Each answer must be
// that of its call, no call may be in the log twice, a call that was not
// applied must not be there at all, and the calls of a caller stand in order.
func TestAnswersAreNeverCrossed(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) { testAnswers(t, seed) })
	}
}

func testAnswers(t *testing.T, seed uint64) {
	l := &raftLog{t: t}
	var failing atomic.Uint64
	propose := func(data []byte) ([]quorate.Reply, error) {
		rng := rand.New(rand.NewPCG(seed, failing.Add(1)))
		if rng.IntN(8) == 0 {
			return nil, quorate.Errorf(quorate.Unavailable, "refused")
		}
		time.Sleep(time.Duration(rng.IntN(5000)) * time.Microsecond)
		return l.propose(data)
	}
	b := batch.New(propose, stamp)
	var callers sync.WaitGroup
	absent := make([][]string, 50)
	for id := range absent {
		callers.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(1000+id)))
			for round := range 10 {
				absent[id] = append(absent[id], oneRound(t, b, rng, fmt.Sprintf("%d.%d", id, round))...)
			}
		})
	}
	callers.Wait()
	b.Close()
	checkLog(t, seed, slices.Concat(l.seen()...), slices.Concat(absent...))
}

// oneRound sends one slice of calls and returns those that were surely not
// applied.
func oneRound(t *testing.T, b *batch.Batcher, rng *rand.Rand, name string) (absent []string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.IntN(20))*time.Millisecond)
	defer cancel()
	sent := make([]quorate.Call, rng.IntN(6))
	for i := range sent {
		sent[i] = large(fmt.Sprintf("%s.%d", name, i), rng.IntN(100<<10))
	}
	replies := b.Do(ctx, sent)
	if len(replies) != len(sent) {
		t.Errorf("%d answers came to %d calls", len(replies), len(sent))
		return nil
	}
	for i, r := range replies {
		text := string(sent[i].Args[0])
		switch {
		case r.Err == nil:
			if got := r.Value.Text(); got != text {
				t.Errorf("the answer to %s is %s", text, got)
			}
		case !quorate.OutcomeUnknown(r.Err):
			absent = append(absent, text)
		}
	}
	return absent
}

func checkLog(t *testing.T, seed uint64, log, absent []string) {
	t.Helper()
	at := make(map[string]int)
	last := make(map[string]int) // position of the newest call of a slice
	for i, text := range log {
		if _, twice := at[text]; twice {
			t.Errorf("seed %d: call %s is in the log twice", seed, text)
		}
		at[text] = i
		cut := strings.LastIndexByte(text, '.')
		var position int
		if _, err := fmt.Sscan(text[cut+1:], &position); err != nil {
			t.Fatal(err)
		}
		if before, ok := last[text[:cut]]; ok && before >= position {
			t.Errorf("seed %d: call %s stands behind call %d of its slice", seed, text, before)
		}
		last[text[:cut]] = position
	}
	for _, text := range absent {
		if _, there := at[text]; there {
			t.Errorf("seed %d: call %s was not applied, and is in the log", seed, text)
		}
	}
	if len(log) == 0 || len(absent) == 0 {
		t.Errorf("seed %d: %d calls in the log and %d not applied say nothing", seed, len(log), len(absent))
	}
}

func BenchmarkDo(b *testing.B) {
	for _, callers := range []int{1, 64, 1024} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			answers := make([]quorate.Reply, entry.CallsMax)
			batcher := batch.New(func(data []byte) ([]quorate.Reply, error) {
				_, calls, err := entry.Decode(data)
				return answers[:len(calls)], err
			}, stamp)
			defer batcher.Close()
			one := []quorate.Call{{Name: "INC", Args: [][]byte{[]byte("hits"), {2}}}}
			b.ReportAllocs()
			b.ResetTimer()
			var left atomic.Int64
			left.Store(int64(b.N))
			var all sync.WaitGroup
			for range callers {
				all.Go(func() {
					for left.Add(-1) >= 0 {
						if r := batcher.Do(b.Context(), one); r[0].Err != nil {
							b.Error(r[0].Err)
						}
					}
				})
			}
			all.Wait()
		})
	}
}

func TestATickIsAnEntryOfItsOwnOrPartOfTheNext(t *testing.T) {
	inBubble(t, func(t *testing.T, l *raftLog, b *batch.Batcher) {
		tick := func() chan error {
			done := make(chan error, 1)
			go func() { done <- b.Tick(t.Context()) }()
			synctest.Wait()
			return done
		}
		alone := tick()
		first, second := tick(), tick()
		said := start(t.Context(), b, call("a"))
		l.gate <- nil
		if err := <-alone; err != nil {
			t.Errorf("alone: %v", err)
		}
		l.gate <- nil
		mustSay(t, <-said, "a")
		if err := errors.Join(<-first, <-second); err != nil {
			t.Errorf("with a call: %v", err)
		}
		failing := tick()
		l.gate <- quorate.Errorf(quorate.Unavailable, "no leader")
		if err := <-failing; quorate.CodeOf(err) != quorate.Unavailable {
			t.Errorf("refused: %v", err)
		}
		if got := fmt.Sprint(l.seen()); got != "[[] [a] []]" {
			t.Errorf("the entries are %s", got)
		}
		b.Close()
		if err := b.Tick(t.Context()); quorate.CodeOf(err) != quorate.Unavailable {
			t.Errorf("closed: %v", err)
		}
	})
}

package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/values"
)

func TestCallsAnswerAsInProcess(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		c := w.open()
		defer mustClose(t, c)
		ctx := t.Context()
		for want := range int64(3) {
			if got, err := inc(ctx, c, "hits"); err != nil || got != want+1 {
				t.Fatalf("inc is %d, %v", got, err)
			}
		}
		v, err := quorate.Ask(ctx, c, kv.Get{Key: "hits"})
		if err != nil || v.Int() != 3 {
			t.Fatalf("get is %v, %v", v, err)
		}
		_, err = quorate.Ask(ctx, c, kv.Get{Key: "nothing"})
		if !errors.Is(err, &quorate.Error{Code: quorate.NotFound}) || quorate.OutcomeUnknown(err) {
			t.Fatalf("get of nothing: %v", err)
		}
		_, err = quorate.Do(ctx, c, kv.Cas{Key: "hits", Value: values.Int(9)})
		e, ok := errors.AsType[*quorate.Error](err)
		if !ok || e.Code != quorate.Conflict || e.Outcome != quorate.NotApplied || e.Value.Int() != 3 {
			t.Fatalf("cas: %#v", err)
		}
	})
}

func TestMalformedAddressesAreRefused(t *testing.T) {
	for _, addrs := range [][]string{nil, {""}, {"host"}, {"host:"}, {":7301"}, {"host:0"}, {"host:65536"}, {"host:redis"}, {"a:1", "b"}} {
		if c, err := client.Dial(addrs...); err == nil {
			mustClose(t, c)
			t.Errorf("%q: no error", addrs)
		}
	}
	c, err := client.Dial("10.0.0.1:7301", "[::1]:7301", "node-3.example:7301")
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, c)
}

func TestConfigurationThatCannotWorkIsRefused(t *testing.T) {
	for _, config := range []client.Config{
		{Addrs: []string{"a:1"}, ConnsPerNode: -1},
		{Addrs: []string{"a:1"}, ConnsPerNode: 1000},
		{Addrs: []string{"a:1"}, Timeout: -time.Second},
	} {
		if c, err := client.Open(config); err == nil {
			mustClose(t, c)
			t.Errorf("%+v: no error", config)
		}
	}
}

func TestEachCallHasAnIDOfTheSessionAndSaysWhatIsSettled(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		c := w.open()
		defer mustClose(t, c)
		for range 3 {
			if _, err := inc(t.Context(), c, "k"); err != nil {
				t.Fatal(err)
			}
		}
		var first string
		for i, f := range w.doors[0].seen() {
			session, number, ok := engine.Session(string(f.calls[0].ID))
			if first == "" {
				first = session
			}
			if !ok || session != first || len(session) < 20 || number != uint64(i)+1 {
				t.Errorf("call %d has id %q", i, f.calls[0].ID)
			}
			if want := uint64(i) + 1; i > 0 && f.calls[0].Settled != want {
				t.Errorf("call %d says that what is below %d is settled, want %d", i, f.calls[0].Settled, want)
			}
		}
	})
}

func TestWhatIsNotAnsweredIsNotSettled(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		w.doors[0].deed = func(n int, f frame) deed {
			if string(f.calls[0].Args[0]) == "slow" {
				return swallow
			}
			return serve
		}
		c := w.open(func(config *client.Config) { config.ConnsPerNode = 1 })
		defer mustClose(t, c)
		var slow sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		slow.Go(func() { _, _ = inc(ctx, c, "slow") })
		synctest.Wait()
		// The connection is blocked by now; the others wait until it is given up.
		for range 5 {
			if _, err := inc(t.Context(), c, "fast"); err != nil {
				t.Fatal(err)
			}
		}
		for _, f := range w.doors[0].seen() {
			if f.calls[0].Settled > 1 {
				t.Errorf("%q says that %d is settled, and call 1 has no answer", f.calls[0].ID, f.calls[0].Settled)
			}
		}
		cancel()
		slow.Wait()
		if _, err := inc(t.Context(), c, "fast"); err != nil {
			t.Fatal(err)
		}
		seen := w.doors[0].seen()
		if last := seen[len(seen)-1].calls[0]; last.Settled != 7 {
			t.Errorf("%q says that what is below %d is settled, want 7", last.ID, last.Settled)
		}
	})
}

func TestCallWithAnIDKeepsIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		c := w.open()
		defer mustClose(t, c)
		for range 2 {
			if n, err := inc(t.Context(), quorate.Once(c, "mine"), "k"); err != nil || n != 1 {
				t.Fatalf("inc is %d, %v", n, err)
			}
		}
		for _, f := range w.doors[0].seen() {
			if call := f.calls[0]; call.ID != "mine" || call.Settled != 0 {
				t.Errorf("the call arrived with id %q and settled %d", call.ID, call.Settled)
			}
		}
	})
}

func TestCallsOfTheCallerAreLeftAsTheyAre(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		c := w.open()
		defer mustClose(t, c)
		call, err := quorate.NewCall(kv.Inc{Key: "k", By: 1})
		if err != nil {
			t.Fatal(err)
		}
		calls := []quorate.Call{call}
		for want := range int64(2) {
			if r := c.Execute(t.Context(), calls)[0]; r.Err != nil || r.Value.Int() != want+1 || r.Index == 0 {
				t.Fatalf("%+v", r)
			}
		}
		if calls[0].ID != "" || calls[0].Settled != 0 {
			t.Errorf("the call of the caller has id %q now", calls[0].ID)
		}
	})
}

func TestSliceIsOneFrameInItsOrder(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		c := w.open()
		defer mustClose(t, c)
		var calls []quorate.Call
		for i := range 10 {
			calls = append(calls, mustCall(t, kv.Inc{Key: "k", By: int64(i)}))
		}
		calls = append(calls, mustCall(t, kv.Get{Key: "k"}))
		replies := c.Execute(t.Context(), calls)
		if n := len(w.doors[0].seen()); n != 1 {
			t.Errorf("%d frames", n)
		}
		if last := replies[10]; last.Err != nil || last.Value.Int() != 45 {
			t.Errorf("the read behind the writes is %+v", last)
		}
	})
}

func TestLargeSliceGoesInSeveralFrames(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		c := w.open()
		defer mustClose(t, c)
		value := values.Bytes(strings.Repeat("v", 300<<10))
		var calls []quorate.Call
		for i := range 10 {
			calls = append(calls, mustCall(t, kv.Put{Key: kv.Key(fmt.Sprint(i)), Value: value}))
		}
		for i, r := range c.Execute(t.Context(), calls) {
			if r.Err != nil || r.Index != uint64(i)+1 {
				t.Errorf("reply %d: %+v", i, r)
			}
		}
		seen := w.doors[0].seen()
		if len(seen) != 4 || len(seen[0].calls) != 3 {
			t.Errorf("%d frames", len(seen))
		}
	})
}

func TestLargestCallArrives(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		c := w.open()
		defer mustClose(t, c)
		value := bytes.Repeat([]byte("v"), quorate.ArgsBytesMax-100)
		if _, err := quorate.Do(t.Context(), c, kv.Put{Key: "k", Value: values.Bytes(string(value))}); err != nil {
			t.Fatal(err)
		}
		got, err := quorate.Ask(t.Context(), c, kv.Get{Key: "k"})
		if err != nil || got.Text() != string(value) {
			t.Fatalf("%d bytes came back, %v", len(got.Text()), err)
		}
	})
}

func TestCallsThatNoNodeTakesAreRefusedAlone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		c := w.open()
		defer mustClose(t, c)
		good := mustCall(t, kv.Inc{Key: "k", By: 1})
		for _, bad := range []struct {
			call quorate.Call
			code quorate.Code
		}{
			{quorate.Call{Name: strings.Repeat("N", 300)}, quorate.UnknownOperation},
			{quorate.Call{Name: "INC", ID: quorate.CallID(strings.Repeat("i", quorate.CallIDBytesMax+1))}, quorate.Invalid},
			{quorate.Call{Name: "INC", Args: make([][]byte, quorate.ArgsMax+1)}, quorate.TooLarge},
			{quorate.Call{Name: "INC", Args: [][]byte{make([]byte, quorate.ArgsBytesMax+1)}}, quorate.TooLarge},
			{quorate.Call{Name: "NOTHING"}, quorate.UnknownOperation},
			{quorate.Call{Name: "INC"}, quorate.Invalid},
		} {
			replies := c.Execute(t.Context(), []quorate.Call{good, bad.call, good})
			if replies[0].Err != nil || replies[2].Err != nil {
				t.Errorf("%.20q: the calls around it: %v, %v", bad.call.Name, replies[0].Err, replies[2].Err)
			}
			if err := replies[1].Err; quorate.CodeOf(err) != bad.code || quorate.OutcomeUnknown(err) {
				t.Errorf("%.20q: %v, want code %s", bad.call.Name, err, bad.code)
			}
		}
	})
}

func TestManyCallersShareFewConnectionsAndNoFrameIsLost(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 3)
		defer w.close()
		c := w.open(func(config *client.Config) { config.ConnsPerNode = 4 })
		defer mustClose(t, c)
		const callers, each = 1000, 10
		var group sync.WaitGroup
		for i := range callers {
			group.Go(func() {
				for n := range int64(each) {
					if got, err := inc(t.Context(), c, fmt.Sprint("k", i)); err != nil || got != n+1 {
						t.Errorf("caller %d: inc is %d, %v", i, got, err)
						return
					}
				}
			})
		}
		group.Wait()
		var conns, used int64
		for _, d := range w.doors {
			conns += d.accepted.Load()
			used += min(d.accepted.Load(), 1)
		}
		if conns > 4 || used != 1 {
			t.Errorf("%d connections to %d nodes", conns, used)
		}
		if w.state.Index != callers*each {
			t.Errorf("%d commands ran, want %d", w.state.Index, callers*each)
		}
	})
}

func TestLonelyCallerNeedsOneConnection(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 3)
		defer w.close()
		c := w.open()
		defer mustClose(t, c)
		for range 100 {
			if _, err := inc(t.Context(), c, "k"); err != nil {
				t.Fatal(err)
			}
		}
		var conns int64
		for _, d := range w.doors {
			conns += d.accepted.Load()
		}
		if conns != 1 {
			t.Errorf("%d connections", conns)
		}
	})
}

func TestPasswordIsSaid(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 2)
		defer w.close()
		for _, d := range w.doors {
			d.password = "secret"
		}
		c := w.open(func(config *client.Config) { config.Password = "secret" })
		defer mustClose(t, c)
		if _, err := inc(t.Context(), c, "k"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWrongPasswordIsToldAtOnce(t *testing.T) {
	for _, password := range []string{"", "wrong"} {
		inBubble(t, func(t *testing.T) {
			w := startCluster(t, 2)
			defer w.close()
			for _, d := range w.doors {
				d.password = "secret"
			}
			c := w.open(func(config *client.Config) { config.Password = password })
			defer mustClose(t, c)
			begun := time.Now()
			_, err := inc(t.Context(), c, "k")
			if err == nil || quorate.OutcomeUnknown(err) || !strings.Contains(err.Error(), "refuses the client") {
				t.Fatalf("error %v", err)
			}
			if took := time.Since(begun); took > time.Second {
				t.Errorf("it took %v", took)
			}
			// Nothing is final: the next call asks again.
			for _, d := range w.doors {
				d.mu.Lock()
				d.password = ""
				d.mu.Unlock()
			}
			time.Sleep(time.Second)
			if password == "" {
				if _, err := inc(t.Context(), c, "k"); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestCloseAnswersThoseWhoWait(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 2)
		defer w.close()
		c := w.open()
		w.doors[0].deed = func(int, frame) deed { return swallow }
		w.doors[1].deed = w.doors[0].deed
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := inc(t.Context(), c, "k"); !quorate.OutcomeUnknown(err) || quorate.CodeOf(err) != quorate.Unavailable {
				t.Errorf("what was sent when the client closed: %v", err)
			}
		})
		synctest.Wait()
		begun := time.Now()
		mustClose(t, c)
		mustClose(t, c)
		group.Wait()
		if took := time.Since(begun); took > 0 {
			t.Errorf("to close took %v", took)
		}
		if _, err := inc(t.Context(), c, "k"); err == nil || quorate.OutcomeUnknown(err) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestCloseAnswersThoseWhoWaitForAConnection(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := startCluster(t, 1)
		defer w.close()
		w.net.Cut("c", "n0")
		c := w.open()
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := inc(t.Context(), c, "k"); err == nil || quorate.OutcomeUnknown(err) {
				t.Errorf("what was not sent when the client closed: %v", err)
			}
		})
		synctest.Wait()
		mustClose(t, c)
		group.Wait()
	})
}

func mustCall(t testing.TB, operation any) quorate.Call {
	t.Helper()
	call, err := quorate.NewCall(operation)
	if err != nil {
		t.Fatal(err)
	}
	return call
}

package memnet_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/peer/memnet"
)

// mustConnect returns the two ends of a connection from host a to host b.
func mustConnect(t testing.TB, network *memnet.Network, a, b string) (dialled, accepted net.Conn) {
	t.Helper()
	l, err := network.Listen(b)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if dialled, err = network.Host(a).Dial(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		dialled.Close()
		accepted.Close()
	})
	return dialled, accepted
}

func TestBytesArriveInOrderThroughTheBoundedBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := mustConnect(t, memnet.New(), "a", "b")
		want := bytes.Repeat([]byte("0123456789"), 100_000) // four times what the buffer holds
		var writer sync.WaitGroup
		writer.Go(func() {
			if _, err := a.Write(want); err != nil {
				t.Errorf("Write: %v", err)
			}
			a.Close()
		})
		synctest.Wait() // the writer waits: the buffer is full and nobody reads
		got, err := io.ReadAll(b)
		writer.Wait()
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read %d of %d bytes, %v", len(got), len(want), err)
		}
	})
}

func TestDialWhereNobodyListensIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		start := time.Now()
		_, err := network.Host("a").Dial(t.Context(), "b")
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Since(start) != 0 {
			t.Fatalf("Dial = %v after %v", err, time.Since(start))
		}
		l, err := network.Listen("b:1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := network.Listen("b:1"); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("second Listen = %v", err)
		}
		l.Close()
		if _, err := network.Host("a").Dial(t.Context(), "b:1"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Dial after Close = %v", err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Close = %v", err)
		}
	})
}

func TestCloseOfTheListenerEndsAcceptAndItsBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		l, err := network.Listen("b")
		if err != nil {
			t.Fatal(err)
		}
		waiting, err := network.Host("a").Dial(t.Context(), "b")
		if err != nil {
			t.Fatal(err)
		}
		defer waiting.Close()
		l.Close()
		if _, err := waiting.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("Read of a connection that was never accepted = %v", err)
		}
		if l, err = network.Listen("b"); err != nil {
			t.Fatalf("Listen again: %v", err)
		}
		ended := make(chan error)
		go func() {
			_, err := l.Accept()
			ended <- err
		}()
		synctest.Wait()
		l.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept = %v", err)
		}
	})
}

func TestDeadlineEndsAWaitingReadAndWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := mustConnect(t, memnet.New(), "a", "b")
		start := time.Now()
		a.SetReadDeadline(start.Add(3 * time.Second))
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("Read = %v after %v", err, time.Since(start))
		}
		a.SetWriteDeadline(start.Add(5 * time.Second))
		n, err := a.Write(make([]byte, 1<<20))
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() || time.Since(start) != 5*time.Second {
			t.Errorf("Write = %d, %v after %v", n, err, time.Since(start))
		}
		a.SetReadDeadline(time.Time{})
		read := make(chan error)
		go func() {
			_, err := a.Read(make([]byte, 1))
			read <- err
		}()
		synctest.Wait()
		a.SetReadDeadline(time.Unix(1, 0)) // a deadline in the past wakes who already waits
		if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read = %v", err)
		}
	})
}

func TestCutHoldsBytesAndCloseUntilHeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		a, b := mustConnect(t, network, "a", "b")
		network.Cut("a", "b")
		if _, err := a.Write([]byte("late")); err != nil {
			t.Fatal(err)
		}
		a.Close()
		b.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := b.Read(make([]byte, 9)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Read across the cut = %v", err)
		}
		b.SetReadDeadline(time.Time{})
		if _, err := b.Write([]byte("x")); err != nil {
			t.Fatalf("Write to an end whose close is not known here: %v", err)
		}
		network.Heal("b", "a")
		if got, err := io.ReadAll(b); string(got) != "late" || err != nil {
			t.Fatalf("after Heal: %q, %v", got, err)
		}
		if _, err := b.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Fatalf("Write after Heal = %v", err)
		}
	})
}

func TestCutOneWayLeavesTheWayBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		a, b := mustConnect(t, network, "a", "b")
		network.CutOneWay("a", "b")
		a.Write([]byte("1"))
		b.Write([]byte("2"))
		got := make([]byte, 1)
		if _, err := a.Read(got); err != nil || got[0] != '2' {
			t.Errorf("the way back: %q, %v", got, err)
		}
		b.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := b.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the cut way: %v", err)
		}
	})
}

func TestDialAcrossACutWaitsForHealOrItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		l, err := network.Listen("b")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		network.CutOneWay("b", "a")
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		if _, err := network.Host("a").Dial(ctx, "b"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 2*time.Second {
			t.Fatalf("Dial = %v after %v", err, time.Since(start))
		}
		time.AfterFunc(time.Minute, func() { network.Heal("a", "b") })
		start = time.Now()
		c, err := network.Host("a").Dial(t.Context(), "b")
		if err != nil || time.Since(start) != time.Minute {
			t.Fatalf("Dial = %v after %v", err, time.Since(start))
		}
		c.Close()
	})
}

func TestBreakResetsOpenConnectionsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		a, b := mustConnect(t, network, "a", "b")
		c, d := mustConnect(t, network, "a", "c")
		a.Write([]byte("lost"))
		network.Break("b", "a")
		for _, end := range []net.Conn{a, b} {
			if _, err := end.Read(make([]byte, 9)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("Read = %v", err)
			}
			if _, err := end.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("Write = %v", err)
			}
		}
		c.Write([]byte("x"))
		if n, err := d.Read(make([]byte, 9)); n != 1 || err != nil {
			t.Errorf("the other connection: %d, %v", n, err)
		}
	})
}

func TestOwnCloseEndsAWaitingRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := mustConnect(t, memnet.New(), "a", "b")
		ended := make(chan error)
		go func() {
			_, err := a.Read(make([]byte, 1))
			ended <- err
		}()
		synctest.Wait()
		a.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read = %v", err)
		}
		if _, err := a.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write = %v", err)
		}
	})
}

func TestDelayHoldsBytesTheirCloseAndDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		delays := []time.Duration{time.Second, 5 * time.Second, time.Millisecond, time.Millisecond}
		network.Delay("a", "b", func() time.Duration {
			d := delays[0]
			delays = delays[1:]
			return d
		})
		start := time.Now()
		a, b := mustConnect(t, network, "a", "b")
		if took := time.Since(start); took != time.Second {
			t.Errorf("the dial took %v", took)
		}
		start = time.Now()
		a.Write([]byte("slow"))
		a.Write([]byte("fast")) // does not overtake
		a.Close()
		got := make([]byte, 9)
		n, err := b.Read(got)
		if string(got[:n]) != "slowfast" || err != nil || time.Since(start) != 5*time.Second {
			t.Errorf("Read = %q, %v after %v", got[:n], err, time.Since(start))
		}
		if _, err := b.Read(got); err != io.EOF || time.Since(start) != 5*time.Second {
			t.Errorf("Read = %v after %v", err, time.Since(start))
		}
	})
}

func TestDelayOfOneWayLeavesTheWayBackAndOpenConnectionsLearnOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		a, b := mustConnect(t, network, "a", "b")
		network.Delay("a", "b", func() time.Duration { return time.Minute })
		start, got := time.Now(), make([]byte, 9)
		b.Write([]byte("x"))
		if _, err := a.Read(got); err != nil || time.Since(start) != 0 {
			t.Errorf("the way back: %v after %v", err, time.Since(start))
		}
		a.Write([]byte("x"))
		if _, err := b.Read(got); err != nil || time.Since(start) != time.Minute {
			t.Errorf("the slow way: %v after %v", err, time.Since(start))
		}
	})
}

func TestHealOneWayLeavesTheOtherCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		a, b := mustConnect(t, network, "a", "b")
		network.Cut("a", "b")
		a.Write([]byte("1"))
		b.Write([]byte("2"))
		network.HealOneWay("a", "b")
		got := make([]byte, 1)
		if _, err := b.Read(got); err != nil || got[0] != '1' {
			t.Errorf("the healed way: %q, %v", got, err)
		}
		a.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := a.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the cut way: %v", err)
		}
	})
}

func TestPowerOffBreaksTheHostAndIsSilenceToOthersUntilItListensAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		host := network.Host("b")
		l, err := host.Listen("b:1")
		if err != nil {
			t.Fatal(err)
		}
		far, err := network.Host("a").Dial(t.Context(), "b:1")
		if err != nil {
			t.Fatal(err)
		}
		near, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer far.Close()
		far.Write([]byte("x"))
		host.PowerOff()
		got := make([]byte, 9)
		if _, err := near.Read(got); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Read without power = %v", err)
		}
		if _, err := near.Write(got); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Write without power = %v", err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept without power = %v", err)
		}
		if _, err := host.Dial(t.Context(), "a"); !errors.Is(err, syscall.ENETDOWN) {
			t.Errorf("Dial without power = %v", err)
		}
		if _, err := host.Listen("b:2"); !errors.Is(err, syscall.ENETDOWN) {
			t.Errorf("Listen without power = %v", err)
		}
		near.Close()
		if _, err := far.Write([]byte("x")); err != nil {
			t.Errorf("Write to a host without power = %v", err)
		}
		far.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := far.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read from a host without power = %v", err)
		}
		back, err := network.Host("b").Listen("b:1")
		if err != nil {
			t.Fatalf("the next host of that name: %v", err)
		}
		defer back.Close()
		far.SetReadDeadline(time.Time{})
		if _, err := far.Read(got); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Read after it is back = %v", err)
		}
	})
}

package logtime_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/logtime"
)

// host is a machine whose clock can be wrong, and a state.
type host struct {
	off     time.Duration // how far the clock is ahead
	stamped time.Time
	agree   error // what the others say
	asked   int
	log     bytes.Buffer
}

func (h *host) wall() time.Time { return time.Now().Round(0).Add(h.off) }

func (h *host) clock(t *testing.T) *logtime.Clock {
	c := logtime.New(logtime.Config{
		Wall:    h.wall,
		Stamped: func() time.Time { return h.stamped },
		Agree: func(context.Context, time.Time) error {
			h.asked++
			return h.agree
		},
		Log: slog.New(slog.NewTextHandler(&h.log, nil)),
	})
	t.Cleanup(c.Close)
	return c
}

// mustTell compares what a clock tells with the true time, and stamps it.
func (h *host) mustTell(t *testing.T, c *logtime.Clock, ahead time.Duration) {
	t.Helper()
	now := c.Now()
	if got := now.Sub(time.Now()); got != ahead {
		t.Fatalf("log time is ahead by %v, want %v", got, ahead)
	}
	if now.Before(h.stamped) {
		t.Fatalf("log time went back from %v to %v", h.stamped, now)
	}
	h.stamped = now
}

var errNo = errors.New("they do not agree")

func TestAClockThatIsNearlyRightIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{agree: errNo}
		c := h.clock(t)
		h.mustTell(t, c, 0)
		for _, off := range []time.Duration{time.Second, 3 * time.Second, -time.Second} {
			time.Sleep(time.Minute)
			h.off = off
			h.mustTell(t, c, off)
		}
		h.off = -2 * time.Second
		h.mustTell(t, c, -time.Second) // it waits, and does not go back
		if h.asked > 0 {
			t.Errorf("the others were asked %d times", h.asked)
		}
	})
}

func TestAJumpFarAheadIsRefusedAndReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{agree: errNo}
		c := h.clock(t)
		h.mustTell(t, c, 0)
		h.off = 24 * time.Hour
		for range 100 {
			time.Sleep(10 * time.Second)
			h.mustTell(t, c, 0)
		}
		synctest.Wait()
		if h.asked != 100 || strings.Count(h.log.String(), "is not believed") != 1 {
			t.Errorf("asked %d times, and said\n%s", h.asked, h.log.String())
		}
		h.off = 2 * time.Second
		h.mustTell(t, c, 2*time.Second)
		if !strings.Contains(h.log.String(), "believed again") {
			t.Errorf("said\n%s", h.log.String())
		}
	})
}

func TestAJumpIsBelievedOnceAMajorityAgrees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{agree: errNo}
		c := h.clock(t)
		h.mustTell(t, c, 0)
		h.off = time.Hour
		h.mustTell(t, c, 0)
		synctest.Wait()
		h.agree = nil
		h.mustTell(t, c, 0)
		synctest.Wait()
		h.mustTell(t, c, 0) // it was not asked again so soon
		time.Sleep(2 * time.Second)
		h.mustTell(t, c, 0)
		synctest.Wait()
		h.mustTell(t, c, time.Hour)
	})
}

func TestAClockThatIsSetBackStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{agree: errNo}
		c := h.clock(t)
		h.mustTell(t, c, 0)
		h.off = -time.Hour
		for range 10 {
			time.Sleep(time.Minute)
			h.mustTell(t, c, 0)
		}
	})
}

// A new leader has a clock of its own, and must not go behind what others have
// stamped, nor jump ahead of it.
func TestANewLeaderGoesOnWhereTheOldOneWas(t *testing.T) {
	for _, off := range []time.Duration{-time.Hour, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			h := &host{agree: errNo, off: off, stamped: time.Now()}
			c := h.clock(t)
			h.mustTell(t, c, 0)
			for range 5 {
				time.Sleep(time.Minute)
				h.mustTell(t, c, 0)
			}
			// Another leads for a while, and its clock is faster.
			time.Sleep(time.Minute)
			h.stamped = time.Now().Add(3 * time.Second)
			time.Sleep(time.Second)
			h.mustTell(t, c, 2*time.Second) // when it was stamped is not known
			time.Sleep(time.Second)
			h.mustTell(t, c, 2*time.Second)
		})
	}
}

// A cluster that was down, or idle, for a week.
func TestAfterAStartTheOthersAreAsked(t *testing.T) {
	for _, c := range []struct {
		agree error
		ahead time.Duration
	}{{nil, 0}, {errNo, -7 * 24 * time.Hour}, {logtime.ErrAlone, 0}} {
		synctest.Test(t, func(t *testing.T) {
			h := &host{agree: c.agree, stamped: time.Now().Add(-7 * 24 * time.Hour)}
			clock := h.clock(t)
			h.mustTell(t, clock, -7*24*time.Hour)
			synctest.Wait()
			h.mustTell(t, clock, c.ahead)
			if c.agree == logtime.ErrAlone {
				// Now time has been told here: a jump is one.
				h.off = time.Hour
				h.mustTell(t, clock, 0)
				time.Sleep(time.Minute)
				h.mustTell(t, clock, 0)
			}
		})
	}
}

// A cluster that was idle while this process ran needs nobody: the time that
// passed is known.
func TestIdleTimeIsNoJump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{agree: errNo}
		c := h.clock(t)
		h.mustTell(t, c, 0)
		time.Sleep(30 * 24 * time.Hour)
		h.mustTell(t, c, 0)
	})
}

// Whatever the clock does, log time never goes back and never runs ahead of the
// time that passed by more than what is followed at once.
func TestRandomJumps(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	synctest.Test(t, func(t *testing.T) {
		h := &host{agree: errNo}
		c := h.clock(t)
		before, began := c.Now(), time.Now()
		for range 2000 {
			step := time.Duration(rng.Int64N(int64(time.Minute)))
			time.Sleep(step)
			h.off = time.Duration(rng.Int64N(int64(48*time.Hour))) - 24*time.Hour
			now := c.Now()
			if passed := now.Sub(before); passed < 0 || passed > step+logtime.JumpMax {
				t.Fatalf("in %v log time went on by %v", step, passed)
			}
			before = now
		}
		if behind := time.Since(began) - before.Sub(began); behind > time.Minute {
			t.Errorf("log time is %v behind", behind)
		}
	})
}

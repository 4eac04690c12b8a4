package logtime_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
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
	if got := time.Until(now); got != ahead {
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

// A clock that never jumps, and is wrong all the same.
func TestLogTimeGoesOnWithThePaceOfTimeThatPasses(t *testing.T) {
	for _, pace := range []float64{100, 1.5, 1.01, 0.99, 0.5, 0} {
		synctest.Test(t, func(t *testing.T) {
			h := &host{agree: errNo}
			c := h.clock(t)
			h.mustTell(t, c, 0)
			began := time.Now()
			for range 60_000 { // a leader that stamps a hundred entries a second
				time.Sleep(10 * time.Millisecond)
				h.off = time.Duration(float64(time.Since(began)) * (pace - 1))
				h.stamped = c.Now()
			}
			share := time.Since(began) / 1000
			if off := time.Until(h.stamped).Abs(); off > logtime.JumpMax+share {
				t.Errorf("with a clock of the pace %v log time is %v off after %v", pace, off, time.Since(began))
			}
			if asked := h.asked > 0; asked != (pace > 1) {
				t.Errorf("with a clock of the pace %v the others were asked %d times", pace, h.asked)
			}
		})
	}
}

// What clocks drift needs no agreement, however long it goes on.
func TestAClockThatDriftsIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{agree: errNo}
		c := h.clock(t)
		h.mustTell(t, c, 0)
		for range 365 * 24 {
			time.Sleep(time.Hour)
			h.off += 360 * time.Millisecond // 100 millionths
			h.mustTell(t, c, h.off)
		}
		if h.asked > 0 {
			t.Errorf("the others were asked %d times", h.asked)
		}
	})
}

// What the members have agreed on is where it is counted from.
func TestAfterAnAgreementTheClockIsFollowedFromThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{}
		c := h.clock(t)
		h.mustTell(t, c, 0)
		for range 20 { // a machine that is suspended again and again
			h.off += 4 * time.Second
			c.Now()
			synctest.Wait()
			h.mustTell(t, c, h.off)
			time.Sleep(2 * time.Second)
		}
		if h.asked != 10 {
			t.Errorf("the others were asked %d times", h.asked)
		}
	})
}

// Two whose clocks are fast take turns at leading, and nobody agrees with them.
func TestEachProcessBringsLogTimeAheadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{agree: errNo}
		leaders := []*logtime.Clock{h.clock(t), h.clock(t)}
		h.stamped = time.Now()
		began := time.Now()
		for turn := range 50 {
			for range 100 {
				time.Sleep(100 * time.Millisecond)
				h.off = time.Until(h.stamped) + time.Second
				h.stamped = leaders[turn%2].Now()
			}
		}
		share := time.Since(began) / 1000
		if ahead := time.Until(h.stamped); ahead > 2*logtime.JumpMax+share {
			t.Errorf("after 50 changes of leaders log time is %v ahead", ahead)
		}
	})
}

func TestLogTimeIsNeverWhatCannotBeStored(t *testing.T) {
	first, last := time.Unix(0, 1), time.Unix(0, math.MaxInt64)
	for _, c := range []struct{ wall, want time.Time }{
		{last.Add(-time.Minute), last},
		{last.Add(time.Hour), last},
		{time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC), first.Add(10 * time.Minute)},
		{time.Time{}, first.Add(10 * time.Minute)},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			var stamped time.Time
			clock := logtime.New(logtime.Config{
				Wall:    func() time.Time { return c.wall.Add(time.Since(began)) },
				Stamped: func() time.Time { return stamped },
				Agree:   func(context.Context, time.Time) error { return errNo },
				Log:     slog.New(slog.DiscardHandler),
			})
			defer clock.Close()
			for range 11 {
				now := clock.Now()
				if now.Before(stamped) || !time.Unix(0, now.UnixNano()).Equal(now) {
					t.Fatalf("with a clock at %v log time went from %v to %v", c.wall, stamped, now)
				}
				stamped = now
				time.Sleep(time.Minute)
			}
			if off := stamped.Sub(c.want).Abs(); off > logtime.JumpMax+time.Second {
				t.Errorf("with a clock at %v log time is %v in the end, want %v", c.wall, stamped, c.want)
			}
		})
	}
}

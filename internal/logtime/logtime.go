// Package logtime tells the time with which a leader stamps entries.
//
// The state goes by that time alone: it ends leases, keys and remembered
// answers. So it keeps three rules. It never goes back. It goes on with the
// pace of time that has passed, whatever is done to the clock of the machine. A
// clock that is far ahead of it is not believed: it could end everything at
// once, and nothing would bring that back.
//
// How far a clock may lead is counted from an anchor, and not from where that
// clock has led already: one that runs too fast is never far ahead of itself.
// The anchor is the first time that was stamped, or what the state says when
// this process leads for the first time, or what the members have agreed on
// since. From there the clock is followed as far as JumpMax and a thousandth of
// the time that passed, either way. So of wrong clocks that nobody agrees with
// each process can bring log time ahead once, by as much as that, and not with
// each change of leaders. What others have stamped beyond it is taken as it
// is: they have gone by the same rule.
//
// What is further ahead is a jump, whether it came at once or bit by bit, and
// is believed once a majority of the members has a clock that agrees. So
// a cluster that was down for a week goes on with the time of today, and a node
// whose clock is wrong by a week does not end what the others hold. A node that
// is the only member has nobody to ask: while it runs it believes the time that
// has passed, and after a start its clock.
//
// It stamps nothing itself, and knows neither the state nor the members.
package logtime

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"
	"time"
)

const (
	// JumpMax is how far a clock may be ahead of the time that should have come,
	// and be followed at once: more than what keeps clocks in step corrects at a
	// time, and less than what anybody holds a lease for that matters.
	JumpMax = 5 * time.Second
	// driftShare says which part of the time that has passed a clock may be off
	// besides, without being asked about: a thousandth, 86 seconds in a day.
	// Clocks drift by less than a tenth of that.
	driftShare = 1000
	// askInterval is how often the others are asked about a jump.
	askInterval = time.Second
	// askTimeout bounds how long their answers are waited for.
	askTimeout = 2 * time.Second
)

// ErrAlone says that there is nobody to ask.
var ErrAlone = errors.New("there is no other member")

// Log time is stored in unix nanoseconds, where 0 stands for none.
const (
	firstMoment = 1             // in 1970
	lastMoment  = math.MaxInt64 // 2262-04-11 23:47:16 UTC
)

// Clamp is t, or the moment next to it that log time can be. At the last one
// log time stands still.
func Clamp(t time.Time) time.Time {
	switch first, last := time.Unix(0, firstMoment), time.Unix(0, lastMoment); {
	case t.Before(first):
		return first
	case t.After(last):
		return last
	}
	return t
}

// Config is what a Clock goes by.
type Config struct {
	// Wall is the clock of the machine. It may jump.
	Wall func() time.Time
	// Stamped is the newest log time in the state; zero if nothing was ever
	// stamped. It must hold all that was stamped before when Now is called: a
	// state that is behind would make the clock of the machine the first there is.
	Stamped func() time.Time
	// Agree returns nil if a majority of the members, this one among them, has a
	// clock that differs from wall by no more than JumpMax; ErrAlone if this one
	// is the only member.
	Agree func(ctx context.Context, wall time.Time) error
	// Log gets a line when a clock is not believed, and when it is again.
	Log *slog.Logger
}

// Clock tells log time. It must be closed.
type Clock struct {
	config Config
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	asking sync.WaitGroup

	// mu guards what follows.
	mu sync.Mutex
	// known is a log time that was right; zero while none is known.
	known reading
	// anchor is from where the clock of the machine is followed a little; zero
	// while known is. It never moves because that clock was followed.
	anchor reading
	// told is the latest time that Now has returned.
	told time.Time
	// ran says that known was once told by the clock of this process, and not
	// only by the state.
	ran bool
	// refused is since when the clock of the machine is not believed; zero while
	// it is. asked is when the others were asked the last time.
	refused, asked time.Time
	// busy says that they are being asked.
	busy   bool
	closed bool
}

// reading is a time that was right at a moment, which counts only the time that
// passes.
type reading struct{ time, moment time.Time }

// at is what it has become by another moment.
func (r reading) at(moment time.Time) time.Time { return r.time.Add(r.passed(moment)) }

func (r reading) passed(moment time.Time) time.Duration { return moment.Sub(r.moment) }

// New makes a clock.
func New(config Config) *Clock {
	ctx, cancel := context.WithCancel(context.Background())
	return &Clock{config: config, ctx: ctx, cancel: cancel}
}

// Close ends what is being asked.
func (c *Clock) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.asking.Wait()
}

// Now is the time with which an entry would be stamped now. It returns at once
// and is never before the newest log time in the state.
func (c *Clock) Now() time.Time {
	stamped := c.config.Stamped()
	c.mu.Lock()
	defer c.mu.Unlock()
	// Without the reading of the clock that only counts what passes, which
	// would hide every jump.
	wall, moment := Clamp(c.config.Wall().Round(0)), time.Now()
	due := c.due(stamped, moment)
	switch {
	case due.IsZero():
		c.settle(wall, moment)
	case c.follows(wall, due, moment):
		c.believe(wall, moment)
	case wall.Before(due):
		// Set back, or that of a slower machine: time goes on from where it is.
		c.doubt(wall, due, moment)
	default:
		c.doubt(wall, due, moment)
		c.ask(wall, moment)
	}
	// A clock that is set back by a little must not be told to go back.
	if now := Clamp(c.due(stamped, moment)); now.After(c.told) {
		c.told = now
	}
	return c.told
}

// due is the time that should have come; zero if none is known.
func (c *Clock) due(stamped, moment time.Time) time.Time {
	if stamped.IsZero() && c.known.time.IsZero() {
		return time.Time{}
	}
	if c.known.time.IsZero() || stamped.After(c.known.at(moment)) {
		// Another leader has stamped that, not long ago as far as is known.
		c.known = reading{stamped, moment}
	}
	switch {
	case c.anchor.time.IsZero():
		c.anchor = c.known
	case stamped.After(c.anchor.at(moment).Add(c.stray(moment))):
		// So far, then, and no further: those who take turns at leading must not
		// each begin anew.
		c.anchor = reading{stamped.Add(-JumpMax), moment}
	}
	return c.known.at(moment)
}

// follows says whether the clock of the machine is followed without asking.
func (c *Clock) follows(wall, due, moment time.Time) bool {
	return wall.Sub(due).Abs() <= JumpMax && wall.Sub(c.anchor.at(moment)).Abs() <= c.stray(moment)
}

// stray is how far from the anchor the clock of the machine is followed.
func (c *Clock) stray(moment time.Time) time.Duration {
	return JumpMax + c.anchor.passed(moment)/driftShare
}

// settle takes a time as right, from which all that follows is counted.
func (c *Clock) settle(wall, moment time.Time) {
	c.anchor = reading{wall, moment}
	c.believe(wall, moment)
}

func (c *Clock) believe(wall, moment time.Time) {
	c.known, c.ran = reading{wall, moment}, true
	if !c.refused.IsZero() {
		c.config.Log.Warn("the clock of this machine is believed again", "clock", wall)
		c.refused = time.Time{}
	}
}

func (c *Clock) doubt(wall, due, moment time.Time) {
	if c.refused.IsZero() {
		c.refused = moment
		c.config.Log.Warn("the clock of this machine is not believed: it is far from the time that should have come",
			"clock", wall, "due", due, "difference", wall.Sub(c.anchor.at(moment)))
	}
}

// ask asks the others whether a jump is right, if that is time.
func (c *Clock) ask(wall, moment time.Time) {
	if c.busy || c.closed || !c.asked.IsZero() && moment.Sub(c.asked) < askInterval {
		return
	}
	c.busy, c.asked = true, moment
	c.asking.Go(func() {
		ctx, cancel := context.WithTimeout(c.ctx, askTimeout)
		defer cancel()
		err := c.config.Agree(ctx, wall)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.busy = false
		if err == nil || errors.Is(err, ErrAlone) && !c.ran {
			c.settle(wall, moment)
		}
	})
}

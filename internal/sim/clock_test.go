package sim_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// clock is the clock of a place.
type clock struct {
	mu    sync.Mutex
	began time.Time
	plan  clockPlan
}

func newClock(p clockPlan) *clock { return &clock{began: time.Now(), plan: p} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	elapsed := time.Since(c.began)
	drift := time.Duration(float64(elapsed) * float64(c.plan.Drift) / 1e6)
	return c.began.Add(elapsed + drift + c.plan.Base + c.plan.Offset)
}

// set sets the clock to another offset.
func (c *clock) set(offset time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plan.Offset = offset
}

// journeyLog is a slog.Handler that writes to the journey.
type journeyLog struct {
	place *place
	attrs []slog.Attr
}

func (journeyLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

func (j journeyLog) Handle(_ context.Context, r slog.Record) error {
	var line strings.Builder
	r.Attrs(func(a slog.Attr) bool { fmt.Fprintf(&line, " %s", a); return true })
	j.place.world.note("n%d: %s%s", j.place.index, r.Message, line.String())
	return nil
}

func (j journeyLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return journeyLog{j.place, append(slices.Clone(j.attrs), attrs...)}
}

func (j journeyLog) WithGroup(string) slog.Handler { return j }

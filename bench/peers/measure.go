package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/quorate/quorate/bench/internal/cluster"
	"github.com/quorate/quorate/bench/internal/loop"
	"github.com/quorate/quorate/bench/internal/usage"
)

// figure is what came of one work on one system in one round.
type figure struct {
	Round        int
	Work, System string
	Op           op
	// Rate is calls answered in a second.
	Rate float64
	// P50 and P99 are latencies, of a whole pipeline if there is one. Of
	// several generators at once it is the worst one's.
	P50, P99 time.Duration
	// Refused is calls that the system asked to be made later.
	Refused int64 `json:",omitempty"`
	// Calls is what the costs are divided by.
	Calls float64
	// Known says whether there is a /proc to tell the costs.
	Known bool
	// Cost is what all server processes took.
	Cost usage.Usage
	// Disk is the bytes that the machine gave its disk to write, or -1.
	Disk int64
	// Others is how many cores went to processes that have nothing to do with
	// it, or to others on the same host; below 0 if that cannot be known.
	Others float64
	// Error is why the figure is void, or empty.
	Error string `json:",omitempty"`
	// Note is what one should know about it, or empty.
	Note string `json:",omitempty"`
}

// of is a figure from the result of a loop.
func of(r loop.Result) figure {
	return figure{Rate: r.Rate(), P50: r.P50, P99: r.P99, Refused: r.Refused, Calls: float64(r.Answered)}
}

// cpuPerMillion is the seconds of all cores for a million calls.
func (f figure) cpuPerMillion() float64 { return f.Cost.CPU.Seconds() / f.Calls * 1e6 }

// writtenPerCall is the bytes written to storage for a call, by all nodes.
func (f figure) writtenPerCall() float64 { return float64(f.Cost.Written) / f.Calls }

// diskPerCall is the bytes that reached the disk for a call, by all nodes and
// whatever else the machine does.
func (f figure) diskPerCall() float64 { return float64(f.Disk) / f.Calls }

// meter reads what the processes of a cluster take while a window is open.
type meter struct {
	pids   []int
	dir    string // on the disk
	opened usage.Usage
	known  bool
	cost   usage.Usage
	before int64 // bytes that the disk had been given
	disk   int64 // bytes that it was given meanwhile, or -1

	began     time.Time
	busy, own time.Duration // of the machine and of this program, at began
	others    float64       // cores that others had meanwhile, or -1
}

// open begins the window.
func (m *meter) open() {
	usage.Forget(m.pids...)
	m.opened, m.known = usage.Of(m.pids...)
	m.disk, m.before, m.others = -1, -1, -1
	m.began, m.own = time.Now(), usage.Own()
	m.busy, _ = usage.Machine() // shut finds out again whether it is known
	if bytes, ok := usage.Disk(m.dir); ok {
		m.before = bytes
	}
}

// shut ends it.
func (m *meter) shut() {
	now, known := usage.Of(m.pids...)
	m.known = m.known && known
	m.cost = now.Since(m.opened)
	if bytes, ok := usage.Disk(m.dir); ok && m.before >= 0 {
		m.disk = bytes - m.before
	}
	if busy, ok := usage.Machine(); ok && m.known {
		rest := busy - m.busy - m.cost.CPU - (usage.Own() - m.own)
		m.others = max(0, rest.Seconds()/time.Since(m.began).Seconds())
	}
}

// measureAll does every work on every system in every round.
func measureAll(ctx context.Context, p plan, to *results) error {
	all, without := systems(ctx, p.Dir)
	to.Without = without
	for _, s := range all {
		to.Systems = append(to.Systems, about{s.name, s.about})
	}
	for _, line := range without {
		fmt.Fprintln(os.Stderr, line)
	}
	var chosen []work
	for _, w := range works() {
		if p.Only.MatchString(w.name) {
			chosen = append(chosen, w)
		}
	}
	for i := range p.rounds {
		if err := to.probe(p.Dir); err != nil {
			return err
		}
		for _, group := range groups(chosen) {
			for _, s := range rotated(doing(all, group[0]), i) {
				figures := measureGroup(ctx, p, s, group)
				if err := ctx.Err(); err != nil {
					return err
				}
				for _, f := range figures {
					f.Round = i + 1
					to.Figures = append(to.Figures, f)
					fmt.Fprintln(os.Stderr, line(f))
				}
			}
		}
	}
	return nil
}

// doing is the systems that can do a work. All works of a group are for the
// same ones.
func doing(all []system, w work) []system {
	var able []system
	for _, s := range all {
		if s.does(w) {
			able = append(able, s)
		}
	}
	return able
}

// rotated begins a list at another place.
func rotated[T any](list []T, by int) []T {
	if len(list) == 0 {
		return nil
	}
	by %= len(list)
	return append(append([]T(nil), list[by:]...), list[:by]...)
}

// measureGroup does works on a cluster that is started for them.
func measureGroup(ctx context.Context, p plan, s system, group []work) []figure {
	c, err := s.start(ctx, p.Dir)
	if err == nil && group[0].op == opRead {
		if err = s.fill(ctx, c); err != nil {
			err = errors.Join(fmt.Errorf("fill: %w", err), c.Close())
		}
	}
	var figures []figure
	for _, w := range group {
		var f figure
		if err == nil {
			f = measure(ctx, s, c, w, p.pace)
		} else {
			f = figure{Error: err.Error()}
		}
		f.Work, f.System, f.Op = w.name, s.name, w.op
		figures = append(figures, f)
	}
	if err == nil {
		if err := c.Close(); err != nil {
			figures[len(figures)-1].Note = err.Error()
		}
	}
	return figures
}

// graceMax is how much longer than planned a measurement may take: readying
// callers, finding the pace, the last answers.
const graceMax = time.Minute

// measure does one work.
func measure(ctx context.Context, s system, c *cluster.Cluster, w work, p pace) figure {
	ctx, cancel := context.WithTimeout(ctx, graceMax+10*(p.warmup+p.duration))
	defer cancel()
	before, err := c.Leader(ctx)
	if err != nil {
		return figure{Error: err.Error()}
	}
	m := &meter{pids: c.PIDs(), dir: before.Dir}
	f, err := s.measure(ctx, c, w, p, m)
	f.Known, f.Cost, f.Disk, f.Others = m.known, m.cost, m.disk, m.others
	if err = errors.Join(err, c.Alive()); err != nil {
		f.Error = err.Error()
		return f
	}
	if after, err := c.Leader(ctx); err != nil || after != before {
		f.Note = "the leader changed meanwhile"
	}
	return f
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/bench/internal/host"
	"github.com/quorate/quorate/bench/internal/report"
)

// results is everything that was measured. Its JSON form is peers.json.
type results struct {
	Machine machine
	Took    string
	Systems []about
	// Without is a line for each system that could not be had.
	Without []string `json:",omitempty"`
	// Syncs is how long a sync takes, one for each round that began; 0 if it
	// cannot be known.
	Syncs   []time.Duration
	Figures []figure
}

// machine is where and how everything was measured.
type machine struct {
	host.Description
	Rounds  int
	Seconds float64
}

func describe(ctx context.Context, p plan) machine {
	return machine{host.Describe(ctx, p.Command), p.rounds, p.pace.duration.Seconds()}
}

// about is how a system was run.
type about struct{ System, Run string }

// probe measures, for the round that begins, what the disk can do at best.
func (r *results) probe(dir string) error {
	took, err := syncTime(dir)
	if errors.Is(err, errNoSync) {
		took, err = 0, nil
	}
	r.Syncs = append(r.Syncs, took)
	return err
}

// rounds is the figures by round.
func (r *results) rounds() []round {
	var all []round
	for i, sync := range r.Syncs {
		one := round{figures: make(map[key]figure), sync: sync}
		for _, f := range r.Figures {
			if f.Round == i+1 {
				one.figures[key{f.Work, f.System}] = f
			}
		}
		all = append(all, one)
	}
	return all
}

// over is a value of every round that has it.
func over(rounds []round, value func(round) (float64, bool)) []float64 {
	var all []float64
	for _, one := range rounds {
		if v, ok := value(one); ok {
			all = append(all, v)
		}
	}
	return all
}

// outcome is the medians of a work on a system.
type outcome struct {
	// rounds is how many of them have a figure that is not void.
	rounds      int
	rate        float64
	least, most float64 // of the rate
	p50, p99    time.Duration
	cpu         float64 // for a million calls
	written     float64 // for one, as are
	disk        float64 // those that reached the disk, below 0 if unknown
	peak        int64
	known       bool // whether cpu, written and peak are
	refused     int64
}

// outcomeOf is false if no round has a figure that is not void.
func outcomeOf(rounds []round, work, system string) (outcome, bool) {
	var figures []figure
	for _, one := range rounds {
		if f, ok := one.figure(work, system); ok {
			figures = append(figures, f)
		}
	}
	if len(figures) == 0 {
		return outcome{}, false
	}
	rates := column(figures, func(f figure) float64 { return f.Rate })
	o := outcome{
		rounds: len(figures), rate: report.Median(rates), least: slices.Min(rates), most: slices.Max(rates),
		p50:     report.Median(column(figures, func(f figure) time.Duration { return f.P50 })),
		p99:     report.Median(column(figures, func(f figure) time.Duration { return f.P99 })),
		cpu:     report.Median(column(figures, figure.cpuPerMillion)),
		written: report.Median(column(figures, figure.writtenPerCall)),
		disk:    report.Median(column(figures, figure.diskPerCall)),
		peak:    report.Median(column(figures, func(f figure) int64 { return f.Cost.Peak })),
		known:   !slices.ContainsFunc(figures, func(f figure) bool { return !f.Known }),
	}
	for _, f := range figures {
		o.refused += f.Refused
	}
	return o, true
}

func column[T any](figures []figure, value func(figure) T) []T {
	var all []T
	for _, f := range figures {
		all = append(all, value(f))
	}
	return all
}

// measured is the works that have figures, in their order.
func (r *results) measured() []work {
	return slices.DeleteFunc(works(), func(w work) bool {
		return !slices.ContainsFunc(r.Figures, func(f figure) bool { return f.Work == w.name })
	})
}

// notes is what one should know about single figures.
func (r *results) notes() []string {
	var all []string
	figures := slices.Clone(r.Figures)
	slices.SortStableFunc(figures, func(a, b figure) int { return cmp.Compare(a.Round, b.Round) })
	for _, f := range figures {
		what := fmt.Sprintf("round %d, %s, %s: ", f.Round, f.Work, f.System)
		if f.Error != "" {
			all = append(all, what+"void: "+f.Error)
		}
		if f.Note != "" {
			all = append(all, what+f.Note)
		}
	}
	return all
}

// write prints the report, and makes the files of it in a folder.
func write(r *results, folder string) error {
	page := markdown(r)
	fmt.Print(page)
	raw, err := report.JSON(r)
	if err != nil {
		return err
	}
	files := map[string][]byte{"peers.md": []byte(page), "peers.json": raw}
	for name, form := range chartForms {
		if files[name], err = chart(r, form); err != nil {
			return fmt.Errorf("draw %s: %w", name, err)
		}
	}
	return report.Save(folder, files)
}

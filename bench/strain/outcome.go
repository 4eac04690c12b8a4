package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/bench/internal/host"
	"github.com/quorate/quorate/bench/internal/report"
)

// results is everything that was measured. Its JSON form is strain.json.
type results struct {
	Machine  host.Description
	Binary   string
	Took     string
	Outcomes []outcome
}

// outcome is what came of a scenario.
type outcome struct {
	Name, How, Took string
	Figures         []figure
	Notes           []string `json:",omitempty"`
	// Error is why the scenario did not come to its end, or empty.
	Error string `json:",omitempty"`
}

// figure is one thing that was measured, once in every round.
type figure struct {
	What   string
	Values []float64
	Unit   string `json:",omitempty"`
	Target *bound `json:",omitempty"`
}

// bound is what the median of a figure should be: at least or at most.
type bound struct {
	Least bool
	Value float64
}

func atLeast(v float64) *bound { return &bound{true, v} }
func atMost(v float64) *bound  { return &bound{false, v} }

// met says whether a value is within the bound.
func (b *bound) met(v float64) bool {
	if b.Least {
		return v >= b.Value
	}
	return v <= b.Value
}

// show adds a figure without a target.
func (o *outcome) show(what, unit string, values ...float64) {
	o.judge(what, unit, nil, values...)
}

// judge adds a figure and what it should be. Without values there is none.
func (o *outcome) judge(what, unit string, target *bound, values ...float64) {
	if len(values) > 0 {
		o.Figures = append(o.Figures, figure{what, values, unit, target})
	}
}

// ratios is how many times as much the first is as the second, by round.
func ratios(first, second []float64) []float64 {
	var all []float64
	for i := range min(len(first), len(second)) {
		if second[i] > 0 {
			all = append(all, first[i]/second[i])
		}
	}
	return all
}

// row is a figure in the table of the report.
func (f figure) row() []string {
	middle := report.Median(f.Values)
	row := []string{f.What, shown(middle, f.Unit), report.Dash, report.Dash, report.Dash}
	if len(f.Values) > 1 {
		row[2] = report.Three(slices.Min(f.Values)) + " to " + report.Three(slices.Max(f.Values))
	}
	if f.Target == nil {
		return row
	}
	row[3], row[4] = "at most ", "**no**"
	if f.Target.Least {
		row[3] = "at least "
	}
	row[3] += shown(f.Target.Value, f.Unit)
	if f.Target.met(middle) {
		row[4] = "yes"
	}
	return row
}

func shown(v float64, unit string) string {
	return strings.TrimSpace(report.Three(v) + " " + unit)
}

// markdown is the report.
func (r *results) markdown() string {
	var b strings.Builder
	m := r.Machine
	fmt.Fprint(&b, "# The limits of Quorate\n\n")
	fmt.Fprintf(&b, "`%s`, commit %s, %s, %s\n\n", m.Command, m.Commit, m.Date, r.Took)
	fmt.Fprintf(&b, "%d cores of %s, %s of memory, %s, %s; the load runs on the same machine.\n", m.Cores, m.CPU, m.Memory, m.Kernel, m.Go)
	fmt.Fprint(&b, "Three nodes, every write synced before it is answered. Medians over the rounds.\n")
	for _, o := range r.Outcomes {
		o.markdown(&b)
	}
	return b.String()
}

func (o outcome) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n%s (%s)\n\n", o.Name, o.How, o.Took)
	if o.Error != "" {
		fmt.Fprintf(b, "**It did not come to its end:** %s\n\n", oneLine(o.Error))
	}
	rows := [][]string{{"figure", "measured", "least and most", "target", "met"}}
	for _, f := range o.Figures {
		rows = append(rows, f.row())
	}
	if len(rows) > 1 {
		report.Table(b, rows)
	}
	if len(o.Notes) > 0 {
		fmt.Fprintln(b)
	}
	for _, note := range o.Notes {
		fmt.Fprintf(b, "- %s\n", oneLine(note))
	}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// write prints the report, and makes the files of it in a folder.
func (r *results) write(folder string) error {
	page := r.markdown()
	fmt.Print(page)
	raw, err := report.JSON(r)
	if err != nil {
		return err
	}
	return report.Save(folder, map[string][]byte{"strain.md": []byte(page), "strain.json": raw})
}

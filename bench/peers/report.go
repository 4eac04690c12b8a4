package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/bench/internal/report"
)

// markdown is the report.
func markdown(r *results) string {
	var b strings.Builder
	rounds := r.rounds()
	head(&b, r)
	throughput(&b, r, rounds)
	reached(&b, r, rounds)
	costs(&b, r, rounds)
	how(&b, r)
	return b.String()
}

func head(b *strings.Builder, r *results) {
	m := r.Machine
	fmt.Fprint(b, "# Quorate beside its peers\n\n")
	fmt.Fprintf(b, "`%s`, commit %s, %s, %s\n\n", m.Command, m.Commit, m.Date, r.Took)
	fmt.Fprintf(b, "%d cores of %s, %s of memory, %s, %s; the load runs on the same machine.\n", m.Cores, m.CPU, m.Memory, m.Kernel, m.Go)
	fmt.Fprintf(b, "Three nodes unless said otherwise, every write synced before it is answered, 100,000 keys, values of 8 bytes, %g s each.\n", m.Seconds)
	fmt.Fprintf(b, "The disk's own limit: %s for a write and fdatasync of 4 KiB into a file that has its space.\n", syncs(r.Syncs))
	fmt.Fprintf(b, "What else ran took %s.\n", others(r.Figures))
	fmt.Fprintf(b, "Medians of %s; in brackets the least and the most of them.\n", roundsOf(len(r.Syncs)))
}

// roundsOf is so many rounds, in words.
func roundsOf(n int) string {
	if n == 1 {
		return "one round"
	}
	return fmt.Sprintf("%d rounds", n)
}

// syncs is the median of how long a sync takes, and the least and the most.
func syncs(all []time.Duration) string {
	if slices.Contains(all, 0) {
		return "unknown"
	}
	return fmt.Sprintf("%s ms (%s to %s)", report.Millis(report.Median(all)), report.Millis(slices.Min(all)), report.Millis(slices.Max(all)))
}

// othersMax is how much of a core others may take before a run tells little:
// with two cores, a tenth of the machine.
const othersMax = 0.2

// others is what processes took that have nothing to do with a run, in words.
func others(figures []figure) string {
	cores := column(figures, func(f figure) float64 { return f.Others })
	if slices.Min(cores) < 0 {
		return "what cannot be known here"
	}
	text := fmt.Sprintf("%.2f cores (%.2f to %.2f)", report.Median(cores), slices.Min(cores), slices.Max(cores))
	if report.Median(cores) > othersMax {
		text += ": **the machine was not free, and these figures tell little**"
	}
	return text
}

// columns is the systems of the table of throughput. Quorate has one column by
// whichever door: a work says which it is.
var columns = []string{quorate, etcd, dragonboat, redis}

// inColumn finds a work in a column of the table.
func inColumn(rounds []round, work, column string) (outcome, bool) {
	o, ok := outcomeOf(rounds, work, column)
	if !ok && column == quorate {
		return outcomeOf(rounds, work, quorateInProcess)
	}
	return o, ok
}

func throughput(b *strings.Builder, r *results, rounds []round) {
	fmt.Fprint(b, "\n## Calls a second, and p50 / p99 in ms\n\n")
	header := []string{"work and callers"}
	for _, name := range columns {
		if name == redis {
			name += ", not replicated"
		}
		header = append(header, name)
	}
	rows := [][]string{append(header, "Quorate : etcd", ": dragonboat", ": redis-server")}
	for _, w := range r.measured() {
		row := []string{w.name}
		for _, name := range columns {
			row = append(row, cell(inColumn(rounds, w.name, name)))
		}
		for _, peer := range columns[1:] {
			row = append(row, ratioCell(rounds, w.name, peer))
		}
		rows = append(rows, row)
	}
	report.Table(b, rows)
	fmt.Fprint(b, "\nA pipeline's latency is that of all its calls. Of generators on three nodes at once it is the slowest one's. ",
		"The ratios are medians of those of each round; etcd has no pipelines and no plain HTTP, and is compared there by its best write, and by that of as many callers.\n")
}

func cell(o outcome, ok bool) string {
	if !ok {
		return report.Dash
	}
	text := fmt.Sprintf("**%s** (%s to %s) %s / %s", report.Count(o.rate), report.Count(o.least), report.Count(o.most), report.Millis(o.p50), report.Millis(o.p99))
	if o.refused > 0 {
		text += fmt.Sprintf("; refused %s", report.Count(float64(o.refused)))
	}
	return text
}

func ratioCell(rounds []round, work, peer string) string {
	ratios := over(rounds, func(one round) (float64, bool) { return one.ratio(work, peer) })
	if len(ratios) == 0 {
		return report.Dash
	}
	return report.Three(report.Median(ratios)) + " ×"
}

func reached(b *strings.Builder, r *results, rounds []round) {
	rows := [][]string{{"work", "target", "measured", "least and most", "met"}}
	for _, t := range targets() {
		values := over(rounds, t.value)
		if len(values) == 0 {
			continue
		}
		met := "**no**"
		if t.met(report.Median(values)) {
			met = "yes"
		}
		spread := fmt.Sprintf("%s to %s", report.Three(slices.Min(values)), report.Three(slices.Max(values)))
		rows = append(rows, []string{t.work, t.text, report.Three(report.Median(values)) + strings.TrimRight(" "+t.unit, " "), spread, met})
	}
	if len(rows) == 1 {
		return
	}
	fmt.Fprint(b, "\n## Targets\n\n")
	report.Table(b, rows)
}

func costs(b *strings.Builder, r *results, rounds []round) {
	fmt.Fprint(b, "\n## What it costs\n\nCPU seconds of all server processes for a million calls; the most memory that one of them had, in MiB; ",
		"bytes that the machine gave its disk for one call; and in brackets the bytes that the kernel counted as written for one call by all server processes, ",
		"which is more where pages lie in memory in large pieces: a few bytes count as the whole piece.\n\n")
	rows := [][]string{append([]string{"work and callers"}, columns...)}
	for _, w := range r.measured() {
		row := []string{w.name}
		for _, name := range columns {
			row = append(row, costCell(inColumn(rounds, w.name, name)))
		}
		rows = append(rows, row)
	}
	report.Table(b, rows)
	fmt.Fprint(b, "\nIn process the callers are in a server process, and are counted with it.\n")
}

func costCell(o outcome, ok bool) string {
	if !ok || !o.known {
		return report.Dash
	}
	disk := report.Dash
	if o.disk >= 0 {
		disk = report.Count(o.disk)
	}
	return fmt.Sprintf("%s s, %s MiB, %s B (%s)", report.Three(o.cpu), report.Count(float64(o.peak)/(1<<20)), disk, report.Count(o.written))
}

func how(b *strings.Builder, r *results) {
	fmt.Fprint(b, "\n## How each was run\n\n")
	for _, s := range r.Systems {
		fmt.Fprintf(b, "- %s: %s.\n", s.System, s.Run)
	}
	for _, line := range r.Without {
		fmt.Fprintf(b, "- %s.\n", line)
	}
	if notes := r.notes(); len(notes) > 0 {
		fmt.Fprint(b, "\n## Notes\n\n")
		for _, note := range notes {
			fmt.Fprintf(b, "- %s\n", strings.ReplaceAll(strings.TrimSpace(note), "\n", " "))
		}
	}
}

// line is what is said of a figure when it has been measured.
func line(f figure) string {
	text := fmt.Sprintf("round %d  %-28s %-18s ", f.Round, f.Work, f.System)
	if f.Error != "" {
		return text + "void: " + f.Error
	}
	text += fmt.Sprintf("%9s/s  p50 %s ms  p99 %s ms", report.Count(f.Rate), report.Millis(f.P50), report.Millis(f.P99))
	if f.Refused > 0 {
		text += fmt.Sprintf("  refused %d", f.Refused)
	}
	return text
}

package main

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/go-analyze/charts"

	"github.com/quorate/quorate/bench/internal/report"
)

// The chart has a panel for each group of works, in two columns. A panel has a
// bar for each work on each system, on one logarithmic scale for all panels, so
// that a bar which ends one line further is ten times as much.
const (
	chartWidth  = 1200
	chartTop    = 84 // title and legend
	chartBottom = 16
	columnWidth = chartWidth / 2
	nameWidth   = 200 // of the names of works, left of the bars
	labelWidth  = 74  // of the figures, right of the longest bar
	barHeight   = 13
	barGap      = 2
	workGap     = 9
	panelTop    = 30 // the name of the group
	panelBottom = 30 // the names of the lines
)

// chartForms is the files that show the chart.
var chartForms = map[string]string{"peers.svg": charts.ChartOutputSVG, "peers.png": charts.ChartOutputPNG}

// pngScale is how many pixels of the picture are one of the chart: with 2 it is
// sharp on screens whose pixels are small.
const pngScale = 2

// The background is opaque: the same picture is on light pages and dark ones.
var (
	paper = charts.ColorFromHex("#ffffff")
	ink   = charts.ColorFromHex("#1f2937")
	faint = charts.ColorFromHex("#6b7280")
	rule  = charts.ColorFromHex("#e5e7eb")
)

// shade is the colour of a system.
func shade(name string) charts.Color {
	return charts.ColorFromHex(map[string]string{
		quorate: "#1d4ed8", quorateInProcess: "#1d4ed8", etcd: "#f59e0b", dragonboat: "#0d9488", redis: "#9ca3af",
	}[name])
}

// bar is one work on one system.
type bar struct {
	system string
	rate   float64
}

// row is the bars of a work, panel those of a group.
type row struct {
	name string
	bars []bar
}

type panel struct {
	name string
	rows []row
}

func (p panel) height() int {
	h := panelTop + panelBottom
	for _, r := range p.rows {
		h += len(r.bars)*(barHeight+barGap) + workGap
	}
	return h
}

// panels is what there is to draw.
func panels(r *results) []panel {
	var all []panel
	rounds := r.rounds()
	for _, group := range groups(r.measured()) {
		one := panel{name: group[0].group}
		for _, w := range group {
			var bars []bar
			for _, name := range columns {
				if o, ok := inColumn(rounds, w.name, name); ok {
					bars = append(bars, bar{name, o.rate})
				}
			}
			if len(bars) > 0 {
				one.rows = append(one.rows, row{w.name, bars})
			}
		}
		if len(one.rows) > 0 {
			all = append(all, one)
		}
	}
	return all
}

// chart draws the throughputs.
func chart(r *results, form string) ([]byte, error) {
	all := panels(r)
	if len(all) == 0 {
		return nil, errors.New("there is nothing to draw")
	}
	left, right := split(all)
	height := chartTop + max(heightOf(left), heightOf(right)) + chartBottom
	c := newCanvas(form, height)
	c.box(0, 0, chartWidth, height, paper)
	c.text("Calls a second", 24, 34, 17, ink)
	c.text(fmt.Sprintf("medians of %s on %d cores; three nodes, every write synced before its answer; logarithmic scale", roundsOf(len(r.Syncs)), r.Machine.Cores), 180, 34, 10, faint)
	c.legend(all)
	scale := scaleOf(all)
	for i, column := range [][]panel{left, right} {
		y := chartTop
		for _, p := range column {
			c.panel(p, i*columnWidth, y, scale)
			y += p.height()
		}
	}
	return c.painter.Bytes()
}

func heightOf(all []panel) (sum int) {
	for _, p := range all {
		sum += p.height()
	}
	return sum
}

// split parts panels, in their order, into two columns of about one height.
func split(all []panel) (left, right []panel) {
	best := 0
	for i := range all {
		tallest := func(n int) int { return max(heightOf(all[:n]), heightOf(all[n:])) }
		if tallest(i+1) < tallest(best) {
			best = i + 1
		}
	}
	return all[:best], all[best:]
}

// scale is powers of ten: from the one below the least figure to the one above
// the most.
type scale struct{ from, to float64 }

func scaleOf(all []panel) scale {
	s := scale{math.Inf(1), math.Inf(-1)}
	for _, p := range all {
		for _, r := range p.rows {
			for _, b := range r.bars {
				s.from, s.to = min(s.from, math.Log10(b.rate)), max(s.to, math.Log10(b.rate))
			}
		}
	}
	s.from, s.to = math.Floor(s.from), math.Ceil(s.to)
	s.to = max(s.to, s.from+1)
	return s
}

// at is how many pixels right of the names a figure is.
func (s scale) at(rate float64) int {
	share := (math.Log10(rate) - s.from) / (s.to - s.from)
	return int(share * (columnWidth - nameWidth - labelWidth))
}

// canvas draws with the coordinates of the chart.
type canvas struct {
	painter *charts.Painter
	scale   int
}

func newCanvas(form string, height int) canvas {
	c := canvas{scale: 1}
	if form == charts.ChartOutputPNG {
		c.scale = pngScale
	}
	c.painter = charts.NewPainter(charts.PainterOptions{
		OutputFormat: form, Width: chartWidth * c.scale, Height: height * c.scale,
	})
	return c
}

func (c canvas) box(x1, y1, x2, y2 int, fill charts.Color) {
	c.painter.FilledRect(x1*c.scale, y1*c.scale, x2*c.scale, y2*c.scale, fill, fill, 0)
}

func (c canvas) style(size float64, color charts.Color) charts.FontStyle {
	return charts.FontStyle{FontSize: size * float64(c.scale), FontColor: color}
}

func (c canvas) text(body string, x, y int, size float64, color charts.Color) {
	c.painter.Text(body, x*c.scale, y*c.scale, 0, c.style(size, color))
}

// width is that of a text in the chart.
func (c canvas) width(body string, size float64) int {
	return c.painter.MeasureText(body, 0, c.style(size, ink)).Width() / c.scale
}

// legend names the colours that are used.
func (c canvas) legend(all []panel) {
	x := 24
	for _, name := range columns {
		used := slices.ContainsFunc(all, func(p panel) bool {
			return slices.ContainsFunc(p.rows, func(r row) bool {
				return slices.ContainsFunc(r.bars, func(b bar) bool { return b.system == name })
			})
		})
		if !used {
			continue
		}
		label := name
		if name == redis {
			label += " (one process, replicates nothing)"
		}
		c.box(x, 52, x+14, 66, shade(name))
		c.text(label, x+20, 64, 10, ink)
		x += 20 + c.width(label, 10) + 28
	}
}

// panel draws one at a place.
func (c canvas) panel(p panel, x, y int, s scale) {
	const nameSize, lineSize, labelSize = 12, 8, 9
	c.text(p.name, x+24, y+18, nameSize, ink)
	left, bottom := x+nameWidth, y+p.height()-panelBottom
	for power := s.from; power <= s.to; power++ {
		at := left + s.at(math.Pow(10, power))
		c.box(at, y+panelTop-6, at+1, bottom, rule)
		label := report.Count(math.Pow(10, power))
		c.text(label, at-c.width(label, lineSize)/2, bottom+13, lineSize, faint)
	}
	y += panelTop
	for _, r := range p.rows {
		middle := y + len(r.bars)*(barHeight+barGap)/2
		c.text(r.name, left-8-c.width(r.name, labelSize), middle+4, labelSize, ink)
		for _, b := range r.bars {
			end := left + max(2, s.at(b.rate))
			c.box(left, y, end, y+barHeight, shade(b.system))
			c.text(report.Count(b.rate), end+5, y+barHeight-2, labelSize, ink)
			y += barHeight + barGap
		}
		y += workGap
	}
}

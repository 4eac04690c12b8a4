package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/load"
)

// progress is the line on a terminal that says how a run goes.
type progress struct {
	out   io.Writer
	shown int // how wide it is
}

// show replaces the line.
func (p *progress) show(s load.Sample) {
	left := s.Left.Round(time.Second)
	if s.Warming {
		p.write(fmt.Sprintf("warming up, %v left", left))
		return
	}
	p.write(fmt.Sprintf("%s/s  p99 %s  errors %d  %v left", grouped(int64(s.Rate)), milliseconds3(s.P99), s.Failed, left))
}

// clear takes the line away.
func (p *progress) clear() {
	p.write("")
	io.WriteString(p.out, "\r")
}

func (p *progress) write(line string) {
	padding := strings.Repeat(" ", max(p.shown-len(line), 0))
	io.WriteString(p.out, "\r"+line+padding)
	p.shown = len(line)
}

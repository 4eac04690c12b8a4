package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/load"
)

// The forms of output that only bench has.
const (
	outputCSV  = "csv"
	outputHGRM = "hgrm"
)

// codeMissed is the code of an objective that was missed.
const codeMissed quorate.Code = "slo_missed"

// benchReport is what a run came to, as JSON has it. Latencies are in
// milliseconds.
type benchReport struct {
	Proto      string   `json:"proto"`
	Addrs      []string `json:"addrs"`
	Missing    []string `json:"missing,omitempty"`
	Mix        string   `json:"mix"`
	Clients    uint64   `json:"clients"`
	Pipeline   uint64   `json:"pipeline"`
	KeySpace   uint64   `json:"key_space"`
	ValueBytes uint64   `json:"value_bytes,omitempty"`
	Stale      string   `json:"stale,omitempty"`
	Seed       uint64   `json:"seed"`

	// Loop is open or closed, and RateAsked the rate of an open one.
	Loop      string  `json:"loop"`
	RateAsked uint64  `json:"rate_asked,omitempty"`
	Warmup    float64 `json:"warmup_seconds"`
	Elapsed   float64 `json:"elapsed_seconds"`

	Answered int64   `json:"answered"`
	Rate     float64 `json:"rate"`
	// Failed is the calls that failed, by their outcome.
	Failed map[string]benchFailures `json:"failed"`
	// Waiting had no answer at the end, and of these Backlog had not begun.
	Waiting     int64              `json:"waiting"`
	Backlog     int64              `json:"backlog"`
	Latency     map[string]float64 `json:"latency_ms"`
	Interrupted bool               `json:"interrupted,omitempty"`
	SLO         []verdict          `json:"slo,omitempty"`

	result *load.Result
	stays  bool // keys do
	called bool // the mix is calls as they were typed
	varied bool // there are numbers in them
}

// benchFailures is the calls that failed with one outcome.
type benchFailures struct {
	Calls int64  `json:"calls"`
	First string `json:"first,omitempty"`
}

// latencyNames is the latencies that are reported, in their order.
var latencyNames = [...]string{"mean", "p50", "p90", "p99", "p99.9", "max"}

// latencies are those of latencyNames.
func latencies(r *load.Result) [len(latencyNames)]time.Duration {
	return [...]time.Duration{r.Mean(), r.Percentile(50), r.Percentile(90), r.Percentile(99), r.Percentile(99.9), r.Max()}
}

func newReport(b *bench, r *load.Result) *benchReport {
	report := &benchReport{
		Proto: b.proto.value, Addrs: b.reached, Missing: b.missing, Mix: b.mix.String(), Clients: b.clients, Pipeline: b.pipeline,
		KeySpace: b.keySpace, ValueBytes: b.valueSize, Stale: b.nodes.stale.String(), Seed: b.seed,
		Loop: "closed", RateAsked: b.rate, Warmup: b.warmup.Seconds(), Elapsed: r.Elapsed.Seconds(),
		Answered: r.Answered, Rate: float64(int64(r.Rate()*100)) / 100, Waiting: r.Waiting, Backlog: r.Backlog,
		Failed: make(map[string]benchFailures), Latency: make(map[string]float64), Interrupted: r.Interrupted,
		result: r,
		stays:  !b.clean && !b.calling() && slices.ContainsFunc(b.mix, func(s share) bool { return s.task.writes() }),
		called: b.calling(),
		varied: slices.ContainsFunc(b.mix, func(s share) bool { return s.task.varied() }),
	}
	if b.calling() {
		report.ValueBytes = 0
	}
	if b.rate > 0 {
		report.Loop = "open"
	}
	for i, f := range r.Failed {
		failures := benchFailures{Calls: f.Calls}
		if f.First != nil {
			failures.First = f.First.Error()
		}
		report.Failed[load.Outcome(i).String()] = failures
	}
	if r.Measured() {
		for i, d := range latencies(r) {
			report.Latency[latencyNames[i]] = inMilliseconds(d)
		}
	}
	for _, o := range b.slo {
		report.SLO = append(report.SLO, o.judge(r))
	}
	return report
}

// missed is the failure of a run that was not good enough, nil if it was.
func (r *benchReport) missed() error {
	var missed []string
	for _, v := range r.SLO {
		if !v.Met {
			missed = append(missed, v.Objective+" ("+v.shown()+")")
		}
	}
	if len(missed) == 0 {
		return nil
	}
	f := failed("missed: %s", strings.Join(missed, ", "))
	f.Code, f.exit = codeMissed, exitMissed
	return f
}

// shown is what was measured, as a person reads it.
func (v verdict) shown() string {
	if v.Measured == "" {
		return "not measured"
	}
	return "it was " + v.Measured
}

// noAnswer is the failure of a run in which this error was the first.
func noAnswer(err error) *failure {
	if e, ok := errors.AsType[*quorate.Error](err); ok {
		f := refused(e, true)
		f.Message = "no call was answered, the first with: " + f.Message
		return f
	}
	return failed("no call was answered, the first with: %v", err)
}

// print writes the report in one of its forms. A distribution has no room for
// what else is to be said, so that goes to the log.
func (r *benchReport) print(out, log io.Writer, form string) (err error) {
	switch form {
	case outputJSON:
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false) // p99<10ms is to read as it was typed
		err = encoder.Encode(r)
	case outputCSV:
		_, err = io.WriteString(out, r.row(true).RenderCSV()+"\n")
	case outputHGRM:
		for _, line := range r.notes() {
			fmt.Fprintf(log, "%s: %s\n", line[0], line[1])
		}
		err = r.result.WriteDistribution(out)
	default:
		_, err = io.WriteString(out, r.summary()+"\n\n"+r.row(false).RenderMarkdown()+"\n")
	}
	return err
}

// summary is the report as a person reads it.
func (r *benchReport) summary() string {
	lines := [][2]string{
		{"work", r.work()},
		{"nodes", strings.Join(r.Addrs, ", ")},
		{"loop", r.loop()},
		{"answered", fmt.Sprintf("%s in %.2f s: %s/s", grouped(r.Answered), r.Elapsed, grouped(int64(r.Rate+0.5)))},
	}
	if r.result.Measured() {
		for i, d := range latencies(r.result) {
			lines = append(lines, [2]string{latencyNames[i], milliseconds3(d)})
		}
	}
	lines = append(lines, r.notes()...)
	for _, v := range r.SLO {
		verdict := "met"
		if !v.Met {
			verdict = "missed"
		}
		lines = append(lines, [2]string{"slo", fmt.Sprintf("%s %s: %s", v.Objective, verdict, v.shown())})
	}
	if r.stays {
		lines = append(lines, [2]string{"keys", "those that begin with " + keyPrefix + " stay: --clean removes them"})
	}
	list := table.NewWriter()
	list.SetStyle(table.StyleDefault)
	list.Style().Options = table.OptionsNoBordersAndSeparators
	list.Style().Box.PaddingLeft = ""
	list.SuppressTrailingSpaces()
	for _, line := range lines {
		list.AppendRow(table.Row{line[0], line[1]})
	}
	return list.Render()
}

func (r *benchReport) work() string {
	text := fmt.Sprintf("%s over %s, %s clients", r.Mix, r.Proto, grouped(int64(r.Clients)))
	if r.Pipeline > 1 {
		text += fmt.Sprintf(", %d calls at once", r.Pipeline)
	}
	queries := "get"
	switch {
	case !r.called:
		text += fmt.Sprintf(", values of %d bytes under %s keys, seed %d", r.ValueBytes, grouped(int64(r.KeySpace)), r.Seed)
	case r.varied:
		text += fmt.Sprintf(", %s below %s, seed %d", placeholder, grouped(int64(r.KeySpace)), r.Seed)
	}
	if r.called {
		queries = "queries"
	}
	if r.Stale != "" {
		text += ", " + queries + " may be " + r.Stale + " old"
	}
	return text
}

func (r *benchReport) loop() string {
	if r.RateAsked > 0 {
		return fmt.Sprintf("open loop: %s/s asked for, latency is from the moment a call was meant to begin", grouped(int64(r.RateAsked)))
	}
	return "closed loop: latency is from the moment a caller was free"
}

// notes is what went wrong.
func (r *benchReport) notes() (lines [][2]string) {
	for i := range r.result.Failed {
		name := load.Outcome(i).String()
		if f := r.Failed[name]; f.Calls > 0 {
			first := strings.ReplaceAll(f.First, "\n", "; ")
			lines = append(lines, [2]string{"failed", fmt.Sprintf("%s %s, the first with: %.200s", grouped(f.Calls), name, first)})
		}
	}
	if r.Backlog > 0 {
		lines = append(lines, [2]string{"backlog", fmt.Sprintf("could not keep the rate: %s calls were still waiting", grouped(r.Backlog))})
	}
	if begun := r.Waiting - r.Backlog; begun > 0 {
		lines = append(lines, [2]string{"waiting", fmt.Sprintf("%s calls had no answer when the run ended", grouped(begun))})
	}
	if r.Waiting > 0 {
		lines = append(lines, [2]string{"latencies", "hold what has no answer with the time it has waited"})
	}
	if len(r.Missing) > 0 {
		lines = append(lines, [2]string{"missing", "nothing answers at " + strings.Join(r.Missing, ", ")})
	}
	if r.Interrupted {
		lines = append(lines, [2]string{"interrupted", fmt.Sprintf("after %.2f s", r.Elapsed)})
	}
	return lines
}

// row is the report as one row under its head, which is Markdown or CSV.
func (r *benchReport) row(plain bool) table.Writer {
	number := grouped
	span := milliseconds3
	unit := ""
	if plain {
		number = func(n int64) string { return strconv.FormatInt(n, 10) }
		span = func(d time.Duration) string { return strconv.FormatFloat(inMilliseconds(d), 'f', 3, 64) }
		unit = "_ms"
	}
	asked := "max"
	if r.RateAsked > 0 {
		asked = number(int64(r.RateAsked))
	}
	head := table.Row{"proto", "mix", "clients", "pipeline", "asked/s", "answered/s"}
	cells := table.Row{r.Proto, r.Mix, number(int64(r.Clients)), number(int64(r.Pipeline)), asked, number(int64(r.Rate + 0.5))}
	for i, d := range latencies(r.result) {
		head = append(head, latencyNames[i]+unit)
		text := span(d)
		if !r.result.Measured() {
			text = ""
		}
		cells = append(cells, text)
	}
	w := table.NewWriter()
	w.AppendHeader(append(head, "failed", "waiting"))
	w.AppendRow(append(cells, number(r.result.Failures()), number(r.Waiting)))
	return w
}

func inMilliseconds(d time.Duration) float64 {
	return float64(d.Microseconds()) / 1000
}

// milliseconds3 is a time in milliseconds, with the microseconds that a
// histogram of three digits knows.
func milliseconds3(d time.Duration) string {
	digits := 3
	for limit := time.Millisecond; digits > 0 && d >= limit; limit *= 10 {
		digits--
	}
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', digits, 64) + " ms"
}

// grouped is a number with a comma before each three digits.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for at := len(digits) - 3; at > 0 && digits[at-1] != '-'; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

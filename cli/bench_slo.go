package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/load"
)

// objective is one thing that must hold: a metric, and its bound.
type objective struct {
	metric  string
	percent float64 // of a percentile
	least   bool    // the bound is the least, and not the most
	equal   bool    // the bound itself is good
	bound   float64 // in nanoseconds, percent, or calls a second
}

// The metrics beside percentiles.
const (
	metricMean   = "mean"
	metricMax    = "max"
	metricErrors = "errors"
	metricRate   = "rate"
)

// errObjective says how an objective is written.
var errObjective = errors.New("write it as p50, p99.9, mean or max with a duration, as in p99<10ms; as errors<0.1%; or as rate>10000")

func parseObjectives(words []string) (all []objective, err error) {
	for _, word := range words {
		one, ok := parseObjective(strings.ReplaceAll(word, " ", ""))
		if !ok {
			return nil, fmt.Errorf("%.40q: %w", word, errObjective)
		}
		all = append(all, one)
	}
	return all, nil
}

func parseObjective(text string) (o objective, ok bool) {
	at := strings.IndexAny(text, "<>")
	if at < 0 {
		return o, false
	}
	o.metric, o.least = text[:at], text[at] == '>'
	bound, equal := strings.CutPrefix(text[at+1:], "=")
	o.equal = equal
	if o.least != (o.metric == metricRate) {
		return o, false
	}
	var err error
	switch percent, isPercentile := strings.CutPrefix(o.metric, "p"); {
	case o.metric == metricRate:
		o.bound, err = parseNumber(bound)
	case o.metric == metricErrors:
		share, whole := strings.CutSuffix(bound, "%")
		if !whole {
			return o, false
		}
		o.bound, err = parseNumber(share)
	case isPercentile:
		if o.percent, err = parseNumber(percent); err != nil || o.percent <= 0 || o.percent > 100 {
			return o, false
		}
		o.bound, err = parseBound(bound)
	case o.metric == metricMean || o.metric == metricMax:
		o.bound, err = parseBound(bound)
	default:
		return o, false
	}
	return o, err == nil
}

func parseBound(text string) (float64, error) {
	d, err := parseSpan(text)
	return float64(d), err
}

// parseNumber reads a number in decimal digits, from 0 on.
func parseNumber(text string) (float64, error) {
	if strings.Trim(text, "0123456789.") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(text, 64)
}

// String is the objective as it can be typed.
func (o objective) String() string {
	sign := "<"
	if o.least {
		sign = ">"
	}
	if o.equal {
		sign += "="
	}
	return o.metric + sign + o.show(o.bound)
}

// show is a bound as a person writes it.
func (o objective) show(bound float64) string {
	number := strconv.FormatFloat(bound, 'f', -1, 64)
	switch o.metric {
	case metricRate:
		return number
	case metricErrors:
		return number + "%"
	}
	return time.Duration(bound).String()
}

// verdict is what became of an objective.
type verdict struct {
	Objective string `json:"objective"`
	// Measured is empty where there is nothing that could be measured.
	Measured string `json:"measured,omitempty"`
	Met      bool   `json:"met"`
}

// judge compares an objective with what was measured. Without an answer
// nothing is known of latencies, and that is not good.
func (o objective) judge(r *load.Result) verdict {
	value, known := o.measure(r)
	v := verdict{Objective: o.String()}
	if !known {
		return v
	}
	switch o.metric {
	case metricRate:
		v.Measured = fmt.Sprintf("%.1f", value)
	case metricErrors:
		v.Measured = fmt.Sprintf("%.3g%%", value)
	default:
		v.Measured = milliseconds3(time.Duration(value))
	}
	v.Met = o.least && value > o.bound || !o.least && value < o.bound || o.equal && value == o.bound
	return v
}

func (o objective) measure(r *load.Result) (value float64, known bool) {
	switch o.metric {
	case metricRate:
		return r.Rate(), true
	case metricErrors:
		return errorPercent(r), r.Answered+r.Failures() > 0
	case metricMean:
		return float64(r.Mean()), r.Measured()
	case metricMax:
		return float64(r.Max()), r.Measured()
	}
	return float64(r.Percentile(o.percent)), r.Measured()
}

// errorPercent is how many of the calls that came to an end failed.
func errorPercent(r *load.Result) float64 {
	failures := r.Failures()
	if failures == 0 {
		return 0
	}
	return 100 * float64(failures) / float64(r.Answered+failures)
}

package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/bench/internal/report"
)

func TestNumbersAreReadable(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.5: "0.500", 1.234: "1.23", 12.34: "12.3", 123.4: "123", 1234567: "1,234,567"} {
		if got := report.Three(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
	if got := report.Count(-123456); got != "-123,456" {
		t.Errorf("-123456 is written %s", got)
	}
	if got := report.Millis(1500 * time.Microsecond); got != "1.50" {
		t.Errorf("1.5 ms is written %s", got)
	}
}

func TestMedianIsTheMiddle(t *testing.T) {
	if got := report.Median([]float64{9, 1, 5}); got != 5 {
		t.Errorf("the median of 9, 1, 5 is %v", got)
	}
	if got := report.Median([]time.Duration{4, 1, 2, 9}); got != 3 {
		t.Errorf("the median of 4, 1, 2, 9 is %v", got)
	}
}

func TestTableHasALineUnderItsHeader(t *testing.T) {
	var b strings.Builder
	report.Table(&b, [][]string{{"a", "b"}, {"1", "2"}})
	if want := "| a | b |\n|---|---:|\n| 1 | 2 |\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

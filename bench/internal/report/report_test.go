package report_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/bench/internal/report"
)

func TestNumbersAreReadable(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.0876: "0.088", 0.5: "0.500", 1.234: "1.23", 12.34: "12.3", 123.4: "123", 999.6: "1,000", 1234567: "1,234,567"} {
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
	if got := report.Median([]float64{7}); got != 7 {
		t.Errorf("the median of 7 is %v", got)
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

func TestFilesGoIntoAFolderThatWasNotThere(t *testing.T) {
	raw, err := report.JSON(map[string]int{"Calls": 7})
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "a", "b")
	if err := report.Save(folder, map[string][]byte{"x.json": raw, "x.md": []byte("page")}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"x.json": "{\n \"Calls\": 7\n}\n", "x.md": "page"} {
		if got, err := os.ReadFile(filepath.Join(folder, name)); err != nil || string(got) != want {
			t.Errorf("%s has %q, %v", name, got, err)
		}
	}
}

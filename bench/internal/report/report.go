// Package report writes figures for people: numbers as they are read, medians,
// tables in Markdown, and the files that are left of it all.
package report

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Dash stands where there is nothing.
const Dash = "–"

// Table writes rows, of which the first is the header.
func Table(b *strings.Builder, rows [][]string) {
	for i, row := range rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(b, "|---%s|\n", strings.Repeat("|---:", len(row)-1))
		}
	}
}

// Median is the middle one, or the mean of the middle two. There must be one.
func Median[T ~int64 | ~float64](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Count is a whole number with a comma for each thousand.
func Count(v float64) string {
	digits := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Millis is a duration in milliseconds, with three digits that say something.
func Millis(d time.Duration) string { return Three(float64(d) / float64(time.Millisecond)) }

// Three is a number with three digits that say something.
func Three(v float64) string {
	switch {
	case v >= 100 || v == 0:
		return Count(v)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

// JSON is figures as a file has them, for programs that read them and for diff.
func JSON(figures any) ([]byte, error) {
	raw, err := json.MarshalIndent(figures, "", " ")
	if err != nil {
		return nil, fmt.Errorf("encode the figures: %w", err)
	}
	return append(raw, '\n'), nil
}

// Save writes files, by their names, into a folder, which need not be there.
func Save(folder string, files map[string][]byte) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make the folder of the report: %w", err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	return nil
}

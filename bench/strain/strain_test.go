package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/bench/internal/cluster"
	"github.com/quorate/quorate/bench/internal/member"
	"github.com/quorate/quorate/bench/internal/program"
)

func TestMain(m *testing.M) {
	if status, is := member.Main(); is {
		os.Exit(status)
	}
	os.Exit(m.Run())
}

func TestRatiosAreThoseOfOneRound(t *testing.T) {
	got := ratios([]float64{10, 30, 5, 1}, []float64{20, 10, 0})
	if !slices.Equal(got, []float64{0.5, 3}) {
		t.Errorf("got %v; a round without the second has no ratio", got)
	}
}

func TestFewestCallersNearTheBestSaturate(t *testing.T) {
	for _, c := range []struct {
		rates []float64
		want  int
	}{
		{[]float64{100, 200, 300, 302, 301}, 2},
		{[]float64{100, 200, 290, 300}, 3}, // 290 is not within 3 %
		{[]float64{300, 200, 100}, 0},
	} {
		if got := saturated(c.rates); got != c.want {
			t.Errorf("of %v number %d saturates, want %d", c.rates, got, c.want)
		}
	}
}

func TestBoundsAreJudgedByTheMedian(t *testing.T) {
	for _, c := range []struct {
		figure figure
		want   string
	}{
		{figure{"a", []float64{0.6, 0.8, 0.7}, "×", atLeast(0.7)}, "a | 0.700 × | 0.600 to 0.800 | at least 0.700 × | yes"},
		{figure{"b", []float64{0.6, 0.8, 0.69}, "×", atLeast(0.7)}, "b | 0.690 × | 0.600 to 0.800 | at least 0.700 × | **no**"},
		{figure{"c", []float64{1}, "", atMost(0)}, "c | 1.00 | – | at most 0 | **no**"},
		{figure{"d", []float64{0, 0}, "", atMost(0)}, "d | 0 | 0 to 0 | at most 0 | yes"},
		{figure{"e", []float64{1234.4}, "/s", nil}, "e | 1,234 /s | – | – | –"},
	} {
		if got := strings.Join(c.figure.row(), " | "); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestOverloadIsJudgedOverAllRounds(t *testing.T) {
	l := &lab{}
	l.judgeOverload([2]int{100, 1000}, [2][]busy{
		{{rate: 1000, p99: 1}, {rate: 2000, p99: 2}},
		{{rate: 900, p99: 10, refused: 7}, {rate: 1000, p99: 20, dubious: 3, first: "UNKNOWN what"}},
	})
	page := (&results{Outcomes: []outcome{l.out}}).markdown()
	for _, want := range []string{
		"| 1,000 callers, in turns | 950 /s | 900 to 1,000 | – | – |",
		"| 1,000 callers: refused, not_applied | 3.50 | 0 to 7.00 | – | – |",
		"| goodput of ten times as many : of enough | 0.700 × | 0.500 to 0.900 | at least 0.850 × | **no** |",
		"| failed without saying not_applied | 3.00 | – | at most 0 | **no** |",
		"- 1000 callers: 3 calls failed without saying not_applied, such as: UNKNOWN what",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the report does not say %q:\n%s", want, page)
		}
	}
}

func TestScenarioThatFailsSaysWhyAndKeepsItsFigures(t *testing.T) {
	s := scenario{name: "a/b", how: "Somehow.", run: func(_ context.Context, l *lab) error {
		l.out.show("seen", "", 1)
		return errors.New("no\nmore")
	}}
	o := s.play(t.Context(), wish{}, t.TempDir())
	page := (&results{Outcomes: []outcome{o}}).markdown()
	for _, want := range []string{"## a/b", "Somehow.", "**It did not come to its end:** no more", "| seen | 1.00 |"} {
		if !strings.Contains(page, want) {
			t.Errorf("the report does not say %q:\n%s", want, page)
		}
	}
}

func TestOnlyLinesSinceAMomentAreShown(t *testing.T) {
	log := "time=2026-01-01T10:00:00.000Z level=INFO msg=old\n" +
		"panic: not a line of the log\n" +
		"time=2026-01-01T10:00:01.000Z level=INFO msg=new\n"
	got := newer(log, time.Date(2026, 1, 1, 10, 0, 0, 500_000_000, time.UTC))
	if len(got) != 1 || !strings.Contains(got[0], "msg=new") {
		t.Errorf("got %q", got)
	}
}

func TestDirectoryIsWeighedWithAllThatIsInIt(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "in"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "in/b"} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 1000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if sum, err := diskBytes(dir); err != nil || sum != 2000 {
		t.Errorf("got %d, %v", sum, err)
	}
}

func TestValuesOfARestartDiffer(t *testing.T) {
	n := newNoise()
	seen := make(map[string]bool)
	for i := range 1000 {
		v := n.value(i)
		if len(v) != restartValue || seen[string(v)] {
			t.Fatalf("value %d has %d bytes, or is one that was there before", i, len(v))
		}
		seen[string(v)] = true
	}
}

func TestScenariosWithNextToNothingRun(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts clusters")
	}
	binary, err := cluster.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := wish{
		Options: program.Options{Out: t.TempDir(), Dir: t.TempDir(), Only: regexp.MustCompile("^(restart|overload RESP)$")},
		binary:  binary,
		size: size{
			rounds: 1, warmup: 50 * time.Millisecond, duration: 200 * time.Millisecond,
			keysRestart: 1000, callers: []int{2, 8},
		},
	}
	if err := run(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(w.Out, "strain.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| start after SIGTERM |", "| first write after all were killed |", "| callers that saturate it |", "| terms that began | 0 |"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the report does not say %q:\n%s", want, page)
		}
	}
	if left, err := os.ReadDir(w.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

package main

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/bench/internal/host"
	"github.com/quorate/quorate/bench/internal/member"
	"github.com/quorate/quorate/bench/internal/report"
	"github.com/quorate/quorate/bench/internal/usage"
)

func TestMain(m *testing.M) {
	if status, is := member.Main(); is {
		os.Exit(status)
	}
	flag.Parse()
	os.Exit(m.Run())
}

// sample is three rounds of some figures. Quorate is 4, 5 and 8 times as fast
// as etcd, while the machine gets slower and slower.
func sample() *results {
	r := &results{Syncs: []time.Duration{100 * time.Microsecond, 120 * time.Microsecond, 110 * time.Microsecond}}
	add := func(round int, work, system string, rate float64) {
		r.Figures = append(r.Figures, figure{
			Round: round, Work: work, System: system, Op: opWrite, Rate: rate, Calls: rate,
			P50: time.Millisecond, P99: 3 * time.Millisecond,
			Others: 0.05, Known: true, Cost: usage.Usage{CPU: time.Second, Written: int64(rate) * 4096, Peak: 50 << 20}, Disk: int64(rate) * 300,
		})
	}
	for i, pair := range [][2]float64{{40_000, 10_000}, {45_000, 9_000}, {32_000, 4_000}} {
		add(i+1, "write 256", quorate, pair[0])
		add(i+1, "write 256", etcd, pair[1])
		add(i+1, "write 1000", etcd, 2*pair[1])
		add(i+1, "write 64 pipeline 16", quorate, 10*pair[0])
		add(i+1, "write 64 pipeline 16", redis, 5*pair[0])
		add(i+1, "HTTP write 256", quorate, pair[0]/2)
	}
	return r
}

func TestRatiosAreThoseOfOneRound(t *testing.T) {
	rounds := sample().rounds()
	for _, c := range []struct {
		work, peer string
		want       float64
	}{
		{"write 256", etcd, 5},
		{"write 64 pipeline 16", etcd, 25}, // by its best, which is that of 1000
		{"write 64 pipeline 16", redis, 2},
		{"HTTP write 256", etcd, 2.5}, // by that of as many callers
	} {
		ratios := over(rounds, func(one round) (float64, bool) { return one.ratio(c.work, c.peer) })
		if len(ratios) != 3 || report.Median(ratios) != c.want {
			t.Errorf("%s against %s: %v, want a median of %v", c.work, c.peer, ratios, c.want)
		}
	}
	for _, absent := range [][2]string{{"write 256", redis}, {"write 64", etcd}, {"HTTP write 256", redis}} {
		if v, ok := rounds[0].ratio(absent[0], absent[1]); ok {
			t.Errorf("%v has a ratio of %v, and no figures", absent, v)
		}
	}
}

func TestVoidFigureCountsNowhere(t *testing.T) {
	r := sample()
	r.Figures[0].Error = "an answer was an error" // write 256 of Quorate in round 1
	rounds := r.rounds()
	o, ok := outcomeOf(rounds, "write 256", quorate)
	if !ok || o.rounds != 2 || o.rate != 38_500 || o.least != 32_000 || o.most != 45_000 {
		t.Errorf("got %+v, %t", o, ok)
	}
	if ratios := over(rounds, func(one round) (float64, bool) { return one.ratio("write 256", etcd) }); len(ratios) != 2 {
		t.Errorf("ratios of two rounds are %v", ratios)
	}
	if page := markdown(r); !strings.Contains(page, "round 1, write 256, Quorate: void: an answer was an error") {
		t.Errorf("the report says nothing of a void figure:\n%s", page)
	}
}

func TestReportSaysWhatWasMeasured(t *testing.T) {
	page := markdown(sample())
	for _, want := range []string{
		"| write 256 | **40,000** (32,000 to 45,000) 1.00 / 3.00 | **9,000** (4,000 to 10,000) 1.00 / 3.00 | – | – | 5.00 × | – | – |",
		"| write 256 | 5 × etcd | 5.00 × | 4.00 to 8.00 | yes |",
		"| write 256 | 40,000/s | 40,000 /s | 32,000 to 45,000 | yes |",
		"| HTTP write 256 | 3 × etcd | 2.50 × | 2.00 to 4.00 | **no** |",
		"| write 256 | 25.0 s, 50 MiB, 300 B (4,096) | 111 s, 50 MiB, 300 B (4,096) | – | – |",
		"0.110 ms (0.100 to 0.120)",
		"What else ran took 0.05 cores (0.05 to 0.05).\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the report does not say %q:\n%s", want, page)
		}
	}
}

func TestMachineIsOneListInTheFile(t *testing.T) {
	raw, err := json.Marshal(machine{host.Description{CPU: "one", Cores: 2, Command: "do"}, 3, 0.5})
	want := `{"CPU":"one","Memory":"","Kernel":"","Go":"","Cores":2,"Commit":"","Command":"do","Date":"","Rounds":3,"Seconds":0.5}`
	if err != nil || string(raw) != want {
		t.Errorf("got %s, %v\nwant %s", raw, err, want)
	}
}

func TestReportOfABusyMachineSaysSo(t *testing.T) {
	r := sample()
	for i := range r.Figures {
		r.Figures[i].Others = 0.9
	}
	if page := markdown(r); !strings.Contains(page, "the machine was not free") {
		t.Errorf("others took most of a core, and the report says nothing of it:\n%s", page)
	}
}

func TestEachTargetIsAboutAWork(t *testing.T) {
	names := make(map[string]bool)
	for _, w := range works() {
		names[w.name] = true
		for _, other := range w.versus {
			if !names[other] {
				t.Errorf("%s is compared with %s, which is no work before it", w.name, other)
			}
		}
	}
	for _, target := range targets() {
		if !names[target.work] {
			t.Errorf("target %q is about %q, which is no work", target.text, target.work)
		}
	}
}

func TestSystemsTakeTurnsAtGoingFirst(t *testing.T) {
	list := []int{1, 2, 3}
	for i, want := range [][]int{{1, 2, 3}, {2, 3, 1}, {3, 1, 2}, {1, 2, 3}} {
		if got := rotated(list, i); got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
			t.Errorf("round %d: %v, want %v", i, got, want)
		}
	}
}

// TestSmallestRunMeasuresEverySystem is a whole run, with real processes.
func TestSmallestRunMeasuresEverySystem(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	out := t.TempDir()
	p, err := parse([]string{
		"-rounds=1", "-seconds=0.5", "-out", out,
		"-only", "^(write 64|read 256 all nodes|increment 100,000 keys 256|HTTP write 256|in process write 64)$",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"peers.md", "peers.svg", "peers.png"} {
		if info, err := os.Stat(filepath.Join(out, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(out, "peers.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r results
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	// Quorate 4, etcd 3, Redis 1, in process 2. Without the programs of Redis
	// there are only those of etcd and in process.
	want := 10
	if len(r.Without) > 0 {
		t.Log(r.Without)
		want = 5
	}
	if len(r.Figures) < want {
		t.Errorf("%d figures, want %d", len(r.Figures), want)
	}
	for _, f := range r.Figures {
		// Where others have most of the machine, there may be no answer in half
		// a second, or an election in it.
		if f.Error != "" && f.Others > 1 {
			t.Logf("others took %.1f cores: %s on %s: %s", f.Others, f.Work, f.System, f.Error)
			continue
		}
		if f.Error != "" || f.Rate <= 0 || f.P99 < f.P50 || f.P50 <= 0 {
			t.Errorf("%+v", f)
		}
	}
}

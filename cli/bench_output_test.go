package cli_test

import (
	"context"
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
)

func TestBenchJudgesItsObjectives(t *testing.T) {
	addr := mustServe(t, memory.New(kv.Service))
	good, _ := bench(t, 0, "--addr", addr, "--rate", "100", "--duration", "100ms",
		"--slo", "p50<1m,p99.9 < 1m", "--slo", "max<=1m,mean<1m,errors<0.1%,rate>5")
	if len(good.SLO) != 6 {
		t.Errorf("%+v", good.SLO)
	}
	bad, errors := bench(t, 8, "--addr", addr, "--rate", "100", "--duration", "100ms", "--slo", "p50<1m,p99<1us,errors<0%,rate>=100000")
	verdicts := ""
	for _, v := range bad.SLO {
		verdicts += fmt.Sprint(v.Objective, " ", v.Met, " ")
	}
	if verdicts != "p50<1m0s true p99<1µs false errors<0% false rate>=100000 false " {
		t.Errorf("%s", verdicts)
	}
	if !strings.HasPrefix(errors, `{"error":"missed: p99`) || !strings.Contains(errors, `"code":"slo_missed"`) {
		t.Errorf("errors %q", errors)
	}
	line := run(t, "", "bench", "--addr", addr, "--rate", "100", "--duration", "100ms", "--warmup", "0s", "--slo", "p99<1us")
	if line.exit != 8 || !strings.HasPrefix(line.log, "missed: p99<1µs (it was ") || strings.Count(line.log, "\n") != 1 || !strings.Contains(line.out, "p99<1µs missed: it was ") {
		t.Errorf("exit %d, errors %q, output:\n%s", line.exit, line.log, line.out)
	}
}

func TestBenchTableEndsInMarkdown(t *testing.T) {
	addr := mustServe(t, memory.New(kv.Service))
	got := run(t, "", "bench", "--addr", addr, "--duration", "100ms", "--warmup", "0s", "--clients", "2")
	lines := strings.Split(strings.TrimSuffix(got.out, "\n"), "\n")
	if got.exit != 0 || got.log != "" || len(lines) < 5 {
		t.Fatalf("exit %d, errors %q, output:\n%s", got.exit, got.log, got.out)
	}
	for i, want := range []string{"| proto | mix | clients |", "| --- |", "| go | put | 2 | 1 | max | "} {
		if line := lines[len(lines)-3+i]; !strings.HasPrefix(line, want) {
			t.Errorf("%q does not begin with %q", line, want)
		}
	}
	for _, want := range []string{"closed loop: latency is from the moment a caller was free\n", "--clean removes them\n", "\np99.9 "} {
		if !strings.Contains(got.out, want) {
			t.Errorf("no %q in:\n%s", want, got.out)
		}
	}
}

func TestBenchWritesCSVAndADistribution(t *testing.T) {
	addr := mustServe(t, memory.New(kv.Service))
	args := []string{"bench", "--addr", addr, "--rate", "2000", "--duration", "100ms", "--warmup", "0s", "-o"}
	got := run(t, "", append(args, "csv")...)
	rows, err := csv.NewReader(strings.NewReader(got.out)).ReadAll()
	if err != nil || len(rows) != 2 || got.exit != 0 {
		t.Fatalf("exit %d, %v: %q", got.exit, err, got.out)
	}
	for i, name := range rows[0] {
		if want, known := map[string]string{"proto": "go", "asked/s": "2000", "failed": "0"}[name]; known && rows[1][i] != want {
			t.Errorf("%s is %s, want %s", name, rows[1][i], want)
		}
	}
	got = run(t, "", append(args, "hgrm")...)
	if got.exit != 0 || got.log != "" || !strings.Contains(got.out, "1/(1-Percentile)") || !strings.Contains(got.out, "Total count    =          200]") {
		t.Errorf("exit %d, errors %q, output:\n%s", got.exit, got.log, got.out)
	}
}

func TestBenchThatCannotKeepTheRateSaysSo(t *testing.T) {
	t.Parallel()
	slow := memory.Func(func(ctx context.Context, calls []quorate.Call) []quorate.Reply {
		timer := time.NewTimer(20 * time.Millisecond)
		defer timer.Stop()
		<-timer.C
		return []quorate.Reply{done}
	})
	addr := mustServeProto(t, "http", slow)
	got := run(t, "", "bench", "--proto", "http", "--addr", addr, "--rate", "10000", "--warmup", "0s", "--duration", "300ms", "--clients", "2", "--slo", "p99<100ms")
	if got.exit != 8 || !strings.Contains(got.out, "could not keep the rate: 2,") || !strings.Contains(got.out, " calls were still waiting\n") {
		t.Errorf("exit %d, output:\n%s", got.exit, got.out)
	}
	got = run(t, "", "bench", "--proto", "http", "--addr", addr, "--rate", "10000", "--warmup", "0s", "--duration", "300ms", "--clients", "2", "-o", "hgrm")
	if got.exit != 0 || !strings.Contains(got.log, "backlog: could not keep the rate: 2,") || strings.Contains(got.out, "rate") {
		t.Errorf("exit %d, errors %q", got.exit, got.log)
	}
}

func TestBenchRefusesWhatCannotWork(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"put"}, "bench"},
		{[]string{"--mix", "pot"}, `--mix: "pot" is none of put, get, inc`},
		{[]string{"--mix", ""}, "--mix: it names nothing to call"},
		{[]string{"--mix", "put,put=2"}, "put is there twice"},
		{[]string{"--mix", "put=0"}, `the weight of put is "0": it may be 1 to 1000000`},
		{[]string{"--mix", "put=x"}, `the weight of put is "x"`},
		{[]string{"--call", "NOPE a"}, `--call: "NOPE a": service kv has no operation "NOPE"; it has APPEND, CAS, `},
		{[]string{"--call", " "}, "it names nothing to call"},
		{[]string{"--call", "INC"}, `--call: "INC": field "key" is missing`},
		{[]string{"--call", "INC k x"}, `argument value is "x", not an integer`},
		{[]string{"--call", "INC k x{n}"}, `argument value is "x0", not an integer`},
		{[]string{"--call", "INC ''"}, "the key is empty"},
		{[]string{"--call", "INC 'k"}, "a quote ' is not closed"},
		{[]string{"--call", "GET \xff{n}"}, "these words with a number in them are not the same over HTTP as elsewhere"},
		{[]string{"--call", "TXN {}{n}"}, "not JSON"},
		{[]string{"--call", "INC k", "--mix", "put"}, "--call and --mix both say what to call: leave one of them out"},
		{[]string{"--proto", "udp"}, `--proto is "udp": must be one of http, resp, go`},
		{[]string{"-o", "raw"}, `--output is "raw": must be one of table, json, csv, hgrm`},
		{[]string{"--slo", "p99"}, "write it as p50, p99.9, mean or max with a duration"},
		{[]string{"--slo", "p99>1ms"}, "write it as"},
		{[]string{"--slo", "rate<1"}, "write it as"},
		{[]string{"--slo", "p0<1ms"}, "write it as"},
		{[]string{"--slo", "p101<1ms"}, "write it as"},
		{[]string{"--slo", "pNaN<1ms"}, "write it as"},
		{[]string{"--slo", "p99<-1ms"}, "write it as"},
		{[]string{"--slo", "errors<5"}, "write it as"},
		{[]string{"--slo", "errors<x%"}, "write it as"},
		{[]string{"--slo", "rate>1e5"}, "write it as"},
		{[]string{"--slo", "speed<1ms"}, "write it as"},
		{[]string{"--slo", "p99<1ms,"}, "write it as"},
		{[]string{"--clients", "0"}, "--clients is 0: it may be 1 to 10000"},
		{[]string{"--clients", "10001"}, "--clients is 10001"},
		{[]string{"--pipeline", "1025"}, "--pipeline is 1025: it may be 1 to 1024"},
		{[]string{"--rate", "-1"}, `--rate is "-1": must be a whole number from 0 on`},
		{[]string{"--rate", "100000001"}, "--rate is 100000001"},
		{[]string{"--key-space", "0"}, "--key-space is 0"},
		{[]string{"--value-size", "1048576"}, "--value-size is 1048576"},
		{[]string{"--clients", "1000", "--pipeline", "1000", "--value-size", "2000"}, "under way are 1907 MiB: the limit is 1024"},
		{[]string{"--duration", "0s"}, "a duration of 0s leaves nothing to measure"},
		{[]string{"--warmup", "-1s"}, "a warm-up cannot take -1s"},
		{[]string{"--timeout", "0s"}, "a timeout of 0s leaves no time"},
		{[]string{"--addr", "http://127.0.0.1:7300"}, "http is not spoken here"},
		{[]string{"--proto", "http", "--addr", "redis://127.0.0.1:7301"}, `address "redis://127.0.0.1:7301": write it as host:port, such as 127.0.0.1:7300`},
		{[]string{"--proto", "http", "--addr", ""}, "names no address"},
		{[]string{"--proto", "http", "--pipeline", "2"}, "--pipeline does not go with --proto http"},
		{[]string{"--proto", "http", "--clean"}, "--clean does not go with --proto http"},
		{[]string{"--proto", "http", "--tls-ca", "x"}, "--tls-ca does not go with --proto http"},
		{[]string{"--proto", "http", "--password-file", "x"}, "--password-file does not go with --proto http"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			got := run(t, "", append([]string{"bench"}, c.args...)...)
			if got.exit != 2 || !strings.Contains(got.log, c.want) || strings.Count(got.log, "\n") != 1 || got.out != "" {
				t.Errorf("exit %d, output %q, errors %q, want exit 2 and one line with %q", got.exit, got.out, got.log, c.want)
			}
		})
	}
}

func TestHelpOfBenchSaysWhereItWritesAndHowItEnds(t *testing.T) {
	got := run(t, "", "bench", "--help")
	for _, want := range []string{"keys that begin with bench:", "--clean", "closed loop", "Exit codes: 8 if an --slo was missed, 130 if"} {
		if !strings.Contains(got.out, want) {
			t.Errorf("no %q in:\n%s", want, got.out)
		}
	}
}

package redisbench

import (
	"testing"
	"time"
)

func TestCSVOfRedisBenchmarkIsRead(t *testing.T) {
	const names = `"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"` + "\n"
	got, err := parse(names + `"GET k:__rand_int__","17543.86","0.446","0.176","0.431","0.647","0.767","0.975"` + "\n")
	if want := (Result{Rate: 17543.86, P50: 431 * time.Microsecond, P99: 767 * time.Microsecond}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for name, text := range map[string]string{
		"names only, as after an error": names,
		"nothing":                       "",
		"no number":                     names + `"GET","many","0.446","0.176","0.431","0.647","0.767","0.975"` + "\n",
		"another table":                 "\"a\",\"b\"\n\"1\",\"2\"\n",
		"a p99 below the p50":           names + `"GET","100","0.446","0.176","0.431","0.647","0.367","0.975"` + "\n",
	} {
		if r, err := parse(text); err == nil {
			t.Errorf("%s: read as %+v", name, r)
		}
	}
}

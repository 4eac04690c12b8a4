package e2e

import (
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// mustLookUp finds a program, or skips the test.
func mustLookUp(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %s, which is not installed (on Debian it is in the package redis-tools)", name)
	}
	return path
}

// tool runs a program of Redis on a server and returns what it prints.
func tool(t *testing.T, addr, program, input string, args ...string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, append([]string{"-h", host, "-p", port}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %v", cmd, err)
	}
	return string(out)
}

// TestRedisCLIIsAtHome types what a person types first. Each piece is what is
// typed and a pattern of what is printed.
func TestRedisCLIIsAtHome(t *testing.T) {
	cli := mustLookUp(t, "redis-cli")
	session := []struct{ typed, printed string }{
		{"FLUSHALL", `OK`},
		{"SET greeting \"hello world\"\nGET greeting", `OK\nhello world`},
		{"INCR hits\nINCR hits\nINCRBY hits 40", `1\n2\n42`},
		{"MULTI\nINCR hits\nGET hits\nEXEC", `OK\nQUEUED\nQUEUED\n43\n43`},
		{"MULTI\nINCR hits\nDISCARD\nGET hits", `OK\nQUEUED\nOK\n43`},
		{"SET session x EX 100\nTTL session\nTTL hits", `OK\n(9\d|100)\n-1`},
		{"SCAN 0 MATCH h* COUNT 100", `0\nhits`},
		{"HELLO 3", `(?s)server .*proto 3.*role \w+.*`},
		{"HELLO 2\nPING", `(?s)server.*proto\n2\n.*PONG`},
		{"COMMAND DOCS INCR", `(?s)incr\nsummary\nIncrement the integer value of a key by one\nsince\n1\.0\.0\n.*`},
		{"COMMAND DOCS", `(?s).*\ngetrange\nsummary\n.*`},
		{"INFO", `(?s)# Server.*redis_version:.*# Clients.*# Memory.*# Stats.*# Replication.*# Keyspace.*`},
		{"INFO keyspace", `(?s)# Keyspace\s+db0:keys=3,expires=1.*`},
		{"nosuch thing", `ERR unknown command 'nosuch', with args beginning with: 'thing' `},
		{"GET", `ERR wrong number of arguments for 'get' command`},
		{"DEL greeting hits session\nDBSIZE", `3\n0`},
	}
	servers(t, func(t *testing.T, addr string) {
		for _, piece := range session {
			printed := strings.TrimRight(strings.ReplaceAll(tool(t, addr, cli, piece.typed+"\n"), "\r", ""), "\n")
			if !regexp.MustCompile(`^(?:` + piece.printed + `)$`).MatchString(printed) {
				t.Errorf("%q prints\n%s\nwant %s", piece.typed, printed, piece.printed)
			}
		}
		for i := range 30 {
			tool(t, addr, cli, "", "SET", fmt.Sprintf("key:%d", i), "v")
		}
		if printed := tool(t, addr, cli, "", "--scan", "--pattern", "key:*"); strings.Count(printed, "key:") != 30 {
			t.Errorf("--scan prints\n%s", printed)
		}
		if printed := tool(t, addr, cli, "", "-3", "MGET", "key:1", "none"); printed != "v\n\n" {
			t.Errorf("-3 MGET prints %q", printed)
		}
	})
}

// figure is a line of redis-benchmark -q: a test and how often it ran in a
// second.
var figure = regexp.MustCompile(`^([A-Z_ ]+(?:\(10 keys\))?): ([0-9.]+) requests per second`)

// TestRedisBenchmarkRunsWithoutAnError runs it on the leader and on followers.
func TestRedisBenchmarkRunsWithoutAnError(t *testing.T) {
	benchmark := mustLookUp(t, "redis-benchmark")
	want := []string{"PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"}
	runs := map[string][]string{
		"as it comes": {"-n", strconv.Itoa(count(2_000, 100_000))},
		"pipelined":   {"-n", strconv.Itoa(count(20_000, 1_000_000)), "-P", "16", "-r", "10000"},
		"in RESP3":    {"-n", strconv.Itoa(count(2_000, 100_000)), "-3"},
	}
	servers(t, func(t *testing.T, addr string) {
		for name, args := range runs {
			t.Run(name, func(t *testing.T) {
				printed := tool(t, addr, benchmark, "", append([]string{"-t", "ping,set,get,incr,mset", "-q"}, args...)...)
				var got []string
				for line := range strings.Lines(printed) {
					// It shows how far it is, and writes over that.
					line = strings.TrimSpace(line[strings.LastIndex(strings.TrimRight(line, "\r\n"), "\r")+1:])
					if m := figure.FindStringSubmatch(line); m != nil {
						got = append(got, m[1])
						t.Log(line)
					} else if line != "" {
						t.Errorf("it prints %q", line)
					}
				}
				if strings.Join(got, ", ") != strings.Join(want, ", ") {
					t.Errorf("it ran %q, want %q", got, want)
				}
			})
		}
	})
}

package redis_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// transcript is calls and what a redis-server answers to them, an answer on the
// line behind its call. A blank line begins a new conversation, from an empty
// state.
const transcript = "testdata/commands.txt"

// converse tells the calls of the transcript to a server, which begin empties,
// and returns the transcript with its answers.
func converse(t *testing.T, text string, begin func() server) string {
	t.Helper()
	var (
		told strings.Builder
		on   server
	)
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch call, is := strings.CutPrefix(line, "> "); {
		case is:
			if on == nil {
				on = begin()
			}
			fmt.Fprintf(&told, "%s\n%s\n", line, shown(on.do(words(t, call)...)))
		case line == "":
			on = nil
			told.WriteString("\n")
		case line[0] == '#':
			told.WriteString(line + "\n")
		}
	}
	return told.String()
}

func TestEachCommandAnswersAsRedis(t *testing.T) {
	text, err := os.ReadFile(transcript)
	if err != nil {
		t.Fatal(err)
	}
	got := converse(t, string(text), func() server { return newOurs(t) })
	compareLines(t, string(text), got)
	for _, name := range names {
		if !strings.Contains(string(text), "> "+name+" ") {
			t.Errorf("nobody told %s", name)
		}
	}
}

func TestTheTranscriptIsWhatRedisAnswers(t *testing.T) {
	redis := mustRedis(t)
	text, err := os.ReadFile(transcript)
	if err != nil {
		t.Fatal(err)
	}
	got := converse(t, string(text), func() server {
		if v := redis.do("FLUSHALL"); v.IsError() {
			t.Fatal(shown(v))
		}
		return redis
	})
	if *rewrite {
		if err := os.WriteFile(transcript, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	compareLines(t, string(text), got)
}

// compareLines shows the calls whose answers differ.
func compareLines(t *testing.T, want, got string) {
	t.Helper()
	wanted, given := strings.Split(want, "\n"), strings.Split(got, "\n")
	if len(wanted) != len(given) {
		t.Fatalf("%d lines and not %d", len(given), len(wanted))
	}
	for i := range wanted {
		if given[i] != wanted[i] {
			t.Errorf("%s:%d: %s\n got %s\nwant %s", transcript, i+1, wanted[i-1], given[i], wanted[i])
		}
	}
}

func TestPatternsMatchAsInRedis(t *testing.T) {
	redis, own := mustRedis(t), newOurs(t)
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("replay with -run %s -seed %d", t.Name(), *seed)
	r := rand.New(rand.NewPCG(*seed, 0))
	text := func(parts []string, most int) string {
		var s strings.Builder
		for range 1 + r.IntN(most) {
			s.WriteString(parts[r.IntN(len(parts))])
		}
		return s.String()
	}
	keys := []string{"a", "b", "c", "-", "^", "]", "[", `\`, "*", "?", "\x00", "\xff", "\x7f", "\x80", "z"}
	patterns := append(slices.Clone(keys), "*", "?", "[", "]", "[a-c]", "[^b]", `\`, "[^", "-", "[a", "[c-a]", "[\x80-z]")
	for range 300 {
		key := text(keys, 5)
		_, _ = redis.do("SET", key, "v"), own.do("SET", key, "v")
	}
	matched := 0
	for range 800 {
		pattern := text(patterns, 6)
		want, got := ordered(redis.do("KEYS", pattern)), ordered(own.do("KEYS", pattern))
		if shown(got) != shown(want) {
			t.Fatalf("KEYS %q\n got %s\nwant %s", pattern, shown(got), shown(want))
		}
		if len(want.List()) > 0 {
			matched++
		}
		if got := scanAll(t, own, "MATCH", pattern, "COUNT", "7"); len(got) != len(want.List()) {
			t.Fatalf("SCAN with %q shows %d keys, KEYS %d", pattern, len(got), len(want.List()))
		}
	}
	if matched < 80 {
		t.Errorf("only %d patterns matched anything", matched)
	}
}

func TestSumsAreThoseOfRedis(t *testing.T) {
	redis, own := mustRedis(t), newOurs(t)
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("replay with -run %s -seed %d", t.Name(), *seed)
	r := rand.New(rand.NewPCG(*seed, 0))
	digits := func(most int) string {
		var s strings.Builder
		for range r.IntN(most) {
			s.WriteByte("0123456789"[r.IntN(10)])
		}
		return s.String()
	}
	number := func() string {
		text := []string{"", "", "-", "+"}[r.IntN(4)] + digits(25)
		if r.IntN(2) == 0 {
			text += "." + digits(25)
		}
		if r.IntN(3) == 0 {
			text += []string{"e", "E"}[r.IntN(2)] + []string{"", "-", "+"}[r.IntN(3)] + digits([]int{3, 3, 4, 5}[r.IntN(4)])
		}
		if r.IntN(10) == 0 {
			text = []string{"0x", "-0X"}[r.IntN(2)] + []string{"f", "1.8", "ABCDEF0123456789abc", ".8", ""}[r.IntN(5)] + []string{"", "p3", "P-70", "p"}[r.IntN(4)]
		}
		return text
	}
	finite := 0
	for i := range 2000 {
		if i%4 == 0 {
			was := number()
			_, _ = redis.do("SET", "k", was), own.do("SET", "k", was)
		}
		by := number()
		before := redis.do("GET", "k")
		want, got := redis.do("INCRBYFLOAT", "k", by), own.do("INCRBYFLOAT", "k", by)
		if shown(got) != shown(want) {
			t.Fatalf("%s + %s\n got %s\nwant %s", shown(before), by, shown(got), shown(want))
		}
		if !want.IsError() {
			finite++
		}
	}
	if finite < 400 {
		t.Errorf("only %d sums were finite", finite)
	}
}

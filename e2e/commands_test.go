package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

// expectation is a command and what it must answer.
type expectation struct {
	line int
	args []string
	want string
}

// mustReadCommands reads testdata/commands.txt.
func mustReadCommands(t *testing.T) (all []expectation) {
	t.Helper()
	data, err := os.ReadFile("testdata/commands.txt")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(data), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		e := expectation{line: i + 1}
		for rest := line; ; {
			// What is expected stands behind two spaces, or in the last column.
			word, quoted := nextWord(rest)
			e.args = append(e.args, word)
			rest = rest[quoted:]
			if trimmed := strings.TrimLeft(rest, " "); len(rest)-len(trimmed) > 1 || len(line)-len(trimmed) == wantColumn {
				e.want = trimmed
				break
			} else if trimmed == "" {
				t.Fatalf("line %d has no answer: %s", i+1, line)
			} else {
				rest = trimmed
			}
		}
		all = append(all, e)
	}
	return all
}

// wantColumn is where answers begin.
const wantColumn = 38

// nextWord is the word that text begins with, and how long it is as written.
func nextWord(text string) (word string, length int) {
	if prefix, err := strconv.QuotedPrefix(text); err == nil {
		word, _ = strconv.Unquote(prefix)
		return word, len(prefix)
	}
	word, _, _ = strings.Cut(text, " ")
	return word, len(word)
}

// check compares an answer with what is expected.
func (e expectation) check(t *testing.T, got any) {
	t.Helper()
	shown := show(got)
	failed := strings.HasPrefix(shown, "(error)")
	low, high, isRange := strings.Cut(e.want, "..")
	switch lowest, err := strconv.ParseInt(low, 10, 64); {
	case e.want == "*" && !failed, shown == e.want:
		return
	case isRange && err == nil:
		highest, _ := strconv.ParseInt(high, 10, 64)
		if n, ok := got.(int64); ok && lowest <= n && n <= highest {
			return
		}
	}
	t.Errorf("commands.txt:%d: %q answers %s, want %s", e.line, e.args, shown, e.want)
}

// show writes an answer as in testdata/commands.txt.
func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case error:
		// One of the libraries leaves this out.
		return "(error) " + strings.TrimPrefix(v.Error(), "ERR ")
	case string:
		return strconv.Quote(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case []any:
		words := make([]string, len(v))
		for i, element := range v {
			words[i] = show(element)
		}
		return "[" + strings.Join(words, " ") + "]"
	case map[any]any:
		return showMap(v)
	case map[string]any:
		return showMap(v)
	}
	return fmt.Sprint(v)
}

func showMap[K comparable](m map[K]any) string {
	var words []string
	for k, v := range m {
		words = append(words, show(any(k))+":"+show(v))
	}
	slices.Sort(words)
	return "{" + strings.Join(words, " ") + "}"
}

func TestAllCommandsThroughGoRedis(t *testing.T) {
	commands := mustReadCommands(t)
	servers(t, func(t *testing.T, addr string) {
		client := newGoRedis(t, addr)
		conn := client.Conn() // WATCH and MULTI belong to a connection
		defer conn.Close()
		for _, e := range commands {
			args := make([]any, len(e.args))
			for i, arg := range e.args {
				args[i] = arg
			}
			got, err := conn.Do(t.Context(), args...).Result()
			if errors.Is(err, goredis.Nil) {
				got, err = nil, nil
			}
			if err != nil {
				got = err
			}
			e.check(t, got)
		}
	})
}

func TestAllCommandsThroughRueidis(t *testing.T) {
	commands := mustReadCommands(t)
	servers(t, func(t *testing.T, addr string) {
		client := newRueidis(t, addr)
		err := client.Dedicated(func(conn rueidis.DedicatedClient) error {
			for _, e := range commands {
				got, err := conn.Do(t.Context(), conn.B().Arbitrary(e.args...).Build()).ToAny()
				if rueidis.IsRedisNil(err) {
					got, err = nil, nil
				}
				if err != nil {
					got = err
				}
				e.check(t, got)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// TestNodesAnswerAsOne sends each command to the next node: what one has
// answered, the others know.
func TestNodesAnswerAsOne(t *testing.T) {
	c := startCluster(t)
	var clients []*goredis.Client
	for _, addr := range c.resp {
		clients = append(clients, newGoRedis(t, addr))
	}
	ctx := context.Background()
	for i := range count(300, 30_000) {
		writer, reader := clients[i%clusterSize], clients[(i+1+i/clusterSize%2)%clusterSize]
		if n, err := writer.Incr(ctx, "hits").Result(); err != nil || n != int64(i+1) {
			t.Fatalf("increment %d answers %d, %v", i+1, n, err)
		}
		if n, err := reader.Get(ctx, "hits").Int(); err != nil || n != i+1 {
			t.Fatalf("behind increment %d another node reads %d, %v", i+1, n, err)
		}
	}
}

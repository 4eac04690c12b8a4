package differ

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/resp"
)

// is says that a call is of a command.
func is(c resp.Call, name string) bool { return strings.EqualFold(string(c[0]), name) }

// dropping is a bug: the only option of the command does nothing.
func dropping(name, option string) func(resp.Call) resp.Call {
	return func(c resp.Call) resp.Call {
		if is(c, name) && len(c) == 4 && strings.EqualFold(string(c[3]), option) {
			return c[:3]
		}
		return c
	}
}

// instead is a bug: one argument is taken for another.
func instead(name string, at int, argument, other string) func(resp.Call) resp.Call {
	return func(c resp.Call) resp.Call {
		if is(c, name) && len(c) > at && string(c[at]) == argument {
			c[at] = []byte(other)
		}
		return c
	}
}

// planted is what another server could do wrong, as what a redis-server would
// have to be told to do the same. Those that are quick to find are looked for
// in every run, all of them in one of 100,000 commands. Only for those that show
// with time, sequences wait.
var planted = []struct {
	name        string
	quick, wait bool
	bend        func(resp.Call) resp.Call
}{
	{"SET forgets KEEPTTL", false, false, dropping("SET", "KEEPTTL")},
	{"EXPIRE forgets GT", false, false, dropping("EXPIRE", "GT")},
	{"EXPIREAT forgets LT", false, false, dropping("EXPIREAT", "LT")},
	{"COPY replaces nothing", false, false, dropping("COPY", "REPLACE")},
	{"a range that ends with the value is one short", true, false, instead("GETRANGE", 3, "-1", "-2")},
	{"half a second is lost", false, false, instead("PEXPIREAT", 2, "4102444800500", "4102444800499")},
	{"the largest increment is less", true, false, instead("INCRBY", 2, "9223372036854775807", "9223372036854775806")},
	{"a pattern takes ^ for a letter", false, false, instead("KEYS", 1, "[^a]", "[a^]")},
	{"a walk in pages of ten finds strings that are none", false, false, instead("SCAN", 5, "STRING", "list")},
	{"a key ends late", false, true, instead("PSETEX", 2, "400", "4000")},
	{"WATCH sees nothing", true, false, func(c resp.Call) resp.Call {
		if is(c, "WATCH") && len(c) > 1 {
			return resp.Call{c[0], []byte("nobody writes this")}
		}
		return c
	}},
	{"an answer has a comma", false, false, func(c resp.Call) resp.Call {
		if is(c, "ECHO") && len(c) == 2 {
			c[1] = bytes.ReplaceAll(c[1], []byte(" "), []byte(", "))
		}
		return c
	}},
}

// shortMax is the most calls of a sequence that shows one of these bugs: those
// that are needed, and what time or the order of trying left behind.
const shortMax = 12

// plantedMax is the sequences within which each must be found.
const plantedMax = 5000

// fullCommands is a long run: that of the check before a release.
const fullCommands = 100_000

func TestWhatIsWrongIsFoundAndShown(t *testing.T) {
	for _, bug := range planted {
		if !bug.quick && *commandsFlag < fullCommands {
			continue
		}
		t.Run(bug.name, func(t *testing.T) {
			t.Parallel()
			redis, wrong, r := startRedis(t), bent(t, startRedis(t), bug.bend), newRules(likenesses)
			for seed := range uint64(plantedMax) {
				s := newSequence(seed)
				if !bug.wait {
					s.steps = slices.DeleteFunc(s.steps, func(p step) bool { return p.pause > 0 })
				}
				found, err := run(redis, wrong, s, r)
				if err != nil && !errors.Is(err, errVoid) {
					t.Fatal(err)
				}
				if found == nil {
					continue
				}
				shorter, shown := shrink(s, found, again(redis, wrong, r))
				t.Logf("found by seed %d, shortened from %d calls:\n%v%v", seed, s.calls(), shown, shorter)
				if n := shorter.calls(); n > shortMax {
					t.Errorf("the sequence has %d calls, want %d at most", n, shortMax)
				}
				return
			}
			t.Errorf("not found in %d sequences", plantedMax)
		})
	}
}

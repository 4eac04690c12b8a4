package machine_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/machine"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/values"
)

var rewrite = flag.Bool("rewrite", false, "write what the scenarios in testdata come to into them")

// TestScenarios plays the files in testdata. Each is steps of the form
//
//	apply index=4 time=10s        # what to do
//	id=x INC hits 5               # with what
//	----
//	5                             # what comes of it
//
// A line of a call may begin with id=; its answer names the index where it
// took effect, if that was another entry. The steps are
//
//	apply    one entry; more follow after lines such as "entry index=5 time=11s".
//	         Without an index it is the next one, without a time the same.
//	read     answers queries as a node does that has no log to ask
//	state    shows where the state stands, and its keys
//	flush    makes the state durable
//	reopen   closes the state and opens it again: what was not flushed is gone
//	move     sends the state as a snapshot and puts what arrives in its place
//	new      begins anew: window=1h remembered=100 service=kv
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d scenarios, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { playFile(t, file) })
	}
}

func playFile(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	must(t, err)
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	c := newCopy(t, service, machine.DefaultLimits)
	var played strings.Builder
	for i, step := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			played.WriteString("\n")
		}
		played.WriteString(c.play(t, step))
	}
	c.close(t)
	if played.String() == text {
		return
	}
	if *rewrite {
		must(t, os.WriteFile(file, []byte(played.String()), 0o644))
		return
	}
	t.Errorf("%s came to\n%s\nReview it and write it with -rewrite.", file, firstDifference(played.String(), text))
}

// firstDifference is the part of got in which it is first not as want.
func firstDifference(got, want string) string {
	steps, wanted := strings.Split(got, "\n\n"), strings.Split(want, "\n\n")
	for i := range steps {
		if i >= len(wanted) || strings.TrimSpace(steps[i]) != strings.TrimSpace(wanted[i]) {
			return steps[i]
		}
	}
	return got
}

// play plays one step and returns it with what it came to.
func (c *copied) play(t *testing.T, step string) string {
	t.Helper()
	given, _, _ := strings.Cut(step+"\n", "----\n")
	var lines []string
	for line := range strings.Lines(given) {
		line, _, _ = strings.Cut(" "+line, " #")
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return given
	}
	word, rest, _ := strings.Cut(lines[0], " ")
	return given + "----\n" + c.do(t, word, rest, lines[1:])
}

func (c *copied) do(t *testing.T, word, rest string, lines []string) string {
	t.Helper()
	switch word {
	case "apply":
		return c.applyLines(t, append([]string{"entry " + rest}, lines...))
	case "read":
		set := settings(t, rest)
		var clock time.Time
		if text, ok := set["clock"]; ok {
			clock = time.Unix(0, int64(mustDuration(t, text)))
		}
		replies, overdue := c.machine.Read(mustParse(t, lines), clock)
		if overdue {
			return "(overdue)\n" + answers(replies, 0)
		}
		return answers(replies, 0)
	case "state":
		return c.state(t)
	case "flush":
		must(t, c.machine.Flush())
	case "reopen":
		c.reopen(t)
	case "move":
		c.move(t)
	case "new":
		c.close(t)
		*c = *newCopy(t, services[settings(t, rest)["service"]], limits(t, settings(t, rest)))
	default:
		t.Fatalf("there is no step %q", word)
	}
	return ""
}

var services = map[string]*quorate.Service{"": service, "kv": kv.Service}

// settings is words such as index=4.
func settings(t *testing.T, line string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, word := range strings.Fields(line) {
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			t.Fatalf("%q is no setting", word)
		}
		all[name] = value
	}
	return all
}

func limits(t *testing.T, set map[string]string) machine.Limits {
	t.Helper()
	l := machine.DefaultLimits
	if text, ok := set["window"]; ok {
		l.Window = mustDuration(t, text)
	}
	if text, ok := set["remembered"]; ok {
		l.RememberedMax = mustNumber(t, text)
	}
	return l
}

func mustDuration(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	must(t, err)
	return d
}

func mustNumber(t *testing.T, text string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 64)
	must(t, err)
	return n
}

// applyLines applies entries, each begun by a line "entry".
func (c *copied) applyLines(t *testing.T, lines []string) string {
	t.Helper()
	var entries []machine.Entry
	for len(lines) > 0 {
		set := settings(t, strings.TrimPrefix(lines[0], "entry"))
		n := 1
		for n < len(lines) && lines[n] != "entry" && !strings.HasPrefix(lines[n], "entry ") {
			n++
		}
		entries = append(entries, c.entry(t, set, mustParse(t, lines[1:n])))
		lines = lines[n:]
	}
	replies, err := c.machine.Apply(entries)
	if err != nil {
		return fmt.Sprintf("stop: %v\n(newer: %v)\n", err, errors.Is(err, entry.ErrNewer))
	}
	var out strings.Builder
	for i, of := range replies {
		if of == nil {
			fmt.Fprintf(&out, "(entry %d is passed over)\n", entries[i].Index)
		}
		out.WriteString(answers(of, entries[i].Index))
	}
	return out.String()
}

// entry makes an entry. What is not set is that of the entry before, and the
// index is the next one.
func (c *copied) entry(t *testing.T, set map[string]string, calls []quorate.Call) machine.Entry {
	t.Helper()
	c.index++
	if text, ok := set["index"]; ok {
		c.index = mustNumber(t, text)
	}
	if text, ok := set["time"]; ok {
		c.time = mustDuration(t, text)
	}
	data := entry.Append(nil, entry.Header{Time: time.Unix(0, int64(c.time)), Seed: 42}, calls)
	if text, ok := set["version"]; ok {
		data[0] = byte(mustNumber(t, text))
	}
	return machine.Entry{Index: c.index, Term: 1, Data: data}
}

// mustParse makes a call of each line: [id=x [settled=n]] NAME arguments. An argument "-"
// is left out.
func mustParse(t *testing.T, lines []string) []quorate.Call {
	t.Helper()
	calls := make([]quorate.Call, len(lines))
	for i, line := range lines {
		words := strings.Fields(line)
		if id, ok := strings.CutPrefix(words[0], "id="); ok {
			calls[i].ID, words = quorate.CallID(id), words[1:]
		}
		if settled, ok := strings.CutPrefix(words[0], "settled="); ok {
			calls[i].Settled, words = mustNumber(t, settled), words[1:]
		}
		calls[i].Name = words[0]
		for _, word := range words[1:] {
			var arg []byte
			if word != "-" {
				arg = []byte(word)
			}
			calls[i].Args = append(calls[i].Args, arg)
		}
	}
	return calls
}

// answers shows replies, one a line. The index is shown where it is not that
// of the entry.
func answers(replies []quorate.Reply, index uint64) string {
	var out strings.Builder
	for _, reply := range replies {
		switch e, ok := errors.AsType[*quorate.Error](reply.Err); {
		case ok:
			fmt.Fprintf(&out, "%s, %s: %s", e.Code, e.Outcome, shorten(e.Message))
			if e.Value.Kind() != values.KindNone {
				fmt.Fprintf(&out, " [%s]", e.Value)
			}
		case reply.Err != nil:
			fmt.Fprintf(&out, "an error that is none: %v", reply.Err)
		default:
			out.WriteString(shorten(reply.Value.String()))
		}
		if reply.Index != index {
			fmt.Fprintf(&out, "  (of %d)", reply.Index)
		}
		out.WriteString("\n")
	}
	return out.String()
}

func shorten(text string) string {
	const most = 120
	if len(text) <= most {
		return text
	}
	return fmt.Sprintf("%s… %d bytes", text[:20], len(text))
}

func (c *copied) state(t *testing.T) string {
	t.Helper()
	view := c.machine.View()
	defer func() { must(t, view.Close()) }()
	m := view.Meta()
	if m != c.machine.Meta() || c.machine.Mark().Index() != m.Index {
		t.Errorf("the view says %+v, the machine %+v, its mark %d", m, c.machine.Meta(), c.machine.Mark().Index())
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "index %d, log time %v, %d remembered\n", m.Index, time.Duration(m.Time), m.Remembered)
	if m.Sessions > 0 {
		fmt.Fprintf(&out, "%d keys of sessions\n", m.Sessions)
	}
	if m.Expiring > 0 {
		fmt.Fprintf(&out, "%d keys end, none before %v\n", m.Expiring, time.Duration(m.Due))
	}
	for key, value := range view.Scan(nil, nil) {
		fmt.Fprintf(&out, "%s = %s\n", key, shorten(fmt.Sprintf("%q", value)))
	}
	return out.String()
}

// copied is one copy of a service, as a node has it.
type copied struct {
	machine *machine.Machine
	service *quorate.Service
	limits  machine.Limits
	fs      *vfs.MemFS
	dir     string
	// log receives what the machine logs.
	log *bytes.Buffer
	// index and time are those of the last entry made.
	index uint64
	time  time.Duration
	// apply and judge are those of the machine from the next start on.
	apply machine.Apply
	judge func(machine.Divergence) error
}

func newCopy(t testing.TB, service *quorate.Service, limits machine.Limits) *copied {
	t.Helper()
	c := &copied{service: service, limits: limits, fs: vfs.NewCrashableMem(), dir: "state", log: new(bytes.Buffer)}
	c.start(t)
	return c
}

func (c *copied) start(t testing.TB) {
	t.Helper()
	c.machine = machine.New(machine.Config{
		Service: c.service, Store: c.open(t), Limits: c.limits, Log: slog.New(slog.NewTextHandler(c.log, nil)),
		Apply: c.apply, Judge: c.judge,
	})
}

func (c *copied) options(dir string) store.Options {
	return store.Options{FS: c.fs, Dir: dir, Log: slog.New(slog.DiscardHandler)}
}

func (c *copied) open(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(c.options(c.dir))
	must(t, err)
	return s
}

// reopen crashes: what was not synced is gone.
func (c *copied) reopen(t testing.TB) {
	t.Helper()
	after := c.fs.CrashClone(vfs.CrashCloneCfg{})
	c.close(t)
	c.fs = after
	c.start(t)
	c.index = c.machine.Meta().Index
}

func (c *copied) move(t testing.TB) {
	t.Helper()
	stream, err := c.machine.View().Stream(1)
	must(t, err)
	c.receive(t, stream)
}

// receive replaces the state by one that comes from another copy, or this one.
func (c *copied) receive(t testing.TB, stream *store.Stream) {
	t.Helper()
	c.dir += "+"
	s, _, err := store.Receive(c.options(c.dir), 1, stream)
	must(t, errors.Join(err, stream.Close()))
	must(t, c.machine.Swap(s))
}

func (c *copied) close(t testing.TB) {
	t.Helper()
	must(t, c.machine.Close())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

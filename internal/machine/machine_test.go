package machine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/machine"
	"github.com/quorate/quorate/internal/store"
)

// tight limits are met by a few hundred calls.
var tight = machine.Limits{Window: 200 * time.Second, RememberedMax: 60}

// random makes a generator whose seed a failure shows.
func random(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// randomEntries makes entries with gaps between them, stamped by a clock that
// at times goes back.
func randomEntries(rng *rand.Rand, count int) []machine.Entry {
	entries := make([]machine.Entry, count)
	index, seconds := uint64(1), int64(1000)
	for i := range entries {
		index += 1 + rng.Uint64N(2)
		seconds += rng.Int64N(20) - 4
		calls := make([]quorate.Call, rng.IntN(8))
		for j := range calls {
			calls[j] = randomCall(rng)
		}
		header := entry.Header{Time: time.Unix(seconds, 0), Seed: rng.Uint64()}
		entries[i] = machine.Entry{Index: index, Term: 1 + index/50, Data: entry.Append(nil, header, calls)}
	}
	return entries
}

func randomCall(rng *rand.Rand) quorate.Call {
	key := fmt.Sprintf("key%02d", rng.IntN(12))
	forms := []string{
		"PUT " + key + " 7", "INC " + key, "INC " + key, "INC " + key + " -3", "GET " + key, "FAIL " + key, "BOOM " + key,
		"BOOMSCAN", "TOTAL", "ROTATE " + key, "ROTATE " + key, "DICE", "NOW", "COUNT", "CLEAR", "DEEP 40", "LARGE 300", "BOOMREAD",
		"HOLD " + key + " v " + fmt.Sprint(rng.IntN(60)), "HOLD " + key + " w 5", "KEEP " + key + " 30", "REPLACE " + key + " r", "KEEP " + key, "LEFT " + key, "REVISION",
		"TXN each 0 2 HOLD 3 " + key + " t 9 FAIL 1 " + key, "TXN all 0 2 HOLD 3 " + key + " t 9 FAIL 1 " + key, "TXN all 1 1 GET 1 " + key + " =\"7\" KEEP 2 " + key + " 3",
	}
	words := strings.Fields(forms[rng.IntN(len(forms))])
	if words[0] == "CLEAR" && rng.IntN(4) > 0 {
		words = []string{"DICE"}
	}
	call := quorate.Call{Name: words[0]}
	for _, word := range words[1:] {
		call.Args = append(call.Args, []byte(word))
	}
	if rng.IntN(3) == 0 {
		call.ID = quorate.CallID(fmt.Sprint(rng.IntN(200)))
	}
	if rng.IntN(3) == 0 {
		number := 1 + rng.Uint64N(300)
		call.ID = quorate.CallID(engine.SessionID(fmt.Sprint("s", rng.IntN(2)), number))
		call.Settled = 1 + rng.Uint64N(number)
	}
	return call
}

// outcome is all that must be the same on every node.
type outcome struct {
	meta    store.Meta
	content uint64
	replies map[uint64][]string
}

func (c *copied) outcome(t *testing.T, replies map[uint64][]string) outcome {
	t.Helper()
	view := c.machine.View()
	content, err := view.ContentHash()
	must(t, errors.Join(err, view.Close()))
	return outcome{c.machine.Meta(), content, replies}
}

// applyTo applies entries and notes the replies.
func applyTo(t *testing.T, c *copied, entries []machine.Entry, replies map[uint64][]string) {
	t.Helper()
	got, err := c.machine.Apply(entries)
	must(t, err)
	for i, e := range entries {
		for _, reply := range got[i] {
			replies[e.Index] = append(replies[e.Index], string(entry.AppendReply(nil, reply)))
		}
	}
}

// inGroups applies entries in random groups. Between two groups it lets
// between happen.
func inGroups(t *testing.T, rng *rand.Rand, c *copied, entries []machine.Entry, between func()) outcome {
	t.Helper()
	replies := make(map[uint64][]string)
	for rest := entries; len(rest) > 0; {
		n := 1 + rng.IntN(min(len(rest), 30))
		applyTo(t, c, rest[:n], replies)
		rest = rest[n:]
		between()
	}
	return c.outcome(t, replies)
}

// TestTheSameEntriesGiveTheSameStateAndAnswers applies random entries one by
// one, in groups, with starts in between, and with moves to another node.
func TestTheSameEntriesGiveTheSameStateAndAnswers(t *testing.T) {
	rng := random(t)
	for range 3 {
		entries := randomEntries(rng, 300)
		c := newCopy(t, service, tight)
		replies := make(map[uint64][]string)
		for _, e := range entries {
			applyTo(t, c, []machine.Entry{e}, replies)
		}
		want := c.outcome(t, replies)
		c.close(t)

		for name, between := range map[string]func(*copied){
			"in groups": func(*copied) {},
			"with starts in between": func(c *copied) {
				if rng.IntN(8) == 0 {
					must(t, c.machine.Flush())
					c.reopen(t)
				}
			},
			"with moves in between": func(c *copied) {
				if rng.IntN(8) == 0 {
					c.move(t)
				}
			},
		} {
			c := newCopy(t, service, tight)
			got := inGroups(t, rng, c, entries, func() { between(c) })
			if got.meta != want.meta || got.content != want.content {
				t.Errorf("%s: %+v with content %x, one by one %+v with %x", name, got.meta, got.content, want.meta, want.content)
			}
			for index, replies := range want.replies {
				if !reflect.DeepEqual(got.replies[index], replies) {
					t.Errorf("%s: entry %d is answered %q, one by one %q", name, index, got.replies[index], replies)
				}
			}
			c.close(t)
		}
	}
}

// TestEntriesThatComeAgainAfterACrashCountOnce crashes without a flush, so
// that a tail of what was applied is gone, and applies the log again.
func TestEntriesThatComeAgainAfterACrashCountOnce(t *testing.T) {
	rng := random(t)
	entries := randomEntries(rng, 300)
	c := newCopy(t, service, tight)
	want := inGroups(t, rng, c, entries, func() {})
	c.close(t)

	c = newCopy(t, service, tight)
	for applied := 0; applied < len(entries); {
		n := applied + 1 + rng.IntN(len(entries)-applied)
		// The log brings all again from an index that was once durable.
		applyTo(t, c, entries[:n], make(map[uint64][]string))
		applied = n
		switch rng.IntN(3) {
		case 0:
			must(t, c.machine.Flush())
		case 1:
			c.reopen(t)
			applied = 0
		}
	}
	got := c.outcome(t, nil)
	c.close(t)
	if got.meta != want.meta || got.content != want.content {
		t.Errorf("%+v with content %x, without crashes %+v with %x", got.meta, got.content, want.meta, want.content)
	}
}

// TestASlowlyForgottenWindowIsTheSameEverywhere lets many answers become old
// at once: more than one entry may forget.
func TestASlowlyForgottenWindowIsTheSameEverywhere(t *testing.T) {
	limits := machine.Limits{Window: time.Minute, RememberedMax: 1 << 20}
	const remembered, each = 5000, 1000
	var entries []machine.Entry
	for i := range uint64(remembered / each) {
		calls := make([]quorate.Call, each)
		for j := range calls {
			calls[j] = quorate.Call{Name: "INC", Args: [][]byte{[]byte("n")}, ID: quorate.CallID(fmt.Sprint(i, j))}
		}
		entries = append(entries, machine.Entry{Index: i + 1, Data: entry.Append(nil, entry.Header{Time: time.Unix(10, 0)}, calls)})
	}
	for i := range uint64(20) {
		entries = append(entries, machine.Entry{Index: 100 + i, Data: entry.Append(nil, entry.Header{Time: time.Unix(1000, 0)}, nil)})
	}
	one, all := newCopy(t, service, limits), newCopy(t, service, limits)
	defer one.close(t)
	defer all.close(t)
	last := uint64(0)
	for i, e := range entries {
		_, err := one.machine.Apply([]machine.Entry{e})
		must(t, err)
		if i%3 == 2 {
			must(t, one.machine.Flush())
			one.reopen(t)
		}
		now := one.machine.Meta().Remembered
		if e.Index == 100 && now == 0 {
			t.Fatal("one entry without calls forgot all of them")
		}
		if e.Index > 100 && now == last && now > 0 {
			t.Fatalf("entry %d forgot nothing of %d", e.Index, now)
		}
		last = now
	}
	if last != 0 {
		t.Fatalf("%d answers are still remembered", last)
	}
	_, err := all.machine.Apply(entries)
	must(t, err)
	if a, b := one.outcome(t, nil), all.outcome(t, nil); a.meta != b.meta || a.content != b.content {
		t.Errorf("one by one %+v, at once %+v", a, b)
	}
}

// TestALargeGroupIsCommittedEntryByEntry holds that no batch grows with the
// number of entries: each commit ends where an entry does.
func TestALargeGroupIsCommittedEntryByEntry(t *testing.T) {
	c := newCopy(t, service, machine.DefaultLimits)
	defer c.close(t)
	var entries []machine.Entry
	for i := range uint64(20) {
		calls := []quorate.Call{{Name: "FLOOD", Args: [][]byte{[]byte("2")}}, {Name: "INC", Args: [][]byte{[]byte("n")}}}
		entries = append(entries, machine.Entry{Index: i + 1, Data: entry.Append(nil, entry.Header{}, calls)})
	}
	newer := entry.Append(nil, entry.Header{}, []quorate.Call{{Name: "NOSUCH"}})
	if _, err := c.machine.Apply(append(entries, machine.Entry{Index: 21, Data: newer})); !errors.Is(err, entry.ErrNewer) {
		t.Fatal(err)
	}
	if got := c.machine.Meta().Index; got != 20 || c.machine.Mark().Index() != 20 {
		t.Errorf("the state is at %d, the mark at %d; the entries before the newer one were 20", got, c.machine.Mark().Index())
	}
}

// TestTheLimitOfAnEntryCountsItsOwnWritesAlone applies an entry that stays just
// below the limit, alone and behind another one in the same batch.
func TestTheLimitOfAnEntryCountsItsOwnWritesAlone(t *testing.T) {
	half := []byte(strings.Repeat("x", quorate.ArgsBytesMax/2+quorate.ArgsBytesMax/4))
	floods := func(n string) quorate.Call { return quorate.Call{Name: "FLOOD", Args: [][]byte{[]byte(n)}} }
	put := quorate.Call{Name: "PUT", Args: [][]byte{[]byte("a"), half}}
	inc := quorate.Call{Name: "INC", Args: [][]byte{[]byte("n")}}
	first := entry.Append(nil, entry.Header{}, []quorate.Call{put})
	second := entry.Append(nil, entry.Header{}, []quorate.Call{floods("15"), floods("15"), floods("1"), put, inc})
	for _, group := range []int{1, 2} {
		c := newCopy(t, service, machine.DefaultLimits)
		entries := []machine.Entry{{Index: 1, Data: first}, {Index: 2, Data: second}}
		for len(entries) > 0 {
			replies, err := c.machine.Apply(entries[:group])
			must(t, err)
			for _, reply := range replies[group-1] {
				if reply.Err != nil {
					t.Errorf("in groups of %d: %v", group, reply.Err)
				}
			}
			entries = entries[group:]
		}
		c.close(t)
	}
}

func TestAPanicIsLoggedWithItsStackAndNotReplicated(t *testing.T) {
	c := newCopy(t, service, machine.DefaultLimits)
	defer c.close(t)
	e := c.entry(t, nil, []quorate.Call{{Name: "BOOM", Args: [][]byte{[]byte("a")}}})
	replies, err := c.machine.Apply([]machine.Entry{e})
	must(t, err)
	if text := c.log.String(); !strings.Contains(text, "service_test.go") || !strings.Contains(text, "BOOM") {
		t.Errorf("the log says %q", text)
	}
	if sent := string(entry.AppendReply(nil, replies[0][0])); strings.Contains(sent, "service_test.go") {
		t.Errorf("the answer says %q", sent)
	}
}

func TestARememberedAnswerOfANewerProgramStopsTheNode(t *testing.T) {
	for name, record := range map[string][]byte{
		"version": append([]byte{2}, make([]byte, 20)...),
		"short":   {1, 2, 3},
	} {
		c := newCopy(t, service, machine.DefaultLimits)
		must(t, c.machine.Close())
		s := c.open(t)
		batch := s.Begin()
		batch.Set(store.Remembered, []byte("x"), record)
		batch.Keep()
		must(t, batch.Commit(store.Meta{Index: 1, Remembered: 1}))
		must(t, s.Flush())
		must(t, s.Close())
		c.machine = machine.New(machine.Config{Service: service, Store: c.open(t), Limits: machine.DefaultLimits})
		c.index = 1
		e := c.entry(t, nil, []quorate.Call{{Name: "INC", Args: [][]byte{[]byte("a")}, ID: "x"}})
		if _, err := c.machine.Apply([]machine.Entry{e}); !errors.Is(err, entry.ErrNewer) {
			t.Errorf("%s: %v", name, err)
		}
		c.close(t)
	}
}

// TestASwapUnderReaders replaces the state while queries and views read it,
// and while it is made durable. Each sees one state or the other.
func TestASwapUnderReaders(t *testing.T) {
	c := newCopy(t, service, machine.DefaultLimits)
	defer c.close(t)
	set := func(value string) {
		e := c.entry(t, nil, []quorate.Call{
			{Name: "PUT", Args: [][]byte{[]byte("a"), []byte(value)}},
			{Name: "PUT", Args: [][]byte{[]byte("b"), []byte(value)}},
		})
		_, err := c.machine.Apply([]machine.Entry{e})
		must(t, err)
	}
	set("0")
	get := []quorate.Call{{Name: "GET", Args: [][]byte{[]byte("a")}}, {Name: "GET", Args: [][]byte{[]byte("b")}}}
	m := c.machine
	stop := make(chan struct{})
	var readers sync.WaitGroup
	reader := func(read func()) {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					read()
				}
			}
		})
	}
	reader(func() {
		replies, _ := m.Read(get, time.Time{})
		if replies[0].Err != nil || replies[0].Index != replies[1].Index || !replies[0].Value.Equal(replies[1].Value) {
			t.Errorf("queries of one slice are answered %+v", replies)
		}
	})
	reader(func() {
		view := m.View()
		a, foundA := view.Get([]byte("a"))
		b, foundB := view.Get([]byte("b"))
		if view.Err() == nil && (!foundA || !foundB || string(a) != string(b)) {
			t.Errorf("a view shows %q and %q", a, b)
		}
		if err := view.Close(); err != nil {
			t.Errorf("close a view: %v", err)
		}
	})
	reader(func() {
		if err := m.Flush(); err != nil {
			t.Errorf("Flush: %v", err)
		}
		_ = m.Meta()
	})
	for i := range 30 {
		c.move(t)
		set(fmt.Sprint(i))
	}
	close(stop)
	readers.Wait()
}

func TestAnOlderStateNeverReplacesANewerOne(t *testing.T) {
	c := newCopy(t, service, machine.DefaultLimits)
	defer c.close(t)
	_, err := c.machine.Apply([]machine.Entry{c.entry(t, nil, nil)})
	must(t, err)
	s, err := store.Open(c.options("older"))
	must(t, err)
	defer func() {
		if recover() == nil {
			t.Error("it did")
		}
		must(t, s.Close())
	}()
	_ = c.machine.Swap(s)
}

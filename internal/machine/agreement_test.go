package machine_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/machine"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/vocabulary"
)

// Two versions of one service: the later one has another operation, and another
// argument of the one that both have.
var (
	older = quorate.Define("shop", quorate.Write[sell]("SELL"))
	later = quorate.Define("shop", quorate.Write[sellTo]("SELL"), quorate.Write[gift]("GIFT"))
)

type sell struct{ Item string }

func (s sell) Apply(tx *quorate.Tx) (int64, error) { return inc{s.Item, 1}.Apply(tx) }

type sellTo struct {
	Item string
	To   *string
}

func (s sellTo) Apply(tx *quorate.Tx) (int64, error) { return sell{s.Item}.Apply(tx) }

type gift struct{ Item string }

func (g gift) Apply(tx *quorate.Tx) (int64, error) { return inc{g.Item, -1}.Apply(tx) }

func mustKnow(t testing.TB, service *quorate.Service) vocabulary.Words {
	t.Helper()
	words, err := vocabulary.Of(service)
	must(t, err)
	return words
}

// agreement is an entry with which the members agree on words.
func (c *copied) agreement(words vocabulary.Words) machine.Entry {
	c.index++
	return machine.Entry{Index: c.index, Term: 1, Data: entry.AppendAgreement(nil, entry.Header{Time: time.Unix(10, 0)}, words.Append(nil))}
}

func (c *copied) mustApply(t testing.TB, entries ...machine.Entry) {
	t.Helper()
	replies, err := c.machine.Apply(entries)
	must(t, err)
	for i := range entries {
		if entry.IsAgreement(entries[i].Data) && (replies[i] == nil || len(replies[i]) != 0) {
			t.Errorf("an agreement is answered with %v", replies[i])
		}
	}
}

// mustAgree checks what all members know according to the state.
func (c *copied) mustAgree(t testing.TB, want vocabulary.Words, onAll bool) {
	t.Helper()
	got := c.machine.Agreed()
	if got.Missing(want) != "" || want.Missing(got) != "" || c.machine.AgreedOnAll() != onAll || c.machine.Unfit() != nil {
		t.Errorf("agreed on %v, all: %v (%v), want %v, %v", got, c.machine.AgreedOnAll(), c.machine.Unfit(), want, onAll)
	}
}

func TestAgreementStandsInTheStateAndOnlyGrows(t *testing.T) {
	c := newCopy(t, later, machine.DefaultLimits)
	defer func() { c.close(t) }()
	c.mustAgree(t, nil, false)
	old, all := mustKnow(t, older), mustKnow(t, later)
	sold := c.entry(t, nil, mustParse(t, []string{"SELL book"}))
	c.mustApply(t, sold, c.agreement(old))
	c.mustAgree(t, old, false)

	c.move(t)
	c.mustAgree(t, old, false)
	c.mustApply(t, c.agreement(all))
	c.mustAgree(t, all, true)
	must(t, c.machine.Flush())
	c.reopen(t)
	c.mustAgree(t, all, true)

	c.mustApply(t, c.agreement(old), c.agreement(all))
	c.mustAgree(t, all, true)
	c.mustApply(t, c.agreement(old)) // not flushed: the log brings it again
	c.reopen(t)
	c.mustAgree(t, all, true)
}

func TestAgreementIsAPartOfTheState(t *testing.T) {
	with, without := newCopy(t, later, machine.DefaultLimits), newCopy(t, later, machine.DefaultLimits)
	defer with.close(t)
	defer without.close(t)
	with.mustApply(t, with.agreement(mustKnow(t, later)))
	without.mustApply(t, without.entry(t, nil, nil))
	if a, b := with.outcome(t, nil), without.outcome(t, nil); a.meta.Hash == b.meta.Hash || a.content == b.content {
		t.Errorf("with an agreement %+v with content %x, without %+v with %x", a.meta, a.content, b.meta, b.content)
	}
	again := newCopy(t, later, machine.DefaultLimits)
	defer again.close(t)
	again.mustApply(t, again.agreement(mustKnow(t, older)), again.agreement(mustKnow(t, later)))
	if a, b := with.outcome(t, nil), again.outcome(t, nil); a.content != b.content {
		t.Errorf("agreed at once the content is %x, in two steps %x", a.content, b.content)
	}
}

func TestAgreementEndsKeysAsAnyEntryDoes(t *testing.T) {
	c := newCopy(t, service, machine.DefaultLimits)
	defer c.close(t)
	c.mustApply(t, c.entry(t, map[string]string{"time": "1s"}, mustParse(t, []string{"HOLD key value 5"})))
	c.mustApply(t, c.agreement(nil)) // at 10 s
	if m := c.machine.Meta(); m.Expiring != 0 || m.Time != int64(10*time.Second) || m.Index != 2 {
		t.Errorf("the state stands at %+v", m)
	}
}

// mustStop checks that an error is one with which a node with too old a program
// stops, and that it names what the program does not know.
func mustStop(t testing.TB, err error, what string) {
	t.Helper()
	const then = " is not known to this program; it was written by a newer version of the program: run a version of service shop that knows it"
	if !errors.Is(err, entry.ErrNewer) || !strings.Contains(err.Error(), what+then) {
		t.Errorf("it says %v, want something about %s", err, what)
	}
}

func TestOlderProgramStopsAtWhatItDoesNotKnow(t *testing.T) {
	for want, line := range map[string]string{
		"operation GIFT":               "GIFT book",
		"argument 2 of operation SELL": "SELL book ann",
		"operation LEND":               "TXN all 1 0 LEND 1 book =1",
		"operation TAKE":               "TXN all 0 1 SELL 1 book TAKE 1 book",
		"this form of operation TXN":   "TXN all",
	} {
		c := newCopy(t, older, machine.DefaultLimits)
		_, err := c.machine.Apply([]machine.Entry{c.entry(t, nil, mustParse(t, []string{"SELL book", line}))})
		mustStop(t, err, want)
		if index := c.machine.Meta().Index; index != 0 {
			t.Errorf("%s: the state is at %d", line, index)
		}
		c.close(t)
	}
}

func TestOlderProgramStopsAtAnAgreementOnMore(t *testing.T) {
	c := newCopy(t, older, machine.DefaultLimits)
	defer func() { c.close(t) }()
	c.mustApply(t, c.agreement(mustKnow(t, older)))
	c.mustAgree(t, mustKnow(t, older), true)
	_, err := c.machine.Apply([]machine.Entry{c.agreement(mustKnow(t, later))})
	mustStop(t, err, "operation GIFT")
	_, err = c.machine.Apply([]machine.Entry{c.agreement(mustKnow(t, quorate.Define("shop", quorate.Write[sellTo]("SELL"))))})
	mustStop(t, err, "argument 2 of operation SELL")
	c.mustAgree(t, mustKnow(t, older), true)
	if index := c.machine.Meta().Index; index != 1 {
		t.Errorf("the state is at %d", index)
	}
}

func TestOlderProgramDoesNotWorkWithAStateThatAgreesOnMore(t *testing.T) {
	c := newCopy(t, later, machine.DefaultLimits)
	c.mustApply(t, c.agreement(mustKnow(t, later)))
	must(t, c.machine.Flush())

	// It gets the state as a snapshot.
	follower := newCopy(t, older, machine.DefaultLimits)
	mustStop(t, follower.take(t, c), "operation GIFT")
	if _, err := follower.machine.Apply(nil); err == nil {
		t.Error("it goes on with the state that came")
	}
	follower.close(t)

	// It finds the state where it starts.
	c.service = older
	c.reopen(t)
	defer c.close(t)
	mustStop(t, c.machine.Unfit(), "operation GIFT")
	_, err := c.machine.Apply([]machine.Entry{c.entry(t, nil, mustParse(t, []string{"SELL book"}))})
	mustStop(t, err, "operation GIFT")
}

// take takes over the state of another copy, and returns what the machine says
// of it.
func (c *copied) take(t testing.TB, from *copied) error {
	t.Helper()
	stream, err := from.machine.View().Stream(1)
	must(t, err)
	received, _, err := store.Receive(c.options("received"), 1, stream)
	must(t, err)
	if _, err := stream.Read(make([]byte, 1)); err != io.EOF {
		t.Error("the stream goes on")
	}
	must(t, stream.Close())
	return c.machine.Swap(received)
}

func TestWordsThatCannotBeReadStopTheNode(t *testing.T) {
	c := newCopy(t, later, machine.DefaultLimits)
	defer func() { c.close(t) }()
	for _, data := range [][]byte{{2, 0}, nil, {1, 1, 1}} {
		e := c.agreement(nil)
		e.Data = entry.AppendAgreement(nil, entry.Header{}, data)
		if _, err := c.machine.Apply([]machine.Entry{e}); err == nil {
			t.Errorf("an agreement with the words %x is applied", data)
		}
	}
	must(t, c.machine.Close())
	s := c.open(t)
	batch := s.Begin()
	batch.Set(store.Agreed, nil, []byte{2, 0})
	batch.Keep()
	must(t, errors.Join(batch.Commit(store.Meta{Index: 1}), s.Flush(), s.Close()))
	c.service = later
	c.machine = machine.New(machine.Config{Service: later, Store: c.open(t), Limits: machine.DefaultLimits})
	if err := c.machine.Unfit(); err == nil || !strings.Contains(err.Error(), "run a newer one") {
		t.Errorf("it works with a state whose words it cannot read: %v", err)
	}
}

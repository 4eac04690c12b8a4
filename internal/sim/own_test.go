package sim_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/wal"
)

// The tests of the simulator's own parts. Those of the whole are the planted
// bugs.

func TestSeedDecidesThePlan(t *testing.T) {
	plans := make(map[string]uint64)
	for seed := uint64(1); seed <= 50; seed++ {
		first, err := json.Marshal(newPlan(seed))
		if err != nil {
			t.Fatal(err)
		}
		second, _ := json.Marshal(newPlan(seed))
		if !bytes.Equal(first, second) {
			t.Errorf("seed %d makes two plans:\n%s\n%s", seed, first, second)
		}
		if other, known := plans[string(first)]; known {
			t.Errorf("seeds %d and %d make the same plan", seed, other)
		}
		plans[string(first)] = seed
	}
}

func TestComponentsOfASeedDrawApart(t *testing.T) {
	if a, b := source(7, "faults").Uint64(), source(7, "links").Uint64(); a == b {
		t.Errorf("two components draw the same number %d", a)
	}
	if a, b := source(7, "faults").Uint64(), source(7, "faults").Uint64(); a != b {
		t.Errorf("one component draws %d and then %d", a, b)
	}
}

func TestPlanRuinsLessThanHalfOfTheNodesAndKeepsClocksTogether(t *testing.T) {
	for seed := range uint64(2000) {
		p := newPlan(seed)
		lasting := 0
		for _, f := range p.Faults {
			if f.Kind.lasting() {
				lasting++
			}
		}
		if lasting > (p.Nodes-1)/2 {
			t.Errorf("seed %d ruins %d of %d nodes", seed, lasting, p.Nodes)
		}
		for _, c := range p.Clocks {
			if c.Base != p.Clocks[0].Base || c.Offset.Abs() > offBy(p.Nodes) {
				t.Errorf("seed %d sets a clock to %v from %v", seed, c.Offset, c.Base)
			}
		}
	}
}

// The journal must hold what the log holds after every operation, although
// it sees nothing but writes and syncs of its files.
func TestJournalHoldsWhatTheLogHas(t *testing.T) {
	j := newJournal()
	d := newDisk(vfs.NewCrashableMem(), source(1, "disk"))
	d.synced = func(m mark) { j.take(m, func() uint64 { return 0 }) }
	d.strange = func(err error) { t.Error(err) }
	log, err := wal.Open(wal.Options{FS: d, Dir: logDir, Group: 1, SegmentBytes: 4 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	random := source(1, "operations")
	for range 400 {
		first, last := log.FirstIndex(), log.LastIndex()
		switch n := random.IntN(10); {
		case n < 7:
			var entries []wal.Entry
			for i := range 1 + random.Uint64N(4) {
				entries = append(entries, wal.Entry{
					Index: last + 1 + i, Term: 1 + last/10, Kind: uint8(random.IntN(3)),
					Data: fmt.Appendf(nil, "%d%s", random.Uint64(), make([]byte, random.IntN(300))), Extensions: []byte("x"),
				})
			}
			err = log.Append(entries)
		case n == 7 && last > 0:
			err = log.TruncateBack(last - random.Uint64N(last-first+1))
		case n == 8 && last > 0:
			err = log.TruncateFront(first + random.Uint64N(last-first+2))
		}
		if err != nil {
			t.Fatal(err)
		}
		mustHold(t, j, log)
	}
	d.fail(failure{syncs: true, once: true})
	if err := log.Append([]wal.Entry{{Index: log.LastIndex() + 1, Term: 1000}}); !errors.Is(err, errDisk) {
		t.Fatalf("Append on a broken disk = %v", err)
	}
	if _, last := j.bounds(); last > log.LastIndex() {
		t.Errorf("the journal holds entry %d, whose sync failed", last)
	}
}

// mustHold checks that a journal and a log hold the same entries.
func mustHold(t *testing.T, j *journal, log *wal.Log) {
	t.Helper()
	if len(j.live) == 0 && log.LastIndex() == 0 {
		return
	}
	if first, last := j.bounds(); first != log.FirstIndex() || last != log.LastIndex() || uint64(len(j.live)) != last-first+1 {
		t.Fatalf("the journal holds %d entries, %d to %d; the log %d to %d", len(j.live), first, last, log.FirstIndex(), log.LastIndex())
	}
	for i := log.FirstIndex(); i <= log.LastIndex(); i++ {
		e, err := log.Entry(i)
		if err != nil {
			t.Fatal(err)
		}
		if r, _, _ := j.at(i); !r.same(newRecord(e.Index, e.Term, e.Kind, e.Data, e.Extensions)) {
			t.Fatalf("the journal holds %v at %d", r, i)
		}
	}
}

func TestJournalMissesWhatADiskLost(t *testing.T) {
	j := newJournal()
	var all []record
	for i := uint64(1); i <= 5; i++ {
		r := newRecord(i, 1, 0, []byte{byte(i)}, nil)
		all = append(all, r)
		j.take(mark{recordEntry, r}, nil)
	}
	if lost, ok := j.restart(all[:4], 0); ok || lost.index != 5 {
		t.Errorf("a disk without entry 5: lost %v, %v", lost, ok)
	}
	for _, r := range all[4:] {
		j.take(mark{recordEntry, r}, nil)
	}
	if lost, ok := j.restart(all[2:], 2); !ok {
		t.Errorf("a disk with a snapshot at 2: lost %v", lost)
	}
	if lost, ok := j.restart(nil, 4); ok || lost.index != 5 {
		t.Errorf("a disk with nothing but a snapshot at 4: lost %v, %v", lost, ok)
	}
}

// told makes the history of one key. An operation that returned at no tick is of
// unknown outcome.
func told(key string, ops ...*operation) []*operation {
	for i, o := range ops {
		o.Number, o.Key = i, key
		if o.Returned == 0 {
			o.Outcome, o.Returned = unknown, math.MaxInt64
		} else if o.Outcome == "" {
			o.Outcome = answered
		}
	}
	return ops
}

func TestLinearizabilityCheckTellsWhatCannotBe(t *testing.T) {
	inc := func(called, returned int64, value content) *operation {
		return &operation{Name: "inc", By: 1, Called: called, Returned: returned, Answer: answer{Value: value, Index: 7}}
	}
	get := func(called, returned int64, value content) *operation {
		return &operation{Name: "get", Called: called, Returned: returned, Answer: answer{Value: value, Index: 7}}
	}
	denied := inc(1, 2, "")
	denied.Outcome = notApplied
	missing, gone := get(3, 4, ""), get(4, 5, "")
	missing.Answer.Code, gone.Answer.Code = quorate.NotFound, quorate.NotFound
	for _, c := range []struct {
		name string
		all  []*operation
		fine bool
	}{
		{"one after the other", told("a", inc(1, 2, "i1"), inc(3, 4, "i2"), get(5, 6, "i2")), true},
		{"a stale read", told("b", inc(1, 2, "i1"), inc(3, 4, "i2"), get(5, 6, "i1")), false},
		{"a write counted twice", told("c", inc(1, 2, "i1"), inc(3, 4, "i3")), false},
		{"an unknown write that took effect", told("d", inc(1, 0, ""), get(3, 4, "i1")), true},
		{"an unknown write that did not", told("e", inc(1, 0, ""), missing), true},
		{"an unknown write that came and went", told("f", inc(1, 0, ""), get(2, 3, "i1"), gone), false},
		{"a write that was not applied and took effect", told("g", denied, get(3, 4, "i1")), false},
	} {
		if _, wrong, _ := linearizable(c.all); (wrong == "") != c.fine {
			t.Errorf("%s: %q", c.name, wrong)
		}
	}
}

func TestStaleReadIsHeldToTheAgeItTells(t *testing.T) {
	w := &world{}
	w.floors = []heard{{10, 3}, {20, 5}, {30, 9}}
	for at, want := range map[time.Duration]uint64{5: 0, 10: 0, 11: 3, 20: 3, 21: 5, 100: 9} {
		if got := w.heardBefore(at); got != want {
			t.Errorf("before %v the newest answer is from %d, not %d", at, got, want)
		}
	}
}

func TestAnAnswerIsHeldAgainstWhatAMajorityHolds(t *testing.T) {
	call := quorate.Call{Name: "INC", Args: [][]byte{[]byte("k"), []byte("1")}}
	other := quorate.Call{Name: "INC", Args: [][]byte{[]byte("k"), []byte("2")}}
	same := record{data: entry.Append(nil, entry.Header{Time: time.Unix(1, 0)}, []quorate.Call{call})}
	for _, c := range []struct {
		name    string
		held    record
		holders int
		token   string
		want    bool
	}{
		{"a majority holds it", same, 2, tokenOf(call), false},
		{"a majority holds another one", same, 2, tokenOf(other), true},
		{"one holds another one, which was never committed", same, 1, tokenOf(other), false},
		{"a majority holds an entry without calls", record{}, 3, tokenOf(call), true},
		{"it has no token", same, 2, "", false},
	} {
		if got := contradicts(c.held, c.holders, 2, c.token); got != c.want {
			t.Errorf("%s: contradicts is %v", c.name, got)
		}
	}
}

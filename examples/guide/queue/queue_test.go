package queue_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/examples/guide/queue"
	"github.com/quorate/quorate/quoratetest"
)

// One command by itself.
func TestTicketsRiseByOne(t *testing.T) {
	tx := quoratetest.NewTx(t)
	for want := int64(1); want <= 3; want++ {
		number, err := queue.Take{Queue: "visa"}.Apply(tx)
		if number != want || err != nil {
			t.Errorf("ticket %d, %v, want %d", number, err, want)
		}
	}
}

// The service without a cluster, and with a clock that stands still.
func TestFirstToComeIsFirstToBeCalled(t *testing.T) {
	on := quoratetest.Local(t, queue.Service)
	for _, name := range []string{"ann", "bob"} {
		if _, err := quorate.Do(t.Context(), on, queue.Take{Queue: "visa", Name: &name}); err != nil {
			t.Fatal(err)
		}
	}
	on.Advance(90 * time.Second)
	called, err := quorate.Do(t.Context(), on, queue.Next{Queue: "visa"})
	if want := (queue.Called{Number: 1, Name: "ann", Waited: 90}); called != want || err != nil {
		t.Errorf("%v, %v, want %v", called, err, want)
	}
	if _, err := quorate.Do(t.Context(), on, queue.Next{Queue: "permit"}); quorate.CodeOf(err) != queue.Empty {
		t.Errorf("somebody is called in an empty queue: %v", err)
	}
}

// Three nodes in this process, one of which loses its power.
func TestLineOutlivesItsLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := quoratetest.Cluster(t, queue.Service, 3)
		if _, err := quorate.Do(t.Context(), c, queue.Take{Queue: "visa"}); err != nil {
			t.Fatal(err)
		}
		c.Kill(c.Leader())
		line, err := quorate.Ask(t.Context(), c.Leader(), queue.Line{Queue: "visa", Limit: 10})
		if want := []queue.Place{{Number: 1}}; !slices.Equal(line, want) || err != nil {
			t.Errorf("%v, %v, want %v", line, err, want)
		}
	})
}

// Random calls, each on several copies of the state.
func TestQueueIsTheSameOnEveryNode(t *testing.T) {
	quoratetest.CheckDeterminism(t, queue.Service, random)
}

// random is any call of the service.
func random(r *rand.Rand) any {
	name := []string{"visa", "permit"}[r.IntN(2)]
	switch r.IntN(3) {
	case 0:
		return queue.Take{Queue: name}
	case 1:
		return queue.Next{Queue: name}
	}
	return queue.Line{Queue: name, Limit: 3}
}

// office is one queue as one would explain it: the last ticket, and how many of
// them were called.
type office struct{ last, called int64 }

var model = quoratetest.Model[office]{
	Step: func(o office, call any, got quoratetest.Answer) (office, bool) {
		switch call.(type) {
		case queue.Take:
			return office{o.last + 1, o.called}, got.Is(o.last + 1)
		case queue.Next:
			if o.called == o.last {
				return o, got.Fails(queue.Empty)
			}
			var next queue.Called
			ok := !got.Known() || got.Into(&next) && next.Number == o.called+1
			return office{o.last, o.called + 1}, ok
		}
		var line []queue.Place
		waiting := min(o.last-o.called, 3)
		return o, !got.Known() || got.Into(&line) && int64(len(line)) == waiting
	},
	Part: func(call any) string {
		switch c := call.(type) {
		case queue.Take:
			return c.Queue
		case queue.Next:
			return c.Queue
		case queue.Line:
			return c.Queue
		}
		return ""
	},
}

// Random calls by several callers on a cluster that is cut, killed and paused.
func TestQueueIsLinearizableUnderFaults(t *testing.T) {
	quoratetest.CheckLinearizable(t, queue.Service, model, random, quoratetest.For(time.Second))
}

func TestPagesOfALineFollowEachOther(t *testing.T) {
	on := quoratetest.Local(t, queue.Service)
	for range 5 {
		for _, name := range []string{"visa", "visas"} {
			if _, err := quorate.Do(t.Context(), on, queue.Take{Queue: name}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var seen []int64
	for after := int64(0); ; after = seen[len(seen)-1] {
		page, err := quorate.Ask(t.Context(), on, queue.Line{Queue: "visa", After: after, Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		for _, place := range page {
			seen = append(seen, place.Number)
		}
		if len(page) < 2 {
			break
		}
	}
	if want := []int64{1, 2, 3, 4, 5}; !slices.Equal(seen, want) {
		t.Errorf("the pages hold %v, want %v", seen, want)
	}
	if _, err := quorate.Ask(t.Context(), on, queue.Line{Queue: "visa", Limit: 1001}); quorate.CodeOf(err) != quorate.Invalid {
		t.Errorf("a page of 1001: %v", err)
	}
}

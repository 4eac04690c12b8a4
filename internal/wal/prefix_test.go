package wal_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/quorate/quorate/internal/wal"
	"github.com/quorate/quorate/internal/wal/memdisk"
)

// lossesPerOperation is how many random losses of power are tried behind each
// operation of a history, beside the worst and none.
const lossesPerOperation = 4

// history is a life of a log on a disk that remembers it.
type history struct {
	disk    *memdisk.Disk
	moments []moment
}

// moment says what the log may hold from an operation on.
type moment struct {
	operations int
	allowed    []state
}

func (h *history) allow(allowed ...state) {
	h.moments = append(h.moments, moment{h.disk.Len(), allowed})
}

// allowed is what the log may hold after the first n operations.
func (h *history) allowed(n int) []state {
	var last []state
	for _, m := range h.moments {
		if m.operations <= n {
			last = m.allowed
		}
	}
	return last
}

// do makes steps, each legal after the one before, in one session.
func (h *history) do(t *testing.T, model state, steps func(state) step, count int) state {
	t.Helper()
	l := mustOpen(t, small(h.disk))
	for range count {
		s := steps(model)
		h.allow(s.outcomes...)
		must(t, s.call(l))
		model = s.outcomes[len(s.outcomes)-1]
		h.allow(model)
	}
	mustClose(t, l)
	return model
}

// mustHoldEverywhere ends the history after each of its operations in turn,
// with power lost in several ways, and goes on from there.
func (h *history) mustHoldEverywhere(t *testing.T, seed uint64) (images int) {
	t.Helper()
	for n := range h.disk.Len() + 1 {
		rng := rand.New(rand.NewPCG(seed, uint64(n)))
		losses := []memdisk.Loss{memdisk.Worst(), memdisk.None()}
		for range lossesPerOperation {
			losses = append(losses, memdisk.Sectors(rng), memdisk.Files(rng))
		}
		for i, loss := range losses {
			h.mustHoldAfter(t, n, loss, fmt.Sprintf("seed %d, %d operations, loss %d", seed, n, i))
			images++
		}
	}
	return images
}

// mustHoldAfter opens what is left, appends to it, and opens it once more.
func (h *history) mustHoldAfter(t *testing.T, n int, loss memdisk.Loss, what string) {
	t.Helper()
	fs, err := h.disk.After(n, loss)
	must(t, err)
	l, err := wal.Open(small(fs))
	if err != nil {
		t.Fatalf("%s: Open: %v", what, err)
	}
	now := among(t, mustRead(t, l), h.allowed(n), what)
	next := entry(now.last()+1, 99, 700)
	mustAppend(t, l, next)
	mustClose(t, l)
	mustHold(t, fs, append(now.entries[:len(now.entries):len(now.entries)], next)...)
}

// conflict is a history of a follower whose tail was of a leader that lost: it
// is cut back and written again, more than once and over the end of a segment.
func conflict() func(state) step {
	var script []func(state) step
	put := func(term uint64, size int, count uint64) {
		script = append(script, func(s state) step {
			return appendOf(s, entries(s.last()+1, s.last()+count, term, size))
		})
	}
	back := func(count uint64) {
		script = append(script, func(s state) step { return backStep(s, s.last()-count) })
	}
	front := func(count uint64) {
		script = append(script, func(s state) step { return frontStep(s, s.entries[0].Index+count) })
	}
	vote := func(term uint64) {
		script = append(script, func(s state) step {
			return voteStep(s, wal.Vote{Term: term, VotedTerm: term, Candidate: []byte("n2")})
		})
	}
	put(1, 60, 5)
	put(1, 200, 4)
	back(4)
	vote(2)
	put(2, 200, 4)
	back(2)
	put(3, 900, 5) // into the next segment
	front(3)
	back(6) // and back over its beginning
	put(4, 1100, 3)
	vote(4)
	front(4)
	put(4, 30, 1)
	next := 0
	return func(s state) step {
		next++
		return script[next-1](s)
	}
}

func TestAConflictingTailStaysCutWhateverIsLost(t *testing.T) {
	for seed := range seeds(1) {
		h := &history{disk: memdisk.New()}
		h.allow(state{})
		model := h.do(t, state{}, conflict(), 13)
		h.do(t, model, func(s state) step { return appendOf(s, entries(s.last()+1, s.last()+3, 5, 100)) }, 2)
		t.Logf("seed %d: %d operations, %d images", seed, h.disk.Len(), h.mustHoldEverywhere(t, seed))
	}
}

func TestNothingAcknowledgedIsLostAfterAnyOperation(t *testing.T) {
	for seed := range seeds(2) {
		rng := rand.New(rand.NewPCG(seed, 4))
		h := &history{disk: memdisk.New()}
		h.allow(state{})
		var model state
		for range 3 {
			model = h.do(t, model, func(s state) step { return randomStep(rng, s) }, 5)
		}
		t.Logf("seed %d: %d operations, %d images", seed, h.disk.Len(), h.mustHoldEverywhere(t, seed))
	}
}

package readindex_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/readindex"
	"github.com/quorate/quorate/internal/watermark"
)

// quorum stands for a node and the other voters.
type quorum struct {
	// answer is what a voter says to the n-th question it gets, from 1.
	answer func(ctx context.Context, voter string, n int) error

	mu     sync.Mutex
	voters []string
	term   uint64
	err    error
	asked  map[string]int
	terms  []uint64 // of the questions, in their order
	// committed is up to where the log is; applied up to where the state is.
	committed uint64
	applied   watermark.Mark
}

func newQuorum(others int) *quorum {
	q := &quorum{term: 7, asked: make(map[string]int)}
	for i := range others {
		q.voters = append(q.voters, fmt.Sprint("n", i+2))
	}
	return q
}

func (q *quorum) Leading() (uint64, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.term, q.err
}

func (q *quorum) Committed() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.committed
}

func (q *quorum) Applied(ctx context.Context, index uint64) error {
	if err := q.applied.Wait(ctx, index); err != nil {
		return quorate.Errorf(quorate.Unavailable, "%v", err)
	}
	return nil
}

func (q *quorum) Voters() []string { return q.voters }

func (q *quorum) Confirm(ctx context.Context, voter string, term uint64) error {
	q.mu.Lock()
	q.asked[voter]++
	n := q.asked[voter]
	q.terms = append(q.terms, term)
	q.mu.Unlock()
	if q.answer == nil {
		return nil
	}
	return q.answer(ctx, voter, n)
}

// lead makes the node the leader of a term, or not the leader.
func (q *quorum) lead(term uint64, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.term, q.err = term, err
}

// rounds is how often the most asked voter was asked.
func (q *quorum) rounds() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	most := 0
	for _, n := range q.asked {
		most = max(most, n)
	}
	return most
}

// read begins a read beside the test.
func read(ctx context.Context, r *readindex.Rounds) chan error {
	answered := make(chan error, 1)
	go func() { answered <- r.Confirm(ctx) }()
	synctest.Wait()
	return answered
}

// gate lets a question wait until the test answers it.
type gate chan error

func (g gate) wait(ctx context.Context, _ string, _ int) error {
	select {
	case err := <-g:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// mustWait checks that a read is not answered.
func mustWait(t *testing.T, reads ...chan error) {
	t.Helper()
	synctest.Wait()
	for i, answered := range reads {
		select {
		case err := <-answered:
			t.Fatalf("read %d was answered %v", i, err)
		default:
		}
	}
}

// mustRefuse checks that an error says that nothing happened.
func mustRefuse(t *testing.T, err error) {
	t.Helper()
	if quorate.CodeOf(err) != quorate.Unavailable || quorate.OutcomeUnknown(err) {
		t.Fatalf("the read was answered %v", err)
	}
}

func TestOneRoundServesAllReadsThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, g := newQuorum(2), make(gate)
		q.answer = g.wait
		r := readindex.New(q)
		first := read(t.Context(), r)
		var reads []chan error
		for range 100 {
			reads = append(reads, read(t.Context(), r))
		}
		if got := q.rounds(); got != 1 {
			t.Fatalf("%d rounds run at once", got)
		}
		g <- nil
		if err := <-first; err != nil {
			t.Fatal(err)
		}
		// The answer belongs to a question from before the hundred came.
		mustWait(t, reads...)
		g <- nil
		for _, answered := range reads {
			if err := <-answered; err != nil {
				t.Fatal(err)
			}
		}
		if got := q.rounds(); got != 2 {
			t.Errorf("101 reads took %d rounds, not 2", got)
		}
		r.Close()
	})
}

func TestMajorities(t *testing.T) {
	for voters := 1; voters <= 9; voters++ {
		for yes := range voters {
			synctest.Test(t, func(t *testing.T) {
				q := newQuorum(voters - 1)
				yesSayers := q.voters[:yes]
				q.answer = func(_ context.Context, voter string, _ int) error {
					if slices.Contains(yesSayers, voter) {
						return nil
					}
					return errors.New("I know a later term")
				}
				r := readindex.New(q)
				defer r.Close()
				err := r.Confirm(t.Context())
				// The node itself says yes too.
				if confirmed := 2*(yes+1) > voters; (err == nil) != confirmed {
					t.Errorf("%d of %d voters besides the node said yes: %v", yes, voters-1, err)
				}
				if err != nil {
					mustRefuse(t, err)
				}
			})
		}
	}
}

func TestSlowVotersAreNotAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuorum(4)
		q.answer = func(ctx context.Context, voter string, _ int) error {
			if voter == "n2" || voter == "n3" {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
		r := readindex.New(q)
		defer r.Close()
		began := time.Now()
		if err := r.Confirm(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("two of four answered at once: %v after %v", err, time.Since(began))
		}
	})
}

func TestLateAnswerNeverCountsForALaterRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuorum(2)
		late := make(chan struct{})
		q.answer = func(ctx context.Context, voter string, n int) error {
			switch {
			case n == 1 && voter == "n2":
				return nil // the first round is confirmed by n2 alone
			case n == 1:
				<-late // n3 answers the first round while the second runs
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
		r := readindex.New(q)
		if err := r.Confirm(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // n3 has been asked
		second := read(t.Context(), r)
		close(late)
		mustWait(t, second)
		mustRefuse(t, <-second)
		r.Close()
	})
}

func TestChangeOfLeaderDuringARoundIsNoConfirmation(t *testing.T) {
	for _, c := range []struct {
		name string
		term uint64
		err  error
	}{
		{"deposed", 7, quorate.Errorf(quorate.Unavailable, "this node is not the leader")},
		{"deposed and elected again", 8, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, g := newQuorum(2), make(gate)
				q.answer = g.wait
				r := readindex.New(q)
				answered := read(t.Context(), r)
				q.lead(c.term, c.err)
				g <- nil
				mustRefuse(t, <-answered)
				r.Close()
			})
		})
	}
}

func TestNodeThatDoesNotLeadAsksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuorum(2)
		no := &quorate.Error{Code: quorate.Unavailable, Message: "not the leader", Leader: "n3:7302"}
		q.lead(0, no)
		r := readindex.New(q)
		defer r.Close()
		if err := r.Confirm(t.Context()); err != error(no) {
			t.Errorf("the read was answered %v", err)
		}
		if q.rounds() != 0 {
			t.Error("voters were asked")
		}
	})
}

func TestQuestionsNameTheTermOfTheirRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuorum(1)
		r := readindex.New(q)
		defer r.Close()
		for term := uint64(3); term < 6; term++ {
			q.lead(term, nil)
			if err := r.Confirm(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(q.terms, []uint64{3, 4, 5}) {
			t.Errorf("the questions were about the terms %v", q.terms)
		}
	})
}

func TestSilentVotersEndARoundInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuorum(2)
		q.answer = make(gate).wait
		r := readindex.New(q)
		defer r.Close()
		began := time.Now()
		mustRefuse(t, r.Confirm(t.Context()))
		if waited := time.Since(began); waited != 2*time.Second {
			t.Errorf("the round took %v", waited)
		}
	})
}

func TestReadThatGivesUpLeavesTheRoundToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, g := newQuorum(2), make(gate)
		q.answer = g.wait
		r := readindex.New(q)
		first := read(t.Context(), r)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		hasty, patient := read(ctx, r), read(t.Context(), r)
		mustRefuse(t, <-hasty)
		g <- nil
		synctest.Wait()
		g <- nil
		if err := errors.Join(<-first, <-patient); err != nil {
			t.Error(err)
		}
		r.Close()
	})
}

func TestCloseAnswersEveryRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuorum(2)
		q.answer = make(gate).wait
		r := readindex.New(q)
		var reads []chan error
		for range 10 {
			reads = append(reads, read(t.Context(), r))
		}
		began := time.Now()
		r.Close()
		for _, answered := range reads {
			mustRefuse(t, <-answered)
		}
		mustRefuse(t, r.Confirm(t.Context()))
		if waited := time.Since(began); waited != 0 {
			t.Errorf("Close took %v", waited)
		}
	})
}

// TestEveryConfirmationIsYoungerThanItsRead runs many reads while voters answer
// at their own pace, and checks each confirmation against the questions that a
// majority answered.
func TestEveryConfirmationIsYoungerThanItsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuorum(4)
		var mu sync.Mutex
		newest := make(map[string]time.Time) // when the newest answered question was asked
		q.answer = func(ctx context.Context, voter string, n int) error {
			asked := time.Now()
			select {
			case <-time.After(time.Duration((n*7+int(voter[1])*13)%17) * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
			mu.Lock()
			defer mu.Unlock()
			if asked.After(newest[voter]) {
				newest[voter] = asked
			}
			return nil
		}
		r := readindex.New(q)
		var readers sync.WaitGroup
		for i := range 40 {
			readers.Go(func() {
				for j := range 20 {
					time.Sleep(time.Duration((i*3+j*5)%11) * time.Millisecond)
					began := time.Now()
					if err := r.Confirm(t.Context()); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					younger := 1
					for _, asked := range newest {
						if !asked.Before(began) {
							younger++
						}
					}
					mu.Unlock()
					if younger < 3 {
						t.Errorf("a read was confirmed by %d voters asked after it began", younger)
					}
				}
			})
		}
		readers.Wait()
		r.Close()
	})
}

func TestReadWaitsForTheStateOfTheLeaderItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuorum(2)
		q.committed = 9
		q.applied.Advance(8)
		r := readindex.New(q)
		defer r.Close()
		answered := read(t.Context(), r)
		select {
		case err := <-answered:
			t.Fatalf("answered %v while what a follower may have shown was not applied", err)
		default:
		}
		q.applied.Advance(9)
		if err := <-answered; err != nil {
			t.Errorf("answered %v", err)
		}
	})
}

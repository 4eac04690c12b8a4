// Package readindex says when a read is linearizable.
//
// A leader may serve a read once a majority of voters has confirmed, after the
// read arrived, that none of them knows a later term. Then no later leader can
// have acknowledged anything before the read arrived, and what earlier leaders
// acknowledged is in the state, because the leader applied an opening entry of
// its own term first. And it waits until its state reflects what it knew to be
// committed when the round began: a follower may have applied that before the
// leader itself, and shown it to another reader. No clock takes part, and a leader that was paused is
// told the truth: a confirmation answers a question asked after the pause.
//
// A follower may serve a read once its state reflects the log up to where that
// of the leader reflected it when the leader was confirmed, after the read
// arrived. The index that comes of a round says up to where.
//
// One round confirms for all reads that wait for it. Reads that arrive while
// one is under way share the next. A leader asks the voters; what else is asked
// comes as a function.
//
// Source: D. Ongaro, "Consensus: Bridging Theory and Practice", section 6.4,
// with the heartbeat round replaced by a question that only this answers.
package readindex

import (
	"context"
	"sync"
	"time"

	"github.com/quorate/quorate"
)

// Quorum is what a round asks.
type Quorum interface {
	// Leading is the term that this node leads and in which its opening
	// entry was applied, or an *quorate.Error.
	Leading() (term uint64, err error)
	// Committed is up to where the log is committed, as this node knows.
	Committed() uint64
	// Applied returns nil once the state of this node reflects the log up to
	// an index that Committed told while the node led, or an *quorate.Error.
	Applied(ctx context.Context, index uint64) error
	// Voters is all other voters of the newest configuration.
	Voters() []string
	// Confirm asks a voter whether it knows no term later than term. An
	// error is no confirmation.
	Confirm(ctx context.Context, voter string, term uint64) error
}

// roundTimeout bounds one round. A voter answers from memory; one that takes
// longer is not there, and the reads are better off with another leader.
const roundTimeout = 2 * time.Second

// Ask is the question of one round. Its error is an *quorate.Error. It is never
// asked twice at once.
type Ask func(ctx context.Context) (Answer, error)

// Answer is what is to be known before a state is read.
type Answer struct {
	// Index is up to where in the log the state must reflect it.
	Index uint64
	// Clock is what log time would have been if the leader had stamped an entry
	// when it was asked; zero where this node leads.
	Clock time.Time
}

// Rounds confirms for the reads of one node. Close must be called.
type Rounds struct {
	question Ask
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	asking   sync.WaitGroup

	// mu guards what follows.
	mu      sync.Mutex
	next    *round // collects reads; nil if none waits
	running bool
	closed  bool
}

// round is one question, shared by all that joined before it was asked.
type round struct {
	done chan struct{} // closed when what follows is set
	Confirmed
	err error
}

// Confirmed is what came of a round.
type Confirmed struct {
	// Answer is what was answered. A state that reflects the log up to its
	// Index reflects all that was acknowledged before Asked.
	Answer
	// Asked is when the round began, by the clock of this node.
	Asked time.Time
}

// New makes the rounds of a node that may lead.
func New(quorum Quorum) *Rounds {
	r := Share(nil)
	r.question = func(ctx context.Context) (Answer, error) { return Answer{}, r.lead(ctx, quorum) }
	return r
}

// Share makes rounds of any question.
func Share(question Ask) *Rounds {
	ctx, cancel := context.WithCancel(context.Background())
	return &Rounds{question: question, ctx: ctx, cancel: cancel}
}

// Close ends the round under way and awaits it.
func (r *Rounds) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.asking.Wait()
}

// Confirm returns nil once a round that began after Confirm was called has
// confirmed this node as the leader. A state read after that is linearizable.
func (r *Rounds) Confirm(ctx context.Context) error {
	_, err := r.Index(ctx)
	return err
}

// Index returns what came of a round that began after Index was called. A
// state that reflects the log up to there is linearizable.
func (r *Rounds) Index(ctx context.Context) (Confirmed, error) {
	joined := r.join()
	if joined == nil {
		return Confirmed{}, quorate.Errorf(quorate.Unavailable, "the node is closing")
	}
	select {
	case <-joined.done:
		return joined.Confirmed, joined.err
	case <-ctx.Done():
		return Confirmed{}, quorate.Errorf(quorate.Unavailable, "the deadline passed while the leader was being confirmed")
	}
}

// join takes part in the next round, which has not asked anybody yet.
func (r *Rounds) join() *round {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	if r.next == nil {
		r.next = &round{done: make(chan struct{})}
	}
	joined := r.next
	if !r.running {
		r.running = true
		r.asking.Go(r.run)
	}
	return joined
}

// run asks one round after the other while reads wait.
func (r *Rounds) run() {
	for {
		r.mu.Lock()
		current := r.next
		r.next = nil
		if current == nil {
			r.running = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		current.ask(r.ctx, r.question)
		close(current.done)
	}
}

// ask is one round.
func (r *round) ask(ctx context.Context, question Ask) {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	r.Asked = time.Now()
	r.Answer, r.err = question(ctx)
}

// lead is the question of a leader.
func (r *Rounds) lead(ctx context.Context, quorum Quorum) error {
	term, err := quorum.Leading()
	if err != nil {
		return err
	}
	committed := quorum.Committed()
	if !r.majority(ctx, quorum, term) {
		return quorate.Errorf(quorate.Unavailable, "no majority confirmed this node as the leader")
	}
	if err := quorum.Applied(ctx, committed); err != nil {
		return err
	}
	// Ask again: a leader deposed and elected again while the voters answered
	// leads another term, whose opening entry may not be applied.
	if now, err := quorum.Leading(); err != nil || now != term {
		return quorate.Errorf(quorate.Unavailable, "the leader changed while it was being confirmed")
	}
	return nil
}

// majority asks all voters at once, and says whether enough of them know no
// term later than this. It does not wait for the others.
func (r *Rounds) majority(ctx context.Context, quorum Quorum, term uint64) bool {
	voters := quorum.Voters()
	answers := make(chan error, len(voters))
	for _, voter := range voters {
		r.asking.Go(func() { answers <- quorum.Confirm(ctx, voter, term) })
	}
	// The node itself is one voter; of all, a majority is needed.
	missing := (len(voters) + 1) / 2
	for range voters {
		if missing == 0 {
			break
		}
		if err := <-answers; err == nil {
			missing--
		}
	}
	return missing == 0
}

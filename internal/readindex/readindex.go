// Package readindex says when a read is linearizable.
//
// A leader may serve a read once a majority of voters has confirmed, after the
// read arrived, that none of them knows a later term. Then no later leader can
// have acknowledged anything before the read arrived, and what earlier leaders
// acknowledged is in the state, because the leader applied an opening entry of
// its own term first. No clock takes part, and a leader that was paused is
// told the truth: a confirmation answers a question asked after the pause.
//
// One round confirms for all reads that wait for it. Reads that arrive while
// one is under way share the next.
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
	// Voters is all other voters of the newest configuration.
	Voters() []string
	// Confirm asks a voter whether it knows no term later than term. An
	// error is no confirmation.
	Confirm(ctx context.Context, voter string, term uint64) error
}

// roundTimeout bounds one round. A voter answers from memory; one that takes
// longer is not there, and the reads are better off with another leader.
const roundTimeout = 2 * time.Second

// Rounds confirms for the reads of one node. Close must be called.
type Rounds struct {
	quorum Quorum
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	asking sync.WaitGroup

	// mu guards what follows.
	mu      sync.Mutex
	next    *round // collects reads; nil if none waits
	running bool
	closed  bool
}

// round is one question to the voters.
type round struct {
	done chan struct{} // closed when err is set
	err  error
}

// New makes the rounds of a node.
func New(quorum Quorum) *Rounds {
	ctx, cancel := context.WithCancel(context.Background())
	return &Rounds{quorum: quorum, ctx: ctx, cancel: cancel}
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
	joined := r.join()
	if joined == nil {
		return quorate.Errorf(quorate.Unavailable, "the node is closing")
	}
	select {
	case <-joined.done:
		return joined.err
	case <-ctx.Done():
		return quorate.Errorf(quorate.Unavailable, "the deadline passed while the leader was being confirmed")
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
		current.err = r.ask()
		close(current.done)
	}
}

// ask is one round.
func (r *Rounds) ask() error {
	term, err := r.quorum.Leading()
	if err != nil {
		return err
	}
	voters := r.quorum.Voters()
	ctx, cancel := context.WithTimeout(r.ctx, roundTimeout)
	defer cancel()
	answers := make(chan error, len(voters))
	for _, voter := range voters {
		r.asking.Go(func() { answers <- r.quorum.Confirm(ctx, voter, term) })
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
	if missing > 0 {
		return quorate.Errorf(quorate.Unavailable, "no majority confirmed this node as the leader")
	}
	// Ask again: a leader deposed and elected again while the voters answered
	// leads another term, whose opening entry may not be applied.
	if now, err := r.quorum.Leading(); err != nil || now != term {
		return quorate.Errorf(quorate.Unavailable, "the leader changed while it was being confirmed")
	}
	return nil
}

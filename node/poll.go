package node

import (
	"context"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/peer"
)

const (
	// pollSilence is how long a poll waits while no voter says anything new. A
	// voter that is only late says how far it is.
	pollSilence = 2 * time.Second
	// pollMin and pollMax bound the wait before a voter is asked again that was
	// not there yet or did not answer.
	pollMin = 2 * time.Millisecond
	pollMax = 100 * time.Millisecond
)

// poll is what the voters said that their states came to at one index.
type poll struct {
	voters int            // this node among them
	hashes map[uint64]int // how many have each
	// silent is how many have not said yet, or not for good.
	silent int
	// since is the last of the first indexes that are known where this one is
	// not any more; 0 if all may know it.
	since uint64
}

// said is how many have said their hash.
func (p *poll) said() (count int) {
	for _, each := range p.hashes {
		count += each
	}
	return count
}

// leading is the hash that most have.
func (p *poll) leading() (hash uint64, count int) {
	for h, each := range p.hashes {
		if each > count {
			hash, count = h, each
		}
	}
	return hash, count
}

// majority is the hash that a majority of the voters has, if there is one.
func (p *poll) majority() (hash uint64, ok bool) {
	hash, count := p.leading()
	return hash, count > p.voters/2
}

// decided says that nothing which is still to be said changes anything.
func (p *poll) decided() bool {
	_, count := p.leading()
	return count > p.voters/2 || count+p.silent <= p.voters/2
}

// take counts what a voter said.
func (p *poll) take(s statement) {
	switch s.what {
	case saysHash:
		p.hashes[s.number]++
		p.silent--
	case saysSince:
		p.since = max(p.since, s.number)
		p.silent--
	}
}

// poll asks the other voters until it is decided what a majority has. It ends
// before that when nobody says anything new for a while and, of an index that
// nobody has forgotten, if somebody contradicts and the caller is pressed. The
// error is that ctx has ended.
func (n *Node) poll(ctx context.Context, q question, pressed bool) (*poll, error) {
	c, err := n.cored(ctx)
	if err != nil {
		return nil, err
	}
	others := c.group.Others()
	p := &poll{voters: 1 + len(others), hashes: map[uint64]int{q.hash: 1}, silent: len(others)}
	var asking sync.WaitGroup
	defer asking.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	statements := make(chan statement)
	for _, voter := range others {
		asking.Go(func() { n.interview(ctx, voter, q, statements) })
	}
	silence := time.NewTimer(pollSilence)
	defer silence.Stop()
	for !p.decided() {
		select {
		case s := <-statements:
			p.take(s)
		case <-silence.C:
			if p.since > 0 || pressed && len(p.hashes) > 1 {
				return p, nil
			}
		case <-ctx.Done():
			return nil, errUndecided
		}
		silence.Reset(pollSilence)
	}
	return p, nil
}

// interview asks one voter until it says what stays, and passes on what is new.
func (n *Node) interview(ctx context.Context, voter peer.Member, q question, statements chan<- statement) {
	wait, newest := pollMin, uint64(0)
	for {
		s, err := n.askHash(ctx, voter, q)
		if err == nil && (s.what != saysLater || s.number > newest) {
			select {
			case statements <- s:
			case <-ctx.Done():
				return
			}
			if s.what != saysLater {
				return
			}
			wait, newest = pollMin, s.number
		}
		if !rest(ctx, wait) {
			return
		}
		wait = min(2*wait, pollMax)
	}
}

// cored is what this node has once it is in a cluster, which it is before an
// entry can be applied, or a moment later.
func (n *Node) cored(ctx context.Context) (*core, error) {
	for {
		if c := n.core.Load(); c != nil {
			return c, nil
		}
		if !rest(ctx, pollMin) {
			return nil, errUndecided
		}
	}
}

// rest waits, and says whether ctx has not ended by then.
func rest(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

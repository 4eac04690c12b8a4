package sim_test

import (
	"context"
	"fmt"
	"sort"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/node"
)

// done is a context that has ended.
func done() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// status is how a node sees itself. Nobody else is asked.
func (l *life) status() node.Status { return l.node.Status(done()) }

// heard notes the index of an answer and returns the highest one before it.
func (w *world) heard(index uint64) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.floor
	if index > before {
		w.floor = index
		w.floors = append(w.floors, heard{w.now(), index})
	}
	return before
}

// heard is an answer that was newer than all before it.
type heard struct {
	at    time.Duration
	index uint64
}

// heardBefore is the highest index of any answer that was heard before a
// moment.
func (w *world) heardBefore(at time.Duration) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := sort.Search(len(w.floors), func(i int) bool { return w.floors[i].at >= at })
	if n == 0 {
		return 0
	}
	return w.floors[n-1].index
}

// durable is called when the first answer of an operation is heard: at this
// moment the synced disks of a majority must hold its entry, or a snapshot that
// covers it. A disk that was destroyed counts for what it held until then.
func (w *world) durable(index uint64, o *operation) {
	holders, covering := 0, 0
	var held record
	copies := make(map[uint64]int) // by term
	for _, p := range w.places {
		r, found, covered := p.durableLog().at(index)
		if covered {
			covering++
		}
		if !found {
			continue
		}
		if copies[r.term]++; copies[r.term] > holders {
			held, holders = r, copies[r.term]
		}
	}
	if holders+covering < w.majority() {
		w.fail("durability", "operation %d was answered at %d, which is synced on %d disks and covered by snapshots on %d, of %d",
			o.Number, index, holders, covering, len(w.places))
		return
	}
	w.mu.Lock()
	if was, known := w.committed[index]; known {
		held, holders = was, w.majority()
	}
	w.mu.Unlock()
	if contradicts(held, holders, w.majority(), o.token()) {
		w.fail("durability", "operation %d was answered at %d, where the log holds another call: %v", o.Number, index, held)
	}
}

// contradicts says that an entry which some hold is not the one with a token,
// although it should be. Where fewer than a majority hold it, because snapshots
// have taken its place on the others, it may be one that was never committed: a
// leader that was cut off has it, or a disk that was destroyed had it.
func contradicts(held record, holders, majority int, token string) bool {
	return holders >= majority && token != "" && !holds(held, token)
}

// holds says that an entry holds the call with a token.
func holds(r record, token string) bool {
	_, calls, err := entry.Decode(r.data)
	if err != nil {
		return false
	}
	for _, c := range calls {
		if tokenOf(c) == token {
			return true
		}
	}
	return false
}

// durableLog is the journal of the place.
func (p *place) durableLog() *journal {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.journal
}

// sampleInterval is how often all nodes are looked at.
const sampleInterval = 20 * time.Millisecond

// watch looks at all nodes until quit ends.
func (w *world) watch(quit context.Context) {
	for quit.Err() == nil {
		rest(quit, sampleInterval)
		// Everybody else rests: nothing changes between two looks at one node.
		synctest.Wait()
		for _, p := range w.places {
			if l := p.running(); l != nil {
				w.look(p, l)
			}
		}
	}
}

// look checks what one node says of itself.
func (w *world) look(p *place, l *life) {
	s := l.status()
	w.tally.look()
	w.mu.Lock()
	led, known := w.leaders[s.Term]
	if !known && s.Role == node.Leader {
		w.leaders[s.Term] = s.ID
	}
	hash, seen := w.hashes[s.AppliedIndex]
	if drifted := p.drift.did(); drifted {
		seen = false
	} else if !seen {
		w.hashes[s.AppliedIndex] = s.StateHash
	}
	w.mu.Unlock()
	if s.Role == node.Leader && known && led != s.ID {
		w.fail("one-leader", "in term %d both %s and n%d (%s) lead", s.Term, led, p.index, s.ID)
	}
	if seen && hash != s.StateHash {
		w.fail("state", "n%d at %d has state %s, and another node had %s there", p.index, s.AppliedIndex, s.StateHash, hash)
	}
	p.mu.Lock()
	p.formed = p.formed || s.Cluster != ""
	checked := p.checked
	p.mu.Unlock()
	p.compare(checked, s.CommitIndex)
}

// compare checks the entries of a journal that its node says are committed
// against those of all others.
func (p *place) compare(checked, commit uint64) {
	j := p.durableLog()
	first, last := j.bounds()
	for i := max(checked+1, first); i <= min(commit, last); i++ {
		r, found, _ := j.at(i)
		if !found {
			continue
		}
		p.world.mu.Lock()
		was, known := p.world.committed[i]
		if !known {
			p.world.committed[i] = r
		}
		p.world.mu.Unlock()
		if known && !was.same(r) {
			p.world.fail("log", "n%d says that %v is committed, and another node that %v is", p.index, r, was)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.checked = max(p.checked, min(commit, last))
}

// recoverMax is how long a cluster may take to serve again and to agree once
// all faults are over.
const recoverMax = 10 * time.Second

// recover ends all faults and checks that the cluster serves again, through
// every node, and that all nodes come to the same.
func (w *world) recover() {
	w.soothe()
	w.jobs.Wait()
	w.disarm()
	began := w.now()
	for _, p := range w.up() {
		p.take(p.start)
	}
	for _, p := range w.up() {
		for w.ctx.Err() == nil && !p.lost() && !w.serves(p) {
			p.take(p.start)
			if w.now()-began > recoverMax {
				w.fail("progress", "%v after the last fault n%d takes no writes: %+v", recoverMax, p.index, w.stands())
				return
			}
			w.sleep(20 * time.Millisecond)
		}
	}
	w.tally.recovered(w.now() - began)
	w.settleVersions()
}

// settleVersions checks that all nodes take what the newer version alone knows,
// once all of them have it. A member that is lost for ever has not said so.
func (w *world) settleVersions() {
	if !w.plan.mixed() || len(w.up()) < len(w.places) {
		return
	}
	began := w.now()
	for _, p := range w.places {
		for w.ctx.Err() == nil && !w.knows(p) {
			if w.now()-began > recoverMax {
				w.fail("progress", "%v after all nodes have the newer version n%d does not take what it knows", recoverMax, p.index)
				return
			}
			w.sleep(20 * time.Millisecond)
		}
	}
}

// knows says that the node of a place answers an operation of the newer version.
func (w *world) knows(p *place) bool {
	l := p.running()
	if l == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := quorate.Do(ctx, l.node, heldIn{Key: "nobody holds it"})
	return err == nil
}

// serves says that a write through the node of a place is acknowledged.
func (w *world) serves(p *place) bool {
	l := p.running()
	if l == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := quorate.Do(ctx, l.node, kv.Inc{Key: "sign of life", By: 1})
	return err == nil
}

// stands is where every node stands, for people.
func (w *world) stands() (lines []string) {
	for _, p := range w.places {
		l := p.running()
		if l == nil {
			lines = append(lines, fmt.Sprintf("n%d is down (%s)", p.index, p.out))
			continue
		}
		s := l.status()
		lines = append(lines, fmt.Sprintf("n%d %s of term %d, applied %d %s, commit %d, log %d..%d, snapshot %d",
			p.index, s.Role, s.Term, s.AppliedIndex, s.StateHash, s.CommitIndex, s.FirstIndex, s.LastIndex, s.SnapshotIndex))
	}
	return lines
}

// converge checks that all nodes come to the same state once nobody calls.
func (w *world) converge() {
	began := w.now()
	for w.ctx.Err() == nil && !w.agree() {
		if w.now()-began > recoverMax {
			w.fail("progress", "%v after the last call the nodes do not agree: %q", recoverMax, w.stands())
			return
		}
		w.sleep(20 * time.Millisecond)
	}
	var hash string
	for _, p := range w.up() {
		l := p.running()
		if w.ctx.Err() != nil || l == nil {
			return
		}
		got, index, err := l.node.ContentHash(context.Background())
		if err != nil || hash != "" && got != hash {
			w.fail("state", "n%d holds content %s at %d (%v), another node %s", p.index, got, index, err, hash)
		}
		hash = got
	}
}

// agree says that all nodes stand at the same place.
func (w *world) agree() bool {
	places := w.up()
	var first node.Status
	for i, p := range places {
		l := p.running()
		if l == nil {
			return false
		}
		s := l.status()
		if i == 0 {
			first = s
		}
		if s.AppliedIndex != first.AppliedIndex || s.CommitIndex != first.CommitIndex || s.LastIndex != first.LastIndex {
			return false
		}
	}
	return true
}

// outcomes checks that no write which was answered as not applied stands in the
// committed log.
func (w *world) outcomes() {
	denied := make(map[string]*operation)
	for _, o := range w.history.operations() {
		if token := o.token(); o.Outcome == notApplied && token != "" && !o.forged {
			denied[token] = o
		}
	}
	for _, r := range w.committed {
		_, calls, err := entry.Decode(r.data)
		if r.kind != 0 || err != nil {
			continue
		}
		for _, c := range calls {
			if o := denied[tokenOf(c)]; o != nil {
				w.fail("outcome", "operation %d was answered as not applied and stands in the log at %d", o.Number, r.index)
			}
		}
	}
}

package consensus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/invariant"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/wal"
)

// watch says what changes, replaces the raft instance where it has to be, and
// stops the node where the log failed.
func (g *Group) watch() {
	ticker := time.NewTicker(g.config.ElectionTimeout / 4)
	defer ticker.Stop()
	var seen position
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-g.config.WAL.Failed():
			g.fail(g.config.WAL.Err())
			return
		case reason := <-g.restart:
			if err := g.replace(reason); err != nil {
				g.fail(err)
				return
			}
		case <-g.check:
		case <-ticker.C:
			g.checkTransfer()
		}
		seen = g.look(seen)
	}
}

// position is what watch reports changes of.
type position struct {
	role   Role
	term   uint64
	leader peer.Member
}

// look reports what changed since it last looked.
func (g *Group) look(before position) position {
	i := g.current.Load()
	if i == nil {
		return before
	}
	now := position{role(i.raft.State()), i.raft.CurrentTerm(), g.Leader()}
	if now == before {
		return before
	}
	g.signal()
	switch {
	case now.role == Leader && before.role != Leader:
		g.config.Log.Info("this node leads", "term", now.term)
	case before.role == Leader && now.role != Leader:
		g.config.Log.Info("this node does not lead any more", "term", now.term)
	}
	switch {
	case now.role == Leader || now.leader == before.leader:
	case now.leader.ID == "":
		g.config.Log.Warn("there is no leader", "term", now.term)
	default:
		g.config.Log.Info("another node leads", "leader", now.leader.ID, "peer", now.leader.Addr, "term", now.term)
	}
	return now
}

// checkTransfer replaces a raft instance that is stuck in a transfer of
// leadership: a leader elected again while one was under way refuses every
// entry until it is started anew.
func (g *Group) checkTransfer() {
	if !g.Leads() {
		g.refused.Store(0) // it has ended
	}
	since := g.refused.Load()
	if since != 0 && time.Since(time.Unix(0, since)) > 3*g.config.ElectionTimeout {
		g.refused.Store(0)
		g.askRestart("a transfer of leadership does not end")
	}
}

func (g *Group) askRestart(reason string) {
	select {
	case g.restart <- reason:
	default: // one is asked for already
	}
}

// replace ends the raft instance and starts another on what is on disk.
func (g *Group) replace(reason string) error {
	g.config.Log.Warn("raft starts anew inside the node", "reason", reason)
	i := g.current.Swap(nil)
	g.stop(i)
	g.running.Store(false)
	if err := g.config.WAL.Err(); err != nil {
		return err
	}
	return g.start()
}

// open makes each term that this node leads ready for readers: an entry of the
// term, applied here, proves that everything acknowledged in earlier terms is
// in the state.
func (g *Group) open() {
	for g.ctx.Err() == nil {
		changed := g.Changed()
		if i := g.current.Load(); i != nil && g.openTerm(i) {
			g.signal()
		}
		select {
		case <-changed:
		case <-time.After(g.config.ElectionTimeout / 4):
		case <-g.ctx.Done():
		}
	}
}

// openTerm opens the term that an instance leads, if it is not open yet.
func (g *Group) openTerm(i *instance) bool {
	term := i.raft.CurrentTerm()
	if i.raft.State() != raft.Leader || g.opened.Load() == term {
		return false
	}
	barrier := i.raft.Barrier(g.config.ElectionTimeout)
	done := make(chan error, 1)
	go func() { done <- i.await(barrier) }()
	select {
	case err := <-done:
		g.noteTransfer(err)
		// The term is looked at again: what was applied may belong to a
		// later one.
		if err != nil || i.raft.CurrentTerm() != term {
			return false
		}
	case <-g.ctx.Done():
		return false
	}
	opening, ok := barrier.(raft.IndexFuture)
	invariant.Must(ok, "raft tells where a barrier stands")
	g.barrier.Store(opening.Index())
	g.opened.Store(term)
	g.signal() // who waits for a leader need wait no longer
	return true
}

// logBytesMax is when a snapshot is taken whatever the number of entries: four
// of it are what a restart reads in a second.
const logBytesMax = 128 << 20

// keepInterval is how often keep looks.
const keepInterval = 500 * time.Millisecond

// keep takes snapshots, so that the log does not grow for ever.
func (g *Group) keep() {
	ticker := time.NewTicker(keepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-ticker.C:
		}
		i := g.current.Load()
		if i == nil || g.Err() != nil || !g.due(i.raft.AppliedIndex()) {
			continue
		}
		if err := g.take(i); err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
			g.config.Log.Warn("a snapshot could not be taken", "error", err)
		}
	}
}

// due says that the log has grown enough since the newest snapshot, up to what
// was applied: a snapshot does not help against a tail that is not committed.
func (g *Group) due(applied uint64) bool {
	log, newest := g.config.WAL, g.config.State.index()
	since := applied - min(applied, newest)
	return since >= g.config.SnapshotEntries+g.apart(newest) || since > 0 && log.Bytes() > logBytesMax
}

// apart is how many entries later than others this node takes the snapshot behind
// one: up to a quarter. All nodes count the same entries, and would flush and
// tidy up at the same moment, so that a majority is slow.
func (g *Group) apart(newest uint64) uint64 {
	h := fnv.New64a()
	_ = binary.Write(h, binary.LittleEndian, newest) // a hash takes everything
	_, _ = h.Write([]byte(g.config.Self.ID))
	return h.Sum64() % (g.config.SnapshotEntries/4 + 1)
}

// take takes a snapshot, behind which raft cuts the log.
func (g *Group) take(i *instance) error {
	reloadable := i.raft.ReloadableConfig()
	reloadable.TrailingLogs = g.trailing()
	if err := i.raft.ReloadConfig(reloadable); err != nil {
		return err
	}
	taken := i.raft.Snapshot()
	done := make(chan error, 1)
	go func() { done <- i.await(taken) }()
	select {
	case err := <-done:
		return err
	case <-g.ctx.Done():
		return raft.ErrRaftShutdown
	}
}

// trailing is how many entries stay in the log behind a snapshot: as many as
// are configured, or as many as fit half of logBytesMax.
func (g *Group) trailing() uint64 {
	log := g.config.WAL
	count := log.LastIndex() - min(log.LastIndex(), log.FirstIndex()) + 1
	each := max(1, uint64(log.Bytes())/count)
	return min(g.config.TrailingEntries, logBytesMax/2/each)
}

// reconcile makes the log agree with a snapshot that was just installed. Raft
// keeps entries that conflict with it and remembers a last entry that is not
// there any more. Where it is one behind the snapshot the instance is replaced,
// and the new one reads again what is on disk; of an older one raft makes no
// use.
func (g *Group) reconcile(index, term uint64) error {
	before := g.config.WAL.LastIndex()
	if err := g.matchLog(index, term); err != nil {
		return err
	}
	if before >= index && g.config.WAL.LastIndex() != before {
		g.askRestart("the log did not agree with a snapshot")
	}
	return nil
}

// matchLog drops the log if it does not agree with a snapshot at index and
// term. It is rule 7 of InstallSnapshot in figure 13 of the Raft paper.
func (g *Group) matchLog(index, term uint64) error {
	log := g.config.WAL
	switch first, last := log.FirstIndex(), log.LastIndex(); {
	case last == 0 || first == index+1:
		return nil
	case last < index:
		// Entries before the snapshot may conflict with it, and a leader would
		// send them on.
		return log.TruncateFront(last + 1)
	case first > index+1:
		return fmt.Errorf("the log begins at %d but the newest snapshot (0 is none) ends at %d: files are missing; make the node anew from an empty directory", first, index)
	}
	e, err := log.Entry(index)
	if err == nil && e.Term == term {
		return nil
	}
	if err != nil && !errors.Is(err, wal.ErrNotFound) {
		return err
	}
	return log.TruncateFront(log.LastIndex() + 1)
}

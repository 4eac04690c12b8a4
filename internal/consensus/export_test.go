package consensus

import "time"

// RefusedSince makes a group believe that raft has refused entries since then,
// because of a transfer of leadership.
func (g *Group) RefusedSince(since time.Time) { g.refused.Store(since.UnixNano()) }

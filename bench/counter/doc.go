// Package counter is one small service written four times: add n to a named
// counter, exactly, durable, on three nodes, over HTTP. Each is the least that
// serves it on what it builds on:
//
//	etcd        an embedded etcd, whose store compares and swaps
//	dragonboat  a state machine of its own on dragonboat
//	hashicorp   a state machine of its own on hashicorp/raft, with raft-boltdb as its log
//	quorate     Quorate
//
// All answer POST /add {"name":"hits","n":5} with {"value":12} on each node. The
// table in docs/GUIDE.md counts their lines, and says what each leaves to its user.
//
// The last two are modules of their own: the newest raft-boltdb builds with
// hashicorp/raft 1.7 and not with 1.8, and neither should share what the others
// depend on.
package counter

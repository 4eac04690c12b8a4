// Package sim looks for what must not happen. It runs whole clusters of real
// nodes with the kv service, on a network and on disks in memory and on virtual
// time, breaks the network, the disks, the clocks and the power under them while
// clients call, and checks every promise: that histories are linearizable, that
// an acknowledged write stood on the synced disks of a majority at that moment,
// that an id takes effect once and has one answer, that "not applied" is true,
// that a key which was seen to have ended is never seen again,
// that nodes agree, and that they serve again when the faults end.
//
// A seed decides all that can be decided: the size of the cluster, its limits,
// the delays of every link, the clocks, the faults with their moments and
// targets, and the numbers that each client draws. Each component draws from a
// generator of its own, named after it, so that a new one does not shift the
// others. What a seed does not decide is what raft draws (election timeouts),
// random ids, and the order of what happens at one instant, which is the Go
// scheduler's; and what a client calls next depends on what it was answered. So
// a seed runs the same plan again, and not the same history: of twelve seeds
// run twice, all had the same faults, and eleven another number of operations.
// A failure that does not come again at once comes with -seed=S -seeds=1
// -count=50, or is read from what it left behind.
//
//	go test ./internal/sim                        the default seeds
//	go test ./internal/sim -seed=7 -seeds=1       one seed again
//	go test ./internal/sim -duration=1h -timeout=0  fresh seeds for an hour
//	go test ./internal/sim -failures=DIR          where failures leave plan, history, log and drawing
//
// How a power failure is made: goroutines cannot be killed. The node that "lost
// its power" is fenced instead: its network is dead, what it answers is thrown
// away, and the disk that the next one starts from is the image that was taken
// at that moment, without some of what was not synced. The old one is closed in
// the background, on a disk that nobody looks at any more.
//
// It is tests only.
package sim

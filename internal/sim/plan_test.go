package sim_test

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"
)

// source is the generator of one component of a seed. Components are told
// apart by name, so that a new one does not shift the numbers of the others.
func source(seed uint64, component string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(component))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// plan is what a seed decides.
type plan struct {
	Seed  uint64
	Nodes int
	// Safety is how long faults come.
	Safety          time.Duration
	ElectionTimeout time.Duration
	SnapshotEntries uint64
	TrailingEntries uint64
	SegmentBytes    int64
	LayerBytes      int
	Load            load
	Links           links
	Clocks          []clockPlan
	Kinds           []kind
	Faults          []fault
	// Upgrades are the nodes that begin with the older version of the service.
	Upgrades []upgrade
	// Drift is when the state of a node changes beside the log; nil for never.
	Drift *fault `json:",omitempty"`
}

// upgrade is a node that is started anew with the newer version, at the latest
// when all faults end.
type upgrade struct {
	Node int
	At   time.Duration
}

// mixed says that not all nodes begin with the newer version.
func (p plan) mixed() bool { return len(p.Upgrades) > 0 }

// load is what clients do.
type load struct {
	Clients    int
	Keys       int
	KeyOps     int // after so many a key is replaced by a fresh one
	Think      time.Duration
	Timeout    time.Duration // of one attempt
	ValueBytes int
	IDs        int  // percent of writes that carry an id
	Slices     int  // percent of calls that go in a slice of several
	Reads      int  // percent of calls that read
	Stale      int  // percent of reads that tolerate age
	Slow       bool // commands take time
}

// links is how the network is on a good day.
type links struct {
	Delay, Jitter time.Duration
	// Stalls is how many of 1000 writes are lost and sent again after Stall.
	Stalls int
	Stall  time.Duration
}

// clockPlan is the clock of one node.
type clockPlan struct {
	// Base is what the clocks of the cluster have in common.
	Base   time.Duration
	Offset time.Duration // from Base
	// Drift is microseconds gained in each second.
	Drift int
}

// kind is a kind of fault.
type kind string

// The kinds of faults.
const (
	isolate  kind = "isolate"   // one node sees nobody
	oneWay   kind = "one-way"   // one node is not heard, or hears nobody
	split    kind = "split"     // two sides
	partial  kind = "partial"   // two nodes do not see each other
	bridge   kind = "bridge"    // two halves see each other through one node only
	ring     kind = "ring"      // each node sees its neighbours only
	reset    kind = "reset"     // connections break
	slowLink kind = "slow-link" // everything takes longer
	crash    kind = "crash"     // a node loses its power and what was not synced
	outage   kind = "outage"    // all do
	kill     kind = "kill"      // a process ends; its machine lives on
	restart  kind = "restart"   // a node is closed and started
	handOver kind = "hand-over" // the leader gives leadership away
	slowDisk kind = "slow-disk" // the log takes long to sync
	failDisk kind = "fail-disk" // a write or sync of the log fails
	jump     kind = "jump"      // a clock is set
	wipe     kind = "wipe"      // a data directory is lost
	loseLog  kind = "lose-log"  // the log is lost, the rest is not
	corrupt  kind = "corrupt"   // a bit of the log is flipped
)

// kinds is all kinds; the last three are for ever.
var kinds = []kind{
	isolate, oneWay, split, partial, bridge, ring, reset, slowLink,
	crash, outage, kill, restart, handOver, slowDisk, failDisk, jump,
	wipe, loseLog, corrupt,
}

// lasting says that the node it strikes does not come back.
func (k kind) lasting() bool { return k == wipe || k == loseLog || k == corrupt }

// fault is one fault of a plan.
type fault struct {
	At   time.Duration
	For  time.Duration
	Kind kind
	// Target is a node. Aim says which it is when the fault comes: "" is
	// Target itself, "leader" the one that leads then.
	Target int
	Aim    string
	// Dice decide what is left to decide.
	Dice uint64
}

func (f fault) String() string {
	aim := f.Aim
	if aim == "" {
		aim = fmt.Sprintf("n%d", f.Target)
	}
	return fmt.Sprintf("%v %s %s for %v", f.At, f.Kind, aim, f.For)
}

// pick is one of several.
func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// between is a duration between two, each order of magnitude as likely.
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	d := low
	for d < high/2 && r.IntN(3) > 0 {
		d *= 2
	}
	return d + time.Duration(r.Int64N(int64(d)))
}

const (
	// aloneOffsetMax bounds how far the clock of a node that is alone is off:
	// after a start it is believed, since nobody else has one, and at twice this
	// an hour would have passed for which answers are remembered.
	aloneOffsetMax = 25 * time.Minute
	// offsetMax bounds how far one of several clocks is off. None of them may
	// end what the others hold.
	offsetMax = 10 * 24 * time.Hour
	// followedMax is about as far as a clock may jump and be believed at once.
	followedMax = 4 * time.Second
)

// inStep says that the clocks of a run begin close together. Where they do not,
// two that jumped to the same time would be a majority that agrees on it.
func (p plan) inStep() bool {
	return !slices.ContainsFunc(p.Clocks, func(c clockPlan) bool { return c.Offset.Abs() > followedMax })
}

// offBy is how far a clock is off at most in a cluster of this size.
func offBy(nodes int) time.Duration {
	if nodes == 1 {
		return aloneOffsetMax
	}
	return offsetMax
}

// slowEntriesMax bounds the entries between two snapshots where commands take
// time: 4 ms each on average, some in an entry.
const slowEntriesMax = 200

func newPlan(seed uint64) plan {
	r := source(seed, "plan")
	p := plan{
		Seed: seed, Nodes: pick(r, 1, 3, 3, 3, 3, 5, 5), Safety: between(r, 4*time.Second, 30*time.Second),
		ElectionTimeout: pick(r, 150*time.Millisecond, 300*time.Millisecond, 600*time.Millisecond, time.Second),
		SnapshotEntries: pick[uint64](r, 5, 5, 12, 40, 200, 10_000),
		TrailingEntries: pick[uint64](r, 0, 1, 3, 10, 50),
		SegmentBytes:    pick[int64](r, 4<<10, 8<<10, 32<<10, 128<<10),
		LayerBytes:      pick(source(seed, "layers"), 1, 16<<10, 64<<10, 32<<20),
	}
	p.Load = newLoad(source(seed, "load"))
	if p.Load.Slow {
		// A node that starts applies again what no snapshot holds, and takes
		// its time for it.
		p.SnapshotEntries = min(p.SnapshotEntries, slowEntriesMax)
	}
	p.Links = newLinks(source(seed, "links"), p.ElectionTimeout)
	p.Clocks = newClocks(source(seed, "clocks"), p.Nodes)
	p.Kinds = newKinds(source(seed, "kinds"), p.Nodes)
	p.Faults = newFaults(source(seed, "faults"), p)
	p.Upgrades = newUpgrades(source(seed, "upgrades"), p)
	return p
}

// newUpgrades makes a cluster of two versions, one in three times.
func newUpgrades(r *rand.Rand, p plan) (upgrades []upgrade) {
	if r.IntN(3) > 0 {
		return nil
	}
	for i := range p.Nodes {
		if at := time.Duration(r.Int64N(int64(p.Safety) * 5 / 4)); r.IntN(4) > 0 {
			upgrades = append(upgrades, upgrade{i, at})
		}
	}
	return upgrades
}

func newLoad(r *rand.Rand) load {
	return load{
		Clients: 1 + r.IntN(7), Keys: 1 + r.IntN(6), KeyOps: 20 + r.IntN(60),
		Think:      pick(r, 10*time.Millisecond, 50*time.Millisecond, 200*time.Millisecond),
		Timeout:    pick(r, 300*time.Millisecond, time.Second, 3*time.Second),
		ValueBytes: pick(r, 8, 8, 100, 1000, 10_000),
		IDs:        pick(r, 0, 30, 70, 100), Slices: pick(r, 0, 10, 40), Reads: pick(r, 20, 40, 60), Stale: pick(r, 0, 0, 20), Slow: r.IntN(3) == 0,
	}
}

// newLinks makes links on which a cluster with this election timeout can work.
func newLinks(r *rand.Rand, election time.Duration) links {
	l := links{Delay: between(r, 20*time.Microsecond, election/20)}
	l.Jitter = l.Delay * time.Duration(r.IntN(3)) / 2
	if r.IntN(3) == 0 {
		l.Stalls, l.Stall = 1+r.IntN(20), between(r, 50*time.Millisecond, 400*time.Millisecond)
	}
	return l
}

// newClocks sets the clocks: close together or not, in the right year or not.
func newClocks(r *rand.Rand, nodes int) []clockPlan {
	base := pick(r, 0, 0, -2*time.Hour, 3*time.Hour, -24*365*time.Hour)
	apart := pick(r, 0, time.Second, offBy(nodes))
	clocks := make([]clockPlan, nodes)
	for i := range clocks {
		clocks[i] = clockPlan{Base: base, Offset: within(r, apart), Drift: r.IntN(2001) - 1000}
	}
	return clocks
}

// within is a duration from -d to d.
func within(r *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(2*d)+1)) - d
}

// newKinds switches kinds of faults on, about half of those that mean anything
// for a cluster of this size. In one of ten plans there is none.
func newKinds(r *rand.Rand, nodes int) []kind {
	var on []kind
	calm := r.IntN(10) == 0
	for _, k := range kinds {
		chance := 2
		if k.lasting() {
			chance = 4
		}
		if strike := r.IntN(chance) == 0; strike && !calm && k.fits(nodes) {
			on = append(on, k)
		}
	}
	return on
}

// fits says that a kind means something in a cluster of this size.
func (k kind) fits(nodes int) bool {
	switch k {
	case crash, outage, kill, restart, slowDisk, failDisk, jump:
		return true
	case bridge, ring:
		return nodes > 3
	}
	return nodes > 1
}

func newFaults(r *rand.Rand, p plan) []fault {
	if len(p.Kinds) == 0 {
		return nil
	}
	var faults []fault
	pause := between(r, 200*time.Millisecond, 4*time.Second)
	lasting := 0
	for at := time.Duration(r.Int64N(int64(3 * time.Second))); at < p.Safety; at += pause/4 + time.Duration(r.Int64N(int64(2*pause))) {
		f := fault{
			At: at, For: between(r, 50*time.Millisecond, 6*time.Second), Kind: pick(r, p.Kinds...),
			Target: r.IntN(p.Nodes), Aim: pick(r, "", "", "leader"), Dice: r.Uint64(),
		}
		if f.Kind.lasting() {
			// Less than half of the nodes may be lost for ever.
			if lasting++; lasting > (p.Nodes-1)/2 {
				continue
			}
			f.Aim = ""
			if f.At < p.Safety/3 {
				f.At += p.Safety / 3
			}
		}
		faults = append(faults, f)
	}
	slices.SortStableFunc(faults, func(a, b fault) int { return int(a.At - b.At) })
	return faults
}

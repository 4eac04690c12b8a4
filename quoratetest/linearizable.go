package quoratetest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate"
)

const (
	// roundLength is how long callers call one cluster, on virtual time where there
	// is any: some ten faults.
	roundLength = 8 * time.Second
	// callsMax bounds the calls of a round: porcupine keeps as many bits for each
	// of them as there are.
	callsMax = 3000
	// answersMin is how many answers a round must have had: what did nothing has
	// shown nothing.
	answersMin = 20
	// linkMin and linkMax are how long a message takes: calls overlap.
	linkMin, linkMax = 100 * time.Microsecond, 2 * time.Millisecond
)

// CheckLinearizable runs a service on a cluster, lets callers make the calls that
// generator makes of random numbers, through all nodes, and breaks the cluster
// under them: nodes are cut off, stopped, killed so that what they did not sync is
// lost, all at a time too, paused, and made to give leadership away. It fails t
// where what callers were answered does not agree with the model.
//
// It does so in rounds, each with a cluster of its own and the next seed, until
// its time is over, and checks for each:
//
//   - what Cluster checks, at any time and when a round ends;
//   - in the order of the log, that the model allows what each command and each
//     query came to, also a stale query, for which it is the state as it was then;
//   - by porcupine, that the calls that were not stale can be ordered so that each
//     took effect between call and answer. Most commands carry an id, and are sent
//     again until it is known what became of them; of the others some are never
//     known, and may have taken effect at any later time or never.
//
// A round takes place on virtual time in a bubble of testing/synctest of its own,
// so that a second holds many; not where t is no *testing.T. A test that calls
// it must not be in a bubble. The generator and the functions of the model are
// called by several goroutines and go by nothing but what they are given.
//
// A seed decides the calls and the faults, and not the order of what happens at one
// instant: a failure comes again with its seed, mostly.
func CheckLinearizable[S any](t testing.TB, service *quorate.Service, model Model[S], generator func(r *rand.Rand) any, options ...Option) {
	t.Helper()
	check(t, trial{service: service, model: model.explained(), generator: generator, effort: effortOf(t, options)})
}

// trial is what is checked, and how much.
type trial struct {
	effort
	service   *quorate.Service
	model     explained
	generator func(r *rand.Rand) any
}

func check(t testing.TB, l trial) {
	t.Helper()
	if l.callers < 1 {
		t.Fatalf("%d callers call nothing", l.callers)
	}
	began, total := time.Now(), figures{faults: make(map[string]int)}
	for seed := l.seed; ; seed++ {
		r := l.round(t, seed)
		if found := r.judge(); len(found) > 0 {
			t.Errorf("%s\n%s", strings.Join(found, "\n"), again(t, seed))
			return
		}
		if total.add(r); l.spent(began) {
			t.Logf("seeds %d to %d in %v: %v", l.seed, seed, time.Since(began).Round(time.Millisecond), total)
			return
		}
	}
}

// spent says that no further round begins.
func (l trial) spent(began time.Time) bool { return testing.Short() || time.Since(began) >= l.span }

// round is one cluster, from its start to its end.
type round struct {
	trial    trial
	seed     uint64
	length   time.Duration
	verdicts *verdicts
	nodes    *Nodes
	history  *history
	storm    *storm
	calls    atomic.Int64
	// over ends when a check has failed, or all is done.
	over context.Context
}

// round runs one round, in a bubble if it can.
func (l trial) round(t testing.TB, seed uint64) (r *round) {
	r = &round{trial: l, seed: seed, length: roundLength, history: newHistory(), verdicts: &verdicts{TB: t, stop: func() {}}}
	test, ok := t.(*testing.T)
	if !ok {
		r.length = min(roundLength, max(l.span, time.Second))
		r.live(t)
		return r
	}
	defer func() {
		if stuck := recover(); stuck != nil {
			r.verdicts.add(fmt.Sprint(stuck)) // such as that goroutines are left
		}
	}()
	synctest.Test(test, func(t *testing.T) { r.live(t) })
	return r
}

// live is the life of a cluster.
func (r *round) live(t testing.TB) {
	over, stop := context.WithCancel(context.Background())
	defer stop()
	r.over, r.verdicts.TB, r.verdicts.stop = over, t, stop
	r.verdicts.run(func() {
		c := newCluster(r.verdicts, r.trial.service, r.trial.nodes, discard(), limits{snapshotEntries: 60, trailingEntries: 20})
		r.nodes = c
		defer c.end()
		if err := c.open(); err != nil {
			r.verdicts.add(err.Error())
			return
		}
		c.delay(r.drawnDelay)
		r.work()
	})
}

// work lets callers call while the storm blows, and until it is over.
func (r *round) work() {
	calm, soothe := context.WithCancel(r.over)
	quit, dismiss := context.WithCancel(r.over)
	defer dismiss()
	defer soothe()
	r.storm = &storm{nodes: r.nodes, calm: calm, counts: make(map[string]int)}
	var callers, faults sync.WaitGroup
	for i := range r.trial.callers {
		one := &caller{round: r, number: i, random: source(r.seed, fmt.Sprintf("caller %d", i))}
		callers.Go(func() { r.verdicts.run(func() { one.call(quit) }) })
	}
	network, power := source(r.seed, "network"), source(r.seed, "power")
	faults.Go(func() { r.verdicts.run(func() { r.storm.blow(network, r.storm.part) }) })
	faults.Go(func() { r.verdicts.run(func() { r.storm.blow(power, r.storm.strike) }) })
	rest(r.over, r.length)
	soothe()
	faults.Wait()
	r.nodes.Heal()
	dismiss()
	callers.Wait()
}

// drawnDelay makes messages on a way take as long as the seed says.
func (r *round) drawnDelay(from, to *Node) func() time.Duration {
	var mu sync.Mutex
	random := source(r.seed, "link "+from.Name()+to.Name())
	return func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return between(random, linkMin, linkMax)
	}
}

// judge says what was wrong in a round.
func (r *round) judge() []string {
	if found := r.verdicts.all(); len(found) > 0 {
		return found
	}
	if err := r.history.inLogOrder(r.trial.model, r.nodes.ledger); err != nil {
		return []string{err.Error()}
	}
	if err := r.history.linearizable(r.trial.model); err != nil {
		return []string{err.Error()}
	}
	if answered := r.history.answered(); answered.all() < answersMin {
		return []string{fmt.Sprintf("%d of %d calls were answered: too few to mean much", answered.all(), len(r.history.all))}
	}
	return nil
}

// figures is what rounds did.
type figures struct {
	answers
	faults map[string]int
}

// add counts what a round did.
func (f *figures) add(r *round) {
	one := r.history.answered()
	f.commands, f.queries, f.stale, f.unknown = f.commands+one.commands, f.queries+one.queries, f.stale+one.stale, f.unknown+one.unknown
	for kind, count := range r.storm.counts {
		f.faults[kind] += count
	}
}

// String is the figures as they are shown.
func (f figures) String() string {
	var faults []string
	for _, kind := range slices.Sorted(maps.Keys(f.faults)) {
		faults = append(faults, fmt.Sprintf("%d %s", f.faults[kind], kind))
	}
	return fmt.Sprintf("%d commands, %d queries and %d stale ones were answered, and %d commands never, among %s",
		f.commands, f.queries, f.stale, f.unknown, strings.Join(faults, ", "))
}

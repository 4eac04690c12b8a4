package sim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
)

// result is what came of one seed.
type result struct {
	world   *world
	drawing *porcupine.LinearizationInfo
}

// answeredMean is how many operations runs must have answered on average: what
// did nothing has shown nothing. A single run may answer hardly any, where the
// first faults keep its cluster from forming until they end; that it serves then
// is checked for each.
const answeredMean = 100

// run runs one seed.
func run(t *testing.T, seed uint64) result { return runPlan(t, newPlan(seed)) }

// runPlan runs one plan. A bubble that does not end is a failure too.
func runPlan(t *testing.T, p plan) (r result) {
	began := time.Now()
	defer func() {
		if failure := recover(); failure != nil {
			r.world.verdicts = append(r.world.verdicts, verdict{"leaks", fmt.Sprint(failure), 0})
		}
		r.world.tally.real = time.Since(began)
	}()
	synctest.Test(t, func(t *testing.T) {
		r.world = newWorld(t, p)
		r.world.live()
	})
	w := r.world
	all := w.history.operations()
	w.tally.count(all)
	w.outcomes()
	checked, wrong, drawing := linearizable(all)
	w.tally.checked, r.drawing = checked, drawing
	if wrong != "" {
		w.fail("linearizability", "%s", wrong)
	}
	return r
}

// live is the life of a world from its beginning to its end.
func (w *world) live() {
	quit, end := context.WithCancel(context.Background())
	w.jobs.Add(1)
	for _, p := range w.places {
		p.take(p.start)
	}
	watching, blind := context.WithCancel(context.Background())
	var watch, direct = make(chan struct{}), make(chan struct{})
	go func() { defer close(watch); w.watch(watching) }()
	go func() { defer close(direct); w.direct() }()
	w.strikeDrift()
	for _, u := range w.plan.Upgrades {
		w.jobs.Go(func() {
			rest(w.calm, u.At)
			w.places[u.Node].upgrade()
		})
	}
	c := &clients{world: w, ring: newKeyring(w.plan.Load), quit: quit}
	c.start()
	leases := &leasers{world: w, quit: quit}
	leases.start()
	<-direct
	w.jobs.Done()
	w.recover()
	end()
	c.calls.Wait()
	leases.calls.Wait()
	w.checkDrift()
	w.converge()
	c.last()
	blind()
	<-watch
	w.closeAll()
	w.length.Store(int64(w.now()))
	w.tally.virtual = w.now()
	w.stop()
}

// last reads every key once more through every node.
func (c *clients) last() {
	reader := &client{clients: c, number: c.world.plan.Load.Clients}
	for _, key := range c.ring.names() {
		for _, p := range c.world.up() {
			if c.world.ctx.Err() != nil {
				return
			}
			o := &operation{Client: reader.number, Name: "get", Key: key}
			o.call = callOf(o)
			reader.begin(o)
			reader.attempt(p.index, []*operation{o})
		}
	}
}

// again is the command that runs a seed once more.
func again(seed uint64) string {
	return fmt.Sprintf("go test ./internal/sim -run '^TestSeeds$' -seed=%d -seeds=1 -count=1", seed)
}

// report says what went wrong and leaves behind what helps to understand it.
func (r result) report(dir string) string {
	w := r.world
	var b strings.Builder
	for _, v := range w.verdicts {
		fmt.Fprintln(&b, v)
	}
	fmt.Fprintf(&b, "seed %d; again: %s\n", w.plan.Seed, again(w.plan.Seed))
	dir = filepath.Join(dir, fmt.Sprintf("seed-%d", w.plan.Seed))
	if err := r.leave(dir, b.String()); err != nil {
		fmt.Fprintf(&b, "leave artifacts in %s: %v\n", dir, err)
	} else {
		fmt.Fprintf(&b, "plan, history, what happened and drawing are in %s\n", dir)
	}
	return b.String()
}

// leave writes plan.json, history.jsonl, journey.txt and, if porcupine found
// something, history.html.
func (r result) leave(dir, verdicts string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	plan, err := json.MarshalIndent(r.world.plan, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "plan.json"), plan, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "journey.txt"), []byte(r.world.journey.String()+verdicts), 0o644); err != nil {
		return err
	}
	history, err := os.Create(filepath.Join(dir, "history.jsonl"))
	if err != nil {
		return err
	}
	defer history.Close()
	if err := r.world.history.write(history); err != nil || r.drawing == nil {
		return err
	}
	return porcupine.VisualizePath(model, *r.drawing, filepath.Join(dir, "history.html"))
}

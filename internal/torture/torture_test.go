package torture

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const (
	// roundLength is how long faults go on before everything is healed and
	// checked: long enough for the longest of them.
	roundLength = 10 * time.Second
	// roundRest is what a round takes besides: nodes that end in order, an
	// election, the checks. A round does not begin unless it has this time.
	roundRest = 25 * time.Second
	// recoveryMax is how soon after the end of all faults every node must have
	// a write acknowledged. It is some elections on a machine that is busy.
	recoveryMax = 20 * time.Second
)

// TestHistoriesUnderFaultsAreLinearizable runs rounds of load and faults and
// checks after each what clients saw, what every node answers, and that all
// hold the same.
func TestHistoriesUnderFaultsAreLinearizable(t *testing.T) {
	seed := newSeed(t)
	c := newCluster(t, settings{own: true, wired: true, snapshot: 400, trailing: 100})
	figures, ids := newFigures(), &idBudget{began: time.Now()}
	defer func() { t.Log(figures) }()
	length, until := lengths()
	for more := true; more; more = time.Now().Add(length + roundRest).Before(until) {
		r := &round{c: c, figures: figures, history: newHistory(), name: fmt.Sprintf("round-%d", figures.rounds), length: length}
		r.run(rand.NewPCG(seed, uint64(figures.rounds)), ids)
		if t.Failed() {
			return
		}
		figures.rounds++
	}
}

// lengths is how long one round is, and when the last must be over.
func lengths() (round time.Duration, until time.Time) {
	lasts, err := lasting()
	switch {
	case err == nil && lasts > 0:
		return roundLength, began.Add(lasts)
	case *size == "full":
		return roundLength, time.Now().Add(2 * time.Minute)
	}
	return 2 * roundLength / 5, time.Now()
}

// round is faults and load for a while, and then the checks.
type round struct {
	c       *cluster
	figures *figures
	history *history
	name    string
	length  time.Duration
}

func (r *round) run(source *rand.PCG, ids *idBudget) {
	random := rand.New(source)
	faults := schedule(random, r.length)
	var wrong []string
	defer func() { r.keep(faults, wrong) }()
	load := startLoad(r.c, r.name, random.Uint64(), r.history, r.figures, ids)
	defer load.finish()
	newPlayer(r.c, r.figures).play(faults, r.length)
	r.recover()
	load.finish()
	r.c.waitConverged()
	load.checkLater()
	if wrong = r.history.check(); len(wrong) > 0 {
		r.c.t.Errorf("not linearizable: %v", wrong)
	}
}

// recover waits until every node has a write acknowledged.
func (r *round) recover() {
	healed := time.Now()
	for node := range clusterSize {
		r.c.waitFor(recoveryMax-time.Since(healed), fmt.Sprintf("a write through node %d is acknowledged", node), func() error {
			a, out := r.c.ask(node, call{path: "/v1/inc", body: keyBody("recovered"), timeout: callTimeout})
			if out != acknowledged {
				return fmt.Errorf("%v", a)
			}
			return nil
		})
	}
	r.figures.recovery = max(r.figures.recovery, time.Since(healed))
}

// keep saves what is needed to look into a failure, and says where.
func (r *round) keep(faults []fault, wrong []string) {
	if !r.c.t.Failed() {
		return
	}
	dir, err := os.MkdirTemp("", "torture-failed-")
	if err == nil {
		err = r.history.save(dir, wrong)
	}
	if err != nil {
		r.c.t.Error(err)
	}
	for _, p := range r.c.nodes {
		if log, err := os.ReadFile(p.log); err == nil {
			_ = os.WriteFile(filepath.Join(dir, filepath.Base(p.log)), log, 0o600)
		}
	}
	plan := ""
	for _, f := range faults {
		plan += fmt.Sprintf("%+v\n", f)
	}
	_ = os.WriteFile(filepath.Join(dir, "faults.txt"), []byte(plan), 0o600)
	r.c.t.Logf("%s: history, faults and logs are in %s", r.name, dir)
}

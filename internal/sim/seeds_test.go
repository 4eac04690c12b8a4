package sim_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

var (
	seedFlag     = flag.Uint64("seed", 1, "first seed; 0 draws one")
	seedsFlag    = flag.Int("seeds", 0, "how many seeds to run, one after the other; 0 runs the default number")
	durationFlag = flag.Duration("duration", 0, "run fresh seeds until so much real time has passed")
	failuresFlag = flag.String("failures", filepath.Join(os.TempDir(), "quorate-sim"), "directory for what failed seeds leave behind")
)

// seeds deals out seeds until it is time to stop.
type seeds struct {
	mu     sync.Mutex
	next   uint64
	left   int       // -1: until the end
	end    time.Time // of dealing; zero: when none is left
	failed bool
}

func dealer() *seeds {
	s := &seeds{next: *seedFlag, left: *seedsFlag}
	switch {
	case *durationFlag > 0:
		s.left, s.end = -1, time.Now().Add(*durationFlag)
		s.next = rand.Uint64() >> 16
	case s.left == 0:
		s.left = seedsDefault
	}
	if s.next == 0 {
		s.next = rand.Uint64() >> 16
	}
	return s
}

// deal returns the next seed; false when there is none.
func (s *seeds) deal() (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == 0 || s.failed || !s.end.IsZero() && time.Now().After(s.end) {
		return 0, false
	}
	if s.left > 0 {
		s.left--
	}
	seed := s.next
	s.next++
	return seed, true
}

// stop ends the dealing: a seed has failed.
func (s *seeds) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = true
}

// slowSeed is after how much real time a seed is named that still runs: virtual
// time may stand still.
const slowSeed = 2 * time.Minute

func TestSeeds(t *testing.T) {
	cards := dealer()
	t.Logf("seeds from %d on", cards.next)
	began, total := time.Now(), newTally()
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for {
				seed, ok := cards.deal()
				if !ok {
					return
				}
				t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
					slow := time.AfterFunc(slowSeed, func() { fmt.Printf("seed %d is still running after %v\n", seed, slowSeed) })
					defer slow.Stop()
					r := run(t, seed)
					total.add(r.world.tally)
					if len(r.world.verdicts) > 0 {
						cards.stop()
						t.Error(r.report(*failuresFlag))
					}
				})
			}
		})
	}
	workers.Wait()
	t.Log(total.figures(time.Since(began)))
	if total.runs >= seedsDefault && total.answered < answeredMean*total.runs && !t.Failed() {
		t.Errorf("%d operations were answered in %d seeds: too few to mean much", total.answered, total.runs)
	}
	if everyKind && *seedsFlag == 0 && *durationFlag == 0 && *seedFlag == 1 && !t.Failed() {
		for _, k := range kinds {
			if total.faults[k] == 0 {
				t.Errorf("no fault of kind %s in %d seeds", k, total.runs)
			}
		}
	}
}

package store

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// waiting is a database that waits for one compaction.
type waiting struct{ started int }

func (*waiting) GetAllowedWithoutPermission() int { return 1 }

func (w *waiting) GetWaitingCompaction() (bool, pebble.WaitingCompaction) {
	return w.started == 0, pebble.WaitingCompaction{}
}

func (w *waiting) Schedule(pebble.CompactionGrantHandle) bool {
	w.started++
	return true
}

func TestACompactionWaitsUntilOpenHasSucceeded(t *testing.T) {
	db, g := &waiting{}, newGate()
	g.Register(2, db)
	if ok, _ := g.TrySchedule(); ok || db.started > 0 {
		t.Fatal("a compaction runs while Pebble opens")
	}
	g.open()
	if db.started != 1 {
		t.Fatalf("%d compactions were started of the one that waits", db.started)
	}
	if ok, _ := g.TrySchedule(); ok {
		t.Fatal("a second one runs beside it")
	}
	g.Unregister()
}

// TestWhatIsOpenedTooLateIsClosed lets a store fail while Pebble opens.
func TestWhatIsOpenedTooLateIsClosed(t *testing.T) {
	fs, damage := vfs.NewMem(), errors.New("damage")
	goOn, opened := make(chan struct{}), make(chan struct{})
	s := &Store{fail: newFailure(nil)}
	err := s.open(func() (*pebble.DB, error) {
		defer close(opened)
		s.fail.set(damage)
		<-goOn
		return pebble.Open("state", &pebble.Options{FS: fs})
	})
	if !errors.Is(err, damage) {
		t.Fatalf("open = %v", err)
	}
	close(goOn)
	<-opened
	// The directory is locked until then; this takes no time where all is well.
	for until := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		db, err := pebble.Open("state", &pebble.Options{FS: fs})
		if err == nil {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			return
		}
		if time.Now().After(until) {
			t.Fatalf("it is still open: %v", err)
		}
	}
}
